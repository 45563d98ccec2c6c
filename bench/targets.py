"""Figures and their targets."""

from dataclasses import replace

from bench.figures import Figure

MUST_NOT_HAPPEN = "0"
"""The target of a count of errors."""


def at_least(figure: Figure, bound: float) -> Figure:
    """Returns the figure with its target: `bound` or more."""
    return replace(figure, target=f"≥ {bound:g}", met=figure.value >= bound)


def at_most(figure: Figure, bound: float) -> Figure:
    """Returns the figure with its target: `bound` or less."""
    return replace(figure, target=f"≤ {bound:g}", met=figure.value <= bound)


def none(part: str, name: str, count: int) -> Figure:
    """Returns a count of errors, with its target."""
    return Figure(part, name, count, "", target=MUST_NOT_HAPPEN, met=count == 0)

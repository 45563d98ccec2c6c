"""What a run found, for people: a table of the figures, ratios and targets first."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from bench.figures import Figure

RATIO = "×"
LARGE = 1_000
"""From here on no digit behind the point says anything."""


def table(figures: Sequence[Figure]) -> Table:
    """All figures, part by part; in each part first the ratios and what has a target."""
    shown = Table(title="median of the rounds", title_justify="left")
    for heading in ("", "lowest", "median", "highest", "target"):
        shown.add_column(heading, justify="left" if heading in ("", "target") else "right")
    for part in dict.fromkeys(figure.part for figure in figures):
        shown.add_section()
        shown.add_row(f"[bold]{part}")
        for figure in ordered(figure for figure in figures if figure.part == part):
            shown.add_row(figure.name, bound(figure.low), amount(figure), bound(figure.high), verdict(figure))
    return shown


def ordered(figures: Iterable[Figure]) -> list[Figure]:
    """Ratios first, then what else has a target, then the rest, each as they came."""
    return sorted(figures, key=lambda figure: (figure.unit != RATIO, not figure.target))


def amount(figure: Figure) -> str:
    """A figure's value and unit: ``1.40×``, ``108 /s``."""
    if figure.unit == RATIO:
        return number(figure.value) + RATIO
    return f"{number(figure.value)} {figure.unit}".rstrip()


def bound(value: float | None) -> str:
    """One end of the spread."""
    return "" if value is None else number(value)


def number(value: float) -> str:
    """Three digits, more only where the whole part has more: ``1.40``, ``18.0``, ``108``, ``12,345``; counts as they are."""
    if value == int(value) or abs(value) >= LARGE:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def verdict(figure: Figure) -> str:
    """The target, and whether it is met."""
    if figure.met is None:
        return figure.target
    return f"[green]{figure.target} ✓" if figure.met else f"[red]{figure.target} missed"

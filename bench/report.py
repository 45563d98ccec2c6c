"""A run's figures as a table, for a terminal and for a file."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from bench.figures import Figure

RATIO = "×"
LARGE = 1_000
"""The size from which decimals mean nothing."""


def table(figures: Sequence[Figure]) -> Table:
    """Returns all figures, part by part; in each part first the ratios, then the others that have a target."""
    shown = Table(title="Medians of the rounds, with the lowest and the highest", title_justify="left")
    for heading in ("", "lowest", "median", "highest", "target"):
        shown.add_column(heading, justify="left" if heading in ("", "target") else "right")
    for part, of_part in by_part(figures).items():
        shown.add_section()
        shown.add_row(f"[bold]{part}")
        for figure in of_part:
            shown.add_row(figure.name, bound(figure.low), amount(figure), bound(figure.high), _colour(figure))
    return shown


def markdown(figures: Sequence[Figure]) -> str:
    """Returns all figures as a Markdown table."""
    lines = ["| | median | lowest – highest | target |", "|---|---|---|---|"]
    for part, of_part in by_part(figures).items():
        lines.append(f"| **{part}** | | | |")
        for figure in of_part:
            spread = "" if figure.low is None else f"{bound(figure.low)} – {bound(figure.high)}"
            lines.append(f"| {figure.name} | {amount(figure)} | {spread} | {verdict(figure)} |")
    return "\n".join(lines) + "\n"


def by_part(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    """Returns figures by part: first the ratios, then the others with a target, then the rest, otherwise in their sequence."""
    parts: dict[str, list[Figure]] = {}
    for figure in figures:
        parts.setdefault(figure.part, []).append(figure)
    return {
        part: sorted(of_part, key=lambda figure: (figure.unit != RATIO, not figure.target)) for part, of_part in parts.items()
    }


def amount(figure: Figure) -> str:
    """Returns a figure's value and unit: ``1.40×``, ``108 /s``."""
    if figure.unit == RATIO:
        return number(figure.value) + RATIO
    return f"{number(figure.value)} {figure.unit}".rstrip()


def bound(value: float | None) -> str:
    """Returns one end of the spread."""
    return "" if value is None else number(value)


def number(value: float) -> str:
    """Returns three digits, two below one, more where the whole part has them: ``0.90``, ``1.40``, ``108``, ``12,345``."""
    if value == int(value) or abs(value) >= LARGE:
        return f"{value:,.0f}"
    return (f"{value:#.3g}" if abs(value) >= 1 else f"{value:#.2g}").rstrip(".")


def verdict(figure: Figure) -> str:
    """Returns the target, and whether it is met."""
    if figure.met is None:
        return figure.target
    return f"{figure.target} {'✓' if figure.met else '✗'}"


def _colour(figure: Figure) -> str:
    colour = {True: "[green]", False: "[bold red]", None: ""}[figure.met]
    return colour + verdict(figure)

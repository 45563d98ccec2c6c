"""A measured figure, with its spread and its target."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. `part` and `name` identify it; `value` is the median, `low` and `high` the spread.

    `target` is its bound as text; `met` is whether the figure keeps it, `None` without a target.
    """

    part: str
    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    target: str = ""
    met: bool | None = None


def of_rounds(part: str, name: str, rounds: Sequence[float], unit: str) -> Figure:
    """Returns the median of several rounds, and their spread."""
    return Figure(part, name, median(rounds), unit, min(rounds), max(rounds))

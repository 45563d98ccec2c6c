"""What a measurement says: one figure, with its spread and what it should be."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. `part` and `name` say what was measured; `value` is the median, `low` and `high` the spread.

    `target`: what it should be, as text for people; `met`: whether it is, `None` where there is no target.
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
    """The median of several rounds, and their spread."""
    return Figure(part, name, median(rounds), unit, min(rounds), max(rounds))

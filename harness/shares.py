"""How several processes shared one account's work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Shift(Protocol):
    """One process's part of the work."""

    fills: int


S = TypeVar("S", bound=Shift)


@dataclass(frozen=True, slots=True)
class Shares(Generic[S]):
    """The work of all processes."""

    shifts: Sequence[S]

    @property
    def fills(self) -> int:
        """The number of filled orders."""
        return sum(shift.fills for shift in self.shifts)

    @property
    def slowest_share(self) -> float:
        """The fills of the process that had the fewest, as a part of an equal share."""
        return min(shift.fills for shift in self.shifts) * len(self.shifts) / max(1, self.fills)

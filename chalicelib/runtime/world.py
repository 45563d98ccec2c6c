"""The world outside a request: clocks, sleep, randomness, locks, reports of bugs. The simulator replaces it as a whole."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from random import random
from threading import Lock
from time import monotonic, sleep
from typing import NamedTuple, Protocol


def utc_now() -> datetime:
    """Returns the time of day."""
    return datetime.now(UTC)


def raise_it(bug: Exception) -> None:
    """Raises a bug, where there is no log for it."""
    raise bug


class TimedLock(Protocol):
    """The part of `threading.Lock` that the engine uses where one request waits for another."""

    def acquire(self, *, timeout: float) -> bool:
        """Waits for the lock, at most `timeout` seconds. Returns whether it was acquired."""
        ...

    def release(self) -> None:
        """Releases the lock."""
        ...


class Moment(NamedTuple):
    """A moment on both clocks, for measuring ages."""

    monotonic_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class World:
    """Clocks, sleep, randomness, locks, and where bugs are reported."""

    monotonic_s: Callable[[], float] = monotonic
    sleep_s: Callable[[float], None] = sleep
    random: Callable[[], float] = random
    """Uniform in [0, 1)."""

    now: Callable[[], datetime] = utc_now
    new_lock: Callable[[], TimedLock] = Lock
    report: Callable[[Exception], None] = raise_it
    """Takes note of a bug that no response reports."""

    def moment(self) -> Moment:
        """Returns this moment."""
        return Moment(self.monotonic_s(), self.now().timestamp())

    def age_s(self, since: Moment) -> float:
        """Returns the seconds since a moment, by the clock that shows more.

        A frozen Lambda's monotonic clock may stand still, and a wall clock may be set. Set forward, it makes everything old; set
        back, it makes the age unknown, which is returned as infinite.
        """
        wall_s = self.now().timestamp() - since.wall_s
        return max(self.monotonic_s() - since.monotonic_s, wall_s if wall_s >= 0 else inf)

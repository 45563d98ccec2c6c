"""What a request needs of the world outside: clocks, sleep, randomness, locks. Replaced as a whole where time is simulated."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import random
from threading import Lock
from time import monotonic, sleep
from typing import Protocol


def utc_now() -> datetime:
    """Returns the time of day."""
    return datetime.now(UTC)


class TimedLock(Protocol):
    """What is used of `threading.Lock` where one request waits for another."""

    def acquire(self, *, timeout: float) -> bool:
        """Waits for the lock, `timeout` seconds at most. Returns whether it was acquired."""
        ...

    def release(self) -> None:
        """Releases the lock."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment on both clocks, for measuring ages."""

    monotonic_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class World:
    """Clocks, sleep, randomness and locks."""

    monotonic_s: Callable[[], float] = monotonic
    sleep_s: Callable[[float], None] = sleep
    random: Callable[[], float] = random
    """Uniform in [0, 1)."""

    now: Callable[[], datetime] = utc_now
    new_lock: Callable[[], TimedLock] = Lock

    def moment(self) -> Moment:
        """Returns this moment."""
        return Moment(self.monotonic_s(), self.now().timestamp())

    def age_s(self, since: Moment) -> float:
        """Returns the seconds since a moment, by whichever clock says more.

        A frozen Lambda's monotonic clock may stand still, and a wall clock may be set: forward makes everything old, and back
        makes an age unknowable, which is returned as infinite.
        """
        wall_s = self.now().timestamp() - since.wall_s
        return max(self.monotonic_s() - since.monotonic_s, wall_s if wall_s >= 0 else float("inf"))

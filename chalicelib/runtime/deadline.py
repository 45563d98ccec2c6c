"""How long a request may try, and how it waits in between. Clock, sleep, randomness and locks are handed in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import random
from time import monotonic, sleep
from typing import Protocol

from chalicelib.runtime.fair_lock import FairLock

THROTTLE_WAIT_S = 0.05
"""The unit of waiting for a throttled datastore, doubled each time: it needs less load, not a lucky moment."""

THROTTLE_WAIT_MAX_S = 2.0


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class TimedLock(Protocol):
    """What is used of `threading.Lock` where one request waits for another."""

    def acquire(self, *, timeout: float) -> bool:
        """Waits for the lock, `timeout` seconds at most. Returns whether it came."""
        ...

    def release(self) -> None:
        """Gives it back."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What a request needs of the world outside: replaced as a whole where time is simulated."""

    monotonic_s: Callable[[], float] = monotonic
    sleep_s: Callable[[float], None] = sleep
    random: Callable[[], float] = random
    """Uniform in [0, 1)."""

    now: Callable[[], datetime] = utc_now
    new_lock: Callable[[], TimedLock] = FairLock


class TimeUp(Exception):
    """No call to the datastore may start any more in this request."""


class Patience:
    """One request's time: what is left of it, and the waits that come out of it."""

    def __init__(self, world: World, budget_s: float, call_worst_s: float) -> None:
        self._world = world
        self._deadline_s = world.monotonic_s() + budget_s
        self._call_worst_s = call_worst_s
        self.datastore_s = 0.0
        """How much of it the datastore took."""
        self._throttled = 0

    def left_s(self) -> float:
        """Seconds until the last moment at which a call may start: its worst case must still fit."""
        return self._deadline_s - self._call_worst_s - self._world.monotonic_s()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around each call to the datastore: it may start if its worst case still fits, and the time it takes is added up.

        Raises:
            TimeUp: it does not fit.
        """
        if self.left_s() < 0:
            raise TimeUp
        started_s = self._world.monotonic_s()
        try:
            yield
        finally:
            self.datastore_s += self._world.monotonic_s() - started_s

    def wait(self, seconds: float) -> None:
        """Waits, but never past the last moment at which a call may start."""
        self._world.sleep_s(max(0.0, min(seconds, self.left_s())))

    def wait_throttled(self) -> None:
        """Waits because the datastore has too much to do, or is out of reach: longer each time, with full jitter."""
        self._throttled += 1
        self.wait(self._world.random() * min(THROTTLE_WAIT_MAX_S, THROTTLE_WAIT_S * 2 ** min(self._throttled, 10)))

    def now_s(self) -> float:
        """The time on the clock that it goes by, in seconds."""
        return self._world.monotonic_s()

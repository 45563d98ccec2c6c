"""A request's time limit, and the waits between its attempts."""

from collections.abc import Iterator
from contextlib import contextmanager

from chalicelib.runtime.world import World

THROTTLE_WAIT_S = 0.05
"""The first wait for a throttled datastore, doubled each time so that its load falls."""

THROTTLE_WAIT_MAX_S = 2.0


class DeadlineExceeded(Exception):
    """The end of a request's time: it may start no further call to the datastore."""


class Deadline:
    """One request's time: what remains of it, and the waits that use it up."""

    def __init__(self, world: World, budget_s: float, call_worst_s: float) -> None:
        self._world = world
        self._deadline_s = world.monotonic_s() + budget_s
        self._call_worst_s = call_worst_s
        self._reserved_s = 0.0
        self.datastore_s = 0.0
        """Seconds spent waiting for the datastore."""
        self._throttled = 0

    def remaining_s(self) -> float:
        """Returns the seconds until the last moment at which a call may start: its worst case must still fit."""
        return self._deadline_s - self._reserved_s - self._call_worst_s - self._world.monotonic_s()

    @contextmanager
    def one_call_reserved(self) -> Iterator[None]:
        """Reserves the time for one call: calls inside the block end early enough for one more after it."""
        self._reserved_s += self._call_worst_s
        try:
            yield
        finally:
            self._reserved_s -= self._call_worst_s

    @contextmanager
    def call(self) -> Iterator[None]:
        """Wraps one call to the datastore, and adds its time to `datastore_s`.

        Raises:
            DeadlineExceeded: the call's worst case does not fit into the remaining time.
        """
        if self.remaining_s() < 0:
            raise DeadlineExceeded
        started_s = self._world.monotonic_s()
        try:
            yield
        finally:
            self.datastore_s += self._world.monotonic_s() - started_s

    def wait(self, seconds: float) -> None:
        """Waits until the last moment at which a call may start, at most."""
        self._world.sleep_s(max(0.0, min(seconds, self.remaining_s())))

    def wait_throttled(self) -> None:
        """Waits for an overloaded or unreachable datastore: longer each time, with full jitter."""
        self._throttled += 1
        self.wait(self._world.random() * min(THROTTLE_WAIT_MAX_S, THROTTLE_WAIT_S * 2 ** min(self._throttled, 10)))

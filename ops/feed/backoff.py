"""Waits between attempts at what does not answer."""

from chalicelib.runtime.world import World

FIRST_S = 0.5
MAX_S = 15.0


class Backoff:
    """Waits that grow with each failure, up to a bound. With full jitter, many feeds do not come back at the same moment."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._failures = 0

    def next_s(self) -> float:
        """Counts a failure. Returns the seconds until the next attempt."""
        longest_s: float = min(MAX_S, FIRST_S * 2 ** min(self._failures, 10))
        self._failures += 1
        return self._world.random() * longest_s

    def reset(self) -> None:
        """Forgets the failures: it answers."""
        self._failures = 0

"""The time of a call, and the waits between its attempts."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
LEAST_ATTEMPT_S = 0.05
"""The time that an attempt gets at least: the last one begins before the deadline and may end so much after it."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limits of one call.

    `deadline_s`: the time for all attempts and pauses; `attempt_timeout_s`: the longest wait for an answer. The gateway of a
    deployed stage gives up after 29 s. `monotonic_s`, `random`: the clock and the jitter, for tests.
    """

    deadline_s: float = 60.0
    attempt_timeout_s: float = 30.0
    monotonic_s: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random

    def start(self) -> "Attempts":
        """Starts the time of one call."""
        return Attempts(self)


class Attempts:
    """The attempts of one call."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._end_s = policy.monotonic_s() + policy.deadline_s
        self._pauses = 0

    def timeout_s(self) -> float:
        """Returns the time that the next attempt may take."""
        return max(LEAST_ATTEMPT_S, min(self._policy.attempt_timeout_s, self._left_s()))

    def pause_s(self, retry_after_s: float = 0.0) -> float | None:
        """Returns the time to wait before the next attempt, or `None` where the deadline comes first.

        It doubles with every pause and is drawn from its upper half, so that clients that failed together return one by one.
        The engine's Retry-After is a lower bound.
        """
        longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**self._pauses)
        self._pauses += 1
        wait_s = max(retry_after_s, longest_s * (1 + self._policy.random()) / 2)
        return wait_s if wait_s < self._left_s() else None

    def _left_s(self) -> float:
        return self._end_s - self._policy.monotonic_s()

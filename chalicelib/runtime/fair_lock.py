"""A lock that is handed on in the order in which it was asked for.

`threading.Lock` leaves it to chance who comes next. Among the threads that wait for one busy account, one in a hundred would
wait several times as long as the others.
"""

from collections import deque
from threading import Lock


class FairLock:
    """First come, first served; asks for no more of `threading.Lock` than that it blocks."""

    def __init__(self) -> None:
        self._mutex = Lock()
        self._held = False
        self._waiting: deque[Lock] = deque()

    def acquire(self, *, timeout: float) -> bool:
        """Waits for the lock, `timeout` seconds at most. Returns whether it came."""
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return True
        with self._mutex:
            if turn not in self._waiting:  # it came between the time-out and this line
                return True
            self._waiting.remove(turn)
            return False

    def release(self) -> None:
        """Hands the lock to whoever has waited longest."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

"""The locks that requests wait for at an account, in the hands of a test."""

from queue import SimpleQueue
from threading import Lock


class Interrupted(BaseException):
    """An exception that ends a thread wherever it is."""


class Turn:
    """A lock that reports who waits for it. The test, not the clock, ends a wait."""

    def __init__(self, waits: SimpleQueue["Turn"]) -> None:
        self._lock, self._waits = Lock(), waits
        self.interrupted = False

    def acquire(self, *, timeout: float) -> bool:
        if self._lock.acquire(blocking=False):
            return True
        assert timeout > 0
        self._waits.put(self)
        acquired = self._lock.acquire(timeout=timeout)
        if self.interrupted:
            raise Interrupted
        return acquired

    def release(self) -> None:
        self._lock.release()

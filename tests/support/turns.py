"""The locks that requests wait for at an account, in the hands of a test."""

from queue import SimpleQueue
from threading import Lock


class Interrupted(BaseException):
    """What ends a thread wherever it is."""


class Turn:
    """A lock that says when somebody waits for it, and does so without regard to time: a test says when that is up."""

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

"""What this process last saw of each account, and one seat at it for its threads.

An optimisation twice over, and never more: the transaction's condition rules out every stale view, so this can make an order
slow, never wrong. A remembered account saves the read before the transaction; the seat makes the threads of one process queue
where they would otherwise cancel each other's transactions.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from chalicelib.domain.account import Account
from chalicelib.runtime.deadline import TimedLock, World
from chalicelib.trading.turn_taking import Turns


class Seat:
    """One account's place in the process: `account` is `None` where nothing is known, or what was known is in doubt."""

    __slots__ = ("account", "free", "turns", "users")

    def __init__(self, world: World) -> None:
        self.account: Account | None = None
        self.turns = Turns(world)
        self.free: TimedLock = world.new_lock()
        self.users = 0


class NoSeat(Exception):
    """The threads ahead took all the time there was."""


class AccountCache:
    """Seats by user, the least recently used given up first. A seat that somebody sits on or waits for is never given up."""

    def __init__(self, capacity: int, world: World) -> None:
        self._capacity = capacity
        self._world = world
        self._seats: OrderedDict[int, Seat] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def seat(self, user_id: int, timeout_s: float) -> Iterator[Seat]:
        """The seat at an account, for this thread alone.

        Raises:
            NoSeat: it did not become free within `timeout_s`.
        """
        seat = self._take(user_id)
        try:
            if not seat.free.acquire(timeout=max(0.0, timeout_s)):
                raise NoSeat
            try:
                yield seat
            finally:
                seat.free.release()
        finally:
            self._leave(seat)

    def _take(self, user_id: int) -> Seat:
        with self._lock:
            seat = self._seats.get(user_id)
            if seat is None:
                seat = self._seats[user_id] = Seat(self._world)
            self._seats.move_to_end(user_id)
            seat.users += 1
            return seat

    def _leave(self, seat: Seat) -> None:
        with self._lock:
            seat.users -= 1
            surplus = len(self._seats) - self._capacity
            if surplus > 0:
                idle = [user_id for user_id, other in self._seats.items() if other.users == 0]
                for user_id in idle[:surplus]:
                    del self._seats[user_id]

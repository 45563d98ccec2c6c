"""Accounts as this process last saw them, and one slot at each for its threads.

Both are optimisations: the transaction's condition rules out every stale view, so this can make an order slow, never wrong. A
remembered account saves the read before the transaction; the slot makes the threads of one process queue where they would
otherwise cancel each other's transactions.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from chalicelib.domain.account import Account
from chalicelib.runtime.world import TimedLock, World
from chalicelib.trading.turn_taking import TurnTaking


class AccountSlot:
    """One account's place in the process: `account` is `None` where nothing is known, or what was known is in doubt."""

    __slots__ = ("account", "free", "turns", "users")

    def __init__(self, world: World) -> None:
        self.account: Account | None = None
        self.turns = TurnTaking(world)
        self.free: TimedLock = world.new_lock()
        self.users = 0


class SlotBusy(Exception):
    """The threads ahead took all the time there was."""


class AccountCache:
    """Slots by user, the least recently used evicted first. A slot in use, or waited for, is never evicted."""

    def __init__(self, capacity: int, world: World) -> None:
        self._capacity = capacity
        self._world = world
        self._slots: OrderedDict[int, AccountSlot] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def slot(self, user_id: int, timeout_s: float) -> Iterator[AccountSlot]:
        """Holds the slot of an account, for this thread alone.

        Raises:
            SlotBusy: it did not become free within `timeout_s`.
        """
        slot = self._take(user_id)
        try:
            if not slot.free.acquire(timeout=max(0.0, timeout_s)):
                raise SlotBusy
            try:
                yield slot
            finally:
                slot.free.release()
        finally:
            self._leave(slot)

    def _take(self, user_id: int) -> AccountSlot:
        with self._lock:
            slot = self._slots.get(user_id)
            if slot is None:
                slot = self._slots[user_id] = AccountSlot(self._world)
            self._slots.move_to_end(user_id)
            slot.users += 1
            return slot

    def _leave(self, slot: AccountSlot) -> None:
        with self._lock:
            slot.users -= 1
            surplus = len(self._slots) - self._capacity
            if surplus > 0:
                idle = [user_id for user_id, other in self._slots.items() if other.users == 0]
                for user_id in idle[:surplus]:
                    del self._slots[user_id]

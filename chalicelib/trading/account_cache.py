"""Accounts as this process last saw them, and the slots at which its requests for them meet.

An optimisation: the transaction's condition rules out every stale view, so this can make an order slow, never wrong.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from chalicelib.runtime.world import World
from chalicelib.trading.account_slot import AccountSlot


class AccountCache:
    """Slots by user, the least recently used evicted first. A slot in use, or waited for, is never evicted."""

    def __init__(self, capacity: int, world: World) -> None:
        self._capacity = capacity
        self._world = world
        self._slots: OrderedDict[int, AccountSlot] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def slot(self, user_id: int) -> Iterator[AccountSlot]:
        """Keeps the slot of an account from being evicted."""
        slot = self._take(user_id)
        try:
            yield slot
        finally:
            self._leave(slot)

    def _take(self, user_id: int) -> AccountSlot:
        with self._lock:
            slot = self._slots.get(user_id)
            if slot is None:
                slot = self._slots[user_id] = self._new_slot()
            self._slots.move_to_end(user_id)
            slot.users += 1
            return slot

    def _new_slot(self) -> AccountSlot:
        return AccountSlot(self._world)

    def _leave(self, slot: AccountSlot) -> None:
        with self._lock:
            slot.users -= 1
            while len(self._slots) > self._capacity:
                # The oldest is idle, but for a moment of heavy traffic: this looks at one slot, not at all of them.
                idle = next((user_id for user_id, other in self._slots.items() if other.users == 0), None)
                if idle is None:
                    return
                del self._slots[idle]

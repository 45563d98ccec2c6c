"""The slots of accounts: one for each, the least recently used evicted first, and never one in use."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import pytest

from chalicelib.domain.account import Account
from chalicelib.runtime.world import World
from chalicelib.trading.account_cache import AccountCache
from chalicelib.trading.account_slot import AccountSlot

LONG_S = 30.0


@pytest.fixture
def cache() -> AccountCache:
    return AccountCache(2, World())


Visit = Callable[[int], AccountSlot]


@pytest.fixture
def visit(cache: AccountCache) -> Visit:
    """Enters and leaves a slot; what is remembered there is the user's own account."""

    def visit(user_id: int) -> AccountSlot:
        with cache.slot(user_id) as slot:
            slot.account = slot.account or Account(user_id)
            assert slot.account.user_id == user_id
            return slot

    return visit


def test_an_account_keeps_its_slot(visit: Visit) -> None:
    assert visit(1) is visit(1)
    assert visit(1) is not visit(2)


def test_the_least_recently_used_slot_is_evicted_first(visit: Visit) -> None:
    first, second = visit(1), visit(2)
    visit(1)
    visit(3)

    assert visit(1) is first
    assert visit(2) is not second


def test_a_slot_in_use_is_not_evicted(cache: AccountCache, visit: Visit) -> None:
    """Two slots for one account would have two leaders, who meet in the datastore and nowhere else."""
    with cache.slot(1) as slot:
        for user_id in (2, 3, 4):
            visit(user_id)
        with cache.slot(1) as again:
            assert again is slot
    assert visit(1) is slot


def test_a_slot_is_in_use_until_its_last_user_leaves(cache: AccountCache, visit: Visit) -> None:
    with cache.slot(1) as slot:
        with cache.slot(1):
            pass
        for user_id in (2, 3, 4):
            visit(user_id)
        with cache.slot(1) as again:
            assert again is slot


def test_a_slot_left_by_an_error_can_be_evicted(cache: AccountCache, visit: Visit) -> None:
    slot = visit(1)
    with pytest.raises(ZeroDivisionError), cache.slot(1):
        raise ZeroDivisionError
    visit(2)
    visit(3)

    assert visit(1) is not slot


def test_more_slots_in_use_than_there_is_room_for_shrink_again_when_they_are_left(cache: AccountCache, visit: Visit) -> None:
    with ExitStack() as stack:
        slots = {user_id: stack.enter_context(cache.slot(user_id)) for user_id in range(10)}
        assert len({id(slot) for slot in slots.values()}) == 10
        assert all(visit(user_id) is slot for user_id, slot in slots.items())

    assert len(cache._slots) == 2  # noqa: SLF001  # what a process keeps has no other face


class CountedSlot(AccountSlot):
    """A slot that counts how often eviction asks whether it is in use."""

    looks = 0
    _users = 0

    @property
    def users(self) -> int:
        CountedSlot.looks += 1
        return self._users

    @users.setter
    def users(self, users: int) -> None:
        self._users = users


def test_an_eviction_looks_at_a_few_slots_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens under the lock of all accounts, at every new account of a full process."""
    cache = AccountCache(10_000, World())
    monkeypatch.setattr(cache, "_new_slot", lambda: CountedSlot(World()))
    for user_id in range(10_000):
        with cache.slot(user_id):
            pass
    CountedSlot.looks = 0

    for user_id in range(10_000, 10_100):
        with cache.slot(user_id):
            pass

    assert CountedSlot.looks <= 100 * 5


def test_threads_that_ask_at_the_same_moment_share_a_slot(cache: AccountCache) -> None:
    together = Barrier(8)

    def enter() -> int:
        together.wait(LONG_S)
        with cache.slot(1) as slot:
            together.wait(LONG_S)
            return id(slot)

    with ThreadPoolExecutor(8) as threads:
        entered = [threads.submit(enter) for _ in range(8)]

    assert len({each.result(LONG_S) for each in entered}) == 1

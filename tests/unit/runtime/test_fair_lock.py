"""A lock among threads: one at a time, first come first served, and nobody waits longer than they will."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from chalicelib.runtime.fair_lock import FairLock

LONG_S = 60.0


def test_a_free_lock_is_had_at_once_and_a_held_one_not() -> None:
    lock = FairLock()

    assert lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0)
    lock.release()
    assert lock.acquire(timeout=0)


def test_it_is_handed_on_in_the_order_in_which_it_was_asked_for() -> None:
    lock, served = FairLock(), list[int]()
    assert lock.acquire(timeout=0)

    def ask(number: int) -> None:
        assert lock.acquire(timeout=LONG_S)
        served.append(number)
        lock.release()

    with ThreadPoolExecutor(20) as threads:
        for number in range(20):
            threads.submit(ask, number)
            while len(lock._waiting) <= number:  # noqa: SLF001
                pass
        lock.release()

    assert served == list(range(20))


def test_who_gave_up_is_passed_over() -> None:
    lock = FairLock()
    assert lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0.001)

    lock.release()

    assert lock.acquire(timeout=0)


def test_one_thread_at_a_time_has_it_however_many_give_up() -> None:
    lock, start = FairLock(), Barrier(8)
    holders = most = had = 0

    def ask(number: int) -> None:
        nonlocal holders, most, had
        start.wait()
        for turn in range(200):
            if lock.acquire(timeout=0.00001 * ((number + turn) % 5)):
                holders += 1
                most = max(most, holders)
                had += 1
                holders -= 1
                lock.release()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))

    assert most == 1
    assert had > 0
    assert lock.acquire(timeout=0), "nobody is left with it"

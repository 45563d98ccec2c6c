"""Requests that meet at one account in one process: one transaction for all that wait, and an outcome for each."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock, Semaphore
from typing import Any

import pytest

from chalicelib.contract.errors import Contention, DatastoreUnavailable, IdempotencyKeyReused
from chalicelib.domain.account import Account, append
from chalicelib.domain.facts import Transfer
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import Undecided
from chalicelib.domain.transfer import transfer
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import World, utc_now
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import MAX_ENTRIES, CommitResult, Committed, Entry, KeysTaken, StaleAccount
from chalicelib.trading.account_cache import AccountCache
from chalicelib.trading.exactly_once import ExactlyOnce
from chalicelib.trading.instruction import Outcome, Refused

USER = 1
LONG_S = 30.0


class GatedLedger:
    """A ledger in memory whose commits can be held back, and be answered with a failure before or after they happened."""

    def __init__(self) -> None:
        self.account = Account(USER)
        self.records: dict[str, Record] = {}
        self.commits: list[list[str]] = []
        self.gate = Event()
        self.gate.set()
        self.arrived = Semaphore(0)
        self.fails_before: list[Exception] = []
        self.fails_after: list[Exception] = []
        self._lock = Lock()

    def read_account(self, _: int, __: Deadline) -> Account:
        return self.account

    def read_records(self, _: int, keys: Sequence[str], __: Deadline) -> dict[str, Record]:
        return {key: self.records[key] for key in keys if key in self.records}

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, _: Deadline) -> CommitResult:
        self.arrived.release()
        assert self.gate.wait(LONG_S)
        with self._lock:
            if self.fails_before:
                raise self.fails_before.pop(0)
            keys = [entry.key for entry in entries]
            assert len(keys) == len(set(keys)), "a transaction takes each item once"
            self.commits.append(keys)
            taken = {key: self.records[key] for key in keys if key in self.records}
            if taken:
                return KeysTaken(taken, None if seen == self.account else self.account)
            if seen != self.account:
                return StaleAccount(self.account)
            self.account = after
            self.records |= {entry.key: entry for entry in entries if isinstance(entry, Record)}
            if self.fails_after:
                raise self.fails_after.pop(0)
            return Committed()


class Deposits:
    """Decides transfers, or meets a bug in those of the symbol BUG."""

    def prepare(self, _: Sequence[Transfer], __: Deadline) -> None:
        pass

    def decide(self, instruction: Transfer, account: Account, _: Any, by: str) -> tuple[Account, Record]:
        assert by, "each decision names its thread"
        if instruction.symbol == "BUG":
            raise ZeroDivisionError
        return append(account, transfer(account, instruction, None, utc_now()))


class Process:
    """One process: threads, one account, and a ledger that the test can hold."""

    def __init__(self) -> None:
        self.waits = Semaphore(0)
        self.ledger = GatedLedger()
        self.world = World(new_lock=lambda: SignallingLock(self.waits), sleep_s=lambda _: None)
        self.exactly_once = ExactlyOnce(self.ledger, AccountCache(10, self.world))  # type: ignore[arg-type]
        self.decider = Deposits()
        self.threads = ThreadPoolExecutor(120)

    def ask(self, *transfers: Transfer, time_s: float = LONG_S) -> Future[list[Outcome | Refused]]:
        deadline = Deadline(self.world, time_s, 0.0)
        return self.threads.submit(self.exactly_once.execute_all, transfers, self.decider, deadline)

    @contextmanager
    def a_commit_under_way(self) -> Iterator[None]:
        """Surrounds what happens while a first request's commit is held back."""
        self.ledger.gate.clear()
        first = self.ask(deposit("first"))
        assert self.ledger.arrived.acquire(timeout=LONG_S)
        yield
        self.ledger.gate.set()
        first.result(LONG_S)

    def waiting(self, *transfers: Transfer, time_s: float = LONG_S) -> Future[list[Outcome | Refused]]:
        """Asks, and returns when the request waits."""
        asked = self.ask(*transfers, time_s=time_s)
        assert self.waits.acquire(timeout=LONG_S)
        return asked


class SignallingLock:
    """A lock that tells when somebody waits for it."""

    def __init__(self, waits: Semaphore) -> None:
        self._lock, self._waits = Lock(), waits

    def acquire(self, *, timeout: float) -> bool:
        if timeout > 0:
            self._waits.release()
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        self._lock.release()


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process()
    yield process
    process.ledger.gate.set()
    process.threads.shutdown()


def deposit(key: str, units: int = 1, symbol: str = "USD") -> Transfer:
    return Transfer(USER, key, symbol, units)


def only(asked: Future[list[Outcome | Refused]]) -> Outcome | Refused:
    (result,) = asked.result(LONG_S)
    return result


def outcome(asked: Future[list[Outcome | Refused]]) -> Outcome:
    result = only(asked)
    assert isinstance(result, Outcome)
    return result


def test_a_request_that_finds_the_account_idle_goes_at_once_and_alone(process: Process) -> None:
    alone = outcome(process.ask(deposit("a")))

    assert (alone.replayed, alone.attempts, alone.together) == (False, 1, 1)
    assert process.ledger.commits == [["transfer#a"]]


def test_requests_that_wait_ride_in_the_next_transaction_in_the_order_in_which_they_came(process: Process) -> None:
    with process.a_commit_under_way():
        asked = [process.waiting(deposit(f"{number}")) for number in range(20)]

    assert [outcome(each).record.sequence for each in asked] == list(range(2, 22))
    assert {outcome(each).together for each in asked} == {20}
    assert [len(keys) for keys in process.ledger.commits] == [1, 20]


def test_a_batch_rides_whole_or_waits_and_nobody_passes_it(process: Process) -> None:
    with process.a_commit_under_way():
        early = process.waiting(*(deposit(f"early {number}") for number in range(60)))
        large = process.waiting(*(deposit(f"large {number}") for number in range(50)))
        late = process.waiting(deposit("late"))

    assert [len(asked.result(LONG_S)) for asked in (early, large, late)] == [60, 50, 1]
    assert [len(keys) for keys in process.ledger.commits] == [1, 60, 51]


def test_a_transaction_takes_no_more_than_it_can(process: Process) -> None:
    with process.a_commit_under_way():
        asked = [process.waiting(deposit(f"{number}")) for number in range(MAX_ENTRIES + 10)]

    assert [outcome(each).record.sequence for each in asked] == list(range(2, MAX_ENTRIES + 12))
    assert [len(keys) for keys in process.ledger.commits] == [1, MAX_ENTRIES, 10]


def test_of_two_with_one_key_one_decides_and_the_other_is_its_replay(process: Process) -> None:
    with process.a_commit_under_way():
        first, second = process.waiting(deposit("same")), process.waiting(deposit("same"))

    assert (outcome(first).replayed, outcome(second).replayed) == (False, True)
    assert outcome(first).record == outcome(second).record
    assert process.ledger.account.balance_units("USD") == 2
    assert len(process.ledger.commits) == 2


def test_of_two_with_one_key_for_different_things_the_later_is_refused(process: Process) -> None:
    with process.a_commit_under_way():
        first, second = process.waiting(deposit("same")), process.waiting(deposit("same", units=2))

    assert not outcome(first).replayed
    assert isinstance(only(second), IdempotencyKeyReused)


def test_a_duplicate_of_what_is_refused_is_decided_by_itself(process: Process) -> None:
    with process.a_commit_under_way():
        first, second = process.waiting(deposit("same", units=-5)), process.waiting(deposit("same", units=-5))

    assert isinstance(only(first), Undecided)
    assert isinstance(only(second), Undecided)
    assert process.ledger.account.sequence == 1


def test_a_duplicate_of_what_is_stored_takes_nobody_else_out(process: Process) -> None:
    process.ask(deposit("known")).result(LONG_S)
    with process.a_commit_under_way():
        known, new = process.waiting(deposit("known")), process.waiting(deposit("new"))

    assert outcome(known).replayed
    assert not outcome(new).replayed


def test_a_request_whose_time_is_up_before_it_rides_decides_nothing(process: Process) -> None:
    with process.a_commit_under_way():
        assert isinstance(only(process.waiting(deposit("late"), time_s=0.01)), Contention)

    assert "transfer#late" not in process.ledger.records


def test_a_request_whose_time_is_up_while_it_rides_does_not_know_its_outcome(process: Process) -> None:
    process.ledger.gate.clear()
    first = process.ask(deposit("first"))
    assert process.ledger.arrived.acquire(timeout=LONG_S)
    leader, rider = process.waiting(deposit("leads")), process.waiting(deposit("rides"), time_s=0.5)
    # The first is let through; the second transaction, with both aboard, is held back in its turn.
    gate, process.ledger.gate = process.ledger.gate, Event()
    gate.set()
    assert process.ledger.arrived.acquire(timeout=LONG_S)

    assert isinstance(only(rider), DatastoreUnavailable)
    process.ledger.gate.set()

    assert {outcome(first).record.key, outcome(leader).record.key} < process.ledger.records.keys()
    again = outcome(process.ask(deposit("rides")))
    assert again.replayed


def test_a_leader_that_fails_takes_nobody_with_it(process: Process) -> None:
    process.ledger.gate.clear()
    process.ledger.fails_before = [RuntimeError("a bug")]
    leader = process.ask(deposit("leads"))
    assert process.ledger.arrived.acquire(timeout=LONG_S)
    riders = [process.waiting(deposit(f"{number}")) for number in range(3)]
    process.ledger.gate.set()

    with pytest.raises(RuntimeError, match="a bug"):
        leader.result(LONG_S)
    assert [outcome(rider).record.sequence for rider in riders] == [1, 2, 3]


def test_a_bug_in_deciding_one_request_is_raised_there_and_nowhere_else(process: Process) -> None:
    with process.a_commit_under_way():
        before = process.waiting(deposit("before"))
        bug = process.waiting(deposit("bug", symbol="BUG"))
        after = process.waiting(deposit("after"))

    with pytest.raises(ZeroDivisionError):
        bug.result(LONG_S)
    assert [outcome(each).record.sequence for each in (before, after)] == [2, 3]


def test_what_was_stored_without_an_answer_is_each_request_s_own_decision(process: Process) -> None:
    with process.a_commit_under_way():
        riders = [process.waiting(deposit(f"more {number}")) for number in range(3)]
        # The first commit of this block is answered; the riders' is stored without an answer.
        process.ledger.fails_after = [Unanswered("lost"), Unanswered("lost")]

    assert [outcome(rider).replayed for rider in riders] == [False] * 3
    assert process.ledger.account.balance_units("USD") == len(process.ledger.records)


def test_throttling_is_waited_out_for_all(process: Process) -> None:
    with process.a_commit_under_way():
        riders = [process.waiting(deposit(f"{number}")) for number in range(3)]
        process.ledger.fails_before = [Throttled("busy"), Throttled("busy")]

    assert [outcome(rider).replayed for rider in riders] == [False] * 3

"""Requests that meet at one account in one process: one transaction for all that wait, and an outcome for each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Lock, Semaphore

import pytest

from chalicelib.contract.errors import Contention, DatastoreUnavailable, IdempotencyKeyReused
from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Transfer
from chalicelib.domain.record import Record, UnsupportedForm
from chalicelib.domain.refusals import TransferRejected, Undecided
from chalicelib.domain.transfer import transfer
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import World, utc_now
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import MAX_ENTRIES, CommitResult, Committed, Conflict, Entry, KeysTaken, StaleAccount
from chalicelib.trading.account_cache import AccountCache
from chalicelib.trading.exactly_once import ExactlyOnce
from chalicelib.trading.instruction import Outcome, Refused
from tests.support.turns import Interrupted, Turn

USER = 1
LONG_S = 30.0


class GatedLedger:
    """A ledger in memory whose commits can be held back, and be answered otherwise: in place of what happens, or after it."""

    def __init__(self) -> None:
        self.account = Account(USER)
        self.records: dict[str, Record] = {}
        self.commits: list[list[str]] = []
        self.gate = Event()
        self.gate.set()
        self.arrived = Semaphore(0)
        self.answers_instead: list[Exception | CommitResult | None] = []
        """Answers of the next commits; `None`: the true one."""
        self.fails_after: list[Exception] = []
        self.unreadable_key: str | None = None
        self._lock = Lock()

    def read_account(self, _: int, __: Deadline) -> Account:
        return self.account

    def read_records(self, _: int, keys: Sequence[str], __: Deadline) -> dict[str, Record]:
        return {key: self.records[key] for key in keys if key in self.records}

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, _: Deadline) -> CommitResult:
        self.arrived.release()
        assert self.gate.wait(LONG_S)
        with self._lock:
            if self.answers_instead:
                answer = self.answers_instead.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                if answer is not None:
                    return answer
            keys = [entry.key for entry in entries]
            assert len(keys) == len(set(keys)), "a transaction takes each item once"
            if self.unreadable_key in keys:
                raise UnsupportedForm("The record was stored by another version")
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


class Prices:
    """A price book of nothing, which does something first where the test asks for it, and cannot read the asset OLD."""

    def __init__(self) -> None:
        self.before: Callable[[], object] = lambda: None

    def assets(self, symbols: Iterable[str], _: Deadline) -> dict[str, Asset]:
        self.before()
        if "OLD" in symbols:
            raise UnsupportedForm("The asset OLD was stored by another version")
        return {}


class Deposits:
    """Decides transfers, or meets a bug in those of the symbol BUG."""

    def symbols(self, instructions: Sequence[Transfer]) -> Iterable[str]:
        return [instruction.symbol for instruction in instructions]

    def decide(self, instruction: Transfer, account: Account, _: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        assert by, "each decision names its thread"
        if instruction.symbol == "BUG":
            raise ZeroDivisionError
        return append(account, transfer(account, instruction, None, utc_now()))


class Process:
    """One process: threads, one account, and a ledger that the test can hold. `sleep_s`: what a leader does where it waits."""

    def __init__(self) -> None:
        self.waits: SimpleQueue[Turn] = SimpleQueue()
        self.turns: dict[Future[list[Outcome | Refused]], Turn] = {}
        self.bugs: list[Exception] = []
        self.ledger = GatedLedger()
        self.prices = Prices()
        self.sleep_s: Callable[[float], object] = lambda _: None
        self.world = World(new_lock=lambda: Turn(self.waits), sleep_s=self._sleep, report=self.bugs.append)
        self.exactly_once = ExactlyOnce(self.ledger, self.prices, AccountCache(10, self.world))  # type: ignore[arg-type]
        self.decider = Deposits()
        self.threads = ThreadPoolExecutor(120)

    def _sleep(self, seconds: float) -> None:
        self.sleep_s(seconds)

    def ask(self, *transfers: Transfer) -> Future[list[Outcome | Refused]]:
        deadline = Deadline(self.world, LONG_S, 0.0)
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

    def waiting(self, *transfers: Transfer) -> Future[list[Outcome | Refused]]:
        """Asks, and returns when the request waits."""
        asked = self.ask(*transfers)
        self.turns[asked] = self.waits.get(timeout=LONG_S)
        return asked

    def time_is_up(self, asked: Future[list[Outcome | Refused]]) -> None:
        """Ends a request's wait, though nobody has settled it."""
        self.turns[asked].release()

    def interrupt(self, asked: Future[list[Outcome | Refused]]) -> None:
        """Raises `Interrupted` in a request where it waits."""
        self.turns[asked].interrupted = True
        self.turns[asked].release()


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
        late = process.waiting(deposit("late"))
        process.time_is_up(late)
        assert isinstance(only(late), Contention)

    assert "transfer#late" not in process.ledger.records


def test_a_request_whose_time_is_up_while_it_rides_does_not_know_its_outcome(process: Process) -> None:
    process.ledger.gate.clear()
    first = process.ask(deposit("first"))
    assert process.ledger.arrived.acquire(timeout=LONG_S)
    leader, rider = process.waiting(deposit("leads")), process.waiting(deposit("rides"))
    # The first is let through; the second transaction, which is for both, is held back in its turn.
    gate, process.ledger.gate = process.ledger.gate, Event()
    gate.set()
    assert process.ledger.arrived.acquire(timeout=LONG_S)

    process.time_is_up(rider)
    assert isinstance(only(rider), DatastoreUnavailable)
    process.ledger.gate.set()

    assert {outcome(first).record.key, outcome(leader).record.key} < process.ledger.records.keys()
    again = outcome(process.ask(deposit("rides")))
    assert again.replayed


def test_a_leader_that_fails_takes_nobody_with_it(process: Process) -> None:
    process.ledger.gate.clear()
    process.ledger.answers_instead = [RuntimeError("a bug")]
    leader = process.ask(deposit("leads"))
    assert process.ledger.arrived.acquire(timeout=LONG_S)
    riders = [process.waiting(deposit(f"{number}")) for number in range(3)]
    process.ledger.gate.set()

    with pytest.raises(RuntimeError, match="a bug"):
        leader.result(LONG_S)
    assert [outcome(rider).record.sequence for rider in riders] == [1, 2, 3]


@pytest.mark.parametrize(("symbol", "error"), [("BUG", ZeroDivisionError), ("OLD", UnsupportedForm)])
def test_an_error_in_deciding_one_request_or_reading_its_asset_is_raised_there_and_nowhere_else(
    process: Process, symbol: str, error: type[Exception]
) -> None:
    with process.a_commit_under_way():
        before = process.waiting(deposit("before"))
        failing = process.waiting(deposit("fails", symbol=symbol))
        after = process.waiting(deposit("after"))

    with pytest.raises(error):
        failing.result(LONG_S)
    assert [outcome(each).record.sequence for each in (before, after)] == [2, 3]
    assert [type(each) for each in process.bugs] == [error] * 2, "one for each group that met it"


def test_an_answer_that_cannot_be_read_fails_those_alone_whom_it_is_about(process: Process) -> None:
    process.ledger.unreadable_key = "transfer#old"
    with process.a_commit_under_way():
        before, old, later = (process.waiting(deposit(key)) for key in ("before", "old", "later"))

    with pytest.raises(UnsupportedForm):
        old.result(LONG_S)
    assert {outcome(each).record.sequence for each in (before, later)} == {2, 3}


def test_a_request_that_left_while_prices_were_read_is_not_committed(process: Process) -> None:
    reading, read = Event(), Event()

    def slowly() -> None:
        reading.set()
        assert read.wait(LONG_S)

    with process.a_commit_under_way():
        leader, rider = process.waiting(deposit("leads")), process.waiting(deposit("leaves"))
        process.prices.before = slowly
    assert reading.wait(LONG_S)
    process.time_is_up(rider)
    assert isinstance(only(rider), Contention)
    read.set()

    assert outcome(leader).together == 1
    assert "transfer#leaves" not in process.ledger.records


def test_a_request_that_leaves_between_two_attempts_knows_that_nothing_was_decided(process: Process) -> None:
    refused: list[Outcome | Refused] = []

    def between(_: float) -> None:
        process.time_is_up(rider)
        refused.append(only(rider))

    with process.a_commit_under_way():
        leader, rider = process.waiting(deposit("leads")), process.waiting(deposit("rides"))
        process.ledger.answers_instead = [None, Conflict()]
        process.sleep_s = between

    assert not outcome(leader).replayed
    assert [type(each) for each in refused] == [Contention]


def test_who_has_its_outcome_is_released_before_its_leader_waits(process: Process) -> None:
    """One key is taken, and another transaction hides the leader's outcome: the leader waits, the other request need not."""
    known = outcome(process.ask(deposit("known"))).record
    released: list[bool] = []

    with process.a_commit_under_way():
        leader, rider = process.waiting(deposit("leads")), process.waiting(deposit("known"))
        process.ledger.answers_instead = [None, KeysTaken({known.key: known}, None, complete=False)]
        process.sleep_s = lambda _: released.append(outcome(rider).replayed)

    assert not outcome(leader).replayed
    assert released == [True]


def test_who_is_interrupted_where_it_waits_leaves_its_place(process: Process) -> None:
    with process.a_commit_under_way():
        interrupted, later = process.waiting(deposit("interrupted")), process.waiting(deposit("later"))
        process.interrupt(interrupted)
        with pytest.raises(Interrupted):
            interrupted.result(LONG_S)

    assert outcome(later).record.sequence == 2
    assert "transfer#interrupted" not in process.ledger.records


def test_who_is_interrupted_as_it_gets_the_lead_hands_it_on(process: Process) -> None:
    with process.a_commit_under_way():
        interrupted = process.waiting(deposit("interrupted"))
        process.turns[interrupted].interrupted = True
        later = process.waiting(deposit("later"))

    with pytest.raises(Interrupted):
        interrupted.result(LONG_S)
    assert outcome(later).record.sequence == 2


def test_a_bug_parts_those_who_wait_with_it_by_halves(process: Process) -> None:
    with process.a_commit_under_way():
        good = [process.waiting(deposit(f"{number}")) for number in range(31)]
        bug = process.waiting(deposit("bug", symbol="BUG"))

    with pytest.raises(ZeroDivisionError):
        bug.result(LONG_S)
    assert [outcome(each).record.sequence for each in good] == list(range(2, 33))
    assert [len(keys) for keys in process.ledger.commits] == [1, 16, 8, 4, 2, 1]


def test_a_refusal_is_certain_although_the_answer_for_another_could_not_be_read(process: Process) -> None:
    process.ledger.unreadable_key = "transfer#old"
    with process.a_commit_under_way():
        old, later = process.waiting(deposit("old", units=5)), process.waiting(deposit("later", units=-6))

    with pytest.raises(UnsupportedForm):
        old.result(LONG_S)
    assert isinstance(only(later), TransferRejected)


def test_what_was_stored_without_an_answer_is_each_request_s_own_decision(process: Process) -> None:
    with process.a_commit_under_way():
        riders = [process.waiting(deposit(f"more {number}")) for number in range(3)]
        # The first request's commit and the riders' are stored without an answer.
        process.ledger.fails_after = [Unanswered("lost"), Unanswered("lost")]

    assert [outcome(rider).replayed for rider in riders] == [False] * 3
    assert process.ledger.account.balance_units("USD") == len(process.ledger.records)


def test_throttling_is_waited_out_for_all(process: Process) -> None:
    with process.a_commit_under_way():
        riders = [process.waiting(deposit(f"{number}")) for number in range(3)]
        process.ledger.answers_instead = [Throttled("busy"), Throttled("busy")]

    assert [outcome(rider).replayed for rider in riders] == [False] * 3

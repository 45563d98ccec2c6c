"""Executing each key's instruction exactly once: decide, commit, and read from the answer what to do next.

    the commit was answered with         then
    ─────────────────────────────────    ─────────────────────────────────────────────────────────────────────
    committed                            the decisions are the outcomes
    a key is taken, by the same          the stored outcome, whatever has changed since
    a key is taken, by another           422 ERR_IDEMPOTENCY_KEY_REUSED
    the account moved on                 the answer brought it along: decide again
    two transactions met                 wait a little, decide again; at the deadline 409 ERR_CONTENTION
    throttled                            wait longer, decide again; at the deadline 503 ERR_DATASTORE_UNAVAILABLE
    no answer                            decide again, with the keys to tell what happened; at the deadline 503

A request asks for one thing (an order, a transfer) or for several on one account (a batch). Requests that meet at an account in
one process are committed together (see `account_slot`). What is committed together is decided in the order in which it was asked
for, each on the account as the one before leaves it; what turns out to have an outcome drops out with it, and the others are
decided again without it. Each has an outcome of its own: nothing about one of them stops the next. Of two with one key in one
transaction the first is decided, and its outcome is the second's.

After an attempt without an answer, only what is stored under a key is an answer. That the key reads as absent proves nothing:

    we:        ── fill, sent ──────────────────────── the key reads as absent ── "404, nothing happened"  (wrong!)
    DynamoDB:            ╰─ delayed on the way ───────────────────────────────────── filled

A new attempt under the same key settles it, since only one of the two can ever be stored.

Nor does a busy account say anything about a key. An earlier request may have stored its outcome, and a conflict hides it:

    before:    ── filled, the answer is lost
    we:        ──────────────────── conflict ── conflict ── deadline ── "409, nothing was decided"  (wrong!)

So the attempts end early enough for one read of the keys that are left: what is stored is the outcome.

What cannot be decided stores nothing. Where its reason depends on the account (a transfer that the balance does not cover), it is
confirmed by a transaction of the same shape that stores nothing under its key, so that the refusal, too, is about one moment.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from chalicelib.contract.errors import Contention, DatastoreUnavailable, EngineError, IdempotencyKeyReused, OrderDecided
from chalicelib.domain.account import Account
from chalicelib.domain.facts import Void, Voided
from chalicelib.domain.record import Record, instruction_of
from chalicelib.domain.refusals import Undecided
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import (
    MAX_ENTRIES,
    CommitResult,
    Committed,
    Conflict,
    Entry,
    KeysTaken,
    Ledger,
    StaleAccount,
    Unused,
)
from chalicelib.trading.account_cache import AccountCache
from chalicelib.trading.account_slot import AccountSlot, SlotState


class Instruction(Protocol):
    """Something that is to happen once: an order, a transfer."""

    @property
    def user_id(self) -> int:
        """The account's user."""
        ...

    @property
    def record_key(self) -> str:
        """The key under which its outcome is stored."""
        ...

    @property
    def fingerprint(self) -> str:
        """The instruction as text: a key stands for one."""
        ...


I_contra = TypeVar("I_contra", bound=Instruction, contravariant=True)


class Decider(Protocol[I_contra]):
    """Decides instructions of one kind. One for a process."""

    def prepare(self, instructions: Sequence[I_contra], deadline: Deadline) -> Any:
        """Reads what the decisions need, and returns it. Called before each attempt.

        Raises:
            Throttled, Unanswered, DeadlineExceeded: it could not.
        """
        ...

    def decide(self, instruction: I_contra, account: Account, prepared: Any, by: str) -> tuple[Account, Record]:
        """Returns the account after the decision, and the record to be stored with it. Does no I/O.

        Raises:
            Undecided: nothing is to be stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a key.

    `replayed`: an earlier request decided it. `attempts`: transactions that this request had taken part in by then; `conflicts`:
    how many of them were cancelled because others were at work on the same account. `together`: how many requests the last of
    them was for.
    """

    record: Record
    replayed: bool
    attempts: int = 0
    conflicts: int = 0
    together: int = 1


Refused = EngineError | Undecided
"""Returned instead of an outcome: the key is unused, belongs to another instruction, or could not be read in time."""


@dataclass(frozen=True, slots=True)
class ExactlyOnce:
    """Executes orders and transfers. One for a process: its threads share what it remembers."""

    ledger: Ledger
    accounts: AccountCache

    def execute(self, instruction: I_contra, decider: Decider[I_contra], deadline: Deadline) -> Outcome:
        """Executes an instruction, or finds out how it was executed: exactly once, however often it is asked.

        Raises:
            IdempotencyKeyReused: the key stands for something else.
            Undecided: it cannot be decided now, and never was; the key stays unused.
            Contention, DatastoreUnavailable: asking again with the same key is safe.
        """
        (result,) = self.execute_all([instruction], decider, deadline)
        if isinstance(result, Outcome):
            return result
        raise result

    def execute_all(
        self, instructions: Sequence[I_contra], decider: Decider[I_contra], deadline: Deadline
    ) -> list[Outcome | Refused]:
        """Executes several on one account, up to 99 with a key each, as `execute` does one; the results come in their order.

        Where none of them has an outcome yet, one transaction stores those of all.
        """
        if not instructions:
            return []
        items = [_Item(each) for each in instructions]
        request = _Request(items, decider, deadline, threading.current_thread().name)
        user_id = instructions[0].user_id
        with deadline.one_call_reserved(), self.accounts.slot(user_id) as slot:
            if slot.enter(request, deadline.remaining_s()):
                try:
                    _Leader(self.ledger, slot, request, user_id).lead()
                finally:
                    slot.hand_over()
        if request.slot_state.left:
            request = request.departed()
        if request.error is not None:
            raise request.error
        if request.pending:
            self._read_once(request, user_id)
        return [item.settled() for item in request.items]

    def _read_once(self, request: "_Request", user_id: int) -> None:
        """Gives a request out of time the outcomes that are stored; the others get the reason why they have none."""
        try:
            keys = [item.instruction.record_key for item in request.pending]
            request.taken(self.ledger.read_records(user_id, keys, request.deadline))
        except (Throttled, Unanswered, DeadlineExceeded):
            request.out_of_reach = True
        for item in request.pending:
            item.result = DatastoreUnavailable() if item.unanswered or request.out_of_reach else Contention()


@dataclass(slots=True)
class _Item:
    """One of the things that a request asks for, and how far it has come."""

    instruction: Instruction
    result: Outcome | Refused | None = None
    entry: Entry | None = None
    """The action of the attempt under way on its key; `None` where an earlier request of the attempt has the same key."""

    refused: Undecided | None = None
    """The reason why the attempt under way stores nothing under its key."""

    unanswered: list[Record] = field(default_factory=list)
    """Decisions that may have been stored, or may be yet."""

    def settled(self) -> Outcome | Refused:
        assert self.result is not None, "an execution ends when each has its result"
        return self.result

    def refuse(self, reason: Undecided) -> None:
        """Ends it: the key has no outcome, unless an attempt may yet give it one."""
        self.result = DatastoreUnavailable() if self.unanswered else reason


@dataclass(slots=True, eq=False)
class _Request:
    """What one client asked for, on one account. `by`: the thread that serves it."""

    items: list[_Item]
    decider: Decider  # type: ignore[type-arg]  # of whatever the request asks for
    deadline: Deadline
    by: str
    attempts: int = 0
    conflicts: int = 0
    together: int = 1
    out_of_reach: bool = False
    """Set while the datastore, rather than the account, is what this request waits for."""

    error: Exception | None = None
    """A bug in deciding it: raised where it was asked for, and nowhere else."""

    slot_state: SlotState = field(default_factory=SlotState)

    @property
    def pending(self) -> list[_Item]:
        return [item for item in self.items if item.result is None]

    @property
    def size(self) -> int:
        return len(self.pending)

    @property
    def settled(self) -> bool:
        return self.error is not None or not self.pending

    def departed(self) -> "_Request":
        """Returns this request as it was when it left: what was aboard may be stored. Its leader has no part in it any more."""
        items = []
        for item in self.items:
            aboard = [item.entry] if self.slot_state.aboard and isinstance(item.entry, Record) else []
            items.append(_Item(item.instruction, item.result, unanswered=[*item.unanswered, *aboard]))
        return replace(self, items=items)

    def committed(self) -> None:
        """Gives the items that the transaction under way was for their outcomes."""
        for item in self.pending:
            if item.refused is not None:
                item.refuse(item.refused)
            elif isinstance(item.entry, Record):
                item.result = self._outcome(item.entry, replayed=False)

    def taken(self, records: Mapping[str, Record]) -> None:
        """Gives the items whose keys have outcomes those as results."""
        for item in self.pending:
            stored = records.get(item.instruction.record_key)
            if stored is None:
                continue
            try:
                require_same(item.instruction, stored)
            except (IdempotencyKeyReused, OrderDecided) as error:
                item.result = error
            else:
                # What an attempt of ours stored without an answer reaching us is this request's own decision, not a replay.
                item.result = self._outcome(stored, replayed=stored not in item.unanswered)

    def _outcome(self, record: Record, *, replayed: bool) -> Outcome:
        return Outcome(record, replayed, self.attempts, self.conflicts, self.together)


class _BugInCompany(Exception):
    """One request of the company could not be decided for a bug: the attempt starts anew without it."""


@dataclass(slots=True)
class _Leader:
    """One request's work on one account, for itself and for those that wait meanwhile."""

    ledger: Ledger
    slot: AccountSlot
    request: _Request
    user_id: int

    @property
    def deadline(self) -> Deadline:
        return self.request.deadline

    def lead(self) -> None:
        """Makes attempts until this request is settled, or its time is up."""
        try:
            # Half of the time at most: a request that stood back for all of it could not even try.
            self._wait(min(self.slot.turns.before_order(), self.deadline.remaining_s() / 2))
            while not self.request.settled:
                company = self.slot.company(self.request, MAX_ENTRIES)
                try:
                    self._attempt(company)
                except _BugInCompany:
                    pass  # it is settled with its bug, and no longer in the company
                except (Throttled, Unanswered):
                    for request in company:
                        request.out_of_reach = True
                    self.deadline.wait_throttled()
                finally:
                    self.slot.land(company)
        except DeadlineExceeded:
            pass  # what is still pending is read once

    def _attempt(self, company: Sequence[_Request]) -> None:
        slot = self.slot
        prepared = self._prepare(company)
        if slot.account is None or slot.turns.should_refresh():
            slot.account = self.ledger.read_account(self.user_id, self.deadline)
            slot.turns.refreshed(slot.account.sequence)
            prepared = self._prepare(company)  # the account may have taken longer to read than a price may be old
        seen = slot.account
        after, entries = self._decide(company, prepared, seen)
        if entries and slot.board(company):
            started_s = self.deadline.now_s()
            answer = self._commit(company, entries, seen, after)
            wait_s = self._handle(company, answer, after, started_s)
            slot.land(company)
            self._wait(wait_s)

    def _prepare(self, company: Sequence[_Request]) -> dict[int, Any]:
        """Prepares each kind of decision in the company once."""
        instructions: dict[int, list[Instruction]] = {}
        deciders = {id(request.decider): request.decider for request in company}
        for request in company:
            instructions.setdefault(id(request.decider), []).extend(item.instruction for item in request.pending)
        return {kind: decider.prepare(instructions[kind], self.deadline) for kind, decider in deciders.items()}

    def _decide(self, company: Sequence[_Request], prepared: Mapping[int, Any], account: Account) -> tuple[Account, list[Entry]]:
        """Decides what is pending, one after the other.

        What cannot be decided on any account drops out: what is stored under its key is its outcome, if anything is.
        """
        entries: list[Entry] = []
        keys: set[str] = set()
        undecidable: list[tuple[_Request, _Item, Undecided]] = []
        for request, item in _items(company):
            item.entry = item.refused = None
            if item.instruction.record_key in keys:
                continue  # the first with this key goes ahead
            try:
                account, item.entry = request.decider.decide(item.instruction, account, prepared[id(request.decider)], request.by)
            except Undecided as reason:
                if not reason.needs_account:
                    undecidable.append((request, item, reason))
                    continue
                item.entry, item.refused = Unused(item.instruction.record_key), reason
            except Exception as bug:
                request.error = bug
                raise _BugInCompany from bug
            keys.add(item.instruction.record_key)
            entries.append(item.entry)
        if undecidable:
            records = self._read(item for _, item, _ in undecidable)
            for request, item, undecided in undecidable:
                request.taken(records)
                if item.result is None:
                    item.refuse(undecided)
        return account, entries

    def _read(self, items: Iterator[_Item]) -> Mapping[str, Record]:
        return self.ledger.read_records(self.user_id, {item.instruction.record_key for item in items}, self.deadline)

    def _commit(self, company: Sequence[_Request], entries: Sequence[Entry], seen: Account, after: Account) -> CommitResult:
        for request in company:
            request.attempts += 1
            request.together = len(company)
        answered = False
        try:
            answer = self.ledger.commit(entries, seen, after, self.deadline)
            answered = True
        except (Throttled, DeadlineExceeded):
            answered = True  # that nothing happened
            raise
        finally:
            if not answered:
                self._unanswered(company)
        for request in company:
            request.out_of_reach = False
        return answer

    def _unanswered(self, company: Sequence[_Request]) -> None:
        for _, item in _items(company):
            if isinstance(item.entry, Record):
                item.unanswered.append(item.entry)
                self.slot.account = None

    def _handle(self, company: Sequence[_Request], answer: CommitResult, after: Account, started_s: float) -> float:
        """Gives out what the answer decides. Returns how long to wait before the next attempt, in seconds."""
        slot = self.slot
        match answer:
            case Committed():
                slot.account = after
                slot.turns.committed(after.sequence, started_s)
                stored = {item.entry.key: item.entry for _, item in _items(company) if isinstance(item.entry, Record)}
                for request in company:
                    request.committed()
                    request.taken(stored)  # those that had to let another with their key go ahead
                return 0.0
            case KeysTaken(records, account):
                if account is not None:
                    slot.account = account
                for request in company:
                    request.taken(records)
                return 0.0
            case StaleAccount(account):
                slot.account = account
                sequence: int | None = account.sequence
            case Conflict():
                sequence = None
        for request in company:
            request.conflicts += 1
        return slot.turns.conflicted(sequence)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.deadline.wait(seconds)


def _items(company: Sequence[_Request]) -> Iterator[tuple[_Request, _Item]]:
    for request in company:
        for item in request.pending:
            yield request, item


def require_same(instruction: Instruction, stored: Record) -> None:
    """Checks that a stored record is this instruction's outcome.

    Raises:
        IdempotencyKeyReused: the key stands for something else.
        OrderDecided: a void came too late.
    """
    if isinstance(instruction, Void):
        if not isinstance(stored.decision, Voided):
            raise OrderDecided(stored)
    elif not isinstance(stored.decision, Voided):  # a void is the outcome of its key, whatever the order
        decided = instruction_of(stored.decision).fingerprint
        if decided != instruction.fingerprint:
            raise IdempotencyKeyReused(decided, instruction.fingerprint)

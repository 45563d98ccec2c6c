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

A request asks for one thing (an order, a transfer) or for several on one account (a batch). Several are decided in the order in
which they were asked for, each on the account as the one before leaves it, and committed together; one whose key turns out to be
taken drops out with its outcome, and the others are decided again without it. Each has an outcome of its own: nothing about one
of them stops the next.

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from chalicelib.contract.errors import Contention, DatastoreUnavailable, EngineError, IdempotencyKeyReused
from chalicelib.domain.account import Account
from chalicelib.domain.record import Record, instruction_of
from chalicelib.domain.refusals import Undecided
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import CommitResult, Committed, Conflict, Entry, KeysTaken, Ledger, StaleAccount, Unused
from chalicelib.trading.account_cache import AccountCache, AccountSlot, SlotBusy


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
    """Decides instructions of one kind."""

    def prepare(self, instructions: Sequence[I_contra], deadline: Deadline) -> None:
        """Reads what the decisions need. Called before each attempt.

        Raises:
            Throttled, Unanswered, DeadlineExceeded: it could not.
        """
        ...

    def decide(self, instruction: I_contra, account: Account) -> tuple[Account, Record]:
        """Returns the account after the decision, and the record to be stored with it. Does no I/O.

        Raises:
            Undecided: nothing is to be stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a key.

    `replayed`: an earlier request decided it. `attempts`: transactions that this request had sent by then; `conflicts`: how many
    of them were cancelled because others were at work on the same account.
    """

    record: Record
    replayed: bool
    attempts: int = 0
    conflicts: int = 0


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
        execution = _Execution(self.ledger, instructions[0].user_id, decider, deadline, items)
        try:
            with deadline.one_call_reserved(), self.accounts.slot(execution.user_id, deadline.remaining_s()) as slot:
                execution.run(slot)
        except (SlotBusy, DeadlineExceeded):
            execution.read_once()
        return [item.settled() for item in items]


@dataclass(slots=True)
class _Item:
    """One of the things that a request asks for, and how far it has come."""

    instruction: Instruction
    result: Outcome | Refused | None = None
    entry: Entry | None = None
    """The action of the attempt under way on its key."""

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


@dataclass(slots=True)
class _Execution:
    """One request's work on one account, from its first attempt to its last outcome."""

    ledger: Ledger
    user_id: int
    decider: Decider  # type: ignore[type-arg]  # of whatever the request asks for
    deadline: Deadline
    pending: list[_Item]
    attempts: int = 0
    conflicts: int = 0
    out_of_reach: bool = False
    """Set while the datastore, rather than the account, is what this request waits for."""

    def run(self, slot: AccountSlot) -> None:
        """Gives every item its result.

        Raises:
            DeadlineExceeded: some items have none yet.
        """
        # Half of the time at most: a request that stood back for all of it could not even try.
        self._wait(min(slot.turns.before_order(), self.deadline.remaining_s() / 2))
        while self.pending:
            try:
                self._attempt(slot)
            except (Throttled, Unanswered):
                self.out_of_reach = True
                self.deadline.wait_throttled()

    def read_once(self) -> None:
        """Gives the items that are left their stored outcomes, or the reason why there is none: one read decides between them."""
        try:
            self._taken(self.ledger.read_records(self.user_id, self._pending_keys(), self.deadline))
        except (Throttled, Unanswered, DeadlineExceeded):
            self.out_of_reach = True
        for item in self.pending:
            item.result = DatastoreUnavailable() if item.unanswered or self.out_of_reach else Contention()
        self.pending = []

    def _attempt(self, slot: AccountSlot) -> None:
        self._prepare()
        if slot.account is None or slot.turns.should_refresh():
            slot.account = self.ledger.read_account(self.user_id, self.deadline)
            slot.turns.refreshed(slot.account.sequence)
            self._prepare()  # the account may have taken longer to read than a price may be old
        seen = slot.account
        after, entries = self._decide(seen)
        if entries:
            started_s = self.deadline.now_s()
            self._handle(slot, self._commit(slot, entries, seen, after), after, started_s)

    def _prepare(self) -> None:
        self.decider.prepare([item.instruction for item in self.pending], self.deadline)

    def _decide(self, account: Account) -> tuple[Account, list[Entry]]:
        """Decides the pending items one after the other.

        Those that cannot be decided on any account drop out: what is stored under their keys is their outcome, if anything is.
        """
        entries: list[Entry] = []
        undecidable: list[tuple[_Item, Undecided]] = []
        for item in self.pending:
            try:
                account, item.entry = self.decider.decide(item.instruction, account)
                item.refused = None
            except Undecided as reason:
                if not reason.needs_account:
                    undecidable.append((item, reason))
                    continue
                item.entry, item.refused = Unused(item.instruction.record_key), reason
            entries.append(item.entry)
        if undecidable:
            keys = [item.instruction.record_key for item, _ in undecidable]
            records = self.ledger.read_records(self.user_id, keys, self.deadline)
            for item, undecided in undecidable:
                if item.instruction.record_key not in records:
                    item.refuse(undecided)
            self._taken(records)
        return account, entries

    def _commit(self, slot: AccountSlot, entries: Sequence[Entry], seen: Account, after: Account) -> CommitResult:
        self.attempts += 1
        try:
            answer = self.ledger.commit(entries, seen, after, self.deadline)
        except Unanswered:
            for item in self.pending:
                if isinstance(item.entry, Record):
                    item.unanswered.append(item.entry)
                    slot.account = None
            raise
        self.out_of_reach = False
        return answer

    def _handle(self, slot: AccountSlot, answer: CommitResult, after: Account, started_s: float) -> None:
        turns = slot.turns
        match answer:
            case Committed():
                slot.account = after
                turns.committed(after.sequence, started_s)
                self._committed()
            case KeysTaken(records, account):
                if account is not None:
                    slot.account = account
                self._taken(records)
            case StaleAccount(account):
                slot.account = account
                self.conflicts += 1
                self._wait(turns.conflicted(account.sequence))
            case Conflict():
                self.conflicts += 1
                self._wait(turns.conflicted(None))

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.deadline.wait(seconds)

    def _committed(self) -> None:
        for item in self.pending:
            if item.refused is not None:
                item.refuse(item.refused)
            else:
                assert isinstance(item.entry, Record), "what is not refused has a record"
                item.result = Outcome(item.entry, replayed=False, attempts=self.attempts, conflicts=self.conflicts)
        self.pending = []

    def _taken(self, records: Mapping[str, Record]) -> None:
        """Gives the items whose keys have outcomes those as results."""
        for item in self.pending:
            stored = records.get(item.instruction.record_key)
            if stored is None:
                continue
            try:
                require_same(item.instruction, stored)
            except IdempotencyKeyReused as reused:
                item.result = reused
            else:
                # What an attempt of ours stored without an answer reaching us is this request's own decision, not a replay.
                replayed = stored not in item.unanswered
                item.result = Outcome(stored, replayed, self.attempts, self.conflicts)
        self.pending = [item for item in self.pending if item.result is None]

    def _pending_keys(self) -> list[str]:
        return [item.instruction.record_key for item in self.pending]


def require_same(instruction: Instruction, stored: Record) -> None:
    """Checks that a stored record is this instruction's outcome.

    Raises:
        IdempotencyKeyReused: the key stands for something else.
    """
    decided = instruction_of(stored.decision).fingerprint
    if decided != instruction.fingerprint:
        raise IdempotencyKeyReused(decided, instruction.fingerprint)

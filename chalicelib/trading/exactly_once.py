"""Settling what keys stand for: decide, commit, and read from the answer what to do next.

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

What an account refuses without a record (a transfer that it does not cover) is confirmed by a transaction of the same shape that
stores nothing under its key, so that the refusal, too, is about one moment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from chalicelib.trading.account_cache import AccountCache, NoSeat, Seat
from chalicelib.domain.account import Account, Record
from chalicelib.contract.errors import Contention, DatastoreUnavailable, EngineError, IdempotencyKeyReused, Undecided
from chalicelib.runtime.deadline import Patience, TimeUp
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import AccountMoved, CommitResult, Committed, Conflict, Entry, KeysTaken, Ledger, Unused


class Wanted(Protocol):
    """What is to happen once: an order, a transfer."""

    @property
    def user_id(self) -> int:
        """Whose account."""
        ...

    @property
    def record_key(self) -> str:
        """Where its outcome is stored."""
        ...

    @property
    def fingerprint(self) -> str:
        """What its key stands for."""
        ...


Decide = Callable[[Account], tuple[Account, Record]]
"""What is to be done to an account as it is: the account after it, and the record to be stored with it. May raise `Undecided`."""

AnyWanted = TypeVar("AnyWanted", bound=Wanted)
Decider = Callable[[Sequence[AnyWanted]], Sequence[Decide | Undecided]]
"""How to decide each of several now, or why that one cannot be decided. Asked before each attempt; it may read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a key stands for now.

    `replayed`: an earlier request decided it. `attempts`: transactions that this request had sent by then; `conflicts`: how many
    of them were cancelled because others were at work on the same account.
    """

    record: Record
    replayed: bool
    attempts: int = 0
    conflicts: int = 0


Refusal = EngineError | Undecided
"""In place of an outcome: the key has none, or not this one's, or none could be learned in time."""


@dataclass(frozen=True, slots=True)
class Settler:
    """Settles orders and transfers. One for a process: its threads share what it remembers."""

    ledger: Ledger
    accounts: AccountCache

    def settle(self, wanted: AnyWanted, decider: Decider[AnyWanted], patience: Patience) -> Outcome:
        """Makes it happen, or finds out how it happened: exactly once, however often it is asked.

        Raises:
            IdempotencyKeyReused: the key stands for something else.
            Undecided: it cannot be decided now, and never was; the key stays unused.
            Contention, DatastoreUnavailable: asking again with the same key is safe.
        """
        (result,) = self.settle_all([wanted], decider, patience)
        if isinstance(result, Outcome):
            return result
        raise result

    def settle_all(self, wanted: Sequence[AnyWanted], decider: Decider[AnyWanted], patience: Patience) -> list[Outcome | Refusal]:
        """Makes several happen on one account, up to 99 with a key each, as `settle` does for one; the results in their order.

        Where none of them has an outcome yet, one transaction stores those of all.
        """
        if not wanted:
            return []
        user_id = wanted[0].user_id
        items = [_Item(each) for each in wanted]
        try:
            with self.accounts.seat(user_id, patience.left_s()) as seat:
                _Settlement(self.ledger, user_id, decider, patience, seat, items).run()
        except NoSeat:
            return [Contention() for _ in items]
        return [item.settled() for item in items]


@dataclass(slots=True)
class _Item:
    """One of the things that a request asks for, and how far it has come."""

    wanted: Wanted
    result: Outcome | Refusal | None = None
    entry: Entry | None = None
    """What the attempt under way says about its key."""

    refusal: Undecided | None = None
    """Why the attempt under way stores nothing under it."""

    unanswered: list[Record] = field(default_factory=list)
    """Decisions that may have been stored, or may be yet."""

    def settled(self) -> Outcome | Refusal:
        assert self.result is not None, "a settlement ends when each has its result"
        return self.result

    def decide(self, decide: Decide, account: Account) -> tuple[Account, Entry]:
        try:
            after, self.entry = decide(account)
            self.refusal = None
        except Undecided as not_on_this_account:
            after, self.entry, self.refusal = account, Unused(self.wanted.record_key), not_on_this_account
        return after, self.entry

    def refuse(self, refusal: Undecided) -> None:
        """The key has no outcome. Unless an attempt may yet give it one, that is the end of it."""
        self.result = DatastoreUnavailable() if self.unanswered else refusal


@dataclass(slots=True)
class _Settlement:
    """One request's work on one account, from its first attempt to its last outcome."""

    ledger: Ledger
    user_id: int
    decider: Decider  # type: ignore[type-arg]  # of whatever the request asks for
    patience: Patience
    seat: Seat
    pending: list[_Item]
    attempts: int = 0
    conflicts: int = 0
    out_of_reach: bool = False
    """Whether the datastore, rather than the account, is what we wait for."""

    def run(self) -> None:
        """Gives every item its result."""
        try:
            # Half of the time at most: a request that stood back for all of it could not even try.
            self._wait(min(self.seat.turns.before_order(), self.patience.left_s() / 2))
            while self.pending:
                try:
                    self._attempt()
                except (Throttled, Unanswered):
                    self.out_of_reach = True
                    self.patience.wait_throttled()
        except TimeUp:
            for item in self.pending:
                item.result = DatastoreUnavailable() if item.unanswered or self.out_of_reach else Contention()

    def _attempt(self) -> None:
        decides = self._decides()
        if not self.pending:
            return
        after = seen = self._account()
        entries: list[Entry] = []
        for item, decide in zip(self.pending, decides, strict=True):
            after, entry = item.decide(decide, after)
            entries.append(entry)
        started_s = self.patience.now_s()
        self._learn(self._commit(entries, seen, after), after, started_s)

    def _account(self) -> Account:
        """The account as last seen, here or now."""
        seat = self.seat
        if seat.account is None or seat.turns.wants_look():
            seat.account = self.ledger.read_account(self.user_id, self.patience)
            seat.turns.looked(seat.account.sequence)
        return seat.account

    def _commit(self, entries: Sequence[Entry], seen: Account, after: Account) -> CommitResult:
        self.attempts += 1
        try:
            answer = self.ledger.commit(entries, seen, after, self.patience)
        except Unanswered:
            for item in self.pending:
                if isinstance(item.entry, Record):
                    item.unanswered.append(item.entry)
                    self.seat.account = None
            raise
        self.out_of_reach = False
        return answer

    def _learn(self, answer: CommitResult, after: Account, started_s: float) -> None:
        turns = self.seat.turns
        match answer:
            case Committed():
                self.seat.account = after
                turns.committed(after.sequence, started_s)
                self._committed()
            case KeysTaken(records, account):
                if account is not None:
                    self.seat.account = account
                self._taken(records)
            case AccountMoved(account):
                self.seat.account = account
                self.conflicts += 1
                self._wait(turns.lost(account.sequence))
            case Conflict():
                self.conflicts += 1
                self._wait(turns.lost(None))

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.patience.wait(seconds)

    def _decides(self) -> list[Decide]:
        """How to decide each pending item now. Those that cannot be decided drop out: what is stored is their outcome, if any."""
        decides: list[Decide] = []
        undecidable: list[tuple[_Item, Undecided]] = []
        for item, decide in zip(self.pending, self.decider([item.wanted for item in self.pending]), strict=True):
            if isinstance(decide, Undecided):
                undecidable.append((item, decide))
            else:
                decides.append(decide)
        if undecidable:
            keys = [item.wanted.record_key for item, _ in undecidable]
            records = self.ledger.read_records(self.user_id, keys, self.patience)
            for item, not_now in undecidable:
                if item.wanted.record_key not in records:
                    item.refuse(not_now)
            self._taken(records)
        return decides

    def _committed(self) -> None:
        for item in self.pending:
            if item.refusal is not None:
                item.refuse(item.refusal)
            else:
                assert isinstance(item.entry, Record), "what is not refused has a record"
                item.result = Outcome(item.entry, replayed=False, attempts=self.attempts, conflicts=self.conflicts)
        self.pending = []

    def _taken(self, records: Mapping[str, Record]) -> None:
        """Keys that have outcomes: theirs are the results."""
        for item in self.pending:
            stored = records.get(item.wanted.record_key)
            if stored is None:
                continue
            try:
                require_same(item.wanted, stored)
            except IdempotencyKeyReused as reused:
                item.result = reused
            else:
                # What an attempt of ours stored without our hearing of it is this request's own decision, not a replay.
                replayed = stored not in item.unanswered
                item.result = Outcome(stored, replayed, self.attempts, self.conflicts)
        self.pending = [item for item in self.pending if item.result is None]


def require_same(wanted: Wanted, stored: Record) -> None:
    """To be asked of each stored record before it is anybody's outcome.

    Raises:
        IdempotencyKeyReused: the key stands for something else.
    """
    if stored.fingerprint != wanted.fingerprint:
        raise IdempotencyKeyReused(stored.fingerprint, wanted.fingerprint)

"""Settling what a key stands for: decide, commit, and read from the answer what to do next.

    the commit was answered with         then
    ─────────────────────────────────    ─────────────────────────────────────────────────────────────────────
    committed                            the decision is the outcome
    the key is taken, by the same        the stored outcome, whatever has changed since
    the key is taken, by another         422 ERR_IDEMPOTENCY_KEY_REUSED
    the account moved on                 the answer brought it along: decide again
    two transactions met                 wait a little, decide again; at the deadline 409 ERR_CONTENTION
    throttled                            wait longer, decide again; at the deadline 503 ERR_DATASTORE_UNAVAILABLE
    no answer                            decide again, with the key to tell what happened; at the deadline 503

After an attempt without an answer, only what is stored under the key is an answer. That the key reads as absent proves nothing:

    we:        ── fill, sent ──────────────────────── the key reads as absent ── "404, nothing happened"  (wrong!)
    DynamoDB:            ╰─ delayed on the way ───────────────────────────────────── filled

A new attempt under the same key settles it, since only one of the two can ever be stored.

What an account refuses without a record (a transfer that it does not cover) is confirmed by a transaction of the same shape that
stores nothing, so that the refusal, too, is about one moment.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chalicelib.account_cache import AccountCache, NoTurn, Seat
from chalicelib.domain.account import Account, Record
from chalicelib.errors import Contention, DatastoreUnavailable, IdempotencyKeyReused, Undecided
from chalicelib.patience import Patience, TimeUp
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import AccountMoved, Committed, Conflict, KeyTaken, Ledger


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a key stands for now.

    `replayed`: an earlier request decided it. `attempts`: transactions that this request sent; `conflicts`: how many of them were
    cancelled because others were at work on the same account.
    """

    record: Record
    replayed: bool
    attempts: int = 0
    conflicts: int = 0


@dataclass(frozen=True, slots=True)
class Settler:
    """Settles orders and transfers. One for a process: its threads share what it remembers."""

    ledger: Ledger
    accounts: AccountCache

    def settle(self, wanted: Wanted, decider: Callable[[], Decide], patience: Patience) -> Outcome:
        """Makes it happen, or finds out how it happened: exactly once, however often it is asked.

        `decider` is asked before each attempt how to decide now; it may read from the datastore, and raise `Undecided`.

        Raises:
            IdempotencyKeyReused: the key stands for something else.
            Undecided: it cannot be decided now, and never was; the key stays unused.
            Contention, DatastoreUnavailable: asking again with the same key is safe.
        """
        try:
            with self.accounts.turn(wanted.user_id, patience.left_s()) as seat:
                return self._settle(wanted, decider, patience, seat)
        except NoTurn:
            raise Contention from None

    def _settle(  # noqa: C901, PLR0912, PLR0915  (its branches are the table above, row by row)
        self, wanted: Wanted, decider: Callable[[], Decide], patience: Patience, seat: Seat
    ) -> Outcome:
        attempts = conflicts = 0
        unanswered: list[Record] = []  # decisions that may have been stored, or may be yet
        out_of_reach = False  # whether the datastore, rather than the account, is what we wait for
        try:
            while True:
                sent: Record | None = None
                refusal: Undecided | None = None
                try:
                    try:
                        decide = decider()
                    except Undecided as not_now:
                        stored = self._stored_outcome(wanted, patience, unanswered, otherwise=not_now)
                        return _outcome(wanted, stored, unanswered, attempts, conflicts)
                    if seat.account is None:
                        seat.account = self.ledger.read_account(wanted.user_id, patience)
                    attempts += 1
                    try:
                        after, record = decide(seat.account)
                    except Undecided as not_on_this_account:
                        refusal = not_on_this_account
                        answer = self.ledger.confirm_unused(wanted.record_key, seat.account, patience)
                    else:
                        sent = record
                        answer = self.ledger.commit(record, seat.account, patience)
                except Throttled:
                    out_of_reach = True
                    patience.wait_throttled()
                    continue
                except Unanswered:
                    out_of_reach = True
                    if sent is not None:
                        unanswered.append(sent)
                        seat.account = None
                    patience.wait_throttled()
                    continue
                out_of_reach = False
                match answer:
                    case Committed() if refusal is not None:
                        raise DatastoreUnavailable if unanswered else refusal
                    case Committed():
                        seat.account = after
                        return Outcome(record, replayed=False, attempts=attempts, conflicts=conflicts)
                    case KeyTaken(stored, account):
                        if account is not None:
                            seat.account = account
                        return _outcome(wanted, stored, unanswered, attempts, conflicts)
                    case AccountMoved(account):
                        seat.account = account
                        conflicts += 1
                        if conflicts > 1:  # the first time it is only this process that was behind
                            patience.wait_busy()
                    case Conflict():
                        conflicts += 1
                        patience.wait_busy()
        except TimeUp:
            raise (DatastoreUnavailable if unanswered or out_of_reach else Contention) from None

    def _stored_outcome(self, wanted: Wanted, patience: Patience, unanswered: Sequence[Record], otherwise: Undecided) -> Record:
        """The outcome that the key has already, for what cannot be decided now: it wins over all that changed since."""
        stored = self.ledger.read_record(wanted.user_id, wanted.record_key, patience)
        if stored is not None:
            return stored
        if unanswered:
            raise DatastoreUnavailable
        raise otherwise


def _outcome(wanted: Wanted, stored: Record, unanswered: Sequence[Record], attempts: int, conflicts: int) -> Outcome:
    require_same(wanted, stored)
    # What an attempt of ours stored without our hearing of it is this request's own decision, not a replay.
    return Outcome(stored, replayed=stored not in unanswered, attempts=attempts, conflicts=conflicts)


def require_same(wanted: Wanted, stored: Record) -> None:
    """To be asked of each stored record before it is anybody's outcome.

    Raises:
        IdempotencyKeyReused: the key stands for something else.
    """
    if stored.fingerprint != wanted.fingerprint:
        raise IdempotencyKeyReused(stored.fingerprint, wanted.fingerprint)

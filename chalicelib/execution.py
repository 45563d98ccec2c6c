"""Executing an order: decide, commit, and read from the answer what to do next.

    the commit was answered with         then
    ─────────────────────────────────    ─────────────────────────────────────────────────────────────────────
    committed                            the decision is the reply
    the key is taken, by this order      the stored reply is the reply, whatever has changed since
    the key is taken, by another order   422 ERR_IDEMPOTENCY_KEY_REUSED
    the account moved on                 the answer brought it along: decide again
    two transactions met                 wait a little, decide again; at the deadline 409 ERR_CONTENTION
    throttled                            wait longer, decide again; at the deadline 503 ERR_DATASTORE_UNAVAILABLE
    no answer                            decide again, with the key to tell what happened; at the deadline 503

After an attempt without an answer, only what is stored under the key is an answer. That the key reads as absent proves nothing:

    we:        ── fill, sent ──────────────────────── the key reads as absent ── "404, nothing happened"  (wrong!)
    DynamoDB:            ╰─ delayed on the way ───────────────────────────────────── filled

A new attempt under the same key settles it, since only one of the two can ever be stored.
"""

import threading
from dataclasses import dataclass

from chalicelib.account_cache import AccountCache, NoTurn, Seat
from chalicelib.domain.account import Record
from chalicelib.domain.decision import decide
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import Quote
from chalicelib.errors import AssetHalted, AssetNotFound, Contention, DatastoreUnavailable, IdempotencyKeyReused
from chalicelib.patience import Patience, TimeUp, World
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import AccountMoved, Committed, Conflict, KeyTaken, Ledger
from chalicelib.store.prices import PriceBook


@dataclass(frozen=True, slots=True)
class Execution:
    """The outcome of an order.

    `replayed`: an earlier request decided it. `attempts`: transactions that this request sent; `conflicts`: how many of them met
    somebody else's at the same account.
    """

    record: Record
    replayed: bool
    attempts: int
    conflicts: int = 0


@dataclass(frozen=True, slots=True)
class Executor:
    """Executes orders. One for a process: its threads share what it remembers."""

    ledger: Ledger
    prices: PriceBook
    accounts: AccountCache
    world: World

    def execute(self, order: Order, patience: Patience) -> Execution:
        """Executes the order, or finds out how it was executed: exactly once, however often it is asked.

        Raises:
            IdempotencyKeyReused, AssetNotFound, AssetHalted: final; nothing was decided.
            Contention, DatastoreUnavailable: a retry with the same key is safe.
        """
        try:
            with self.accounts.turn(order.user_id, patience.left_s()) as seat:
                return self._execute(order, patience, seat)
        except NoTurn:
            raise Contention from None

    def _execute(  # noqa: C901, PLR0912  (its branches are the table above, row by row)
        self, order: Order, patience: Patience, seat: Seat
    ) -> Execution:
        attempts = 0
        moves = 0
        unanswered: list[Record] = []  # decisions that may have been stored, or may be yet
        out_of_reach = False  # whether the datastore, rather than the account, is what we wait for
        try:
            while True:
                sent: Record | None = None
                try:
                    quote = self._quote(order, patience)
                    if not isinstance(quote, Quote):
                        return self._stored_outcome(order, patience, unanswered, attempts, otherwise=quote)
                    if seat.account is None:
                        seat.account = self.ledger.read_account(order.user_id, patience)
                    after, record = decide(order, seat.account, quote, self.world.now(), threading.current_thread().name)
                    attempts += 1
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
                    case Committed():
                        seat.account = after
                        return Execution(record, replayed=False, attempts=attempts)
                    case KeyTaken(stored, account):
                        if account is not None:
                            seat.account = account
                        return _outcome(order, stored, unanswered, attempts)
                    case AccountMoved(account):
                        seat.account = account
                        moves += 1
                        if moves > 1:  # the first time it is only this process that was behind
                            patience.wait_busy()
                    case Conflict():
                        patience.wait_busy()
        except TimeUp:
            raise (DatastoreUnavailable if unanswered or out_of_reach else Contention) from None

    def _quote(self, order: Order, patience: Patience) -> Quote | AssetNotFound | AssetHalted:
        assets = self.prices.assets((order.symbol, order.pay_with), patience)
        unknown = [symbol for symbol in (order.symbol, order.pay_with) if symbol not in assets]
        if unknown:
            return AssetNotFound(unknown)
        halted = [asset.symbol for asset in assets.values() if asset.halted]
        if halted:
            return AssetHalted(halted)
        return Quote(buy=assets[order.symbol], pay=assets[order.pay_with])

    def _stored_outcome(
        self,
        order: Order,
        patience: Patience,
        unanswered: list[Record],
        attempts: int,
        otherwise: AssetNotFound | AssetHalted,
    ) -> Execution:
        """The outcome that the key has already, for an order that cannot be decided now: it wins over all that changed since."""
        stored = self.ledger.read_record(order.user_id, order.record_key, patience)
        if stored is not None:
            return _outcome(order, stored, unanswered, attempts)
        if unanswered:
            raise DatastoreUnavailable
        raise otherwise


def _outcome(order: Order, stored: Record, unanswered: list[Record], attempts: int) -> Execution:
    if stored.fingerprint != order.fingerprint:
        raise IdempotencyKeyReused(stored.fingerprint, order.fingerprint)
    # What an attempt of ours stored without our hearing of it is this request's own decision, not a replay.
    return Execution(stored, replayed=stored not in unanswered, attempts=attempts)

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
from collections.abc import Sequence

from chalicelib.contract.errors import Contention, DatastoreUnavailable
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import Ledger
from chalicelib.store.prices import PriceBook
from chalicelib.trading.account_cache import AccountCache
from chalicelib.trading.account_slot import AccountSlot
from chalicelib.trading.instruction import Decider, I_contra, LinkedDecider, Outcome, Refused
from chalicelib.trading.leader import Leader
from chalicelib.trading.request import Item, Request


class ExactlyOnce:
    """Executes orders and transfers. One for a process: its threads share what it remembers."""

    def __init__(self, ledger: Ledger, prices: PriceBook, accounts: AccountCache) -> None:
        self.ledger = ledger
        self.prices = prices
        self.accounts = accounts

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

    def execute_linked(
        self, instructions: Sequence[I_contra], decider: "LinkedDecider[I_contra]", deadline: Deadline
    ) -> list[Outcome]:
        """Executes several on one account, up to 99 with a key each, all or nothing; the outcomes come in their order.

        Raises:
            OrdersDecided: some keys have outcomes, and others do not; nothing was decided.
            IdempotencyKeyReused, Undecided, Contention, DatastoreUnavailable: as `execute`, of all of them.
        """
        outcomes = []
        for result in self.execute_all(instructions, decider, deadline, linked=True):
            if not isinstance(result, Outcome):
                raise result
            outcomes.append(result)
        return outcomes

    def execute_all(
        self, instructions: Sequence[I_contra], decider: Decider[I_contra], deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        """Executes several on one account, up to 99 with a key each, as `execute` does one; the results come in their order.

        Where none of them has an outcome yet, one transaction stores those of all. `linked`: see `execute_linked`.
        """
        if not instructions:
            return []
        items = [Item(each) for each in instructions]
        request = Request(items, decider, deadline, threading.current_thread().name, linked)
        user_id = instructions[0].user_id
        with deadline.one_call_reserved(), self.accounts.slot(user_id) as slot:
            if slot.enter(request, deadline.remaining_s()):
                try:
                    self._leader(slot, request, user_id).lead()
                finally:
                    slot.hand_over()
        if request.left:
            request = request.departed()
        if request.pending:
            self._read_once(request, user_id)
        return [item.settled() for item in request.items]

    def _leader(self, slot: AccountSlot, request: Request, user_id: int) -> Leader:
        return Leader(self.ledger, self.prices, slot, request, user_id)

    def _read_once(self, request: Request, user_id: int) -> None:
        """Gives a request out of time the outcomes that are stored; the others get the reason why they have none."""
        try:
            keys = [item.instruction.record_key for item in request.pending]
            records = self.ledger.read_records(user_id, keys, request.deadline)
            request.taken(records)
            # Of a linked request some keys may be visible before the others: then nothing is known yet.
            request.out_of_reach = request.out_of_reach or (request.linked and bool(records))
        except (Throttled, Unanswered, DeadlineExceeded):
            request.out_of_reach = True
        for item in request.pending:
            item.result = DatastoreUnavailable() if item.unanswered or request.out_of_reach else Contention()

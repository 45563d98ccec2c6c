"""Executing orders: fresh prices, the rule book, and one transaction that stores what it decides."""

from collections.abc import Iterable, Mapping, Sequence

from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.linked import append_linked
from chalicelib.domain.order import Order
from chalicelib.domain.record import Record
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import World
from chalicelib.trading.exactly_once import ExactlyOnce
from chalicelib.trading.instruction import Outcome, Refused
from chalicelib.trading.queries import until_answered


class OrderDecider:
    """Decides orders, at prices that are fresh at each attempt. `price_stale_s`: see `decide`."""

    def __init__(self, world: World, price_stale_s: int | None = None) -> None:
        self.world = world
        self.price_stale_s = price_stale_s

    def symbols(self, orders: Sequence[Order]) -> Iterable[str]:
        """See `Decider.symbols`."""
        return (symbol for order in orders for symbol in (order.symbol, order.other))

    def decide(self, order: Order, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        """See `Decider.decide`."""
        return append(account, decide(order, account, market, self.world.now(), by, self.price_stale_s))

    def decide_linked(
        self, orders: Sequence[Order], account: Account, market: Mapping[str, Asset], by: str
    ) -> tuple[Account, list[Record]]:
        """See `LinkedDecider.decide_linked`."""
        return append_linked(account, orders, market, self.world.now(), by, self.price_stale_s)


class Executor:
    """Executes orders. One for a process: its threads share what it remembers."""

    def __init__(self, exactly_once: ExactlyOnce, decider: OrderDecider) -> None:
        self.exactly_once = exactly_once
        self.decider = decider

    def execute(self, order: Order, deadline: Deadline) -> Outcome:
        """Executes an order, or finds out how it was executed: exactly once, however often it is asked.

        Raises:
            IdempotencyKeyReused, Undecided: final; nothing was decided.
            Contention, DatastoreUnavailable: a retry with the same key is safe.
        """
        return self.exactly_once.execute(order, self.decider, deadline)

    def preview(self, order: Order, deadline: Deadline) -> Record:
        """Returns the record that an order would make now. Stores nothing.

        Raises:
            Undecided: it would make none.
            DatastoreUnavailable: no answer in time.
        """

        def ask() -> Record:
            account = self.exactly_once.ledger.read_account(order.user_id, deadline)
            market = self.exactly_once.prices.assets(self.decider.symbols([order]), deadline)
            return self.decider.decide(order, account, market, by="")[1]

        return until_answered(ask, deadline)

    def execute_linked(self, orders: Sequence[Order], deadline: Deadline) -> list[Outcome]:
        """Executes up to 99 orders of one account, with a key each: either every one fills, or none does.

        Raises:
            OrdersDecided, IdempotencyKeyReused, Undecided: final, of all of them; nothing was decided.
            Contention, DatastoreUnavailable: a retry with the same keys is safe.
        """
        return self.exactly_once.execute_linked(orders, self.decider, deadline)

    def execute_batch(self, orders: Sequence[Order], deadline: Deadline) -> list[Outcome | Refused]:
        """Executes up to 99 orders of one account, with a key each, in their order: for each what `execute` returns or raises."""
        return self.exactly_once.execute_all(orders, self.decider, deadline)

"""Executing an order: a quote, a decision, and one transaction that settles it."""

import threading
from dataclasses import dataclass

from chalicelib.domain.account import Account, Record
from chalicelib.domain.decision import decide
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import Quote
from chalicelib.errors import AssetHalted, AssetNotFound
from chalicelib.patience import Patience, World
from chalicelib.settlement import Decide, Outcome, Settler
from chalicelib.store.prices import PriceBook


@dataclass(frozen=True, slots=True)
class Executor:
    """Executes orders. One for a process: its threads share what it remembers."""

    settler: Settler
    prices: PriceBook
    world: World

    def execute(self, order: Order, patience: Patience) -> Outcome:
        """Executes the order, or finds out how it was executed: exactly once, however often it is asked.

        Raises:
            IdempotencyKeyReused, AssetNotFound, AssetHalted: final; nothing was decided.
            Contention, DatastoreUnavailable: a retry with the same key is safe.
        """
        return self.settler.settle(order, lambda: self._decider(order, patience), patience)

    def _decider(self, order: Order, patience: Patience) -> Decide:
        """How to decide at the prices of now.

        Raises:
            AssetNotFound, AssetHalted: there are none to decide at.
        """
        quote = self._quote(order, patience)

        def decide_now(account: Account) -> tuple[Account, Record]:
            return decide(order, account, quote, self.world.now(), threading.current_thread().name)

        return decide_now

    def _quote(self, order: Order, patience: Patience) -> Quote:
        assets = self.prices.assets((order.symbol, order.pay_with), patience)
        unknown = [symbol for symbol in (order.symbol, order.pay_with) if symbol not in assets]
        if unknown:
            raise AssetNotFound(unknown)
        halted = [asset.symbol for asset in assets.values() if asset.halted]
        if halted:
            raise AssetHalted(halted)
        return Quote(buy=assets[order.symbol], pay=assets[order.pay_with])

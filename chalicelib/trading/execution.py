"""Executing orders: quotes, decisions, and one transaction that settles them."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.account import Account, Record
from chalicelib.domain.decision import decide
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import Asset, Quote
from chalicelib.contract.errors import AssetHalted, AssetNotFound, Undecided
from chalicelib.runtime.deadline import Patience, World
from chalicelib.trading.exactly_once import Decide, Outcome, Refusal, Settler
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
        return self.settler.settle(order, lambda orders: self._decides(orders, patience), patience)

    def execute_batch(self, orders: Sequence[Order], patience: Patience) -> list[Outcome | Refusal]:
        """Executes up to 99 orders of one account, with a key each, in their order: for each what `execute` returns or raises."""
        return self.settler.settle_all(orders, lambda pending: self._decides(pending, patience), patience)

    def _decides(self, orders: Sequence[Order], patience: Patience) -> list[Decide | Undecided]:
        """How to decide each order at the prices of now, or why there are none to decide at."""
        symbols = dict.fromkeys(symbol for order in orders for symbol in (order.symbol, order.pay_with))
        assets = self.prices.assets(symbols, patience)
        return [self._decide(order, assets) for order in orders]

    def _decide(self, order: Order, assets: Mapping[str, Asset]) -> Decide | Undecided:
        symbols = (order.symbol, order.pay_with)
        unknown = [symbol for symbol in symbols if symbol not in assets]
        if unknown:
            return AssetNotFound(unknown)
        buy, pay = (assets[symbol] for symbol in symbols)
        halted = [asset.symbol for asset in (buy, pay) if asset.halted]
        if halted:
            return AssetHalted(halted)
        quote = Quote(buy, pay)

        def decide_now(account: Account) -> tuple[Account, Record]:
            return decide(order, account, quote, self.world.now(), threading.current_thread().name)

        return decide_now

"""Queries: a portfolio, the history, an order, the assets, candles. Nothing here writes."""

from collections.abc import Callable
from typing import TypeVar

from chalicelib.contract.errors import AssetNotFound, DatastoreUnavailable, OrderNotFound
from chalicelib.domain.asset import Asset
from chalicelib.domain.candle import Candle, Chart
from chalicelib.domain.facts import Void
from chalicelib.domain.history import Page, Paging, page
from chalicelib.domain.portfolio import Portfolio, value
from chalicelib.domain.record import Record
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.runtime.world import World
from chalicelib.store.candles import Candles
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.history import History
from chalicelib.store.ledger import Ledger
from chalicelib.store.prices import PriceBook

Answer = TypeVar("Answer")

INDEX_LAG_S = 1.0
"""The time for which records that the index does not show yet are asked for again."""
INDEX_WAIT_S = 0.05


class Queries:
    """Answers questions about accounts and assets."""

    def __init__(self, ledger: Ledger, history: History, prices: PriceBook, candles: Candles, world: World) -> None:
        self.ledger = ledger
        self.history = history
        self.prices = prices
        self.charts = candles
        self.world = world

    def portfolio(self, user_id: int, deadline: Deadline) -> Portfolio:
        """Returns one account as it is now: a single item, hence never half of a trade.

        Raises:
            DatastoreUnavailable: no answer in time.
        """

        def ask() -> Portfolio:
            account = self.ledger.read_account(user_id, deadline)
            assets = self.prices.assets(account.balances, deadline)
            return value(account, assets, self.world.now())

        return until_answered(ask, deadline)

    def order(self, user_id: int, idempotency_key: str, deadline: Deadline) -> Record:
        """Returns what is stored under an order's key.

        Raises:
            OrderNotFound: nothing is.
            DatastoreUnavailable: no answer in time.
        """
        key = Void(user_id, idempotency_key).record_key
        found = until_answered(lambda: self.ledger.read_records(user_id, [key], deadline), deadline)
        if key not in found:
            raise OrderNotFound
        return found[key]

    def page(self, user_id: int, paging: Paging, deadline: Deadline) -> Page:
        """Returns a page of an account's history.

        The account says how far the history goes; the index may follow it by milliseconds. What it does not have yet is asked
        for again, for up to a second.

        Raises:
            DatastoreUnavailable: no answer in time.
        """
        account = until_answered(lambda: self.ledger.read_account(user_id, deadline), deadline)
        numbers = paging.numbers(account.sequence)
        if not numbers:
            return page(paging, account.sequence, [])
        first, last = min(numbers), max(numbers)
        until_s = self.world.monotonic_s() + INDEX_LAG_S
        while True:
            found = until_answered(lambda: self.history.read(user_id, first, last, deadline), deadline)
            if len(found) == len(numbers) or self.world.monotonic_s() >= until_s:
                return page(paging, account.sequence, found)
            self.world.sleep_s(INDEX_WAIT_S)

    def assets(self, deadline: Deadline) -> list[Asset]:
        """Returns every asset with its price, sorted by symbol.

        Raises:
            DatastoreUnavailable: no answer in time.
        """
        return until_answered(lambda: self.prices.all_assets(deadline), deadline)

    def candles(self, symbol: str, chart: Chart, deadline: Deadline) -> list[Candle]:
        """Returns an asset's candles, oldest first, the open one included. The unit of account has none.

        Raises:
            AssetNotFound: the symbol is not listed.
            DatastoreUnavailable: no answer in time.
        """
        now = self.world.now()
        found = until_answered(lambda: self.charts.read(symbol, chart, now, deadline), deadline)
        if found is None:
            raise AssetNotFound([symbol])
        return found


def until_answered(ask: Callable[[], Answer], deadline: Deadline) -> Answer:
    """Asks until there is an answer.

    Raises:
        DatastoreUnavailable: there is none in time.
    """
    try:
        while True:
            try:
                return ask()
            except (Throttled, Unanswered):
                deadline.wait_throttled()
    except DeadlineExceeded:
        raise DatastoreUnavailable from None

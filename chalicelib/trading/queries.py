"""Looking: a portfolio, the assets. Nothing here writes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from chalicelib.domain.account import Account
from chalicelib.domain.pricing import Asset, Valuation, value
from chalicelib.contract.errors import DatastoreUnavailable
from chalicelib.runtime.deadline import Patience, TimeUp, World
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import Ledger
from chalicelib.store.prices import PriceBook

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An account at one moment, and what it was worth."""

    account: Account
    valuation: Valuation
    valued_at: datetime


@dataclass(frozen=True, slots=True)
class Queries:
    """Answers questions about accounts and assets."""

    ledger: Ledger
    prices: PriceBook
    world: World

    def portfolio(self, user_id: int, patience: Patience) -> Portfolio:
        """One account as it is now: a single item, hence never half of a trade.

        Raises:
            DatastoreUnavailable: no answer in time.
        """

        def ask() -> Portfolio:
            account = self.ledger.read_account(user_id, patience)
            assets = self.prices.assets(account.balances, patience)
            return Portfolio(account, value(account.balances, assets), self.world.now())

        return _until_answered(ask, patience)

    def assets(self, patience: Patience) -> list[Asset]:
        """Every asset with its price, sorted by symbol.

        Raises:
            DatastoreUnavailable: no answer in time.
        """
        return _until_answered(lambda: self.prices.all_assets(patience), patience)


def _until_answered(ask: Callable[[], Answer], patience: Patience) -> Answer:
    try:
        while True:
            try:
                return ask()
            except (Throttled, Unanswered):
                patience.wait_throttled()
    except TimeUp:
        raise DatastoreUnavailable from None

"""Queries: a portfolio, the assets. Nothing here writes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.contract.errors import DatastoreUnavailable
from chalicelib.domain.asset import Asset
from chalicelib.domain.portfolio import Portfolio, value
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.runtime.world import World
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import Ledger
from chalicelib.store.prices import PriceBook

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Queries:
    """Answers questions about accounts and assets."""

    ledger: Ledger
    prices: PriceBook
    world: World

    def portfolio(self, user_id: int, deadline: Deadline) -> Portfolio:
        """Returns one account as it is now: a single item, hence never half of a trade.

        Raises:
            DatastoreUnavailable: no answer in time.
        """

        def ask() -> Portfolio:
            account = self.ledger.read_account(user_id, deadline)
            assets = self.prices.assets(account.balances, deadline)
            return value(account, assets, self.world.now())

        return _until_answered(ask, deadline)

    def assets(self, deadline: Deadline) -> list[Asset]:
        """Returns every asset with its price, sorted by symbol.

        Raises:
            DatastoreUnavailable: no answer in time.
        """
        return _until_answered(lambda: self.prices.all_assets(deadline), deadline)


def _until_answered(ask: Callable[[], Answer], deadline: Deadline) -> Answer:
    try:
        while True:
            try:
                return ask()
            except (Throttled, Unanswered):
                deadline.wait_throttled()
    except DeadlineExceeded:
        raise DatastoreUnavailable from None

"""The engine: its parts, built over one datastore."""

from dataclasses import dataclass

from chalicelib.config import Settings
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import World
from chalicelib.store.assets import AssetList
from chalicelib.store.candles import Candles
from chalicelib.store.connection import Datastore
from chalicelib.store.history import History
from chalicelib.store.ledger import Ledger
from chalicelib.store.prices import PriceBook
from chalicelib.store.tables import Tables
from chalicelib.trading.account_cache import AccountCache
from chalicelib.trading.exactly_once import ExactlyOnce
from chalicelib.trading.execution import Executor, OrderDecider
from chalicelib.trading.listings import Listings
from chalicelib.trading.queries import Queries
from chalicelib.trading.transfers import TransferDecider, Transfers
from chalicelib.trading.voids import VoidDecider, Voids

REMAINDER_MS = 500
"""The part of its Lambda's remaining time that a request keeps for its response."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The process's engine, which the routes call. Its threads share it."""

    settings: Settings
    world: World
    ledger: Ledger
    exactly_once: ExactlyOnce
    executor: Executor
    transfers: Transfers
    voids: Voids
    listings: Listings
    queries: Queries

    def deadline(self, remaining_ms: int | None = None) -> Deadline:
        """Starts one request's time. `remaining_ms`: the Lambda's remaining time, on Lambda."""
        budget_ms = self.settings.request_budget_ms
        if remaining_ms is not None:
            budget_ms = min(budget_ms, remaining_ms - REMAINDER_MS)
        return Deadline(self.world, budget_ms / 1000, self.settings.call_worst_ms / 1000)


def build(settings: Settings, datastore: Datastore, world: World | None = None) -> Engine:
    """Builds an engine over a datastore."""
    world = world or World()
    tables = Tables.of(settings.table_prefix)
    ledger = Ledger(datastore, tables)
    prices = PriceBook(datastore, tables, settings.price_age_ms / 1000, world)
    exactly_once = ExactlyOnce(ledger, prices, AccountCache(settings.cached_accounts, world))
    return Engine(
        settings=settings,
        world=world,
        ledger=ledger,
        exactly_once=exactly_once,
        executor=Executor(exactly_once, OrderDecider(world, settings.price_stale_s)),
        transfers=Transfers(exactly_once, TransferDecider(world)),
        voids=Voids(exactly_once, VoidDecider(world)),
        listings=Listings(AssetList(datastore, tables)),
        queries=Queries(ledger, History(datastore, tables), prices, Candles(datastore, tables), world),
    )

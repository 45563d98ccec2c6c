"""The engine: its parts, put together over one datastore."""

from dataclasses import dataclass

from chalicelib.trading.account_cache import AccountCache
from chalicelib.config import Settings
from chalicelib.trading.execution import Executor
from chalicelib.runtime.deadline import Patience, World
from chalicelib.trading.queries import Queries
from chalicelib.trading.exactly_once import Settler
from chalicelib.store.connection import Datastore
from chalicelib.store.ledger import Ledger
from chalicelib.store.prices import PriceBook
from chalicelib.store.tables import Tables

REMAINDER_MS = 500
"""What a request keeps for its own answer of the time that its Lambda has left."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the routes call. One for a process; its threads share it."""

    settings: Settings
    world: World
    ledger: Ledger
    settler: Settler
    executor: Executor
    queries: Queries

    def patience(self, remaining_ms: int | None = None) -> Patience:
        """One request's time. `remaining_ms`: what its Lambda has left, where it runs in one."""
        budget_ms = self.settings.request_budget_ms
        if remaining_ms is not None:
            budget_ms = min(budget_ms, remaining_ms - REMAINDER_MS)
        return Patience(self.world, budget_ms / 1000, self.settings.call_worst_ms / 1000)


def build(settings: Settings, datastore: Datastore, world: World | None = None) -> Engine:
    """Puts an engine together over a datastore."""
    world = world or World()
    tables = Tables.of(settings.table_prefix)
    ledger = Ledger(datastore, tables)
    prices = PriceBook(datastore, tables, settings.price_age_ms / 1000, world.monotonic_s)
    settler = Settler(ledger, AccountCache(settings.cached_accounts, world))
    return Engine(
        settings=settings,
        world=world,
        ledger=ledger,
        settler=settler,
        executor=Executor(settler, prices, world),
        queries=Queries(ledger, prices, world),
    )

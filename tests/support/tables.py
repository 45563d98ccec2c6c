"""Separate tables for a test."""

from dataclasses import replace
from uuid import uuid4

from chalicelib.domain.money import UNITS_PER_ONE
from chalicelib.domain.order import Amount, Order
from chalicelib.local.schema import create_missing
from chalicelib.local.seed import seed
from tests.support.market import Market, new_key


def with_tables_of_its_own(market: Market) -> Market:
    """Returns another market in the same datastore, seeded, without a server in front of it."""
    own = Market([], replace(market.settings, table_prefix=f"hft-{uuid4().hex[:8]}"))
    create_missing(own.dynamodb, own.settings.table_prefix)
    seed(own.engine, own.dynamodb)
    return own


def buy(market: Market, user: int, quantity: int, key: str | None = None, symbol: str = "BTC") -> None:
    """Executes a buy order, without HTTP."""
    order = Order(user, key or new_key(), symbol, "USD", Amount(quantity * UNITS_PER_ONE, str(quantity)))
    market.engine.executor.execute(order, market.engine.deadline())

"""The store behind an engine that is measured: its tables, accounts to trade with, and their audit."""

from chalicelib.config import Settings
from chalicelib.local.seed import seed
from chalicelib.local.schema import create_missing
from chalicelib.store.tables import Tables
from ops.audit import Auditor
from tests.support.market import Market

TABLE_PREFIX = "hft-dev"
"""What `chalice local` uses: its default stage in .chalice/config.json sets it."""


def market_at(url: str) -> Market:
    """The store at an endpoint, with tables and seed data."""
    market = Market([], Settings(datastore_endpoint=url, table_prefix=TABLE_PREFIX))
    create_missing(market.dynamodb, TABLE_PREFIX)
    seed(market.engine, market.dynamodb)
    return market


def differs(market: Market, user_id: int) -> bool:
    """Replays an account's records. Returns whether they differ from the account."""
    return Auditor(market.dynamodb, Tables.of(TABLE_PREFIX)).audit(user_id).difference is not None

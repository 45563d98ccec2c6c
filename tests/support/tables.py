"""Tables that a test need not share."""

from dataclasses import replace
from uuid import uuid4

from chalicelib.local.seed import seed
from chalicelib.local.tables import create_missing
from tests.support.market import Market


def with_tables_of_its_own(market: Market) -> Market:
    """Another market in the same datastore, seeded, and without a server in front of it."""
    own = Market([], replace(market.settings, table_prefix=f"hft-{uuid4().hex[:8]}"))
    create_missing(own.dynamodb, own.settings.table_prefix)
    seed(own.engine, own.dynamodb)
    return own

"""The store behind an engine that is measured: its tables, accounts to trade with, and their audit."""

from chalicelib.config import Settings
from chalicelib.local.schema import create_missing
from chalicelib.local.seed import seed
from harness.store import Store
from ops.audit import Auditor

TABLE_PREFIX = "hft-dev"
"""The prefix of `chalice local`: its default stage in .chalice/config.json sets it."""


def open_store(url: str) -> Store:
    """Returns the store at an endpoint, with tables and seed data."""
    store = Store(Settings(datastore_endpoint=url, table_prefix=TABLE_PREFIX))
    create_missing(store.dynamodb, TABLE_PREFIX)
    seed(store.engine, store.dynamodb)
    return store


def differs(store: Store, user_id: int) -> bool:
    """Replays an account's records. Returns whether they are missing or differ from the account."""
    audited = Auditor(store.dynamodb, store.tables).audit(user_id)
    return audited is None or audited.discrepancy is not None

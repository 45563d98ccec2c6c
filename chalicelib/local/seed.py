"""The seed data of a local run: four assets, and one user with money."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Transfer
from chalicelib.domain.money import UNITS_PER_ONE, price_from
from chalicelib.domain.timestamps import rfc3339
from chalicelib.domain.transfer import transfer
from chalicelib.engine import Engine
from chalicelib.store.connection import Item
from chalicelib.store.tables import (
    Tables,
    account_from,
    account_key,
    asset_from,
    asset_key,
    item_from_account,
    item_from_record,
    number,
    record_from,
    record_key,
)

PRICES_USD = {"BTC": "50000", "ETH": "3000", "SOL": "100", "USD": "1"}
FUNDING = Transfer(user_id=1, key="seed", symbol="USD", units=100_000 * UNITS_PER_ONE)


def seed(engine: Engine, client: Any) -> None:
    """Lists the assets and funds user 1 in empty tables, all in one transaction.

    Tables that contain anything are left as they are. No reader sees half of a seed, so several processes may start together, or
    die as they start: one of them seeds, once. Existing tables are seeded where they are empty; otherwise an interrupted start
    would leave a market without assets for ever.

    Raises:
        UnsupportedForm: the tables hold items of version 1.x, or of a newer release.
    """
    tables = Tables.of(engine.settings.table_prefix)
    while _are_empty(tables, client):
        try:
            client.transact_write_items(TransactItems=list(_actions(engine, tables)))
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise  # cancelled: another process is seeding the tables
    _require_own_form(tables, client)


def _are_empty(tables: Tables, client: Any) -> bool:
    names = (tables.assets, tables.accounts, tables.idempotency)
    return not any(client.scan(TableName=name, Limit=1, ConsistentRead=True)["Items"] for name in names)


def _actions(engine: Engine, tables: Tables) -> Iterator[dict[str, Any]]:
    """Yields the puts of the seed. Each requires that its item is new."""
    now = engine.world.now()
    for symbol, price_usd in PRICES_USD.items():
        asset = {
            "symbol": {"S": symbol},
            "price_usd": {"S": price_usd},
            "price_at": {"S": rfc3339(now)},
            "version": number(1),
        }
        yield _put(tables.assets, asset, "symbol")
    dollar = Asset(FUNDING.symbol, price_from(Decimal(PRICES_USD[FUNDING.symbol])), rfc3339(now))
    opening = Account(FUNDING.user_id)
    account, record = append(opening, transfer(opening, FUNDING, dollar, now))
    yield _put(tables.accounts, item_from_account(account), "user_id")
    yield _put(tables.idempotency, item_from_record(record), "user_id")


def _put(table: str, item: dict[str, Any], key: str) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": f"attribute_not_exists({key})"}}


def _require_own_form(tables: Tables, client: Any) -> None:
    """Checks the form of the items that the seed writes, since another version's tables usually contain them.

    Raises:
        UnsupportedForm: another version wrote it.
    """
    user_id = FUNDING.user_id
    _read(client, tables.idempotency, record_key(user_id, FUNDING.record_key), record_from)
    _read(client, tables.accounts, account_key(user_id), account_from)
    for symbol in PRICES_USD:
        _read(client, tables.assets, asset_key(symbol), asset_from)


def _read(client: Any, table: str, key: Item, form: Callable[[Item], object]) -> None:
    item = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    if item is not None:
        form(item)

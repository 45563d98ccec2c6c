"""The market that a local run opens with: four assets, and one user with money."""

from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.funding import fund, funding_key
from chalicelib.domain.money import UNITS_PER_ONE
from chalicelib.domain.time import rfc3339
from chalicelib.engine import Engine
from chalicelib.store.ledger import AccountMoved, Committed, KeyTaken
from chalicelib.store.tables import Tables

PRICES_USD = {"BTC": 50_000, "ETH": 3_000, "SOL": 100, "USD": 1}
USER_ID = 1
USD = 100_000
KEY = "seed"


def seed(engine: Engine, client: Any) -> None:
    """Lists the assets and funds user 1, once for a set of tables, whichever of several processes comes first.

    The funding comes last and is what says that it is done: a process that dies halfway leaves the rest to the next one, and an
    operator's later changes are not undone.
    """
    patience = engine.patience()
    if engine.ledger.read_record(USER_ID, funding_key(KEY), patience) is not None:
        return
    table = Tables.of(engine.settings.table_prefix).assets
    for symbol, price in PRICES_USD.items():
        item = {
            "symbol": {"S": symbol},
            "price": {"N": str(price * UNITS_PER_ONE)},
            "updated_at": {"S": rfc3339(engine.world.now())},
            "version": {"N": "1"},
        }
        try:
            client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(symbol)")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
    fund_once(engine, USER_ID, KEY, "USD", USD * UNITS_PER_ONE)


def fund_once(engine: Engine, user_id: int, key: str, symbol: str, units: int) -> None:
    """Credits an account once per key."""
    patience = engine.patience()
    account = engine.ledger.read_account(user_id, patience)
    while True:
        _, record = fund(account, key, symbol, units, engine.world.now())
        match engine.ledger.commit(record, account, patience):
            case Committed() | KeyTaken():
                return
            case AccountMoved(moved):
                account = moved
            case _:
                patience.wait_busy()

"""The seed data of a local run: four assets, and one user with money."""

from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.facts import Transfer
from chalicelib.domain.money import UNITS_PER_ONE
from chalicelib.domain.timestamps import rfc3339
from chalicelib.engine import Engine
from chalicelib.store.tables import Tables, number

PRICES_USD = {"BTC": "50000", "ETH": "3000", "SOL": "100", "USD": "1"}
FUNDING = Transfer(user_id=1, key="seed", symbol="USD", units=100_000 * UNITS_PER_ONE)


def seed(engine: Engine, client: Any) -> None:
    """Lists the assets and funds user 1, once for a set of tables, even where several processes start together.

    The funding comes last and marks the seed as complete: the next process finishes a seed that was interrupted, and no process
    undoes an operator's later changes.

    Raises:
        UnsupportedForm: the tables hold items of version 1.x, or of a newer release.
    """
    deadline = engine.deadline()
    if engine.ledger.read_records(FUNDING.user_id, [FUNDING.record_key], deadline):
        return
    table = Tables.of(engine.settings.table_prefix).assets
    for symbol, price_usd in PRICES_USD.items():
        item = {
            "symbol": {"S": symbol},
            "price_usd": {"S": price_usd},
            "price_at": {"S": rfc3339(engine.world.now())},
            "version": number(1),
        }
        try:
            client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(symbol)")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
    engine.transfers.make(FUNDING, deadline)

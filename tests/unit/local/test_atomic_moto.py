"""moto made fit to carry money. Without `atomic_moto` each of these fails."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models.table import Table

from chalicelib.store.tables import number
from tests.support.market import Market, new_user_id

THREADS = 16
PER_THREAD = 10


@pytest.fixture
def table(moto_market: Market) -> Iterator[Any]:
    """A table of its own, with a client."""
    client = boto3.client("dynamodb", region_name=moto_market.settings.region)
    name = f"table-{new_user_id()}"
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}, {"AttributeName": "part", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "part", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield client, name
    client.delete_table(TableName=name)


def key(item_id: int, part: str = "x") -> dict[str, Any]:
    return {"id": number(item_id), "part": {"S": part}}


def add(name: str, item_id: int, amount: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": name,
            "Key": key(item_id),
            "UpdateExpression": "SET #total = if_not_exists(#total, :zero) + :amount",
            "ExpressionAttributeNames": {"#total": "total"},
            "ExpressionAttributeValues": {":zero": number(0), ":amount": number(amount)},
        }
    }


def never(name: str, item_id: int) -> dict[str, Any]:
    return {"ConditionCheck": {"TableName": name, "Key": key(item_id), "ConditionExpression": "attribute_exists(nothing)"}}


def total(client: Any, name: str, item_id: int) -> int | None:
    item = client.get_item(TableName=name, Key=key(item_id)).get("Item")
    return int(item["total"]["N"]) if item else None


def test_transactions_of_many_threads_lose_nothing(table: Any) -> None:
    client, name = table

    def transfer(thread: int) -> None:
        for _ in range(PER_THREAD):
            client.transact_write_items(TransactItems=[add(name, thread % 2, 1), add(name, 2 + thread % 2, -1)])

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(transfer, range(THREADS)))

    moved = THREADS * PER_THREAD // 2
    assert [total(client, name, item_id) for item_id in range(4)] == [moved, moved, -moved, -moved]


def test_a_transaction_that_fails_leaves_nothing_behind(table: Any) -> None:
    client, name = table
    client.transact_write_items(TransactItems=[add(name, 1, 5)])

    with pytest.raises(ClientError, match="TransactionCanceledException"):
        client.transact_write_items(TransactItems=[add(name, 1, 1), add(name, 2, 1), never(name, 3)])

    assert [total(client, name, item_id) for item_id in (1, 2, 3)] == [5, None, None]


def test_a_transaction_puts_updates_and_deletes(table: Any) -> None:
    client, name = table
    client.transact_write_items(TransactItems=[add(name, 1, 5), add(name, 2, 5)])

    client.transact_write_items(
        TransactItems=[
            add(name, 1, 1),
            {"Delete": {"TableName": name, "Key": key(2)}},
            {"Put": {"TableName": name, "Item": {**key(3), "total": number(9)}}},
        ]
    )

    assert [total(client, name, item_id) for item_id in (1, 2, 3)] == [6, None, 9]


def test_a_transaction_touches_no_more_items_than_its_own(table: Any) -> None:
    """The cost of a transaction must not grow with the table: nothing else in it is copied, or even looked at."""
    client, name = table
    for item_id in range(10, 20):
        client.put_item(TableName=name, Item=key(item_id))
    copied: list[Any] = []

    def deepcopy(self: Table, _: dict[int, Any]) -> Table:
        copied.append([item for items in self.items.values() for item in items])
        return self

    with patch.object(Table, "__deepcopy__", deepcopy, create=True):
        client.transact_write_items(TransactItems=[add(name, 10, 1), add(name, 1, 1)])

    assert all(len(items) <= 2 for items in copied)

"""Transactions on moto as `atomic_moto` makes them: atomic, among threads too, and no dearer in a large table."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models.dynamo_type import Item

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


def put(name: str, item_id: int, amount: int, condition: str = "attribute_not_exists(id)") -> dict[str, Any]:
    item = {**key(item_id), "total": number(amount)}
    return {"Put": {"TableName": name, "Item": item, "ConditionExpression": condition}}


def test_a_transaction_that_fails_changes_nothing_that_it_put_or_updated_before(table: Any) -> None:
    client, name = table
    client.transact_write_items(TransactItems=[add(name, 1, 5), put(name, 2, 5)])

    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        client.transact_write_items(
            TransactItems=[
                put(name, 2, 6, "attribute_exists(id)"),
                {"Delete": {"TableName": name, "Key": key(3)}},
                put(name, 4, 1),
                add(name, 1, 1),
                never(name, 5),
            ]
        )

    assert [total(client, name, item_id) for item_id in range(1, 5)] == [5, 5, None, None]


def test_what_a_condition_finds_counts_not_that_it_was_parsed_before(table: Any) -> None:
    client, name = table
    for item_id in (1, 2, 3):
        client.transact_write_items(TransactItems=[put(name, item_id, item_id)])

    with pytest.raises(ClientError, match=r"\[None, ConditionalCheckFailed, None\]"):
        client.transact_write_items(TransactItems=[put(name, 4, 4), put(name, 2, 9), put(name, 5, 5)])

    assert [total(client, name, item_id) for item_id in range(1, 6)] == [1, 2, 3, None, None]


def test_a_transaction_copies_no_items_but_those_that_it_updates(table: Any) -> None:
    """The cost of a transaction must not grow with the table, nor with the square of its own size."""
    client, name = table
    for item_id in range(10, 20):
        client.put_item(TableName=name, Item={**key(item_id), "total": number(item_id)})
    copied: list[int] = []
    whole_copy = Item.__deepcopy__

    def deepcopy(self: Item, memo: dict[int, Any]) -> Item:
        copied.append(int(self.attrs["id"].value))
        return whole_copy(self, memo)

    actions = [
        add(name, 10, 1),
        put(name, 11, 1, "attribute_exists(id)"),
        *(put(name, item_id, 1) for item_id in range(90)[20:]),
        {"ConditionCheck": {"TableName": name, "Key": key(12), "ConditionExpression": "attribute_exists(id)"}},
    ]
    with patch.object(Item, "__deepcopy__", deepcopy):
        client.transact_write_items(TransactItems=actions)

    assert set(copied) == {10}
    assert len(copied) < 5


def test_a_condition_is_parsed_once_for_all_actions_that_have_it(table: Any) -> None:
    client, name = table
    lexed = "_lex_condition_expression"

    with patch.object(ConditionExpressionParser, lexed, autospec=True, side_effect=vars(ConditionExpressionParser)[lexed]) as lex:
        client.transact_write_items(TransactItems=[put(name, each, 1, "attribute_not_exists(never)") for each in range(50)])

    assert lex.call_count == 1

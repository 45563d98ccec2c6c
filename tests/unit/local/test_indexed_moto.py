"""Queries on moto as `indexed_moto` makes them: the same answers as moto's own, from no more items than a page needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from chalicelib.domain.candle import EPOCH, SECOND, Candle, Chart, Interval
from chalicelib.local import indexed_moto
from chalicelib.store.tables import item_from_candle, number
from tests.support.market import Market
from tests.support.tables import with_tables_of_its_own

indexed_moto.install()

INDEX = "by-sequence"
SCHEMA = [{"AttributeName": "user_id", "KeyType": "HASH"}, {"AttributeName": "key", "KeyType": "RANGE"}]
INDEX_SCHEMA = [{"AttributeName": "user_id", "KeyType": "HASH"}, {"AttributeName": "sequence", "KeyType": "RANGE"}]
ATTRIBUTES = [
    {"AttributeName": "user_id", "AttributeType": "N"},
    {"AttributeName": "key", "AttributeType": "S"},
    {"AttributeName": "sequence", "AttributeType": "N"},
]

USERS = st.integers(1, 2)
KEYS = st.sampled_from("abcdefghij")
SEQUENCES = st.integers(1, 12)
WRITES = st.one_of(
    st.tuples(st.just("put"), USERS, KEYS, SEQUENCES | st.none()),
    st.tuples(st.just("update"), USERS, KEYS, SEQUENCES),
    st.tuples(st.just("delete"), USERS, KEYS, st.none()),
)
CONDITIONS: st.SearchStrategy[tuple[str | None, list[int]]] = st.one_of(
    st.just((None, [])),
    st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), st.lists(SEQUENCES, min_size=1, max_size=1)),
    st.tuples(st.just("BETWEEN"), st.lists(SEQUENCES, min_size=2, max_size=2).map(sorted)),
)


class Records:
    """A table with an index, as the engine has one for its records."""

    def __init__(self) -> None:
        index = {"IndexName": INDEX, "KeySchema": INDEX_SCHEMA, "Projection": {"ProjectionType": "ALL"}}
        self.backend = DynamoDBBackend("us-east-1", "123456789012")
        self.backend.create_table(
            "records",
            schema=SCHEMA,
            throughput=None,
            attr=ATTRIBUTES,
            global_indexes=[index],
            indexes=[],
            streams=None,
            billing_mode="PAY_PER_REQUEST",
            sse_specification=None,
            tags=[],
            deletion_protection_enabled=False,
            warm_throughput=None,
        )
        self.table = self.backend.tables["records"]

    def write(self, action: str, user_id: int, key: str, sequence: int | None) -> None:
        place = {"user_id": number(user_id), "key": {"S": key}}
        match action:
            case "put":
                self.table.put_item(place | ({} if sequence is None else {"sequence": number(sequence)}))
            case "update":
                self.backend.update_item("records", place, "SET #s = :s", {"#s": "sequence"}, {":s": number(sequence or 1)})
            case _:
                self.table.delete_item(DynamoType(place["user_id"]), DynamoType(place["key"]))

    def query(self, how: Any, index_name: str | None, limit: int | None, start: Any = None, **other: Any) -> Any:
        """Queries a user's records, by `how` of the two ways. Returns the items, and the key where the next page begins."""
        comparison, values = other.get("condition", (None, []))
        types = [DynamoType(number(value) if index_name else {"S": "abcdefghijklm"[value]}) for value in values]
        user = DynamoType(number(1))
        items, _, following = how(
            self.table,
            user,
            comparison,
            types,
            limit,
            start,
            other.get("forward", True),
            None,
            index_name,
            hash_key_conditions=[("user_id", user)],
            range_key_conditions=[("sequence" if index_name else "key", comparison, types)] if comparison else [],
        )
        return items, following


MOTO, OURS = vars(Table)["query"].__wrapped__, Table.query


def put(key: str, sequence: int) -> tuple[str, int, str, int]:
    return "put", 1, key, sequence


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    writes=st.lists(st.lists(WRITES, max_size=12), min_size=1, max_size=3),
    index_name=st.sampled_from([INDEX, INDEX, None]),
    limit=st.integers(1, 4) | st.none(),
    condition=CONDITIONS,
    forward=st.booleans(),
)
@example(writes=[[put("a", 1), put("b", 2)], [put("a", 5)]], index_name=INDEX, limit=1, condition=(None, []), forward=True)
@example(writes=[[put("b", 1), put("c", 1)], [put("a", 1)]], index_name=INDEX, limit=1, condition=(None, []), forward=True)
@example(writes=[[put("b", 2), put("a", 1)], [put("c", 2)]], index_name=INDEX, limit=None, condition=("=", [2]), forward=False)
def test_pages_are_those_of_moto(writes: Any, index_name: str | None, limit: int | None, condition: Any, forward: bool) -> None:  # noqa: FBT001
    """Every page of a query, from its beginning to its end, after each of several rounds of writes."""
    records = Records()
    for some in writes:
        for write in some:
            records.write(*write)
        start = None
        for _ in range(20):
            asked = {"start": start, "condition": condition, "forward": forward}
            ours = records.query(OURS, index_name, limit, **asked)
            assert ours == records.query(MOTO, index_name, limit, **asked)
            start = ours[1]
            if start is None:
                break
        else:
            raise AssertionError("the pages have no end")


@contextmanager
def counted_items() -> Iterator[list[int]]:
    """Yields the number of items that moto looks at, query by query."""
    looked_at: list[int] = []
    whole = Table.all_items

    def all_items(self: Table) -> list[Item]:
        items = whole(self)
        looked_at.append(len(items))
        return items

    with patch.object(Table, "all_items", all_items):
        yield looked_at


@pytest.mark.parametrize("forward", [True, False])
def test_a_page_is_found_among_no_more_items_than_it_has(forward: bool) -> None:  # noqa: FBT001
    records = Records()
    for sequence in range(1, 401):
        records.write("put", 1, f"key-{(sequence * 7) % 401}", sequence)
        records.write("put", 2, f"key-{sequence}", sequence)
    comparison = ">" if forward else "<"
    with counted_items() as looked_at:
        first, following = records.query(OURS, INDEX, 50, condition=(comparison, [200]), forward=forward)
        records.write("put", 1, "new", 401)
        second, _ = records.query(OURS, INDEX, 50, start=following, condition=(comparison, [200]), forward=forward)

    found = [int(item.attrs["sequence"].value) for item in first + second]
    assert found == (list(range(201, 301)) if forward else list(range(199, 99, -1)))
    assert max(looked_at) <= 52


@pytest.mark.parametrize("decisions", [100, 5_000])
def test_a_page_of_history_is_found_among_its_own_records(decisions: int) -> None:
    """As `History.read` asks for it: between two numbers, without a limit."""
    records = Records()
    for sequence in range(1, decisions + 1):
        records.write("put", 1, f"key-{(sequence * 7) % (decisions + 1)}", sequence)
    with counted_items() as looked_at:
        newest, _ = records.query(OURS, INDEX, None, condition=("BETWEEN", [decisions - 49, decisions]))
        oldest, _ = records.query(OURS, INDEX, None, condition=("BETWEEN", [1, 50]))

    assert [int(item.attrs["sequence"].value) for item in newest] == list(range(decisions - 49, decisions + 1))
    assert [int(item.attrs["sequence"].value) for item in oldest] == list(range(1, 51))
    assert looked_at == [50, 51], "a page, and the record after its end"


def test_the_order_of_an_index_is_kept_as_records_are_put() -> None:
    """The first page after a start, too, sorts no more than itself."""
    records = Records()
    for sequence in range(1, 101):
        records.write("put", 1, f"key-{sequence}", sequence)

    with patch.object(indexed_moto, "_Order") as order:
        items, _ = records.query(OURS, INDEX, 1, forward=False)

    assert [item.attrs["sequence"].value for item in items] == ["100"]
    order.assert_not_called()


def test_a_chart_is_found_among_no_more_candles_than_it_takes(moto_market: Market) -> None:
    market = with_tables_of_its_own(moto_market)
    now = market.engine.world.now()
    this_minute_s = (now - EPOCH) // SECOND // 60 * 60
    for back in range(1, 401):
        candle = Candle(this_minute_s - back * 60, 5, 5, 5, 5)
        for symbol in ("BTC", "ETH"):
            market.dynamodb.put_item(TableName=market.tables.candles, Item=item_from_candle(symbol, Interval.MINUTE, candle))
    with counted_items() as looked_at:
        found = market.engine.queries.candles("BTC", Chart(limit=50), market.engine.deadline())

    assert len(found) == 50
    assert 0 < max(looked_at) <= 51

"""The audit of stored accounts: damage in the tables is named, trading that goes on meanwhile is not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.audit.replay import Kind
from chalicelib.domain.money import UNITS_PER_ONE
from chalicelib.runtime.deadline import World
from chalicelib.store.connection import Item
from chalicelib.store.tables import account_key, number, record_key
from ops import spill
from ops.audit import LOOK_AGAIN_S, Audited, Auditor
from tests.support.market import Market
from tests.support.tables import buy, with_tables_of_its_own


@pytest.fixture(scope="module")
def market(moto_market: Market) -> Market:
    """Tables for these tests alone, which damage them; each works on users of its own."""
    return with_tables_of_its_own(moto_market)


@pytest.fixture
def small_market(moto_market: Market) -> Market:
    """Tables for one test, which looks at everybody in them."""
    return with_tables_of_its_own(moto_market)


@pytest.fixture
def user(market: Market) -> int:
    return new_trader(market)


def new_trader(market: Market) -> int:
    """Four movements: funded, and three fills. One refusal."""
    user = market.new_user(USD="100000")
    for key in ("a", "b", "c"):
        buy(market, user, 1, key=key, symbol="ETH")
    buy(market, user, 1_000)
    return user


class Client:
    """A boto3 client that lets something happen just before its first call of a kind."""

    def __init__(self, inner: Any, **before: Callable[[], Any]) -> None:
        self._inner = inner
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def get_item(self, **request: Any) -> Any:
        self._let_happen("get_item")
        return self._inner.get_item(**request)

    def get_paginator(self, operation: str) -> Any:
        self._let_happen(operation)
        return self._inner.get_paginator(operation)

    def _let_happen(self, name: str) -> None:
        self._before.pop(name, lambda: None)()


def audit(market: Market, user: int, while_waiting: Callable[[], Any] = lambda: None, **before: Callable[[], Any]) -> Audited:
    world = World(sleep_s=lambda _: while_waiting())
    return Auditor(Client(market.dynamodb, **before), market.tables, world).audit(user)


def not_waited() -> None:
    pytest.fail("there was nothing to look at again")


def kind_and_place(audited: Audited) -> tuple[Kind, int | None]:
    assert audited.difference is not None
    return audited.difference.kind, audited.difference.sequence


# Damage, each done to the tables behind the engine's back.


def delete_record(market: Market, user: int, key: str) -> Item:
    key_item = record_key(user, key)
    item: Item = market.dynamodb.get_item(TableName=market.tables.idempotency, Key=key_item)["Item"]
    market.dynamodb.delete_item(TableName=market.tables.idempotency, Key=key_item)
    return item


def put_record(market: Market, item: Item) -> None:
    market.dynamodb.put_item(TableName=market.tables.idempotency, Item=item)


def record_item(market: Market, user: int, key: str) -> Item:
    item: Item = market.dynamodb.get_item(TableName=market.tables.idempotency, Key=record_key(user, key))["Item"]
    return item


def account_item(market: Market, user: int) -> Item:
    item: Item = market.dynamodb.get_item(TableName=market.tables.accounts, Key=account_key(user))["Item"]
    return item


def put_account(market: Market, item: Item) -> None:
    market.dynamodb.put_item(TableName=market.tables.accounts, Item=item)


def test_an_account_that_is_what_its_records_make_of_it_passes_at_the_first_look(market: Market, user: int) -> None:
    audited = audit(market, user, while_waiting=not_waited)

    assert audited == Audited(user, movements=4, refusals=1, difference=None)


def test_a_deleted_record_is_a_gap(market: Market, user: int) -> None:
    delete_record(market, user, "order#b")

    audited = audit(market, user)

    assert kind_and_place(audited) == (Kind.SEQUENCE, 3)
    assert "movement 3 is missing" in str(audited.difference)


def test_a_deleted_last_record_is_missed_by_its_account(market: Market, user: int) -> None:
    delete_record(market, user, "order#c")

    audited = audit(market, user)

    assert kind_and_place(audited) == (Kind.SEQUENCE, 4)
    assert "the account is at 4" in str(audited.difference)


def test_an_altered_record_breaks_the_chain(market: Market, user: int) -> None:
    item = record_item(market, user, "order#b")
    put_record(market, item | {"changes": {"M": {"ETH": number(2 * UNITS_PER_ONE), "USD": number(-3_000 * UNITS_PER_ONE)}}})

    audited = audit(market, user)

    assert kind_and_place(audited) == (Kind.CHAIN, 3)
    assert audited.difference is not None
    assert audited.difference.key == "order#b"


def test_a_place_that_is_taken_twice_is_named(market: Market, user: int) -> None:
    put_record(market, record_item(market, user, "order#b") | {"idempotency_key": {"S": "order#copy"}})

    audited = audit(market, user)

    assert kind_and_place(audited) == (Kind.SEQUENCE, 3)
    assert "under order#b and order#copy" in str(audited.difference)


def test_an_edited_balance_is_named(market: Market, user: int) -> None:
    item = account_item(market, user)
    item["balances"]["M"]["USD"] = number(1)
    put_account(market, item)

    audited = audit(market, user)

    assert kind_and_place(audited) == (Kind.BALANCES, None)
    assert "holds 0.00000001 USD, its records give 91000.00000000" in str(audited.difference)


def test_an_edited_head_breaks_the_chain(market: Market, user: int) -> None:
    put_account(market, account_item(market, user) | {"head": {"B": b"x" * 32}})

    assert kind_and_place(audit(market, user)) == (Kind.CHAIN, None)


def test_an_altered_refusal_is_named(market: Market, user: int) -> None:
    (refusal,) = [record for record in market.records(user) if record.movement is None]
    put_record(market, record_item(market, user, refusal.key) | {"prices": {"M": {}}})

    audited = audit(market, user)

    assert audited.difference is not None
    assert (audited.difference.kind, audited.difference.key) == (Kind.REPLY, refusal.key)


def test_a_fill_that_was_stripped_of_its_movement_is_named(market: Market, user: int) -> None:
    item = record_item(market, user, "order#b")
    for name in ("sequence", "changes", "head"):
        del item[name]
    put_record(market, item)

    audited = audit(market, user)

    assert audited.difference is not None
    assert (audited.difference.kind, audited.difference.key) == (Kind.REPLY, "order#b")


@pytest.mark.parametrize(
    ("name", "value"), [("reply", None), ("sequence", {"S": "3"}), ("changes", {"M": {"USD": {"N": "0.5"}}})]
)
def test_a_record_that_cannot_be_read_is_named(market: Market, user: int, name: str, value: Any) -> None:
    item = record_item(market, user, "order#b")
    del item[name]
    put_record(market, item | ({name: value} if value else {}))

    audited = audit(market, user)

    assert audited.difference is not None
    assert (audited.difference.kind, audited.difference.key) == (Kind.UNREADABLE, "order#b")


def test_an_account_that_cannot_be_read_is_named(market: Market, user: int) -> None:
    item = account_item(market, user)
    del item["balances"]
    put_account(market, item)

    assert kind_and_place(audit(market, user)) == (Kind.UNREADABLE, None)


# Tables that were restored, each to its own second.


def test_records_older_than_their_account_are_missing_at_the_end(market: Market, user: int) -> None:
    delete_record(market, user, "order#b")
    delete_record(market, user, "order#c")

    audited = audit(market, user)

    assert kind_and_place(audited) == (Kind.SEQUENCE, 3)
    assert "movements 3 to 4 are missing" in str(audited.difference)
    assert "restored from an earlier time than the account" in str(audited.difference)


def test_an_account_older_than_its_records_is_named(market: Market) -> None:
    user = market.new_user(USD="100000")
    earlier = account_item(market, user)
    buy(market, user, 1)
    put_account(market, earlier)

    audited = audit(market, user)

    assert kind_and_place(audited) == (Kind.SEQUENCE, 2)
    assert "the account is at 1, its records go on to 2" in str(audited.difference)
    assert "restored from an earlier time than its records" in str(audited.difference)


def test_an_account_that_went_on_from_an_earlier_time_has_a_place_taken_twice(market: Market) -> None:
    user = market.new_user(USD="100000")
    earlier = account_item(market, user)
    buy(market, user, 1, key="before")
    put_account(market, earlier)
    market.fund(user, "USD", "1")

    audited = audit(market, user)

    assert kind_and_place(audited) == (Kind.SEQUENCE, 2)
    assert "stands twice" in str(audited.difference)


# A live account.


def test_an_order_between_the_two_reads_is_no_difference(market: Market, user: int) -> None:
    audited = audit(market, user, while_waiting=not_waited, query=lambda: buy(market, user, 1))

    assert audited == Audited(user, movements=4, refusals=1, difference=None)


def test_an_account_that_is_opened_between_the_two_reads_is_no_difference(market: Market) -> None:
    user = market.new_user()

    audited = audit(market, user, while_waiting=not_waited, query=lambda: market.fund(user, "USD", "1"))

    assert audited.difference is None


def test_a_record_that_is_seen_late_is_waited_for(market: Market, user: int) -> None:
    late = delete_record(market, user, "order#b")

    assert audit(market, user, while_waiting=lambda: put_record(market, late)).difference is None


def test_the_second_look_comes_after_a_while(market: Market, user: int) -> None:
    delete_record(market, user, "order#b")
    waits: list[float] = []

    Auditor(market.dynamodb, market.tables, World(sleep_s=waits.append)).audit(user)

    assert waits == [LOOK_AGAIN_S]


# Everybody.


def audit_all(market: Market) -> tuple[list[Audited], int]:
    steps: list[int] = []
    auditor = Auditor(market.dynamodb, market.tables, World(sleep_s=lambda _: None))
    return list(auditor.audit_all(steps.append)), sum(steps)


def test_all_means_each_account_once_and_tells_how_far_it_is(small_market: Market) -> None:
    user = new_trader(small_market)
    others = [small_market.new_user(USD="1") for _ in range(3)]
    delete_record(small_market, user, "order#b")

    audited, steps = audit_all(small_market)

    assert sorted(each.user_id for each in audited) == sorted([1, user, *others])
    assert [each.user_id for each in audited if each.difference] == [user]
    assert steps == Auditor(small_market.dynamodb, small_market.tables).size()


def test_all_finds_records_whose_account_is_gone(small_market: Market) -> None:
    user = new_trader(small_market)
    small_market.dynamodb.delete_item(TableName=small_market.tables.accounts, Key=account_key(user))

    audited, _ = audit_all(small_market)

    (found,) = [each for each in audited if each.difference]
    assert found.user_id == user
    assert "the account is at 0, its records go on to 4" in str(found.difference)


def test_refusals_alone_need_no_account(small_market: Market) -> None:
    user = small_market.new_user()
    buy(small_market, user, 1)

    audited, _ = audit_all(small_market)

    assert [each for each in audited if each.difference] == []


def test_pages_are_followed(small_market: Market) -> None:
    """Histories are longer than a page of DynamoDB's: here, of one item."""
    user = new_trader(small_market)
    dynamodb = small_market.dynamodb

    class SmallPages(Client):
        def get_paginator(self, operation: str) -> Any:
            paginator = dynamodb.get_paginator(operation)

            class Small:
                def paginate(self, **request: Any) -> Iterator[Any]:
                    yield from paginator.paginate(**request, PaginationConfig={"PageSize": 1})

            return Small()

    audited = list(Auditor(SmallPages(dynamodb), small_market.tables).audit_all())

    assert sorted((each.user_id, each.movements, each.refusals) for each in audited) == [(1, 1, 0), (user, 4, 1)]


# What does not fit into memory.


def test_sequences_are_sorted_as_numbers_of_any_size(market: Market, user: int) -> None:
    record = next(record for record in market.records(user) if record.movement)
    assert record.movement is not None
    places = [10**37, 2, 2**64, 10, 1, 9, 0, -1]
    with spill.History() as history:
        for place in places:
            history.add(replace(record, movement=replace(record.movement, sequence=place)))

        assert [each.movement.sequence for each in history.in_order() if each.movement] == sorted(places)


def test_the_set_of_users_knows_whom_it_has() -> None:
    with spill.UserSet() as users:
        assert [users.add(user_id) for user_id in (1, 2**63 - 1, 1)] == [True, True, False]

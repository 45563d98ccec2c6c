"""The simulated DynamoDB, held against what DynamoDB documents, and against engines that imitate it on their own."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.contract.errors import EngineError
from chalicelib.domain.facts import Transfer
from chalicelib.domain.order import Amount, Order
from chalicelib.domain.refusals import Undecided
from chalicelib.engine import Engine, build
from chalicelib.runtime.deadline import Deadline
from chalicelib.store.assets import Listing, StaleAsset, remove, set_halted, set_price
from chalicelib.store.connection import Cancelled, Datastore, Item, Throttled, Unanswered
from simulation.database import Call, Database, Reply
from simulation.expressions import InvalidRequest, NotSimulated, Scope, check_placeholders, condition
from simulation.journal import Journal
from simulation.scheduler import Scheduler
from tests.support.faults import VirtualTime
from tests.support.market import Market, new_key, new_user_id

ACCOUNTS, RECORDS, ASSETS, CANDLES = "hft-dev-accounts", "hft-dev-idempotency", "hft-dev-assets", "hft-dev-candles"


class Simulated:
    """A simulated database of one's own, and its time."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(0)
        self.database = Database(self.scheduler, "hft-dev", Journal(self.scheduler))
        self._calls = 0

    def send(self, operation: str, request: dict[str, Any], at_us: int = 0, **fate: Any) -> list[Reply]:
        """Sends a call; what is returned will hold the reply."""
        replies: list[Reply] = []
        self._calls += 1
        if operation == "TransactWriteItems":
            request = {"ClientRequestToken": str(self._calls), **request}
        self.scheduler.after(at_us, self.database.receive, Call(operation, request, "sender", **fate), replies.append)
        return replies

    def finished(self, operation: str, request: dict[str, Any], **more: Any) -> list[Reply]:
        """Sends a call, and lets all that was sent come to its end."""
        replies = self.send(operation, request, **more)
        self.scheduler.run()
        return replies

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """`Datastore.call`."""
        (reply,) = self.finished(operation, request)
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture
def simulated() -> Simulated:
    return Simulated()


def account(user_id: int, **balances: int) -> dict[str, Any]:
    return {
        "user_id": {"N": str(user_id)},
        "head": {"B": b"7"},
        "balances": {"M": {symbol: {"N": str(units)} for symbol, units in balances.items()}},
    }


def put(key: str, **more: Any) -> dict[str, Any]:
    item = {"user_id": {"N": "1"}, "idempotency_key": {"S": key}, **more}
    return {
        "Put": {
            "TableName": RECORDS,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(idempotency_key)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def debit(units: int, head: bytes = b"7", of: int = 10, **more: Any) -> dict[str, Any]:
    """An account of `of` USD put with `units` less, where it still has its head and covers them."""
    return {
        "Put": {
            "TableName": ACCOUNTS,
            "Item": account(1, USD=of - units),
            "ConditionExpression": "#head = :head AND balances.USD >= :units",
            "ExpressionAttributeNames": {"#head": "head"},
            "ExpressionAttributeValues": {":head": {"B": head}, ":units": {"N": str(units)}},
            **more,
        }
    }


def transact(*actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"TransactItems": list(actions), **more}


def codes(reply: Reply) -> list[str | None]:
    assert isinstance(reply, Cancelled), reply
    return [reason.code if reason else None for reason in reply.reasons]


def funded(simulated: Simulated, **balances: int) -> None:
    simulated.database.put(ACCOUNTS, account(1, **balances))


def usd(simulated: Simulated) -> str:
    item = simulated.database.tables[ACCOUNTS][("1",)]
    return str(item["balances"]["M"]["USD"]["N"])


# Transactions.


def test_a_transaction_writes_all_of_its_items(simulated: Simulated) -> None:
    funded(simulated, USD=10)

    assert simulated.call("TransactWriteItems", transact(put("a"), debit(3))) == {}
    assert usd(simulated) == "7"
    assert ("1", "a") in simulated.database.tables[RECORDS]


def test_a_cancelled_transaction_writes_nothing_and_gives_every_reason_with_the_old_item_where_asked(
    simulated: Simulated,
) -> None:
    funded(simulated, USD=10)
    simulated.call("TransactWriteItems", transact(put("a")))

    with pytest.raises(Cancelled) as cancelled:
        simulated.call("TransactWriteItems", transact(put("a"), debit(11)))

    assert codes(cancelled.value) == ["ConditionalCheckFailed", "ConditionalCheckFailed"]
    of_record, of_account = cancelled.value.reasons
    assert of_record is not None
    assert of_record.raw_item == {"user_id": {"N": "1"}, "idempotency_key": {"S": "a"}}
    assert of_account is not None
    assert of_account.raw_item is None
    assert usd(simulated) == "10"


def test_two_transactions_that_meet_at_an_item_conflict_and_the_first_goes_on(simulated: Simulated) -> None:
    funded(simulated, USD=10)
    first = simulated.send("TransactWriteItems", transact(put("a"), debit(3)))
    second = simulated.send("TransactWriteItems", transact(put("b"), debit(3)), at_us=400)
    simulated.scheduler.run()

    assert first == [{}]
    assert codes(second[0]) == [None, "TransactionConflict"]
    assert usd(simulated) == "7"


def test_a_transaction_takes_a_hundred_actions(simulated: Simulated) -> None:
    funded(simulated, USD=10)
    puts = [put(f"k{number}") for number in range(99)]

    assert simulated.call("TransactWriteItems", transact(*puts, debit(3))) == {}
    assert len(simulated.database.tables[RECORDS]) == 99
    assert usd(simulated) == "7"


@pytest.mark.parametrize("reverse", [False, True])
def test_each_action_has_its_reason_in_its_place_and_one_is_enough_to_stop_all(
    simulated: Simulated,
    reverse: bool,  # noqa: FBT001
) -> None:
    """Runs two transactions: the first holds record `held` and the account; the second is made of those and others."""
    funded(simulated, USD=10)
    simulated.call("TransactWriteItems", transact(put("taken")))
    simulated.send("TransactWriteItems", transact(put("held"), debit(3)), dwell_us=10_000)
    request = transact(put("free"), put("taken"), put("also free"), put("held"), debit(3))
    (reply,) = simulated.finished("TransactWriteItems", request, at_us=1_000, reverse=reverse)

    assert codes(reply) == [None, "ConditionalCheckFailed", None, "TransactionConflict", "TransactionConflict"]
    assert isinstance(reply, Cancelled)
    assert [reason.raw_item["idempotency_key"] for reason in reply.reasons if reason and reason.raw_item] == [{"S": "taken"}]
    assert {key for _, key in simulated.database.tables[RECORDS]} == {"taken", "held"}


def test_a_condition_check_is_a_participant(simulated: Simulated) -> None:
    funded(simulated, USD=10)
    check = {"TableName": ACCOUNTS, "Key": {"user_id": {"N": "1"}}, "ConditionExpression": "attribute_exists(head)"}
    simulated.send("TransactWriteItems", transact(put("a"), {"ConditionCheck": check}))
    second = simulated.send("TransactWriteItems", transact(put("b"), debit(3)), at_us=400)
    simulated.scheduler.run()

    assert codes(second[0]) == [None, "TransactionConflict"]


def test_an_item_is_free_again_after_its_transaction_was_cancelled(simulated: Simulated) -> None:
    funded(simulated, USD=10)
    simulated.send("TransactWriteItems", transact(put("a"), debit(11)))
    second = simulated.send("TransactWriteItems", transact(put("a"), debit(3)), at_us=10_000)
    simulated.scheduler.run()

    assert second == [{}]


def test_reads_see_the_items_of_a_transaction_as_they_appear_one_by_one(simulated: Simulated) -> None:
    funded(simulated, USD=10)
    simulated.send("TransactWriteItems", transact(put("a"), debit(3)), dwell_us=1_000_000)
    during, after = [
        (
            simulated.send("GetItem", get(RECORDS, user_id={"N": "1"}, idempotency_key={"S": "a"}), at_us=at_us),
            simulated.send("GetItem", get(ACCOUNTS, user_id={"N": "1"}), at_us=at_us),
        )
        for at_us in (1_500_000, 9_000_000)
    ]
    simulated.scheduler.run()

    (record,), (seen,) = during
    assert isinstance(record, dict)
    assert "Item" in record
    assert seen == {"Item": account(1, USD=10)}
    assert after[1] == [{"Item": account(1, USD=7)}]


def test_a_token_that_committed_commits_nothing_again(simulated: Simulated) -> None:
    funded(simulated, USD=10)
    again = transact(put("a"), debit(3), ClientRequestToken="token")

    assert [simulated.call("TransactWriteItems", again) for _ in range(2)] == [{}, {}]
    assert usd(simulated) == "7"


def test_a_token_stands_for_one_request(simulated: Simulated) -> None:
    simulated.call("TransactWriteItems", transact(put("a"), ClientRequestToken="token"))

    with pytest.raises(InvalidRequest, match="IdempotentParameterMismatch"):
        simulated.call("TransactWriteItems", transact(put("b"), ClientRequestToken="token"))


def test_a_token_in_progress_has_no_answer_yet(simulated: Simulated) -> None:
    simulated.send("TransactWriteItems", transact(put("a"), ClientRequestToken="token"))
    second = simulated.send("TransactWriteItems", transact(put("a"), ClientRequestToken="token"), at_us=100)
    simulated.scheduler.run()

    assert isinstance(second[0], Unanswered)


def test_a_throttled_transaction_writes_nothing(simulated: Simulated) -> None:
    funded(simulated, USD=10)
    whole = simulated.send("TransactWriteItems", transact(put("a"), debit(3)), throttled=True)
    one_item = simulated.send("TransactWriteItems", transact(put("a"), debit(3)), at_us=10_000, throttled=True, partly=True)
    simulated.scheduler.run()

    assert isinstance(whole[0], Throttled)
    assert codes(one_item[0]) == ["ThrottlingError", None]
    assert usd(simulated) == "10"


def test_a_restore_puts_the_tables_back_and_what_was_under_way_is_never_answered(simulated: Simulated) -> None:
    funded(simulated, USD=10)
    simulated.database.snapshot(lambda snapshot: simulated.scheduler.after(800, simulated.database.restore, snapshot))
    replies = simulated.send("TransactWriteItems", transact(put("a"), debit(3)))
    simulated.scheduler.run()

    assert replies == []
    assert usd(simulated) == "10"
    assert simulated.database.log == []
    assert simulated.call("TransactWriteItems", transact(put("a"), debit(3))) == {}


# Reads of several items.


def get(table: str, **key: Any) -> dict[str, Any]:
    return {"TableName": table, "Key": key, "ConsistentRead": True}


def test_a_batch_leaves_out_what_is_not_there_and_may_leave_keys_unprocessed(simulated: Simulated) -> None:
    simulated.database.put(ASSETS, {"symbol": {"S": "BTC"}})
    keys = [{"symbol": {"S": "BTC"}}, {"symbol": {"S": "ETH"}}]
    request = {"RequestItems": {ASSETS: {"Keys": keys, "ConsistentRead": True}}}
    throttled = simulated.send("BatchGetItem", request, throttled=True, partly=True)

    assert simulated.call("BatchGetItem", request) == {"Responses": {ASSETS: [{"symbol": {"S": "BTC"}}]}, "UnprocessedKeys": {}}
    assert isinstance(throttled[0], dict)
    assert throttled[0]["UnprocessedKeys"] == {ASSETS: {"Keys": keys[1:], "ConsistentRead": True}}


def batch_of(*keys: str) -> dict[str, Any]:
    wanted = [{"user_id": {"N": "1"}, "idempotency_key": {"S": key}} for key in keys]
    return {"RequestItems": {RECORDS: {"Keys": wanted, "ConsistentRead": True}}}


@pytest.mark.parametrize("reverse", [False, True])
def test_a_batch_of_records_is_no_snapshot_and_its_order_is_nobodys_promise(
    simulated: Simulated,
    reverse: bool,  # noqa: FBT001
) -> None:
    """A transaction writes `a` and `b` while they are read: `a` as it was before, `b` as it is after."""
    simulated.call("TransactWriteItems", transact(put("c")))
    simulated.send("TransactWriteItems", transact(put("a"), put("b")))
    (reply,) = simulated.finished("BatchGetItem", batch_of("a", "c", "d", "b"), at_us=500, reverse=reverse)

    assert isinstance(reply, dict)
    found = [item["idempotency_key"]["S"] for item in reply["Responses"][RECORDS]]
    assert found == (["b", "c"] if reverse else ["c", "b"])


@pytest.mark.parametrize("keys", [[], ["a", "a"], [f"k{number}" for number in range(101)]])
def test_a_batch_is_of_one_to_a_hundred_keys_none_of_them_twice(simulated: Simulated, keys: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        simulated.call("BatchGetItem", batch_of(*keys))


def test_a_scan_comes_in_pages(simulated: Simulated) -> None:
    for symbol in "ABCDE":
        simulated.database.put(ASSETS, {"symbol": {"S": symbol}})
    request: dict[str, Any] = {"TableName": ASSETS, "ConsistentRead": True}
    pages = [simulated.call("Scan", request)]
    while "LastEvaluatedKey" in pages[-1]:
        pages.append(simulated.call("Scan", {**request, "ExclusiveStartKey": pages[-1]["LastEvaluatedKey"]}))

    assert [[item["symbol"]["S"] for item in page["Items"]] for page in pages] == [["A", "B"], ["C", "D"], ["E"]]


# Writes of one item, and queries.


def asset(symbol: str, version: int) -> Item:
    return {"symbol": {"S": symbol}, "version": {"N": str(version)}}


def change(version: int, seen: int) -> dict[str, Any]:
    """An update of an asset's version, where it is as it was seen."""
    return {
        "TableName": ASSETS,
        "Key": {"symbol": {"S": "BTC"}},
        "UpdateExpression": "SET #version = :version, price_usd = :price",
        "ConditionExpression": "#version = :seen",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {
            ":version": {"N": str(version)},
            ":seen": {"N": str(seen)},
            ":price": {"S": "5"},
        },
    }


def code(reply: Reply) -> str:
    assert isinstance(reply, ClientError), reply
    return str(reply.response["Error"]["Code"])


def test_an_update_sets_what_it_names_and_leaves_the_rest(simulated: Simulated) -> None:
    simulated.database.put(ASSETS, asset("BTC", 1) | {"halted": {"BOOL": True}})

    simulated.call("UpdateItem", change(2, seen=1))

    expected = asset("BTC", 2) | {"halted": {"BOOL": True}, "price_usd": {"S": "5"}}
    assert simulated.database.tables[ASSETS] == {("BTC",): expected}
    assert [write.item for write in simulated.database.market_log] == [expected]
    assert simulated.database.log == []


def test_an_update_makes_an_item_that_is_not_there(simulated: Simulated) -> None:
    simulated.call("UpdateItem", change(2, seen=1) | {"ConditionExpression": "attribute_not_exists(symbol)"} | _without_seen())

    assert simulated.database.tables[ASSETS][("BTC",)] == asset("BTC", 2) | {"price_usd": {"S": "5"}}


def _without_seen() -> dict[str, Any]:
    return {"ExpressionAttributeValues": {":version": {"N": "2"}, ":price": {"S": "5"}}}


def test_an_update_whose_condition_fails_changes_nothing(simulated: Simulated) -> None:
    simulated.database.put(ASSETS, asset("BTC", 3))

    (reply,) = simulated.finished("UpdateItem", change(2, seen=1))

    assert code(reply) == "ConditionalCheckFailedException"
    assert simulated.database.tables[ASSETS][("BTC",)] == asset("BTC", 3)


def test_an_update_of_an_item_that_a_transaction_holds_conflicts(simulated: Simulated) -> None:
    simulated.database.put(ASSETS, asset("BTC", 1))
    transaction = simulated.send("TransactWriteItems", transact({"Update": change(2, seen=1)}), dwell_us=1_000)

    (reply,) = simulated.finished("UpdateItem", change(2, seen=1), at_us=500)

    assert (code(reply), transaction) == ("TransactionConflictException", [{}])


def test_a_throttled_update_changes_nothing(simulated: Simulated) -> None:
    simulated.database.put(ASSETS, asset("BTC", 1))

    for partly in (False, True):
        (reply,) = simulated.finished("UpdateItem", change(2, seen=1), throttled=True, partly=partly)
        assert isinstance(reply, Throttled)

    assert simulated.database.tables[ASSETS][("BTC",)] == asset("BTC", 1)
    assert simulated.call("UpdateItem", change(2, seen=1)) == {}, "nobody holds it"


@pytest.mark.parametrize("alone", [True, False])
def test_a_delete_leaves_nothing(simulated: Simulated, alone: bool) -> None:  # noqa: FBT001
    simulated.database.put(ASSETS, asset("BTC", 1))
    delete = {"TableName": ASSETS, "Key": {"symbol": {"S": "BTC"}}}

    simulated.call(*("DeleteItem", delete) if alone else ("TransactWriteItems", transact({"Delete": delete})))

    assert simulated.database.tables[ASSETS] == {}
    assert [write.item for write in simulated.database.market_log] == [{}]


def test_a_query_finds_the_newest_of_a_time(simulated: Simulated) -> None:
    for symbol, at in [("BTC", "1m#1"), ("BTC", "1m#2"), ("BTC", "1m#3"), ("BTC", "1m#4"), ("ETH", "1m#3"), ("BTC", "1h#3")]:
        simulated.database.put(CANDLES, {"symbol": {"S": symbol}, "at": {"S": at}})
    request = {
        "TableName": CANDLES,
        "ConsistentRead": True,
        "ScanIndexForward": False,
        "Limit": 2,
        "KeyConditionExpression": "symbol = :symbol AND #at BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#at": "at"},
        "ExpressionAttributeValues": {":symbol": {"S": "BTC"}, ":first": {"S": "1m#1"}, ":last": {"S": "1m#3"}},
    }

    found = simulated.call("Query", request)["Items"]

    assert [(item["symbol"]["S"], item["at"]["S"]) for item in found] == [("BTC", "1m#3"), ("BTC", "1m#2")]


# What it refuses, as DynamoDB does; and what it does not know, rather than guess.


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(transact(put("a"), put("a")), id="two actions on one item"),
        pytest.param(transact(), id="no action"),
        pytest.param(transact(*[put(f"k{number}") for number in range(101)]), id="more than a hundred actions"),
        pytest.param(transact(debit(1, Item={"user_id": {"S": "1"}})), id="a key of another type"),
        pytest.param(transact(debit(1, ExpressionAttributeNames={"#head": "head", "#more": "more"})), id="an unused name"),
        pytest.param(transact(debit(1, ExpressionAttributeValues={":head": {"B": b""}})), id="an undefined value"),
        pytest.param(
            transact({"ConditionCheck": {"TableName": ACCOUNTS, "Key": {"user_id": {"N": "1"}}}}), id="a check of nothing"
        ),
        pytest.param(transact({"Update": {"TableName": ACCOUNTS, "Key": {"user_id": {"N": "1"}}}}), id="an update of nothing"),
        pytest.param(transact({"Update": change(2, 1) | {"ExpressionAttributeValues": {}}}), id="an update to undefined values"),
    ],
)
def test_what_dynamodb_refuses_is_refused(simulated: Simulated, request_: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        simulated.call("TransactWriteItems", request_)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("Query", {"TableName": CANDLES, "ConsistentRead": True, "ScanIndexForward": False, "KeyConditionExpression": "a = :a"}),
        ("PutItem", {}),
        ("GetItem", {"TableName": ACCOUNTS, "Key": {"user_id": {"N": "1"}}}),
        ("GetItem", {**get(ACCOUNTS, user_id={"N": "1"}), "ProjectionExpression": "head"}),
        ("TransactWriteItems", transact({"Get": {"TableName": ACCOUNTS, "Key": {"user_id": {"N": "1"}}}})),
        ("UpdateItem", change(2, 1) | {"UpdateExpression": "REMOVE price_usd"}),
        ("UpdateItem", change(2, 1) | {"UpdateExpression": "SET #version = #version + :seen"}),
        ("TransactWriteItems", transact(debit(1, ConditionExpression="size(balances) > :units"))),
    ],
)
def test_what_is_not_simulated_raises(simulated: Simulated, operation: str, request_: dict[str, Any]) -> None:
    with pytest.raises(NotSimulated):
        simulated.call(operation, request_)


# Expressions.

ITEM: Item = {"user_id": {"N": "1"}, "head": {"B": b"7"}, "balances": {"M": {"USD": {"N": "10"}}}}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("attribute_exists(head)", True),
        ("attribute_exists(balances.BTC)", False),
        ("attribute_not_exists(tail)", True),
        ("attribute_not_exists(#h)", False),
        ("#h = :seven", True),
        ("#h = :ten", False),
        ("tail = :seven", False),
        ("balances.USD >= :ten", True),
        ("balances.USD >= :eleven", False),
        ("balances.BTC >= :ten", False),
        ("#h = :seven AND balances.USD >= :ten", True),
        ("#h = :seven AND balances.USD >= :eleven", False),
    ],
)
def test_conditions(text: str, holds: bool) -> None:  # noqa: FBT001
    values: Item = {":seven": {"B": b"7"}, ":ten": {"N": "10"}, ":eleven": {"N": "11"}}

    assert condition(text).holds(Scope(ITEM, {"#h": "head"}, values)) is holds


@pytest.mark.parametrize("text", ["", "head", "a = :a OR b = :b", "a < :a", "NOT a = :a", "a = :a AND", "a[0] = :a"])
def test_conditions_beyond_the_subset(text: str) -> None:
    with pytest.raises(NotSimulated):
        condition(text)


def test_placeholders_have_to_be_defined_and_used() -> None:
    used = condition("#a = :a").placeholders

    check_placeholders(used, {"#a": "a"}, {":a": {"N": "1"}})
    with pytest.raises(InvalidRequest, match="undefined"):
        check_placeholders(used, {}, {":a": {"N": "1"}})


# Beside the engines that the other tests run on.


class Both:
    """Asks two datastores the same, and sees to it that they answer the same."""

    def __init__(self, one: Datastore, other: Datastore) -> None:
        self._datastores = (one, other)
        self.answers: set[str] = set()

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        replies = [_reply(partial(datastore.call, operation, dict(request))) for datastore in self._datastores]
        comparable = [_comparable(reply) for reply in replies]
        assert comparable[0] == comparable[1], (operation, request)
        self.answers.add(f"{operation} {_name(replies[0])}")
        if isinstance(replies[0], Exception):
            raise replies[0]
        return replies[0]


def _reply(ask: Callable[[], dict[str, Any]]) -> Reply:
    try:
        return ask()
    except (Cancelled, ClientError) as error:
        return error


def _name(reply: Reply) -> str:
    match reply:
        case Cancelled():
            return str(codes(reply))
        case ClientError():
            return code(reply)
        case _:
            return "done"


def _comparable(reply: Reply) -> object:
    if isinstance(reply, Cancelled):
        return [(reason.code, reason.raw_item) if reason else None for reason in reply.reasons]
    if isinstance(reply, ClientError):
        return code(reply)
    assert isinstance(reply, dict)
    found = {table: sorted(items, key=str) for table, items in reply.get("Responses", {}).items()}
    return reply.get("Item"), reply.get("Items"), found, reply.get("UnprocessedKeys") or None


def test_it_answers_whatever_the_engine_asks_as_other_engines_do(market: Market, simulated: Simulated) -> None:
    """Two processes with their own memory, so that one of them is often behind, and few keys, so that they come again."""

    def an_order(key: str) -> Order:
        symbol, pay_with = random.choice([("BTC", "USD"), ("ETH", "USD"), ("USD", "BTC"), ("NOPE", "USD")])
        return Order(user_id, key, symbol, pay_with, Amount(random.randint(10**6, 10**9), "1"))

    for asset in market.dynamodb.scan(TableName=market.tables.assets)["Items"]:
        simulated.database.put(market.tables.assets, asset)
    both = Both(market.datastore, simulated)
    random = Random(1)
    user_id, keys = new_user_id(), [new_key() for _ in range(60)]
    # In a time of their own, or it would depend on the machine's pace when one looks before it writes.
    processes: list[Engine] = [build(market.settings, both, VirtualTime().world) for _ in range(2)]
    for _ in range(150):
        engine, key = random.choice(processes), random.choice(keys)
        try:
            match random.choice(["order", "order", "order", "batch", "transfer", "look"]):
                case "order":
                    engine.executor.execute(an_order(key), engine.deadline())
                case "batch":
                    orders = [an_order(key) for key in random.sample(keys, random.randint(2, 4))]
                    engine.executor.execute_batch(orders, engine.deadline())
                case "transfer":
                    engine.transfers.make(Transfer(user_id, key, "USD", random.choice([10**13, -(10**12)])), engine.deadline())
                case "look":
                    engine.queries.portfolio(user_id, engine.deadline())
        except (EngineError, Undecided):
            pass
    most = [an_order(new_key()) for _ in range(99)]
    for engine in processes:
        engine.executor.execute_batch(most, engine.deadline())

    assert both.answers >= {
        "BatchGetItem done",
        "GetItem done",
        "TransactWriteItems done",
        "TransactWriteItems ['ConditionalCheckFailed', None]",
        "TransactWriteItems [None, 'ConditionalCheckFailed']",
        "TransactWriteItems ['ConditionalCheckFailed', 'ConditionalCheckFailed']",
        "TransactWriteItems ['ConditionalCheckFailed', None, None]",
        "TransactWriteItems [None, 'ConditionalCheckFailed', None]",
        "TransactWriteItems [None, None, 'ConditionalCheckFailed']",
    }
    assert max(answer.count("ConditionalCheckFailed") for answer in both.answers) > 50


def test_it_answers_writes_of_prices_as_other_engines_do(market: Market, simulated: Simulated) -> None:
    """Two operators: one of them often changes an asset as it was a while ago. Minutes and hours end meanwhile."""
    both = Both(market.datastore, simulated)
    random, deadline = Random(1), Deadline(VirtualTime().world, 1e9, 1)
    assets = build(market.settings, both, VirtualTime().world).listings.assets
    symbol, now, seen = "SIMULATED", datetime(2026, 2, 21, 14, 58, tzinfo=UTC), list[Listing | None]([None])
    for _ in range(150):
        now += timedelta(seconds=random.choice((1, 20, 60)))
        before = random.choice((seen[-1], seen[-1], random.choice(seen[-3:])))
        price = random.randint(10**16, 2 * 10**16)
        if before is None or random.random() < 0.7:
            wanted = set_price(before, symbol, price, now, allow_move=True)
        elif random.random() < 0.7:
            wanted = set_halted(before, halted=not before.asset.halted)
        else:
            wanted = remove(before)
        with suppress(StaleAsset):
            seen.append(assets.apply(wanted, deadline).after)
    last = assets.find(symbol, deadline)
    if last is not None:
        assets.apply(remove(last), deadline)

    assert both.answers >= {
        "GetItem done",
        "Query done",
        "UpdateItem done",
        "UpdateItem ConditionalCheckFailedException",
        "TransactWriteItems done",
        "TransactWriteItems ['ConditionalCheckFailed', None]",
        "TransactWriteItems ['ConditionalCheckFailed', None, None]",
    }

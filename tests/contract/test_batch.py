"""Batches: each order for itself, in its place, and to the letter what it would have got alone."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.support.market import Market, batched, new_key, new_user_id, order

LONGEST = "~" * 128


def alone(market: Market, user: int, batch_order: dict[str, Any]) -> tuple[int, Any, bool]:
    """What an order of a batch gets by itself, afterwards."""
    body = {name: value for name, value in batch_order.items() if name != "idempotency_key"}
    response = market.post({"user_id": user, **body}, batch_order["idempotency_key"])
    return response.status_code, response.json(), "Idempotent-Replayed" in response.headers


def test_each_order_of_a_batch_is_filled_in_its_place(market: Market) -> None:
    user = market.new_user(USD="100000")
    orders = [batched("BTC", quantity="1.0"), batched("eth", quantity=2), batched("SOL", quantity="3.50")]

    results = market.batch_results(user, orders)

    assert [result["idempotency_key"] for result in results] == [each["idempotency_key"] for each in orders]
    assert [(result["status"], result["replayed"]) for result in results] == [(200, False)] * 3
    bodies = [result["body"] for result in results]
    assert [(body["symbol"], body["quantity_filled"]) for body in bodies] == [("BTC", "1.0"), ("ETH", "2"), ("SOL", "3.50")]
    assert [body["remaining_balance"] for body in bodies] == ["50000.00000000", "44000.00000000", "43650.00000000"]
    assert [body["sequence"] for body in bodies] == [2, 3, 4]
    assert market.holdings(user) == {
        "USD": Decimal(43_650),
        "BTC": Decimal(1),
        "ETH": Decimal(2),
        "SOL": Decimal("3.5"),
    }


def test_an_order_of_a_batch_is_the_same_order_as_alone(market: Market) -> None:
    user = market.new_user(USD="60000")
    orders = [batched(quantity="1"), batched(quantity="1"), batched("ETH", quantity="1")]

    results = market.batch_results(user, orders)

    assert [result["status"] for result in results] == [200, 402, 200]
    assert [alone(market, user, each) for each in orders] == [(result["status"], result["body"], True) for result in results]


def test_an_order_that_was_sent_alone_is_replayed_in_a_batch(market: Market) -> None:
    user = market.new_user(USD="100000")
    filled, refused = batched(quantity="1"), batched(quantity="2")
    before = [alone(market, user, each) for each in (filled, refused)]

    results = market.batch_results(user, [batched("SOL"), refused, batched("ETH"), filled])

    assert [(result["status"], result["replayed"]) for result in results] == [
        (200, False),
        (402, True),
        (200, False),
        (200, True),
    ]
    assert [results[3]["body"], results[1]["body"]] == [body for _, body, _ in before]


def test_a_batch_that_is_sent_again_is_replayed(market: Market) -> None:
    user = market.new_user(USD="60000")
    orders = [batched(quantity="1"), batched(quantity="1"), batched("SOL", "USD", "1")]
    first = market.batch_results(user, orders)
    holdings = market.holdings(user)
    market.fund(user, "USD", "1000000")

    again = market.batch_results(user, orders, process=1)

    assert again == [{**result, "replayed": True} for result in first]
    assert market.holdings(user) == holdings | {"USD": holdings["USD"] + 1_000_000}


def test_a_refused_order_does_not_stop_the_next(market: Market) -> None:
    user = market.new_user(USD="100")

    results = market.batch_results(user, [batched("SOL", quantity=quantity) for quantity in ("0.9", "0.2", "0.1")])

    assert [result["status"] for result in results] == [200, 402, 200]
    assert results[1]["body"]["message"] == "Need 20.00000000 USD but only have 10.00000000 USD"
    assert market.holdings(user) == {"USD": Decimal(0), "SOL": Decimal(1)}


def test_what_one_order_buys_the_next_can_spend(market: Market) -> None:
    user = market.new_user(USD="50000")

    results = market.batch_results(user, [batched("BTC", "USD", "1"), batched("ETH", "BTC", "15"), batched("USD", "ETH", "3000")])

    assert [result["status"] for result in results] == [200, 200, 200]
    assert market.holdings(user) == {"USD": Decimal(3_000), "BTC": Decimal("0.1"), "ETH": Decimal(14)}


def test_orders_that_undo_each_other_are_filled_all_the_same(market: Market) -> None:
    user = market.new_user(USD="50000", BTC="1")
    there_and_back = [batched("BTC", "USD", "0.5"), batched("USD", "BTC", "25000")]

    results = market.batch_results(user, there_and_back)

    assert [(result["status"], result["body"]["sequence"]) for result in results] == [(200, 3), (200, 4)]
    assert market.holdings(user) == {"USD": Decimal(50_000), "BTC": Decimal(1)}
    assert market.portfolio(user)["sequence"] == 4
    assert [result["status"] for result in market.batch_results(user, [batched()])] == [200]


def test_orders_are_decided_in_the_order_in_which_they_are_sent(market: Market) -> None:
    """The other way round, there would be nothing to sell yet."""
    user = market.new_user(BTC="1")

    results = market.batch_results(user, [batched("ETH", "USD", "1"), batched("USD", "BTC", "3000"), batched("ETH", "USD", "1")])

    assert [result["status"] for result in results] == [402, 200, 200]


def test_the_orders_of_an_account_that_nobody_funded_are_refused_and_that_is_stored(market: Market) -> None:
    user, orders = new_user_id(), [batched(), batched("ETH")]

    results = market.batch_results(user, orders)

    assert [(result["status"], result["body"]["error_code"]) for result in results] == [(402, "ERR_LIQUIDITY")] * 2
    market.fund(user, "USD", "1000000")
    assert market.batch_results(user, orders) == [{**result, "replayed": True} for result in results]


def test_a_key_that_stands_for_another_order_is_refused_in_its_place(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()
    assert market.post(order(user), key).status_code == 200

    results = market.batch_results(user, [batched(), batched("ETH", key=key), batched()])

    assert [result["status"] for result in results] == [200, 422, 200]
    assert results[1]["idempotency_key"] == key
    assert results[1]["body"]["error_code"] == "ERR_IDEMPOTENCY_KEY_REUSED"
    assert results[1]["body"]["details"] == alone(market, user, batched("ETH", key=key))[1]["details"]


def test_an_asset_that_cannot_be_traded_concerns_its_own_orders(market: Market) -> None:
    market.list_asset("STANDS", "1", halted=True)
    user = market.new_user(USD="100000")
    orders = [batched("STANDS"), batched(), batched("NOSUCH"), batched("BTC", "NOSUCH"), batched("ETH")]

    results = market.batch_results(user, orders)

    assert [result["status"] for result in results] == [409, 200, 404, 404, 200]
    codes = [result["body"].get("error_code") for result in results]
    assert codes == ["ERR_ASSET_HALTED", None, "ERR_ASSET_NOT_FOUND", "ERR_ASSET_NOT_FOUND", None]
    market.list_asset("STANDS", "1")
    assert [result["status"] for result in market.batch_results(user, orders[:2])] == [200, 200]


def test_a_stored_outcome_wins_over_an_asset_that_is_gone(market: Market) -> None:
    market.list_asset("FLEETING", "1")
    user, gone = market.new_user(USD="100"), batched("FLEETING", quantity="1")
    (filled,) = market.batch_results(user, [gone])
    market.remove_asset("FLEETING")

    results = market.batch_results(user, [batched("FLEETING"), gone])

    assert [result["status"] for result in results] == [404, 200]
    assert results[1] == {**filled, "replayed": True}


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"quantity": "0"}, 422, "quantity"),
        ({"quantity": "1e2"}, 422, "quantity"),
        ({"symbol": None}, 422, "symbol"),
        ({"symbol": "USD"}, 422, "pay_with"),
        ({"side": "hold"}, 422, "side"),
        ({"leverage": 10}, 422, "leverage"),
        ({"receive": "USD"}, 422, "receive"),
        ({"user_id": 1}, 422, "user_id"),
        ({"idempotency_key": "x" * 129}, 422, "idempotency_key"),
        ({"idempotency_key": "\u00e9"}, 422, "idempotency_key"),
        ({"idempotency_key": 7}, 422, "idempotency_key"),
        ({"idempotency_key": []}, 422, "idempotency_key"),
        ({"idempotency_key": "  "}, 400, None),
        ({"idempotency_key": None}, 400, None),
    ],
)
def test_an_order_that_is_none_is_refused_in_its_place(
    market: Market, wrong: dict[str, Any], status: int, field: str | None
) -> None:
    user = market.new_user(USD="100000")
    bad = batched() | wrong

    results = market.batch_results(user, [batched(), bad, batched()])

    assert [result["status"] for result in results] == [200, status, 200]
    body = results[1]["body"]
    assert body["status"] == status
    assert body["error_code"] == ("ERR_VALIDATION" if field else "ERR_IDEMPOTENCY_REQUIRED")
    assert [detail["field"] for detail in body.get("details", [])] == ([field] if field else [])
    assert results[1]["idempotency_key"] == (None if "idempotency_key" in wrong else bad["idempotency_key"])


def test_every_field_that_is_wrong_with_an_order_is_named(market: Market) -> None:
    bad = batched() | {"side": "hold", "leverage": 10, "quantity": "0", "symbol": ""}

    (result,) = market.batch_results(new_user_id(), [bad])

    named = {detail["field"] for detail in result["body"]["details"]}
    assert named == {"side", "leverage", "quantity", "symbol"}


@pytest.mark.parametrize("left_out", ["symbol", "pay_with", "quantity", "idempotency_key"])
def test_a_field_that_is_missing_is_named_in_its_place(market: Market, left_out: str) -> None:
    bad = {name: value for name, value in batched().items() if name != left_out}

    (result,) = market.batch_results(new_user_id(), [bad])

    if left_out == "idempotency_key":
        assert (result["status"], result["body"]["error_code"]) == (400, "ERR_IDEMPOTENCY_REQUIRED")
    else:
        assert [detail["field"] for detail in result["body"]["details"]] == [left_out]


@pytest.mark.parametrize("entry", [None, 1, "order", [], [[]]])
def test_what_is_not_even_an_object_is_refused_in_its_place(market: Market, entry: Any) -> None:
    user = market.new_user(USD="100000")

    results = market.batch_results(user, [entry, batched()])

    assert [(result["status"], result["idempotency_key"] is None) for result in results] == [(422, True), (200, False)]
    assert [detail["field"] for detail in results[0]["body"]["details"]] == ["body"]


def test_a_name_that_stands_twice_in_one_order_spoils_that_order_only(market: Market) -> None:
    user = market.new_user(USD="100000")
    text = json.dumps({"user_id": user, "orders": [batched(), batched()]}).replace('"symbol"', '"symbol": "ETH", "symbol"', 1)

    response = market.post_batch(text.encode())

    assert [result["status"] for result in response.json()["results"]] == [422, 200]
    assert [detail["field"] for detail in response.json()["results"][0]["body"]["details"]] == ["symbol"]


def test_keys_are_trimmed(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    (result,) = market.batch_results(user, [batched(key=f"  {key}\t")])

    assert result["idempotency_key"] == key
    assert alone(market, user, batched(key=key))[2]


GOOD = {"user_id": 1, "orders": [batched(key="a"), batched(key="b")]}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", ["body"]),
        (b"[]", ["body"]),
        (b"{", ["body"]),
        (json.dumps(GOOD).replace('"0.5"', "NaN").encode(), ["body"]),
        ({}, ["user_id", "orders"]),
        ({"user_id": 1}, ["orders"]),
        ({"orders": GOOD["orders"]}, ["user_id"]),
        (GOOD | {"user_id": "one"}, ["user_id"]),
        (GOOD | {"user_id": 0}, ["user_id"]),
        (GOOD | {"atomic": True}, ["atomic"]),
        (GOOD | {"idempotency_key": "a"}, ["idempotency_key"]),
        (GOOD | {"orders": []}, ["orders"]),
        (GOOD | {"orders": None}, ["orders"]),
        (GOOD | {"orders": {"0": batched()}}, ["orders"]),
        (GOOD | {"orders": "orders"}, ["orders"]),
        (GOOD | {"orders": [batched() for _ in range(100)]}, ["orders"]),
        (GOOD | {"orders": [None] * 100}, ["orders"]),
        (json.dumps(GOOD).replace('"orders"', '"orders": [], "orders"').encode(), ["orders"]),
        (json.dumps(GOOD).replace('"user_id"', '"user_id": 1, "user_id"').encode(), ["user_id"]),
        (
            GOOD | {"orders": [batched(key="a"), batched(key="b"), batched("ETH", key=" a ")]},
            ["orders[0].idempotency_key", "orders[2].idempotency_key"],
        ),
        (
            GOOD | {"orders": [batched(key="a"), batched(key="a", quantity="wrong")]},
            ["orders[0].idempotency_key", "orders[1].idempotency_key"],
        ),
    ],
)
def test_a_wrong_envelope_is_refused_as_a_whole(market: Market, body: Any, fields: list[str]) -> None:
    before = market.portfolio(1)["sequence"]

    response = market.post_batch(body)

    assert response.status_code == 422, response.text
    assert response.json()["error_code"] == "ERR_VALIDATION"
    assert [detail["field"] for detail in response.json()["details"]] == fields
    assert market.portfolio(1)["sequence"] == before


def test_orders_without_keys_are_not_the_same_order(market: Market) -> None:
    results = market.batch_results(new_user_id(), [batched(key=" "), batched(key=" ")])

    assert [result["status"] for result in results] == [400, 400]


def test_ninety_nine_of_the_longest_orders_are_a_batch(market: Market) -> None:
    user = market.new_user(USD="100000")
    orders = [batched("SOL", quantity="0.00000001", key=f"{number:02}{LONGEST[2:]}") for number in range(99)]
    body = json.dumps({"user_id": user, "orders": orders}, indent=8)

    response = market.post_batch(body.encode())

    results = response.json()["results"]
    assert [(result["status"], result["idempotency_key"]) for result in results] == [
        (200, each["idempotency_key"]) for each in orders
    ]
    assert [result["body"]["sequence"] for result in results] == list(range(2, 101))
    assert market.holdings(user)["SOL"] == Decimal("0.00000099")


def test_a_batch_that_is_too_large_is_refused_as_a_whole(market: Market) -> None:
    body = json.dumps({"user_id": new_user_id(), "orders": [batched()]}).encode()

    assert market.post_batch(body.ljust(64 * 1024)).status_code == 200
    response = market.post_batch(body.ljust(64 * 1024 + 1))
    assert (response.status_code, response.json()["error_code"]) == (413, "ERR_TOO_LARGE")


def test_a_batch_takes_no_key_in_a_header(market: Market) -> None:
    """One that is sent all the same says nothing: each order has its own."""
    user, key = market.new_user(USD="100000"), new_key()

    for _ in range(2):
        response = market.post_batch({"user_id": user, "orders": [batched()]}, headers={"X-Idempotency-Key": key})
        assert [(result["status"], result["replayed"]) for result in response.json()["results"]] == [(200, False)]

"""All-or-nothing batches: either every order fills, or none does."""

from typing import Any

import pytest

from tests.support.market import Market, batched, new_key, new_user_id


def post(market: Market, user: int, orders: list[dict[str, Any]]) -> Any:
    return market.post_batch({"user_id": user, "all_or_nothing": True, "orders": orders})


def test_where_every_order_can_fill_all_do(market: Market) -> None:
    user = market.new_user(USD="100000")
    first, second = batched(quantity="1"), batched("ETH", "BTC", quantity="2")  # the second is paid with what the first buys

    response = post(market, user, [first, second])

    assert response.status_code == 200, response.text
    results = response.json()["results"]
    assert [(result["status"], result["replayed"]) for result in results] == [(200, False)] * 2
    assert [result["body"]["sequence"] for result in results] == [2, 3]
    assert market.portfolio(user)["sequence"] == 3


def test_where_one_cannot_fill_none_does_and_each_says_why(market: Market) -> None:
    user = market.new_user(USD="1000")
    orders = [batched(quantity="0.01"), batched(quantity="1"), batched(quantity="0.01"), batched(quantity="2")]

    response = post(market, user, orders)

    assert response.status_code == 200, response.text
    results = response.json()["results"]
    assert [result["status"] for result in results] == [424, 402, 424, 402]
    assert results[0]["body"]["error_code"] == "ERR_LINKED_ORDER"
    assert "orders[1]" in results[0]["body"]["message"]
    portfolio = market.portfolio(user)
    assert (portfolio["holdings"], portfolio["sequence"]) == ({"USD": "1000.00000000"}, 5)


@pytest.mark.parametrize("quantity", ["0.001", "9"])
def test_sent_again_whole_it_is_replayed(market: Market, quantity: str) -> None:
    user = market.new_user(USD="1000")
    orders = [batched(quantity="0.001"), batched(quantity=quantity)]
    first = post(market, user, orders)
    market.fund(user, "USD", "1000000")

    again = post(market, user, orders)

    assert [result["replayed"] for result in again.json()["results"]] == [True, True]
    assert [result["body"] for result in again.json()["results"]] == [result["body"] for result in first.json()["results"]]


def test_where_some_keys_have_outcomes_nothing_is_decided(market: Market) -> None:
    user = market.new_user(USD="1000")
    known, new = batched(quantity="0.001"), batched(quantity="0.001")
    market.batch_results(user, [known])

    response = post(market, user, [new, known])

    assert (response.status_code, response.json()["error_code"]) == (409, "ERR_ORDER_DECIDED")
    assert "orders[1]" in response.json()["message"]
    assert market.portfolio(user)["sequence"] == 2
    assert market.batch_results(user, [new])[0]["status"] == 200


def test_a_key_of_another_order_refuses_the_whole(market: Market) -> None:
    user = market.new_user(USD="1000")
    one, two = batched(quantity="0.001"), batched(quantity="0.001")
    market.batch_results(user, [one, two])

    response = post(market, user, [one, two | {"quantity": "0.002"}])

    assert (response.status_code, response.json()["error_code"]) == (422, "ERR_IDEMPOTENCY_KEY_REUSED")
    assert response.json()["message"].startswith("orders[1]: ")


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        (batched("NOPE"), 404, "ERR_ASSET_NOT_FOUND"),
        (batched("USD", "BTC", quantity="0.00000001"), 422, "ERR_ORDER_RULE"),
        (batched(quantity="0"), 422, "ERR_VALIDATION"),
        (batched() | {"idempotency_key": ""}, 400, "ERR_IDEMPOTENCY_REQUIRED"),
    ],
)
def test_where_one_cannot_be_decided_the_whole_is_answered_so_and_nothing_is_stored(
    market: Market, bad: dict[str, Any], status: int, code: str
) -> None:
    user = market.new_user(USD="100000")
    good = batched(quantity="0.1")

    response = post(market, user, [good, bad, bad | {"idempotency_key": new_key() if status != 400 else " "}])

    assert (response.status_code, response.json()["error_code"]) == (status, code)
    assert "orders[1]" in response.json()["message"]
    assert "orders[2]" in response.json()["message"]
    assert market.portfolio(user)["sequence"] == 1
    assert market.batch_results(user, [good])[0]["status"] == 200


def test_a_halted_asset_stops_the_whole(market: Market) -> None:
    market.list_asset("LINKHALT", "1", halted=True)

    response = post(market, new_user_id(), [batched(), batched("LINKHALT")])

    assert (response.status_code, response.json()["error_code"]) == (409, "ERR_ASSET_HALTED")


@pytest.mark.parametrize("value", [None, "true", 1])
def test_all_or_nothing_is_true_or_false(market: Market, value: Any) -> None:
    response = market.post_batch({"user_id": 1, "all_or_nothing": value, "orders": [batched()]})

    assert (response.status_code, response.json()["details"][0]["field"]) == (422, "all_or_nothing")

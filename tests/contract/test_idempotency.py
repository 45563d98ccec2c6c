"""One key, one outcome: for ever, whatever changes since."""

import pytest
import requests

from tests.support.market import Market, new_key, new_user_id, order


def assert_replayed(first: requests.Response, again: requests.Response) -> None:
    assert again.status_code == first.status_code
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]


def test_a_fill_is_replayed_and_not_repeated(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    first = market.post(order(user), key)
    for process in (0, 1):
        assert_replayed(first, market.post(order(user), key, process=process))

    assert market.portfolio(user)["holdings"] == {"BTC": "1.00000000", "USD": "50000.00000000"}


def test_a_refusal_is_final_even_after_a_top_up(market: Market) -> None:
    user, key = market.new_user(USD="1"), new_key()

    first = market.post(order(user), key)
    assert first.status_code == 402
    market.fund(user, "USD", "1000000")

    for process in (0, 1):
        assert_replayed(first, market.post(order(user), key, process=process))
    assert market.post(order(user), new_key()).status_code == 200


def test_a_fill_is_replayed_although_the_money_is_spent(market: Market) -> None:
    user, key = market.new_user(USD="50000"), new_key()

    first = market.post(order(user), key)

    assert_replayed(first, market.post(order(user), key))


def test_a_fill_is_replayed_although_the_price_moved(market: Market) -> None:
    market.list_asset("MOVED", "10")
    user, key = market.new_user(USD="100"), new_key()

    first = market.post(order(user, "MOVED"), key)
    market.list_asset("MOVED", "20")

    assert_replayed(first, market.post(order(user, "MOVED"), key))


def test_a_fill_is_replayed_although_the_asset_is_gone(market: Market) -> None:
    market.list_asset("GOES", "10")
    user, key = market.new_user(USD="100"), new_key()

    first = market.post(order(user, "GOES"), key)
    market.remove_asset("GOES")

    assert_replayed(first, market.post(order(user, "GOES"), key))
    assert market.post(order(user, "GOES"), new_key()).status_code == 404


def test_a_fill_is_replayed_although_the_asset_is_halted(market: Market) -> None:
    market.list_asset("STOPS", "10")
    user, key = market.new_user(USD="100"), new_key()

    first = market.post(order(user, "STOPS"), key)
    market.list_asset("STOPS", "10", halted=True)

    assert_replayed(first, market.post(order(user, "STOPS"), key))


def test_the_same_order_is_a_matter_of_values(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    first = market.post(order(user, "BTC", "USD", "1.0"), key)

    for same in (order(user, "btc", " usd", "1.00"), order(user, quantity=1), order(user, quantity="01")):
        assert_replayed(first, market.post(same, key))


@pytest.mark.parametrize("change", [{"symbol": "ETH"}, {"pay_with": "SOL"}, {"quantity": "1.00000001"}])
def test_a_key_used_for_another_order_is_refused(market: Market, change: dict[str, str]) -> None:
    user, key = market.new_user(USD="100000"), new_key()
    first = market.post(order(user), key)

    other = market.post(order(user) | change, key)

    assert other.status_code == 422
    assert other.json()["error_code"] == "ERR_IDEMPOTENCY_KEY_REUSED"
    assert_replayed(first, market.post(order(user), key))


def test_a_used_key_is_told_before_an_unknown_asset(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()
    market.post(order(user), key)

    response = market.post(order(user, "NOPE"), key)

    assert response.json()["error_code"] == "ERR_IDEMPOTENCY_KEY_REUSED"


def test_a_key_belongs_to_its_user(market: Market) -> None:
    one, other, key = market.new_user(USD="100000"), market.new_user(USD="100000"), new_key()

    first, second = market.post(order(one), key), market.post(order(other), key)

    assert first.status_code == second.status_code == 200
    assert "Idempotent-Replayed" not in second.headers


def test_what_decides_nothing_leaves_the_key_unused(market: Market) -> None:
    market.list_asset("LATER", "1", halted=True)
    user, key = market.new_user(USD="100000"), new_key()

    assert market.post(order(user, "NOTYET"), key).status_code == 404
    assert market.post(order(user, "LATER"), key).status_code == 409
    assert market.post(order(user, quantity="0"), key).status_code == 422

    response = market.post(order(user), key)
    assert response.status_code == 200
    assert "Idempotent-Replayed" not in response.headers


def test_no_key_of_a_client_meets_that_of_a_funding(market: Market) -> None:
    user = new_user_id()
    market.fund(user, "USD", "100000")
    (funding,) = market.records(user)

    for key in (funding.key, funding.key.removeprefix("transfer#")):
        response = market.post(order(user, quantity="0.1"), key)
        assert response.status_code == 200
        assert "Idempotent-Replayed" not in response.headers


def test_both_names_of_the_key_header_mean_the_same(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    first = market.post(order(user), headers={"Idempotency-Key": key})
    assert first.status_code == 200

    assert_replayed(first, market.post(order(user), key))
    assert_replayed(first, market.post(order(user), key, headers={"Idempotency-Key": key}))

"""Every form of an order: sides, notionals, the whole of a balance, limits and expiries."""

from datetime import datetime
from typing import Any

import pytest

from tests.support.market import Market, new_key, new_user_id

PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00+01:00"


def buy(user: int, **terms: Any) -> dict[str, Any]:
    return {"user_id": user, "symbol": "BTC", "pay_with": "USD", **terms}


def sell(user: int, **terms: Any) -> dict[str, Any]:
    return {"user_id": user, "side": "sell", "symbol": "BTC", "receive": "USD", **terms}


def test_a_sell_is_filled_and_described_in_full(market: Market) -> None:
    user = market.new_user(BTC="1")

    response = market.post(sell(user, quantity="0.5"), new_key())

    assert response.status_code == 200, response.text
    fill = response.json()
    assert fill.pop("executed_by_thread")
    assert datetime.fromisoformat(fill.pop("executed_at")).utcoffset() is not None
    assert fill == {
        "status": "ORDER_FILLED",
        "symbol": "BTC",
        "quantity_filled": "0.5",
        "execution_price": "50000.00000000",
        "total_proceeds": "25000.00000000",
        "received": "USD",
        "remaining_balance": "0.50000000",
        "side": "sell",
        "fee": "0.00000000",
        "balances": {"BTC": "0.50000000", "USD": "25000.00000000"},
        "sequence": 2,
    }


def test_a_sell_rounds_its_proceeds_down(market: Market) -> None:
    user = market.new_user(ETH="1")

    response = market.post(
        {"user_id": user, "side": "SELL", "symbol": "ETH", "receive": "BTC", "quantity": "0.0000101"}, new_key()
    )

    assert response.json()["total_proceeds"] == "0.00000060"


def test_a_notional_buys_what_it_covers_and_the_rest_stays(market: Market) -> None:
    user = market.new_user(USD="1000")

    fill = market.post(buy(user, notional="250.00000001"), new_key()).json()

    assert (fill["quantity_filled"], fill["total_cost"]) == ("0.00500000", "250.00000000")
    assert fill["remaining_balance"] == "750.00000000"


def test_a_notional_of_all_spends_what_there_is(market: Market) -> None:
    user = market.new_user(USD="250")

    fill = market.post(buy(user, notional="all"), new_key()).json()

    assert (fill["quantity_filled"], fill["remaining_balance"]) == ("0.00500000", "0.00000000")


def test_selling_all_sells_what_there_is(market: Market) -> None:
    user = market.new_user(BTC="0.12345678")

    fill = market.post(sell(user, quantity="all"), new_key()).json()

    assert (fill["quantity_filled"], fill["balances"]["BTC"]) == ("0.12345678", "0.00000000")


def test_all_of_nothing_is_refused_for_good(market: Market) -> None:
    user, key = market.new_user(USD="10"), new_key()

    first = market.post(sell(user, quantity="all"), key)
    market.fund(user, "BTC", "1")
    again = market.post(sell(user, quantity="all"), key)

    assert (first.status_code, first.json()["error_code"]) == (402, "ERR_LIQUIDITY")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("terms", "status"),
    [
        ({"quantity": "0.1", "limit_price": "50000"}, 200),
        ({"quantity": "0.1", "limit_price": "49999.9999999999999999"}, 412),
        ({"notional": "10", "limit_price": "50000.0000000000000001"}, 200),
    ],
)
def test_a_buy_is_filled_up_to_its_limit(market: Market, terms: dict[str, str], status: int) -> None:
    user = market.new_user(USD="100000")

    response = market.post(buy(user, **terms), new_key())

    assert response.status_code == status, response.text
    if status == 412:
        assert response.json()["error_code"] == "ERR_PRICE_LIMIT"


@pytest.mark.parametrize(("limit", "status"), [("50000", 200), ("50000.0000000000000001", 412), ("49999", 200)])
def test_a_sell_is_filled_down_to_its_limit(market: Market, limit: str, status: int) -> None:
    user = market.new_user(BTC="1")

    assert market.post(sell(user, quantity="1", limit_price=limit), new_key()).status_code == status


def test_a_limit_that_was_passed_is_final(market: Market) -> None:
    market.list_asset("LIMITED", "10")
    user, key = market.new_user(USD="100"), new_key()
    limited = buy(user, symbol="LIMITED", quantity="1", limit_price="9")

    first = market.post(limited, key)
    market.list_asset("LIMITED", "8")
    again = market.post(limited, key)

    assert (first.status_code, again.json()) == (412, first.json())
    assert market.post(limited, new_key()).status_code == 200


def test_an_expired_order_is_refused_for_good(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    first = market.post(buy(user, quantity="0.1", expires_at=PAST), key)
    again = market.post(buy(user, quantity="0.1", expires_at="2020-01-01T01:00:00.000+01:00"), key)

    assert (first.status_code, first.json()["error_code"]) == (410, "ERR_ORDER_EXPIRED")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")


def test_an_order_that_expires_later_is_filled(market: Market) -> None:
    user = market.new_user(USD="100000")

    assert market.post(buy(user, quantity="0.1", expires_at=FUTURE), new_key()).status_code == 200


def test_the_side_of_an_order_is_a_buy_unless_it_says_otherwise(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    first = market.post(buy(user, quantity="0.1"), key)

    assert market.post(buy(user, side="BUY", quantity="0.10"), key).json() == first.json()
    for other in ({"notional": "0.1"}, {"quantity": "0.1", "limit_price": "60000"}, {"quantity": "0.1", "expires_at": FUTURE}):
        response = market.post(buy(user, **other), key)
        assert response.json()["error_code"] == "ERR_IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("terms", "fields"),
    [
        ({"side": "sell", "pay_with": "USD", "quantity": "1"}, ["pay_with", "receive"]),
        ({"receive": "USD", "quantity": "1"}, ["pay_with", "receive"]),
        ({"side": "sell", "receive": "USD", "notional": "1"}, ["quantity", "notional"]),
        ({"pay_with": "USD", "quantity": "1", "notional": "1"}, ["notional"]),
        ({"pay_with": "USD"}, ["quantity"]),
        ({"pay_with": "USD", "quantity": "all"}, ["quantity"]),
        ({"pay_with": "USD", "quantity": "ALL"}, ["quantity"]),
        ({"side": "sell", "receive": "BTC", "quantity": "1"}, ["receive"]),
        ({"side": None, "pay_with": "USD", "quantity": "1"}, ["side"]),
        ({"side": "short", "quantity": "1"}, ["side"]),
        ({"pay_with": "USD", "notional": "0"}, ["notional"]),
        *(
            ({"pay_with": "USD", "quantity": "1", "limit_price": wrong}, ["limit_price"])
            for wrong in (1, 50000.5, "0", "-1", "1e3", "1.00000000000000000", "1" + "0" * 28 + ".1", "", None, "all")
        ),
        *(
            ({"pay_with": "USD", "quantity": "1", "expires_at": wrong}, ["expires_at"])
            for wrong in (
                *("2030-01-01", "2030-01-01T00:00:00", "2030-01-01 00:00:00Z", "2030-02-30T00:00:00Z", "2030-01-01T24:00:01Z"),
                *("2030-01-01T00:00:00.0123456789Z", "2030-01-01T00:00:00+0100", 1893456000, None, "0001-01-01T00:00:00+23:59"),
            )
        ),
    ],
)
def test_fields_that_do_not_belong_together_are_named(market: Market, terms: dict[str, Any], fields: list[str]) -> None:
    response = market.post({"user_id": new_user_id(), "symbol": "BTC", **terms}, new_key())

    assert response.status_code == 422, response.text
    assert [detail["field"] for detail in response.json()["details"]] == fields


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("qty", "quantity"), ("amount", "notional"), ("userId", "user_id"), ("price", "limit_price"), ("type", "limit")],
)
def test_a_common_slip_gets_a_hint(market: Market, slip: str, meant: str) -> None:
    response = market.post(buy(new_user_id(), quantity="1") | {slip: "1"}, new_key())

    (detail,) = response.json()["details"]
    assert detail["field"] == slip
    assert meant in detail["message"]


@pytest.mark.parametrize(
    ("quantity", "says"),
    [
        *((negative, "must be more than 0") for negative in (-1, "-1", "-0.5", 0, "0")),
        *((fine, "must have at most 8 decimals") for fine in (0.123456789, "0.123456789")),
        ("1,000", 'must be a decimal string such as "1.5", of digits with at most 8 decimals'),
    ],
)
def test_a_wrong_quantity_is_described_alike_as_a_string_and_as_a_number(market: Market, quantity: Any, says: str) -> None:
    response = market.post(buy(new_user_id(), quantity=quantity), new_key())

    assert response.json()["details"] == [{"field": "quantity", "message": says}]


@pytest.mark.parametrize("pair", ["BTC/USD", "BTC-USD", "BTC_USD", "btc:usd"])
def test_a_pair_in_place_of_a_symbol_gets_a_hint(market: Market, pair: str) -> None:
    response = market.post(buy(new_user_id(), quantity="1") | {"symbol": pair}, new_key())

    (detail,) = response.json()["details"]
    assert (detail["field"], "pay_with" in detail["message"]) == ("symbol", True)


def test_forms_mix_in_a_batch_each_on_the_account_as_the_one_before_leaves_it(market: Market) -> None:
    user = market.new_user(USD="1000")

    results = market.batch_results(
        user,
        [
            {"idempotency_key": new_key(), "symbol": "BTC", "pay_with": "USD", "notional": "all"},
            {"idempotency_key": new_key(), "side": "sell", "symbol": "BTC", "receive": "ETH", "quantity": "all"},
            {"idempotency_key": new_key(), "side": "sell", "symbol": "BTC", "receive": "ETH", "quantity": "all"},
        ],
    )

    assert [result["status"] for result in results] == [200, 200, 402]
    assert results[1]["body"]["balances"]["BTC"] == "0.00000000"

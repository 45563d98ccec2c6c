"""POST /api/v1/trading/execute, as its clients see it."""

import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.support.market import Market, new_key, new_user_id, order

AMOUNT = re.compile(r"[0-9]+\.[0-9]{8}")


def test_a_market_buy_is_filled_and_told_in_full(market: Market) -> None:
    user = market.new_user(USD="100000")

    response = market.post(order(user), new_key())

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert "Idempotent-Replayed" not in response.headers
    fill = response.json()
    assert fill.pop("executed_by_thread")
    at = fill.pop("executed_at")
    assert at.endswith("Z")
    assert datetime.fromisoformat(at).utcoffset() is not None
    assert fill == {
        "status": "ORDER_FILLED",
        "symbol": "BTC",
        "quantity_filled": "1.0",
        "execution_price": "50000.00000000",
        "total_cost": "50000.00000000",
        "paid_with": "USD",
        "remaining_balance": "50000.00000000",
        "side": "buy",
        "fee": "0.00000000",
        "balances": {"BTC": "1.00000000", "USD": "50000.00000000"},
        "sequence": 2,
    }
    assert market.portfolio(user)["holdings"] == {"BTC": "1.00000000", "USD": "50000.00000000"}


def test_selling_is_buying_the_other_way_round(market: Market) -> None:
    user = market.new_user(BTC="2")

    fill = market.post(order(user, "USD", "BTC", "75000"), new_key()).json()

    assert fill["execution_price"] == "0.00002000"
    assert fill["total_cost"] == "1.50000000"
    assert market.portfolio(user)["holdings"] == {"BTC": "0.50000000", "USD": "75000.00000000"}


def test_a_cross_rate_is_exact_and_its_cost_rounds_up(market: Market) -> None:
    user = market.new_user(BTC="1")

    fill = market.post(order(user, "SOL", "ETH", "0.1"), new_key())
    assert fill.status_code == 402  # the account holds no ETH at all

    fill = market.post(order(user, "ETH", "BTC", "0.12345678"), new_key())
    # 0.12345678 × 3000 / 50000 = 0.0074074068
    assert fill.json()["total_cost"] == "0.00740741"
    assert fill.json()["execution_price"] == "0.06000000"
    assert market.holdings(user) == {"BTC": Decimal("0.99259259"), "ETH": Decimal("0.12345678")}


def test_an_order_that_rounding_would_make_one_percent_dearer_breaks_a_rule(market: Market) -> None:
    user, key = market.new_user(BTC="1"), new_key()

    response = market.post(order(user, "USD", "BTC", "0.00000001"), key)

    assert response.status_code == 422
    assert response.json()["error_code"] == "ERR_ORDER_RULE"
    (detail,) = response.json()["details"]
    assert detail["field"] == "quantity"
    assert "rounding" in detail["message"]
    assert "0.05000000 USD" in detail["message"]  # what is enough
    enough = market.post(order(user, "USD", "BTC", "0.05"), key)  # the key is unused
    assert (enough.status_code, enough.json()["total_cost"]) == (200, "0.00000100")


@pytest.mark.parametrize(("quantity", "status"), [("0.00001617", 422), ("0.00001634", 200)])
def test_exactly_one_percent_is_the_bound_of_rounding(market: Market, quantity: str, status: int) -> None:
    user = market.new_user(BTC="1")

    response = market.post(order(user, "ETH", "BTC", quantity), new_key())

    assert response.status_code == status
    if status == 200:
        assert response.json()["total_cost"] == "0.00000099"


@pytest.mark.parametrize(
    ("quantity", "echo"),
    [
        ('"1.0"', "1.0"),
        ('"1.00000000"', "1.00000000"),
        ('"1"', "1"),
        ('"0001.50"', "1.50"),
        ("1", "1"),
        ("0.10", "0.10"),
        ("0.1", "0.1"),
        ("1e-8", "0.00000001"),
        ("1E+0", "1"),
        ("0.3", "0.3"),
        ("0.12345678", "0.12345678"),
    ],
)
def test_a_quantity_is_read_digit_for_digit_and_echoed_at_its_own_scale(market: Market, quantity: str, echo: str) -> None:
    user = market.new_user(USD="100000")

    body = f'{{"user_id": {user}, "symbol": "BTC", "pay_with": "USD", "quantity": {quantity}}}'
    response = market.post(body.encode(), new_key())

    assert response.status_code == 200, response.text
    assert response.json()["quantity_filled"] == echo
    assert market.holdings(user)["BTC"] == Decimal(echo)


def test_symbols_are_trimmed_and_case_does_not_matter(market: Market) -> None:
    user = market.new_user(USD="100000")

    fill = market.post(order(user, " btc\t", "uSd "), new_key()).json()

    assert (fill["symbol"], fill["paid_with"]) == ("BTC", "USD")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "", "*"])
def test_the_content_type_does_not_matter(market: Market, content_type: str) -> None:
    user = market.new_user(USD="100000")

    response = market.post(json.dumps(order(user)).encode(), new_key(), headers={"Content-Type": content_type})

    assert response.status_code == 200, response.text


def test_a_price_that_moved_decides_the_next_order(market: Market) -> None:
    market.list_asset("MOVES", "10")
    user = market.new_user(USD="100")

    first = market.post(order(user, "MOVES"), new_key()).json()
    market.list_asset("MOVES", "12.5")
    second = market.post(order(user, "MOVES"), new_key()).json()

    assert (first["total_cost"], second["total_cost"]) == ("10.00000000", "12.50000000")


def test_amounts_are_exact_at_the_largest_sizes(market: Market) -> None:
    market.list_asset("HUGE", "1000000000000")
    market.list_asset("TINY", "0.00000001")
    user = market.new_user(HUGE="1")

    fill = market.post(order(user, "TINY", "HUGE", "999999999999999.99999999"), new_key()).json()

    # 999999999999999.99999999 × 10⁻⁸ / 10¹² = 0.00000999999…, rounded up
    assert fill["total_cost"] == "0.00001000"
    assert market.holdings(user) == {"HUGE": Decimal("0.99999000"), "TINY": Decimal("999999999999999.99999999")}


def test_balances_are_exact_to_the_last_of_37_digits(market: Market) -> None:
    held = "99999999999999999999999999999.99999999"
    user = market.new_user(USD=held, ETH=held[1:])

    market.post(order(user, "ETH", "USD", "0.00000001"), new_key())

    # 0.00000001 × 3000 = 0.00003
    assert market.holdings(user) == {
        "USD": Decimal("99999999999999999999999999999.99996999"),
        "ETH": Decimal("10000000000000000000000000000.00000000"),
    }


def test_a_cost_beyond_what_the_datastore_can_hold_is_simply_not_covered(market: Market) -> None:
    market.list_asset("HUGE", "1000000000000")
    market.list_asset("TINY", "0.00000001")
    user = market.new_user(TINY="1")

    response = market.post(order(user, "HUGE", "TINY", "1000000000000000"), new_key())

    assert response.status_code == 402
    assert response.json()["message"] == f"Need 1{'0' * 35}.00000000 TINY but only have 1.00000000 TINY"


def _shape(body: dict[str, Any]) -> dict[str, Any]:
    assert datetime.fromisoformat(body.pop("timestamp")).utcoffset() is not None
    return body


def test_an_order_that_is_not_covered_is_refused_and_says_what_is_missing(market: Market) -> None:
    user = market.new_user(USD="100000")

    response = market.post(order(user, quantity="3"), new_key())

    assert response.status_code == 402
    assert _shape(response.json()) == {
        "status": 402,
        "error_code": "ERR_LIQUIDITY",
        "message": "Need 150000.00000000 USD but only have 100000.00000000 USD",
    }
    assert market.portfolio(user)["holdings"] == {"USD": "100000.00000000"}


def test_an_account_that_nobody_funded_holds_nothing(market: Market) -> None:
    response = market.post(order(new_user_id()), new_key())

    assert response.status_code == 402
    message = response.json()["message"]
    assert message == "Need 50000.00000000 USD but only have 0.00000000 USD. This account was never funded"


@pytest.mark.parametrize(
    ("symbol", "pay_with", "named"), [("NOPE", "USD", "NOPE"), ("BTC", "NOPE", "NOPE"), ("NO", "NOPE", "NO, NOPE")]
)
def test_an_unknown_asset_is_not_found(market: Market, symbol: str, pay_with: str, named: str) -> None:
    response = market.post(order(new_user_id(), symbol, pay_with), new_key())

    assert response.status_code == 404
    assert _shape(response.json()) == {"status": 404, "error_code": "ERR_ASSET_NOT_FOUND", "message": f"Unknown asset: {named}"}


@pytest.mark.parametrize(("symbol", "pay_with"), [("HALTS", "USD"), ("USD", "HALTS")])
def test_a_halted_asset_is_not_traded(market: Market, symbol: str, pay_with: str) -> None:
    market.list_asset("HALTS", "1", halted=True)

    response = market.post(order(new_user_id(), symbol, pay_with), new_key())

    assert response.status_code == 409
    assert response.json()["error_code"] == "ERR_ASSET_HALTED"
    assert "HALTS" in response.json()["message"]

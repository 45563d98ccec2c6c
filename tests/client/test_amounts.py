"""What goes in: exact amounts, times with an offset, keys that the engine takes as they stand."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from hft_client import Amount, Order
from hft_client.amounts import amount_text, time_text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (Decimal("0.50"), "0.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("0.1000000000000"), "0.10000000"),
        (Decimal("0.123456789"), "0.123456789"),
        (Decimal(3) / Decimal(8), "0.375"),
        (250, "250"),
        ("0.5", "0.5"),
        ("all", "all"),
    ],
)
def test_an_amount_is_sent_digit_for_digit(given: Amount, text: str) -> None:
    assert amount_text("quantity", given) == text


@pytest.mark.parametrize("given", [0.1, float("nan"), 1.0])
def test_a_float_is_a_type_error_that_says_why(given: float) -> None:
    with pytest.raises(TypeError, match=r"quantity is a float.*cannot hold.*Decimal"):
        Order.buy("BTC", given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [True, None, b"1", [1]])
def test_what_is_no_exact_number_is_a_type_error(given: object) -> None:
    with pytest.raises(TypeError, match="must be a Decimal, an int or a str"):
        amount_text("quantity", given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [Decimal("NaN"), Decimal("Infinity"), Decimal("-sNaN")])
def test_a_decimal_that_is_not_finite_is_a_value_error(given: Decimal) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        amount_text("quantity", given)


def test_a_time_needs_an_offset() -> None:
    assert time_text("expires_at", datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00+00:00"
    with pytest.raises(ValueError, match="no time zone"):
        time_text("expires_at", datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("key", ["", " k", "k ", '"k"', "k\n", "ключ", "k" * 129])
def test_a_key_that_the_engine_would_read_as_another_is_a_value_error(key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        Order.buy("BTC", 1, key=key)


def test_a_buy_has_a_quantity_or_an_amount_to_spend() -> None:
    assert Order.buy("BTC", spend="all").terms == {"side": "buy", "symbol": "BTC", "pay_with": "USD", "notional": "all"}
    with pytest.raises(ValueError, match="either"):
        Order.buy("BTC", 1, spend=2)
    with pytest.raises(ValueError, match="either"):
        Order.buy("BTC")


def test_all_conditions_of_an_order_are_sent() -> None:
    order = Order.sell("BTC", "all", receive="ETH", limit_price=Decimal("16.5"), expires_at="2030-01-01T00:00:00Z", key="k")

    assert order.key == "k"
    assert order.terms == {
        "side": "sell",
        "symbol": "BTC",
        "receive": "ETH",
        "quantity": "all",
        "limit_price": "16.5",
        "expires_at": "2030-01-01T00:00:00Z",
    }

"""Amounts, prices and quotients: exact as text, and rounded once."""

from decimal import Decimal, Inexact
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain.asset import MAX_PRICE, MIN_PRICE, fee_bps_text, value_usd_units
from chalicelib.domain.money import (
    PRICE_PER_USD,
    divide_half_up,
    divide_up,
    price_from,
    price_text,
    quotient_text,
    text_from,
    units_from,
)
from tests.unit.domain.strategies import MAX_FEE_RATE, balances, integers, prices


@given(integers(0, 10**50))
def test_units_survive_becoming_text(amount: int) -> None:
    text = text_from(amount)

    assert units_from(Decimal(text)) == amount
    whole, decimals = text.split(".")
    assert whole.isdigit()
    assert len(decimals) == 8


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00000000"),
        (1, "0.00000001"),
        (-1, "-0.00000001"),
        (10**8, "1.00000000"),
        (-150_000_000, "-1.50000000"),
        (10**37, f"1{'0' * 29}.00000000"),
    ],
)
def test_amounts_are_shown_in_plain_notation(amount: int, text: str) -> None:
    assert text_from(amount) == text
    assert units_from(Decimal(text)) == amount


@pytest.mark.parametrize("finer", ["0.000000001", "1.000000001", "123456789012345678901234567890.123456789"])
def test_an_amount_finer_than_a_unit_is_refused(finer: str) -> None:
    with pytest.raises(Inexact):
        units_from(Decimal(finer))


@given(integers(1, 10**60), integers(1, 10**60))
def test_rounding_is_exact(dividend: int, divisor: int) -> None:
    exact = Fraction(dividend, divisor)

    assert divide_up(dividend, divisor) == ceil(exact)
    assert divide_half_up(dividend, divisor) == floor(exact + Fraction(1, 2))


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("50000", "50000.00000000"),
        ("1", "1.00000000"),
        ("0.00000001", "0.00000001"),
        ("0.000000012", "0.000000012"),
        ("0.0000000000000001", "0.0000000000000001"),
        ("49999.9999999999999999", "49999.9999999999999999"),
        ("1.5000000000", "1.50000000"),
        ("1000000000000", "1000000000000.00000000"),
    ],
)
def test_a_listed_price_is_shown_exactly_with_8_to_16_decimals(price: str, text: str) -> None:
    assert price_text(price_from(Decimal(price))) == text


@given(prices)
def test_a_price_survives_becoming_text(price: int) -> None:
    text = price_text(price)

    assert price_from(Decimal(text)) == price
    decimals = len(text.split(".")[1])
    assert 8 <= decimals <= 16
    assert decimals == 8 or not text.endswith("0")


def test_a_price_finer_than_its_unit_is_refused() -> None:
    with pytest.raises(Inexact):
        price_from(Decimal("0.00000000000000001"))


@pytest.mark.parametrize(
    ("numerator", "denominator", "text"),
    [
        (50_000, 1, "50000.00000000"),
        (3_000, 50_000, "0.06000000"),
        (1, 3, "0.33333333"),
        (2, 3, "0.66666667"),
        (1, 65_432_000, "0.000000015283042"),
        (15_283_019, 10**12, "0.000015283019"),
        (1, 10**9, "0.000000001"),
        (1, 16 * 10**8, "0.000000000625"),
        (1, 200_000_000, "0.000000005"),
        (199_999_999_999, 10**11, "2.00000000"),
        (9_999_999_995, 10**11, "0.10000000"),
        (9_999_999_994, 10**11, "0.10000000"),
        (999_999_994, 10**10, "0.099999999"),
        (10**28, 1, f"1{'0' * 28}.00000000"),
        (1, 10**28, "0.0000000000000000000000000001"),
        (0, 5, "0.00000000"),
    ],
)
def test_a_quotient_is_shown_half_up_with_8_decimals_or_as_many_more_as_8_digits_take(
    numerator: int, denominator: int, text: str
) -> None:
    assert quotient_text(numerator, denominator) == text


@given(prices, prices)
@example(MAX_PRICE, MIN_PRICE)
@example(MIN_PRICE, MAX_PRICE)
def test_a_shown_quotient_is_near_the_exact_one_and_as_short_as_that_allows(numerator: int, denominator: int) -> None:
    text = quotient_text(numerator, denominator)

    exact = Fraction(numerator, denominator)
    half_a_decimal = Fraction(1, 2 * 10**8)
    assert abs(Fraction(Decimal(text)) - exact) <= (half_a_decimal if 10 * exact > 1 else half_a_decimal * 10 * exact)
    whole, decimals = text.split(".")
    assert whole.isdigit()
    assert len(decimals) == 8 or (len(decimals) > 8 and not decimals.endswith("0"))


@given(balances, prices)
def test_a_value_is_the_nearest_unit_of_usd(units: int, price: int) -> None:
    exact = Fraction(units * price, PRICE_PER_USD)

    assert value_usd_units(units, price) == floor(exact + Fraction(1, 2))


@pytest.mark.parametrize(
    ("rate", "text"), [(0, "0"), (1, "0.01"), (10, "0.1"), (250, "2.5"), (2_500, "25"), (10_000, "100"), (100_000, "1000")]
)
def test_a_fees_rate_is_shown_in_basis_points_as_short_as_it_is_exact(rate: int, text: str) -> None:
    assert fee_bps_text(rate) == text


@given(st.integers(0, MAX_FEE_RATE))
def test_a_fees_rate_survives_becoming_text(rate: int) -> None:
    assert units_from(Decimal(fee_bps_text(rate)), 2) == rate

"""Money arithmetic, over all inputs: never free, never negative, exact to the unit."""

from decimal import Decimal, Inexact
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.account import Account
from chalicelib.domain.decision import decide
from chalicelib.domain.money import MAX_STORED_UNITS, UNITS_PER_ONE, divide_half_up, divide_up, text_from, units_from
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import MAX_PRICE_UNITS, MIN_PRICE_UNITS, Asset, Quote, value
from chalicelib.runtime.deadline import utc_now

units = st.integers(0, MAX_STORED_UNITS)
quantities = st.integers(1, 10**15 * UNITS_PER_ONE)
prices = st.integers(MIN_PRICE_UNITS, MAX_PRICE_UNITS)


def quote(buy: int, pay: int) -> Quote:
    return Quote(buy=Asset("BUY", buy), pay=Asset("PAY", pay))


@given(units)
def test_units_survive_becoming_text(amount: int) -> None:
    text = text_from(amount)

    assert units_from(Decimal(text)) == amount
    whole, decimals = text.split(".")
    assert whole.isdigit()
    assert len(decimals) == 8


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0.00000000"), (1, "0.00000001"), (10**8, "1.00000000"), (10**46, f"1{'0' * 38}.00000000")]
)
def test_amounts_are_shown_in_plain_notation(amount: int, text: str) -> None:
    assert text_from(amount) == text


def test_an_amount_finer_than_a_unit_is_no_amount() -> None:
    with pytest.raises(Inexact):
        units_from(Decimal("0.000000001"))


@given(st.integers(1, 10**60), st.integers(1, 10**60))
def test_rounding_is_exact(dividend: int, divisor: int) -> None:
    exact = Fraction(dividend, divisor)

    assert divide_up(dividend, divisor) == ceil(exact)
    assert divide_half_up(dividend, divisor) == floor(exact + Fraction(1, 2))


@given(quantities, prices, prices)
def test_a_cost_is_never_free_and_never_less_than_the_exact_one(quantity: int, buy: int, pay: int) -> None:
    exact = Fraction(quantity) * Fraction(buy, pay)

    cost = quote(buy, pay).cost_units(quantity)

    assert cost >= 1
    assert 0 <= cost - exact < 1


@given(quantities, quantities, prices, prices)
def test_splitting_an_order_never_makes_it_cheaper(one: int, other: int, buy: int, pay: int) -> None:
    at = quote(buy, pay)

    assert at.cost_units(one) + at.cost_units(other) >= at.cost_units(one + other)


@given(quantities, prices, prices)
def test_there_and_back_never_gains(quantity: int, buy: int, pay: int) -> None:
    cost = quote(buy, pay).cost_units(quantity)
    assert quote(pay, buy).cost_units(cost) >= quantity


@given(prices, prices)
def test_the_execution_price_is_the_cross_rate_rounded_half_up(buy: int, pay: int) -> None:
    shown = quote(buy, pay).execution_price_units()

    assert abs(Fraction(shown, UNITS_PER_ONE) - Fraction(buy, pay)) <= Fraction(1, 2 * UNITS_PER_ONE)


@given(st.integers(0, 10**30), quantities, prices, prices)
def test_an_order_fills_if_and_only_if_the_balance_covers_it(balance: int, quantity: int, buy: int, pay: int) -> None:
    account = Account(1, {"PAY": balance, "BUY": 7}, sequence=3, head=b"h")
    order = Order(1, "key", "BUY", "PAY", quantity, text_from(quantity))
    cost = quote(buy, pay).cost_units(quantity)

    after, record = decide(order, account, quote(buy, pay), utc_now(), "thread")

    if balance >= cost:
        assert (record.status, after.balances) == (200, {"PAY": balance - cost, "BUY": 7 + quantity})
        assert record.movement is not None
        assert record.movement.changes == {"PAY": -cost, "BUY": quantity}
    else:
        assert (record.status, after, record.movement) == (402, account, None)


@given(st.dictionaries(st.sampled_from("ABCDEF"), units), st.dictionaries(st.sampled_from("ABCDEF"), prices))
def test_a_valuation_is_exact_until_its_one_rounding(balances: dict[str, int], listed: dict[str, int]) -> None:
    exact = {symbol: Fraction(balances[symbol] * listed[symbol], UNITS_PER_ONE) for symbol in balances if symbol in listed}

    valuation = value(balances, {symbol: Asset(symbol, price) for symbol, price in listed.items()})

    assert valuation.value_units == {
        symbol: floor(exact[symbol] + Fraction(1, 2)) if symbol in exact else None for symbol in balances
    }
    assert valuation.total_cents == floor(sum(exact.values()) * 100 / UNITS_PER_ONE + Fraction(1, 2))


def test_a_total_just_below_half_a_cent_is_nothing() -> None:
    """The sum is exact to 10⁻¹⁶ USD, and begins at nothing."""
    below = value({"A": 5 * 10**13 - 1}, {"A": Asset("A", 1)})
    half = value({"A": 5 * 10**13}, {"A": Asset("A", 1)})

    assert (below.total_cents, half.total_cents) == (0, 1)

"""The audit's arithmetic against exact fractions: each inequality has one solution, and it is rounded against the client."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.audit import arithmetic

prices = st.integers(1, 10**28) | st.integers(1, 40)
amounts = st.integers(1, 10**37) | st.integers(1, 40)
rates = st.integers(0, 10**5)
offs = st.sampled_from([-1, 1])


@given(amounts, prices, prices, offs)
def test_a_cost_is_rounded_up_and_nothing_else_is_one(quantity: int, symbol_price: int, other_price: int, off: int) -> None:
    cost = ceil(Fraction(quantity * symbol_price, other_price))

    assert arithmetic.is_cost(cost, quantity, symbol_price, other_price)
    assert not arithmetic.is_cost(cost + off, quantity, symbol_price, other_price)


@given(amounts, prices, prices, offs)
def test_gross_proceeds_are_rounded_down(quantity: int, symbol_price: int, other_price: int, off: int) -> None:
    gross = floor(Fraction(quantity * symbol_price, other_price))

    assert arithmetic.is_gross(gross, quantity, symbol_price, other_price)
    assert not arithmetic.is_gross(gross + off, quantity, symbol_price, other_price)


@given(amounts, rates, offs)
def test_a_fee_is_rounded_up(base: int, rate: int, off: int) -> None:
    fee = ceil(Fraction(base * rate, 10**6))

    assert arithmetic.is_fee(fee, base, rate)
    assert not arithmetic.is_fee(fee + off, base, rate)


@given(amounts)
def test_without_a_rate_there_is_no_fee(base: int) -> None:
    assert arithmetic.is_fee(0, base, 0)


@given(amounts, st.integers(1, 10**9), prices, prices, rates)
def test_one_step_more_than_the_largest_quantity_costs_more_than_the_total(
    total: int, step: int, symbol_price: int, other_price: int, rate: int
) -> None:
    quantity = arithmetic.largest_quantity(total, step, symbol_price, other_price, rate)

    assert quantity % step == 0
    assert arithmetic.total_cost(quantity, symbol_price, other_price, rate) <= total
    assert arithmetic.total_cost(quantity + step, symbol_price, other_price, rate) > total


@given(st.integers(0, 10**50), amounts, amounts)
def test_a_share_of_a_basis_is_rounded_half_up(basis: int, one: int, other: int) -> None:
    part, whole = sorted((one, other))

    share = arithmetic.share(basis, part, whole)

    assert share == floor(Fraction(basis * part, whole) + Fraction(1, 2))
    assert 2 * whole * share <= 2 * basis * part + whole < 2 * whole * (share + 1)
    assert 0 <= share <= basis


@given(st.integers(0, 10**50), amounts)
def test_the_whole_takes_all_of_the_basis(basis: int, whole: int) -> None:
    assert arithmetic.share(basis, whole, whole) == basis


@given(amounts, prices)
def test_a_value_is_rounded_half_up(units: int, price: int) -> None:
    assert arithmetic.value_usd(units, price) == floor(Fraction(units * price, 10**16) + Fraction(1, 2))


@pytest.mark.parametrize(("units", "shown"), [(1, 1), (3, 2), (5, 3)])
def test_halves_are_rounded_up(units: int, shown: int) -> None:
    assert arithmetic.value_usd(units, 10**16 // 2) == shown


@given(amounts, prices, prices, rates)
def test_rounding_is_bad_beyond_one_percent_of_the_exact_value(
    quantity: int, symbol_price: int, other_price: int, rate: int
) -> None:
    value, share = Fraction(quantity * symbol_price, other_price), Fraction(rate, 10**6)
    total = arithmetic.total_cost(quantity, symbol_price, other_price, rate)
    gross = floor(value)
    net = gross - ceil(gross * share)

    assert arithmetic.net_proceeds(quantity, symbol_price, other_price, rate) == net
    assert arithmetic.buy_rounds_badly(total, quantity, symbol_price, other_price, rate) == (
        total - value * (1 + share) > value / 100
    )
    assert arithmetic.sell_rounds_badly(net, quantity, symbol_price, other_price, rate) == (
        net == 0 or value * (1 - share) - net > value / 100
    )


@pytest.mark.parametrize(("limit_price", "buy_is_beyond", "sell_is_beyond"), [(49_999, True, False), (50_001, False, True)])
def test_a_limit_is_the_worst_price_taken(limit_price: int, buy_is_beyond: bool, sell_is_beyond: bool) -> None:  # noqa: FBT001
    market = {"symbol_price": 50_000 * 10**16, "other_price": 10**16}

    assert arithmetic.is_beyond(limit_price * 10**16, **market, buys=True) is buy_is_beyond
    assert arithmetic.is_beyond(limit_price * 10**16, **market, buys=False) is sell_is_beyond
    assert not arithmetic.is_beyond(50_000 * 10**16, **market, buys=True)
    assert not arithmetic.is_beyond(50_000 * 10**16, **market, buys=False)


def test_the_examples_of_the_arithmetic() -> None:
    """As the project's documents name them."""
    btc, eth, usd = 50_000 * 10**16, 3_000 * 10**16, 10**16

    assert arithmetic.total_cost(83, eth, btc, 0) == 5
    assert arithmetic.is_gross(60, 1010, eth, btc)
    assert arithmetic.buy_rounds_badly(arithmetic.total_cost(1617, eth, btc, 0), 1617, eth, btc, 0)
    assert not arithmetic.buy_rounds_badly(arithmetic.total_cost(1634, eth, btc, 0), 1634, eth, btc, 0)
    assert arithmetic.total_cost(1634, eth, btc, 0) == 99
    assert arithmetic.total_cost(10**8, btc, usd, 2500) == 50_125_00000000
    assert arithmetic.largest_quantity(250_00000000, 1, btc, usd, 2500) == 498_753
    assert arithmetic.total_cost(498_753, btc, usd, 2500) == 249_99994125

"""Valuing an account: each position exact to its one rounding, nothing where there is no price."""

from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.account import Account
from chalicelib.domain.asset import Asset
from chalicelib.domain.money import PRICE_PER_USD
from chalicelib.domain.portfolio import Position, value
from chalicelib.domain.position import Books
from tests.unit.domain.builders import AT, PRICE_AT, SEED, account, units
from tests.unit.domain.strategies import balances, prices


@given(st.dictionaries(st.sampled_from("ABCDEF"), balances), st.dictionaries(st.sampled_from("ABCDEF"), prices))
def test_a_total_is_the_sum_of_the_shown_values(held: dict[str, int], listed: dict[str, int]) -> None:
    market = {symbol: Asset(symbol, price, PRICE_AT) for symbol, price in listed.items()}

    portfolio = value(Account(7, Books(held, {}, 0)), market, AT)

    assert list(portfolio.positions) == sorted(held), "everything ever held, by symbol"
    expected = {
        symbol: floor(Fraction(units * listed[symbol], PRICE_PER_USD) + Fraction(1, 2)) if symbol in listed else None
        for symbol, units in held.items()
    }
    assert {symbol: position.value_units for symbol, position in portfolio.positions.items()} == expected
    assert portfolio.total_units == sum(each for each in expected.values() if each is not None)


def test_a_position_without_a_price_has_no_value() -> None:
    held = Account(7, Books({"GONE": 5, "BTC": units("2"), "USD": units("1")}, {"GONE": 3, "BTC": units("7")}, 0))

    portfolio = value(held, SEED, AT)

    assert portfolio.positions == {
        "BTC": Position(units("2"), units("7"), SEED["BTC"], units("100000")),
        "GONE": Position(5, 3, None, None),
        "USD": Position(units("1"), units("1"), SEED["USD"], units("1")),
    }
    assert (portfolio.total_units, portfolio.valued_at, portfolio.account) == (units("100001"), AT, held)


def test_an_account_that_nobody_funded_is_an_empty_portfolio() -> None:
    portfolio = value(Account(7), SEED, AT)

    assert (portfolio.positions, portfolio.total_units) == ({}, 0)


def test_what_was_sold_out_is_still_listed() -> None:
    assert value(account(BTC="0", USD="1"), SEED, AT).positions["BTC"].value_units == 0

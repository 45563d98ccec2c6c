"""Trades over all prices, amounts, steps and fees: never negative, never in the client's favour, exact to the unit.

The figures are held against inequalities of which each has one solution, and never against the engine's own functions.
"""

import re
from dataclasses import replace
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from chalicelib.domain.account import Account
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Fill, OrderOutcome, Refusal
from chalicelib.domain.money import MAX_BALANCE_UNITS, PRICE_PER_USD, text_from
from chalicelib.domain.order import ALL, Amount, Order, Side
from chalicelib.domain.position import Books
from chalicelib.domain.refusals import BrokenRule
from tests.unit.domain.builders import AT, units
from tests.unit.domain.strategies import Deal, deals, integers, quantities

MILLION = 10**6
RICH = MAX_BALANCE_UNITS // 2


def exact(units: int) -> Amount:
    return Amount(units, text_from(units))


def buy(units: int) -> Order:
    return Order(1, "k", "A", "B", quantity=exact(units))


def spend(units: int) -> Order:
    return Order(1, "k", "A", "B", notional=exact(units))


def sell(units: int) -> Order:
    return Order(1, "k", "A", "B", quantity=exact(units), side=Side.SELL)


SELL_ALL = Order(1, "k", "A", "B", quantity=Amount(None, ALL), side=Side.SELL)
SPEND_ALL = Order(1, "k", "A", "B", notional=Amount(None, ALL))


def holding(a: int, b: int) -> Account:
    return Account(1, Books({"A": a, "B": b}, {}, 0), sequence=1, head=b"head")


def filled(deal: Deal, order: Order, held: Account | None = None) -> Fill:
    """A fill of the order; what a rule forbids is drawn again."""
    try:
        fill = decide(order, held or holding(RICH, RICH), deal.market, AT, "thread")
    except BrokenRule:
        assume(False)  # noqa: FBT003  # Hypothesis has it so
        raise
    assert isinstance(fill, Fill)
    return fill


def cost_units(deal: Deal, quantity_units: int) -> int:
    """What a quantity costs, fee included, by definition: the least integers that are not less than the exact figures."""
    cost = -(Fraction(-quantity_units * deal.price, deal.other_price) // 1)
    return int(cost - (Fraction(-cost * deal.rate, MILLION) // 1))


@given(deals())
def test_a_buys_figures_are_the_only_ones_that_the_arithmetic_allows(deal: Deal) -> None:
    fill = filled(deal, buy(deal.quantity_units))

    q, total, fee = fill.quantity_units, fill.other_units, fill.fee_units
    base = total - fee
    assert q == deal.quantity_units
    assert (base - 1) * deal.other_price < q * deal.price <= base * deal.other_price
    assert (fee - 1) * MILLION < base * deal.rate <= fee * MILLION
    assert fill.balances == {"A": RICH + q, "B": RICH - total}


@given(deals())
def test_a_sales_figures_are_the_only_ones_that_the_arithmetic_allows(deal: Deal) -> None:
    fill = filled(deal, sell(deal.quantity_units))

    q, net, fee = fill.quantity_units, fill.other_units, fill.fee_units
    gross = net + fee
    assert q == deal.quantity_units
    assert gross * deal.other_price <= q * deal.price < (gross + 1) * deal.other_price
    assert (fee - 1) * MILLION < gross * deal.rate <= fee * MILLION
    assert net > 0
    assert fill.balances == {"A": RICH - q, "B": RICH + net}


@given(deals())
def test_a_notional_never_overspends_and_one_step_more_would(deal: Deal) -> None:
    fill = filled(deal, spend(deal.notional_units))

    step = deal.market["A"].quantity_step_units
    assert fill.quantity_units > 0
    assert fill.quantity_units % step == 0
    assert fill.other_units == cost_units(deal, fill.quantity_units) <= deal.notional_units
    assert cost_units(deal, fill.quantity_units + step) > deal.notional_units


@given(deals(), integers(0, MAX_BALANCE_UNITS // 4))
def test_all_is_the_whole_balance_of_what_is_given(deal: Deal, other_units: int) -> None:
    sale = filled(deal, SELL_ALL, holding(deal.quantity_units, other_units))
    assert (sale.quantity_units, sale.balances["A"]) == (deal.quantity_units, 0)

    purchase = filled(deal, SPEND_ALL, holding(other_units, deal.notional_units))
    assert purchase == replace(
        filled(deal, spend(deal.notional_units), holding(other_units, deal.notional_units)), order=SPEND_ALL
    )


@given(deals(), integers(0, RICH))
def test_an_order_fills_if_and_only_if_the_balance_covers_it(deal: Deal, held_units: int) -> None:
    needed = filled(deal, buy(deal.quantity_units)).other_units
    for held in (held_units, needed, needed - 1):
        decision = decide(buy(deal.quantity_units), holding(0, held), deal.market, AT, "thread")

        if held >= needed:
            assert isinstance(decision, Fill)
            assert decision.balances == {"A": deal.quantity_units, "B": held - needed}
        else:
            assert isinstance(decision, Refusal)
            assert (decision.outcome, decision.needed_units, decision.held_units) == (OrderOutcome.LIQUIDITY, needed, held)


@given(deals())
def test_a_round_trip_gains_nothing(deal: Deal) -> None:
    bought = filled(deal, buy(deal.quantity_units))
    assert filled(deal, sell(bought.quantity_units)).other_units <= bought.other_units

    sold = filled(deal, sell(deal.quantity_units))
    assert filled(deal, spend(sold.other_units)).quantity_units <= sold.quantity_units


@given(deals(stepless=True), st.data())
def test_splitting_an_order_gains_nothing(deal: Deal, data: st.DataObject) -> None:
    assume(deal.quantity_units > 1)
    first = data.draw(st.integers(deal.quantity_units // 4, deal.quantity_units - 1).filter(bool))
    second = deal.quantity_units - first

    whole, parts = filled(deal, buy(deal.quantity_units)), [filled(deal, buy(part)) for part in (first, second)]
    assert sum(part.other_units for part in parts) >= whole.other_units

    whole, parts = filled(deal, sell(deal.quantity_units)), [filled(deal, sell(part)) for part in (first, second)]
    assert sum(part.other_units for part in parts) <= whole.other_units


@given(deals(), st.integers(-2, 2))
def test_a_limit_is_never_passed_and_never_refuses_a_better_price(deal: Deal, off: int) -> None:
    limit = max(1, deal.price * PRICE_PER_USD // deal.other_price + off)
    market, worst = Fraction(deal.price, deal.other_price), Fraction(limit, PRICE_PER_USD)
    order = replace(filled(deal, buy(deal.quantity_units)).order, limit_price=limit)

    bought = decide(order, holding(0, RICH), deal.market, AT, "thread")
    assert bought.outcome is (OrderOutcome.FILLED if market <= worst else OrderOutcome.PRICE_LIMIT)

    order = replace(filled(deal, sell(deal.quantity_units)).order, limit_price=limit)
    sold = decide(order, holding(RICH, 0), deal.market, AT, "thread")
    assert sold.outcome is (OrderOutcome.FILLED if market >= worst else OrderOutcome.PRICE_LIMIT)


@given(deals())
def test_rounding_costs_a_client_one_percent_at_most(deal: Deal) -> None:
    value = Fraction(deal.quantity_units * deal.price, deal.other_price)
    rate = Fraction(deal.rate, MILLION)

    assert filled(deal, buy(deal.quantity_units)).other_units - value * (1 + rate) <= value / 100
    assert value * (1 - rate) - filled(deal, sell(deal.quantity_units)).other_units <= value / 100


@given(deals(), quantities, integers(0, 10**18), integers(1, 10**18), integers(1, 10**6))
def test_the_quantity_that_a_message_suggests_is_enough_and_so_is_every_larger_one(
    deal: Deal, small: int, least_usd_units: int, least_units: int, more: int
) -> None:
    step = deal.market["A"].quantity_step_units
    ruled = replace(deal.market["A"], min_quantity_units=least_units, min_notional_usd_units=least_usd_units)
    deal = replace(deal, market={**deal.market, "A": ruled})
    small = max(1, small // step) * step
    try:
        decide(buy(small), holding(0, RICH), deal.market, AT, "thread")
    except BrokenRule as broken:
        suggested = re.search(r"([\d.]+) A or more is enough", str(broken))
        assume(suggested)  # what is too large is not helped by more
        assert suggested is not None
        enough = units(suggested[1])
    else:
        assume(False)  # noqa: FBT003  # Hypothesis has it so
        return

    assert enough % step == 0
    for quantity in (enough, enough + step, enough + more * step):
        for order in (buy(quantity), sell(quantity)):
            try:
                decide(order, holding(0, 0), deal.market, AT, "thread")
            except BrokenRule as broken:
                assert broken.rule == "size"  # noqa: PT017  # only what is too large may still be refused

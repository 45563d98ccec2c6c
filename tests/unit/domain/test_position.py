"""Cost basis and realized gain over random histories: the books balance to the unit after every decision."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Decision, Fill, Transfer, Transferred
from chalicelib.domain.money import PRICE_PER_USD, text_from
from chalicelib.domain.order import ALL, Amount, Order, Side
from chalicelib.domain.portfolio import value
from chalicelib.domain.position import Books, net_deposits_units
from chalicelib.domain.refusals import Undecided
from chalicelib.domain.transfer import transfer
from tests.unit.domain.builders import AT, PRICE_AT, SEED, account, buy, market, sell, units
from tests.unit.domain.strategies import fee_rates, integers, prices

SYMBOLS = ["USD", "A", "B", "C"]
others = st.sampled_from(SYMBOLS[1:])


@dataclass(frozen=True)
class Step:
    """One step of a history. `share`: of the balance, in hundredths; at 100 it is asked for as ``"all"`` where that exists."""

    kind: str
    symbol: str
    other: str
    share: int
    units: int


steps = st.builds(
    Step,
    kind=st.sampled_from(["fund", "debit", *3 * ["buy", "spend", "sell"], "reprice", "unlist"]),
    symbol=st.sampled_from(SYMBOLS),
    other=st.sampled_from(SYMBOLS),
    share=st.one_of(st.just(100), st.integers(1, 110)),
    units=integers(1, 10**20),
)
cents = integers(PRICE_PER_USD // 10**6, PRICE_PER_USD * 10**6)
markets = st.fixed_dictionaries({symbol: st.tuples(st.one_of(cents, prices), fee_rates) for symbol in SYMBOLS[1:]})


def opening(listed: dict[str, tuple[int, int]]) -> dict[str, Asset]:
    assets = {symbol: Asset(symbol, price, PRICE_AT, fee_rate=rate) for symbol, (price, rate) in listed.items()}
    return assets | {"USD": SEED["USD"]}


def decision_of(step: Step, held: Account, assets: dict[str, Asset]) -> Decision | None:
    """Returns the decision of a step; `None` where nothing is decided."""
    part = held.balance_units(step.symbol) * step.share // 100
    other_part = held.balance_units(step.other) * step.share // 100
    exact = Amount(part, text_from(part)) if step.share != 100 else Amount(None, ALL)
    spent = Amount(other_part, text_from(other_part)) if step.share != 100 else Amount(None, ALL)
    pair = (step.symbol, step.other)
    try:
        match step.kind:
            case "fund":
                return transfer(held, Transfer(7, "k", step.symbol, step.units), assets.get(step.symbol), AT)
            case "debit" if part:
                return transfer(held, Transfer(7, "k", step.symbol, -part), assets.get(step.symbol), AT)
            case "buy" if step.symbol != step.other and step.symbol in assets and step.other in assets:
                worth = other_part * assets[step.other].price // assets[step.symbol].price
                order = Order(7, "k", *pair, quantity=Amount(max(worth, 1), "the client's"))
                return decide(order, held, assets, AT, "thread")
            case "spend" if step.symbol != step.other and (other_part or step.share == 100):
                return decide(Order(7, "k", *pair, notional=spent), held, assets, AT, "thread")
            case "sell" if step.symbol != step.other and (part or step.share == 100):
                return decide(Order(7, "k", *pair, quantity=exact, side=Side.SELL), held, assets, AT, "thread")
    except Undecided:
        pass
    return None


def half_up(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


def check_given(before: Books, after: Books, symbol: str, gone: int) -> int:
    """Checks the basis that goes with what is given away, and returns it."""
    had, basis = before.balances[symbol], before.basis_units(symbol)
    went = basis - after.basis_units(symbol)
    assert 0 <= went <= basis
    assert 2 * had * went <= 2 * basis * gone + had < 2 * had * (went + 1)
    assert gone < had or went == basis
    return went


def check(before: Books, after: Books, decision: Decision, deposits: int) -> int:
    """Checks what one decision did to the books. Returns the net deposits after it, by the definition of each step."""
    match decision:
        case Fill(order=order, changes=changes):
            ((gave, gone),) = [(symbol, -change) for symbol, change in changes.items() if change < 0]
            ((got, came),) = [(symbol, change) for symbol, change in changes.items() if change > 0]
            went = check_given(before, after, gave, gone)
            other = decision.circumstances.prices[order.other].value
            moved = {gave: gone, got: came}
            worth = moved["USD"] if "USD" in moved else half_up(Fraction(moved[order.other] * other, PRICE_PER_USD))
            assert after.basis_units(got) - before.basis_units(got) == worth
            assert after.realized_pl_units - before.realized_pl_units == worth - went
        case Transferred(transfer=made, price=price):
            assert after.realized_pl_units == before.realized_pl_units
            if made.units < 0:
                deposits -= check_given(before, after, made.symbol, -made.units)
            else:
                per_unit = PRICE_PER_USD if made.symbol == "USD" else 0 if price is None else price.value
                worth = half_up(Fraction(made.units * per_unit, PRICE_PER_USD))
                assert after.basis_units(made.symbol) - before.basis_units(made.symbol) == worth
                deposits += worth
        case _:
            assert after == before
    return deposits


@settings(max_examples=200)
@given(markets, st.lists(steps, min_size=5, max_size=25), st.data())
def test_the_books_balance_to_the_unit_after_every_decision(
    listed: dict[str, tuple[int, int]], history: list[Step], data: st.DataObject
) -> None:
    assets = opening(listed)
    held, deposits = Account(7), 0
    for step in [Step("fund", "USD", "A", 1, 10**13), Step("fund", "A", "B", 1, 10**12), *history]:
        if step.kind == "reprice" and step.symbol != "USD" and step.symbol in assets:
            assets[step.symbol] = replace(assets[step.symbol], price=data.draw(st.one_of(cents, prices)))
        if step.kind == "unlist" and step.share == 100 and step.symbol != "USD":
            assets.pop(step.symbol, None)
        decision = decision_of(step, held, assets)
        if decision is None:
            continue
        before = held.books
        held, _ = append(held, decision)
        after = held.books
        deposits = check(before, after, decision, deposits)

        assert all(balance >= 0 for balance in after.balances.values())
        assert sum(after.basis_units(symbol) for symbol in after.balances) - after.realized_pl_units == deposits
        assert net_deposits_units(after) == deposits
        assert "USD" not in after.cost_basis
        assert all(after.balances[symbol] > 0 for symbol in after.cost_basis), "nothing is stored for a balance of zero"

        valued = value(held, assets, AT).positions.values()
        unrealized = sum(each.value_units - each.cost_basis_units for each in valued if each.value_units is not None)
        without_price = sum(each.cost_basis_units for each in valued if each.value_units is None)
        worth = sum(each.value_units or 0 for each in valued)
        assert after.realized_pl_units + unrealized == worth - deposits + without_price


def books_after(*decisions: Any) -> Books:
    held = Account(7)
    for each in decisions:
        held, _ = append(held, each(held))
    return held.books


def funded(symbol: str, text: str, assets: dict[str, Asset] = SEED) -> Any:
    return lambda held: transfer(held, Transfer(7, "k", symbol, units(text)), assets.get(symbol), AT)


def traded(order: Order, assets: dict[str, Asset] = SEED) -> Any:
    return lambda held: decide(order, held, assets, AT, "thread")


DEARER = market(replace(SEED["BTC"], price=2 * SEED["BTC"].price), SEED["ETH"], SEED["USD"])
FEE = market(replace(SEED["BTC"], fee_rate=2_500), SEED["ETH"], SEED["USD"])

BOOKS: dict[str, tuple[list[Any], dict[str, str], str]] = {
    # decisions, basis by symbol, realized
    "money from outside is no gain": ([funded("USD", "100")], {}, "0"),
    "what is bought costs what was paid": ([funded("USD", "60000"), traded(buy("1"))], {"BTC": "50000"}, "0"),
    "a fee raises the cost": ([funded("USD", "60000"), traded(buy("1"), FEE)], {"BTC": "50125"}, "0"),
    "a fee lowers the gain": (
        [funded("BTC", "1"), traded(sell("1"), FEE)],
        {},
        "-125",
    ),
    "half a sale realizes half": (
        [funded("USD", "50000"), traded(buy("1")), traded(sell("0.5"), DEARER)],
        {"BTC": "25000"},
        "25000",
    ),
    "what comes in brings its value": ([funded("ETH", "2")], {"ETH": "6000"}, "0"),
    "what comes in without a price costs nothing": ([funded("ETH", "2", {})], {"ETH": "0"}, "0"),
    "what goes out takes its share and realizes nothing": (
        [funded("ETH", "2"), funded("ETH", "-0.5", {})],
        {"ETH": "4500"},
        "0",
    ),
    "the last of it leaves no cost": ([funded("ETH", "2"), funded("ETH", "-2")], {}, "0"),
    "a trade between two assets realizes the gain of what is given": (
        [funded("USD", "50000"), traded(buy("1")), traded(buy("1", "ETH", "BTC"), DEARER)],
        {"BTC": "48500", "ETH": "3000"},
        "1500",
    ),
}


@pytest.mark.parametrize("name", BOOKS)
def test_the_books_after(name: str) -> None:
    decisions, basis, realized = BOOKS[name]

    books = books_after(*decisions)

    assert books.cost_basis == {symbol: units(text) for symbol, text in basis.items()}
    assert books.realized_pl_units == units(realized)


def test_an_odd_unit_of_basis_goes_half_up() -> None:
    held = replace(account(BTC="0.00000002"), books=Books({"BTC": 2}, {"BTC": 1}, 0))

    after, _ = append(held, transfer(held, Transfer(7, "k", "BTC", -1), None, AT))

    assert after.books.cost_basis == {"BTC": 0}


def test_a_refusal_leaves_the_books_as_they_are() -> None:
    held = account(USD="1")

    after, record = append(held, decide(buy("1"), held, SEED, AT, "thread"))

    assert after.books is held.books
    assert (after.sequence, after.head) == (held.sequence + 1, record.head)

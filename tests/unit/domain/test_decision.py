"""The rule book: for each reason the outcome, in the contract's order of checks, and the figures of every kind of fill."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib.domain.account import Account
from chalicelib.domain.asset import Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Circumstances, Fill, OrderOutcome, Price, Refusal
from chalicelib.domain.money import MAX_BALANCE_UNITS, PRICE_PER_USD, text_from
from chalicelib.domain.order import Order
from chalicelib.domain.position import Books
from chalicelib.domain.refusals import BrokenRule, HaltedAsset, StalePrice, UnknownAsset
from tests.unit.domain.builders import (
    AFTER,
    AT,
    AT_TEXT,
    BEFORE,
    PRICE_AT,
    SEED,
    account,
    amount,
    asset,
    buy,
    market,
    sell,
    spend,
    units,
)

FULL = text_from(MAX_BALANCE_UNITS)
"""The largest balance there is: what is added to it breaks the rule about size."""


def decided(order: Order, held: Account, assets: Mapping[str, Asset] = SEED) -> Fill | Refusal:
    return decide(order, held, assets, AT, "thread 1", price_stale_s=60)


def filled(order: Order, held: Account, assets: Mapping[str, Asset] = SEED) -> Fill:
    fill = decided(order, held, assets)
    assert isinstance(fill, Fill)
    return fill


def outcome_of(order: Order, held: Account, assets: Mapping[str, Asset]) -> str:
    """The outcome's name, in the contract's words; a broken rule is named by itself."""
    try:
        return decided(order, held, assets).outcome.value
    except UnknownAsset:
        return "ERR_ASSET_NOT_FOUND"
    except HaltedAsset:
        return "ERR_ASSET_HALTED"
    except StalePrice:
        return "ERR_PRICE_STALE"
    except BrokenRule as broken:
        return f"ERR_ORDER_RULE {broken.rule}"


# The order of checks. Each situation has all that can be wrong with its order, and each row puts right what the row above was
# about: so every reason is shown to come before all those below it.


STALE = "2026-01-01T11:59:00.000006Z"
"""A minute and a millionth of a second before the decision, which takes prices of up to a minute."""


@dataclass(frozen=True)
class Situation:
    order: Order
    held: Account
    assets: Mapping[str, Asset]

    def but(self, **changes: Any) -> "Situation":
        """The situation with changes: `SYM` and `BIG` are balances; the market's come next; the rest are the order's."""
        balances = {symbol: changes.pop(symbol) for symbol in ("SYM", "BIG") if symbol in changes}
        held = self.held
        if balances:
            merged = dict(held.balances) | {symbol: units(text) for symbol, text in balances.items()}
            held = replace(held, books=Books(merged, {}, 0))
        assets = changes.pop("assets", self.assets)
        for name in ("halted", "price_at"):
            if name in changes:
                assets = {**assets, "SYM": replace(assets["SYM"], **{name: changes.pop(name)})}
        return Situation(replace(self.order, **changes), held, assets)


# What costs 1 USD, in steps of 0.1, at least 1, at least 10 USD; and what is so dear that a unit of it is 10,000 USD.
SYM = asset("SYM", "1", quantity_step_units=10**7, min_quantity_units=10**8)
DEAR = market(SYM, asset("BIG", "1000000000000", min_notional_usd_units=10 * 10**8))
UNLISTED = {"BIG": replace(DEAR["BIG"], halted=True)}

# What a notional buys, in steps of 100,000, at least 300,000, at least 1,000,000 USD, at 1 bps.
COARSE_SYM = asset("SYM", "1", quantity_step_units=10**13, min_quantity_units=3 * 10**13, fee_rate=100)
COARSE = market(COARSE_SYM, asset("BIG", "1000000000000", min_notional_usd_units=10**14))

LADDERS: dict[str, tuple[Situation, list[tuple[str, dict[str, Any]]]]] = {
    "buy by quantity": (
        Situation(
            buy("0.05", "SYM", "BIG", limit_price="0.0000000000000009", expires_at=BEFORE), account(SYM=FULL, BIG="0"), UNLISTED
        ),
        [
            ("ERR_ASSET_NOT_FOUND", {}),
            ("ERR_ASSET_HALTED", {"assets": DEAR, "halted": True, "price_at": STALE}),
            ("ERR_PRICE_STALE", {"halted": False}),
            ("ERR_ORDER_RULE quantity_step", {"price_at": PRICE_AT}),
            ("ERR_ORDER_RULE min_quantity", {"quantity": amount("0.9")}),
            ("ERR_ORDER_RULE min_notional_usd", {"quantity": amount("9.9")}),
            ("ERR_ORDER_RULE rounding", {"quantity": amount("10")}),
            ("ERR_ORDER_RULE size", {"quantity": amount("10000000000000")}),
            ("ERR_ORDER_EXPIRED", {"SYM": "0"}),
            ("ERR_PRICE_LIMIT", {"expires_at": AT_TEXT}),
            ("ERR_LIQUIDITY", {"limit_price": 10_000}),
            ("ERR_LIQUIDITY", {"BIG": "9.99999999"}),
            ("ORDER_FILLED", {"BIG": "10"}),
        ],
    ),
    "buy by notional": (
        Situation(
            spend("0.00000001", "SYM", "BIG", limit_price="0.0000000000000009", expires_at=BEFORE), account(SYM=FULL), UNLISTED
        ),
        [
            ("ERR_ASSET_NOT_FOUND", {}),
            ("ERR_ASSET_HALTED", {"assets": COARSE, "halted": True, "price_at": STALE}),
            ("ERR_PRICE_STALE", {"halted": False}),
            ("ERR_ORDER_RULE quantity_step", {"price_at": PRICE_AT}),
            ("ERR_ORDER_RULE min_quantity", {"notional": amount("0.00000020")}),
            ("ERR_ORDER_RULE min_notional_usd", {"notional": amount("0.00000099")}),
            ("ERR_ORDER_RULE rounding", {"notional": amount("0.00000100")}),
            ("ERR_ORDER_RULE size", {"notional": amount("10.001")}),
            ("ERR_ORDER_EXPIRED", {"SYM": "0"}),
            ("ERR_PRICE_LIMIT", {"expires_at": AFTER}),
            ("ERR_LIQUIDITY", {"limit_price": None}),
            ("ERR_LIQUIDITY", {"BIG": "10.00099999"}),
            ("ORDER_FILLED", {"BIG": "10.001"}),
        ],
    ),
    "buy for all there is": (
        Situation(
            spend("all", "SYM", "BIG", limit_price="0.0000000000000009", expires_at=BEFORE), account(SYM=FULL, BIG="0"), UNLISTED
        ),
        [
            ("ERR_ASSET_NOT_FOUND", {}),
            ("ERR_ASSET_HALTED", {"assets": COARSE, "halted": True, "price_at": STALE}),
            ("ERR_PRICE_STALE", {"halted": False}),
            ("ERR_LIQUIDITY", {"price_at": PRICE_AT}),
            ("ERR_ORDER_RULE quantity_step", {"BIG": "0.00000001"}),
            ("ERR_ORDER_RULE min_quantity", {"BIG": "0.00000020"}),
            ("ERR_ORDER_RULE min_notional_usd", {"BIG": "0.00000099"}),
            ("ERR_ORDER_RULE rounding", {"BIG": "0.00000100"}),
            ("ERR_ORDER_RULE size", {"BIG": "10.001"}),
            ("ERR_ORDER_EXPIRED", {"SYM": "0"}),
            ("ERR_PRICE_LIMIT", {"expires_at": None}),
            ("ORDER_FILLED", {"limit_price": None}),
        ],
    ),
    "sell by quantity": (
        Situation(sell("0.05", "SYM", "BIG", limit_price="1", expires_at=BEFORE), account(SYM="0", BIG=FULL), UNLISTED),
        [
            ("ERR_ASSET_NOT_FOUND", {}),
            ("ERR_ASSET_HALTED", {"assets": DEAR, "halted": True, "price_at": STALE}),
            ("ERR_PRICE_STALE", {"halted": False}),
            ("ERR_ORDER_RULE quantity_step", {"price_at": PRICE_AT}),
            ("ERR_ORDER_RULE min_quantity", {"quantity": amount("0.9")}),
            ("ERR_ORDER_RULE min_notional_usd", {"quantity": amount("9.9")}),
            ("ERR_ORDER_RULE rounding", {"quantity": amount("10")}),
            ("ERR_ORDER_RULE size", {"quantity": amount("10000000000000")}),
            ("ERR_ORDER_EXPIRED", {"BIG": "0"}),
            ("ERR_PRICE_LIMIT", {"expires_at": AT_TEXT}),
            ("ERR_LIQUIDITY", {"limit_price": 10_000}),
            ("ERR_LIQUIDITY", {"SYM": "9999999999999.99999999"}),
            ("ORDER_FILLED", {"SYM": "10000000000000"}),
        ],
    ),
    "sell all there is": (
        Situation(sell("all", "SYM", "BIG", limit_price="1", expires_at=BEFORE), account(SYM="0", BIG=FULL), UNLISTED),
        [
            ("ERR_ASSET_NOT_FOUND", {}),
            ("ERR_ASSET_HALTED", {"assets": DEAR, "halted": True, "price_at": STALE}),
            ("ERR_PRICE_STALE", {"halted": False}),
            ("ERR_LIQUIDITY", {"price_at": PRICE_AT}),
            # Below every minimum, and between two steps: exempt from all three.
            ("ERR_ORDER_RULE rounding", {"SYM": "0.55"}),
            ("ERR_ORDER_RULE size", {"SYM": "10000000000000.00000005"}),
            ("ERR_ORDER_EXPIRED", {"BIG": "0"}),
            ("ERR_PRICE_LIMIT", {"expires_at": None}),
            ("ORDER_FILLED", {"limit_price": None}),
        ],
    ),
}


@pytest.mark.parametrize(("ladder", "rung"), [(name, rung) for name, (_, rungs) in LADDERS.items() for rung in range(len(rungs))])
def test_the_first_reason_in_the_contracts_order_decides(ladder: str, rung: int) -> None:
    situation, rungs = LADDERS[ladder]
    for _, changes in rungs[: rung + 1]:
        situation = situation.but(**changes)

    assert outcome_of(situation.order, situation.held, situation.assets) == rungs[rung][0]


# What decides nothing.


@pytest.mark.parametrize(
    ("order", "symbols"),
    [(buy("1", "NOPE"), ["NOPE"]), (buy("1", "BTC", "NEVER"), ["NEVER"]), (buy("1", "NOPE", "NEVER"), ["NOPE", "NEVER"])],
)
def test_every_unknown_asset_is_named(order: Order, symbols: list[str]) -> None:
    with pytest.raises(UnknownAsset) as raised:
        decided(order, account(USD="100000"))

    assert (raised.value.symbols, raised.value.needs_account) == (symbols, False)


@pytest.mark.parametrize("stale", [["BTC"], ["ETH"], ["BTC", "ETH"]])
def test_every_stale_price_is_named_with_its_time_and_the_limit(stale: list[str]) -> None:
    assets = {symbol: replace(each, price_at=STALE if symbol in stale else PRICE_AT) for symbol, each in SEED.items()}

    with pytest.raises(StalePrice) as raised:
        decided(buy("1", "BTC", "ETH"), account(ETH="100"), assets)

    assert raised.value.price_at == dict.fromkeys(stale, STALE)
    assert (raised.value.max_age_s, raised.value.needs_account) == (60, False)


def test_a_price_decides_up_to_the_limits_last_microsecond_and_without_a_limit_at_any_age() -> None:
    just_fresh = replace(SEED["BTC"], price_at="2026-01-01T11:59:00.000007Z")
    ancient = replace(SEED["BTC"], price_at="1970-01-01T00:00:00.000000Z")

    assert decided(buy("1"), account(USD="100000"), {**SEED, "BTC": just_fresh}).outcome is OrderOutcome.FILLED
    fill = decide(buy("1"), account(USD="100000"), {**SEED, "BTC": ancient}, AT, "thread")
    assert fill.outcome is OrderOutcome.FILLED


def test_the_unit_of_account_is_never_stale() -> None:
    dollar = replace(SEED["USD"], price_at=STALE)

    assert decided(buy("1"), account(USD="100000"), {**SEED, "USD": dollar}).outcome is OrderOutcome.FILLED
    assert decided(sell("1"), account(BTC="1"), {**SEED, "USD": dollar}).outcome is OrderOutcome.FILLED


@pytest.mark.parametrize("halted", [["BTC"], ["ETH"], ["BTC", "ETH"]])
def test_every_halted_asset_is_named(halted: list[str]) -> None:
    assets = {symbol: replace(each, halted=symbol in halted) for symbol, each in SEED.items()}

    with pytest.raises(HaltedAsset) as raised:
        decided(buy("1", "BTC", "ETH"), account(ETH="100"), assets)

    assert (raised.value.symbols, raised.value.needs_account) == (halted, False)


BROKEN: list[tuple[Order, Account, Mapping[str, Asset], str, str, bool]] = [
    # order, account, market, field, message, whether it depends on the account
    (buy("0.05", "SYM", "BIG"), account(), DEAR, "quantity", "must be a multiple of 0.10000000 SYM (rule quantity_step)", False),
    (
        buy("0.9", "SYM", "BIG"),
        account(),
        DEAR,
        "quantity",
        "must be at least 1.00000000 SYM, not 0.90000000: 1000000.00000000 SYM or more is enough (rule min_quantity)",
        False,
    ),
    (
        sell("9.9", "SYM", "USD"),
        account(),
        market(replace(SYM, min_notional_usd_units=1_000_000_001), SEED["USD"]),
        "quantity",
        "must be worth at least 10.00000001 USD: 10.10000000 SYM or more is enough (rule min_notional_usd)",
        False,
    ),
    (
        buy("0.00001617", "ETH", "BTC"),
        account(BTC="1"),
        SEED,
        "quantity",
        "is so small that rounding would cost more than 1 % of its value: 0.00001667 ETH or more is enough (rule rounding)",
        False,
    ),
    (
        buy("1"),
        account(BTC=FULL, USD="100000"),
        SEED,
        "quantity",
        f"would leave more than {FULL} BTC in the account (rule size)",
        True,
    ),
    (
        spend("0.00000001", "SYM", "BIG"),
        account(BIG="1"),
        COARSE,
        "notional",
        "buys less than one step of 100000.00000000 SYM (rule quantity_step)",
        False,
    ),
    (
        spend("all", "SYM", "BIG"),
        account(BIG="0.00000099"),
        COARSE,
        "notional",
        "must be worth at least 1000000.00000000 USD: 2100000.00000000 SYM or more is enough (rule min_notional_usd)",
        True,
    ),
    (
        sell("all", "SYM", "BIG"),
        account(SYM="0.5"),
        DEAR,
        "quantity",
        "is so small that rounding would cost more than 1 % of its value: 1000000.00000000 SYM or more is enough (rule rounding)",
        True,
    ),
]


@pytest.mark.parametrize(("order", "held", "assets", "field", "message", "needs_account"), BROKEN)
def test_a_broken_rule_names_field_and_rule_and_what_is_enough(
    order: Order, held: Account, assets: Mapping[str, Asset], field: str, message: str, *, needs_account: bool
) -> None:
    with pytest.raises(BrokenRule) as raised:
        decided(order, held, assets)

    assert (raised.value.field, str(raised.value), raised.value.needs_account) == (field, message, needs_account)


@pytest.mark.parametrize(
    ("make", "symbol_price", "other_price", "passes"),
    [
        (buy, 100, 101, True),  # costs 1 unit, and is worth 100/101 of one
        (buy, 9_999, 10_100, False),
        (sell, 100, 99, True),  # brings 1 unit, and is worth 100/99 of one
        (sell, 10_001, 9_900, False),
    ],
)
def test_rounding_may_cost_one_percent_and_no_more(make: Any, symbol_price: int, other_price: int, *, passes: bool) -> None:
    assets = market(Asset("A", symbol_price, PRICE_AT), Asset("B", other_price, PRICE_AT))

    outcome = outcome_of(make("0.00000001", "A", "B"), account(A="1", B="1"), assets)

    assert outcome == ("ORDER_FILLED" if passes else "ERR_ORDER_RULE rounding")


def test_the_larger_minimum_of_the_two_assets_holds() -> None:
    low, high = 10 * 10**8, 20 * 10**8
    for first, second in ((low, high), (high, low)):
        assets = market(asset("A", "1", min_notional_usd_units=first), asset("B", "1", min_notional_usd_units=second))

        assert outcome_of(buy("19.99999999", "A", "B"), account(B="100"), assets) == "ERR_ORDER_RULE min_notional_usd"
        assert outcome_of(buy("20", "A", "B"), account(B="100"), assets) == "ORDER_FILLED"


def test_a_balance_may_grow_to_the_largest_there_is() -> None:
    almost = text_from(MAX_BALANCE_UNITS - 10**8)

    assert outcome_of(buy("1"), account(BTC=almost, USD="50000"), SEED) == "ORDER_FILLED"
    assert outcome_of(buy("1.00000001"), account(BTC=almost, USD="50001"), SEED) == "ERR_ORDER_RULE size"
    assert outcome_of(sell("1"), account(BTC="1", USD=text_from(MAX_BALANCE_UNITS - 50_000 * 10**8)), SEED) == "ORDER_FILLED"


# What is stored.


@pytest.mark.parametrize(
    ("order", "held", "needed", "has", "unfunded"),
    [
        (buy("3"), account(USD="100000"), "150000", "100000", False),
        (buy("3"), account(BTC="9"), "150000", "0", False),
        (buy("3"), account(), "150000", "0", True),
        (spend("all"), account(USD="0", BTC="1"), None, "0", False),
        (spend("all"), account(), None, "0", True),
        (spend("250"), account(USD="249.99999999"), "250", "249.99999999", False),
        (sell("0.5"), account(BTC="0.49999999"), "0.5", "0.49999999", False),
        (sell("all"), account(BTC="0"), None, "0", False),
        (sell("all"), account(), None, "0", True),
    ],
)
def test_a_refusal_for_lack_of_funds_says_what_is_needed_and_what_is_there(
    order: Order, held: Account, needed: str | None, has: str, *, unfunded: bool
) -> None:
    refusal = decided(order, held)

    assert isinstance(refusal, Refusal)
    assert refusal.outcome is OrderOutcome.LIQUIDITY
    assert refusal.needed_units == (None if needed is None else units(needed))
    assert (refusal.held_units, refusal.unfunded) == (units(has), unfunded)


def test_what_a_notional_needs_is_what_its_quantity_costs() -> None:
    assets = market(asset("BTC", "50000", fee_rate=2_500), asset("USD", "1"))

    refusal = decided(spend("250"), account(USD="249.99994124"), assets)

    assert isinstance(refusal, Refusal)
    assert refusal.needed_units == units("249.99994125")
    assert filled(spend("250"), account(USD="249.99994125"), assets).balances["USD"] == 0


@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        (buy("1", limit_price="49999.9999999999999999"), OrderOutcome.PRICE_LIMIT),
        (buy("1", limit_price="50000"), OrderOutcome.FILLED),
        (sell("1", limit_price="50000.0000000000000001"), OrderOutcome.PRICE_LIMIT),
        (sell("1", limit_price="50000"), OrderOutcome.FILLED),
        (buy("1", "ETH", "BTC", limit_price="0.0599999999999999"), OrderOutcome.PRICE_LIMIT),
        (buy("1", "ETH", "BTC", limit_price="0.06"), OrderOutcome.FILLED),
        (buy("1", expires_at=BEFORE), OrderOutcome.EXPIRED),
        (buy("1", expires_at=AT_TEXT), OrderOutcome.FILLED),
    ],
)
def test_a_limit_and_an_expiry_are_compared_exactly(order: Order, outcome: OrderOutcome) -> None:
    decision = decided(order, account(USD="100000", BTC="10"))

    assert decision.outcome is outcome
    if isinstance(decision, Refusal):
        assert (decision.needed_units, decision.held_units, decision.unfunded) == (None, None, False)


def test_a_limit_is_compared_before_the_fee() -> None:
    assets = market(asset("BTC", "50000", fee_rate=10_000), asset("USD", "1"))

    assert decided(buy("1", limit_price="50000"), account(USD="100000"), assets).outcome is OrderOutcome.FILLED
    assert decided(sell("1", limit_price="50000"), account(BTC="1"), assets).outcome is OrderOutcome.FILLED


@pytest.mark.parametrize(
    ("order", "held"),
    [(buy("1"), account(USD="50000")), (buy("1"), account(USD="1")), (sell("1"), account(BTC="1"))],
)
def test_the_circumstances_of_every_decision_are_stated(order: Order, held: Account) -> None:
    assert decided(order, held).circumstances == Circumstances(
        at=AT_TEXT,
        by="thread 1",
        prices={"BTC": Price(50_000 * PRICE_PER_USD, PRICE_AT), "USD": Price(PRICE_PER_USD, PRICE_AT)},
    )


def test_the_larger_fee_of_the_two_assets_is_applied_and_stated() -> None:
    for first, second in ((2_500, 100), (100, 2_500)):
        assets = market(asset("BTC", "50000", fee_rate=first), asset("USD", "1", fee_rate=second))
        fill = filled(buy("1"), account(USD="100000"), assets)

        assert (fill.circumstances.fee_rate, fill.fee_units) == (2_500, units("125"))


@pytest.mark.parametrize(("order", "step"), [(spend("20"), "0.00000010"), (spend("all"), "0.00000010"), (buy("0.0004"), None)])
def test_the_step_is_stated_where_a_notional_made_the_quantity(order: Order, step: str | None) -> None:
    assets = market(asset("BTC", "50000", quantity_step_units=10), SEED["USD"])

    stated = decided(order, account(USD="20"), assets).circumstances.step_units

    assert stated == (None if step is None else units(step))


# The figures of a fill.

FEE = market(asset("BTC", "50000", fee_rate=2_500), SEED["ETH"], SEED["USD"])

FIGURES: list[tuple[Order, Account, Mapping[str, Asset], tuple[str, str, str], dict[str, str]]] = [
    # order, account, market; quantity, total cost or proceeds, fee; balances
    (buy("1.0"), account(USD="100000"), SEED, ("1", "50000", "0"), {"BTC": "1", "USD": "50000"}),
    (buy("1"), account(USD="100000", BTC="2"), SEED, ("1", "50000", "0"), {"BTC": "3", "USD": "50000"}),
    (sell("0.5"), account(BTC="1"), SEED, ("0.5", "25000", "0"), {"BTC": "0.5", "USD": "25000"}),
    (sell("all"), account(BTC="1.00000001"), SEED, ("1.00000001", "50000.0005", "0"), {"BTC": "0", "USD": "50000.0005"}),
    (spend("all"), account(USD="0.0009"), SEED, ("0.00000001", "0.0005", "0"), {"BTC": "0.00000001", "USD": "0.0004"}),
    # The examples of the arithmetic's page.
    (buy("0.00000083", "ETH", "BTC"), account(BTC="1"), SEED, ("0.00000083", "0.00000005", "0"), {"BTC": "0.99999995"}),
    (sell("0.0000101", "ETH", "BTC"), account(ETH="1"), SEED, ("0.0000101", "0.0000006", "0"), {"BTC": "0.0000006"}),
    (buy("0.00001634", "ETH", "BTC"), account(BTC="1"), SEED, ("0.00001634", "0.00000099", "0"), {"BTC": "0.99999901"}),
    (buy("1"), account(USD="60000"), FEE, ("1", "50125", "125"), {"BTC": "1", "USD": "9875"}),
    (spend("250"), account(USD="250"), FEE, ("0.00498753", "249.99994125", "0.62344125"), {"USD": "0.00005875"}),
    (spend("all"), account(USD="250"), FEE, ("0.00498753", "249.99994125", "0.62344125"), {"USD": "0.00005875"}),
    (sell("1"), account(BTC="1"), FEE, ("1", "49875", "125"), {"BTC": "0", "USD": "49875"}),
    (sell("all", "ETH", "BTC"), account(ETH="0.5"), FEE, ("0.5", "0.029925", "0.000075"), {"ETH": "0", "BTC": "0.029925"}),
]


@pytest.mark.parametrize(("order", "held", "assets", "figures", "balances"), FIGURES)
def test_the_figures_of_a_fill(
    order: Order, held: Account, assets: Mapping[str, Asset], figures: tuple[str, str, str], balances: dict[str, str]
) -> None:
    fill = filled(order, held, assets)

    assert (fill.quantity_units, fill.other_units, fill.fee_units) == tuple(map(units, figures))
    assert set(fill.balances) == {order.symbol, order.other}
    assert {symbol: fill.balances[symbol] for symbol in balances} == {symbol: units(text) for symbol, text in balances.items()}
    assert fill.changes == {symbol: units_after - held.balance_units(symbol) for symbol, units_after in fill.balances.items()}

"""A decision as text: written once, read back as the same, and small enough to cost one write."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.account import Account, append
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import (
    Circumstances,
    Decision,
    Fill,
    OrderOutcome,
    Price,
    Refusal,
    Transfer,
    Transferred,
    Void,
    Voided,
)
from chalicelib.domain.money import price_text, text_from
from chalicelib.domain.order import ALL, Amount, Order, Side
from chalicelib.domain.record import FORM, UnsupportedForm, decision_from, text_of
from chalicelib.domain.transfer import transfer
from tests.unit.domain.builders import AT, AT_TEXT, PRICE_AT, SEED, account, buy, spend
from tests.unit.domain.strategies import MAX_FEE_RATE, balances, integers, prices, quantities

keys = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=128)
user_ids = integers(1, 2**63 - 1)
sequences = integers(1, 10**20)
symbols = st.lists(st.text("ABCDEFGHIJ0123456789", min_size=1, max_size=10), min_size=2, max_size=2, unique=True)
times = st.datetimes().map(lambda at: at.isoformat(timespec="microseconds") + "Z")
exact = quantities.map(lambda units: Amount(units, text_from(units)))
own_scale = st.integers(1, 10**15).map(lambda whole: Amount(whole * 10**8, str(whole)))
amounts = st.one_of(exact, own_scale, st.just(Amount(None, ALL)))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    symbol, other = draw(symbols)
    kind = draw(st.sampled_from(["buy", "spend", "sell"]))
    return Order(
        draw(user_ids),
        draw(keys),
        symbol,
        other,
        quantity=None if kind == "spend" else draw(amounts),
        notional=draw(amounts) if kind == "spend" else None,
        side=Side.SELL if kind == "sell" else Side.BUY,
        limit_price=draw(st.one_of(st.none(), integers(1, 10**44))),
        expires_at=draw(st.one_of(st.none(), times)),
    )


@st.composite
def order_decisions(draw: st.DrawFn) -> Decision:
    order, outcome = draw(orders()), draw(st.sampled_from(OrderOutcome))
    circumstances = Circumstances(
        at=draw(times),
        by=draw(st.text(max_size=40)),
        prices={symbol: Price(draw(prices), draw(times)) for symbol in (order.symbol, order.other)},
        fee_rate=draw(st.one_of(st.just(0), integers(1, MAX_FEE_RATE))),
        step_units=None if order.notional is None else draw(integers(1, 10**20)),
        linked=draw(st.one_of(st.none(), st.tuples(sequences, st.integers(1, 99)))),
    )
    if outcome is OrderOutcome.FILLED:
        after = {symbol: draw(balances) for symbol in (order.symbol, order.other)}
        return Fill(order, circumstances, draw(quantities), draw(quantities), draw(balances), after)
    if outcome is OrderOutcome.LIQUIDITY:
        needed = draw(st.one_of(st.none(), balances))
        return Refusal(order, circumstances, outcome, needed, draw(balances), unfunded=draw(st.booleans()))
    failed = draw(st.integers(0, 98)) if outcome is OrderOutcome.LINKED else None
    return Refusal(order, circumstances, outcome, failed=failed)


@st.composite
def transfers(draw: st.DrawFn) -> Decision:
    units = draw(quantities) * draw(st.sampled_from([1, -1]))
    instruction = Transfer(draw(user_ids), draw(keys), draw(symbols)[0], units)
    price = draw(st.one_of(st.none(), st.builds(Price, prices, times)))
    return Transferred(instruction, draw(times), draw(balances), price)


voids: st.SearchStrategy[Decision] = st.builds(Voided, st.builds(Void, user_ids, keys), times)
decisions = st.one_of(order_decisions(), transfers(), voids)


@given(decisions, sequences)
def test_a_decision_is_read_back_as_what_it_was(decision: Decision, sequence: int) -> None:
    text = text_of(decision, sequence)

    read = decision_from(text)

    assert read == decision
    assert text_of(read, sequence) == text


@given(decisions, sequences)
def test_a_text_is_compact_json_in_ascii_that_says_whose_it_is_and_where_it_stands(decision: Decision, sequence: int) -> None:
    text = text_of(decision, sequence)

    facts = json.loads(text)
    assert text.isascii()
    assert text.isprintable()
    assert text == json.dumps(facts, separators=(",", ":"))
    assert (facts["v"], facts["sequence"], facts["at"]) == (FORM, sequence, decision.at)
    assert facts["outcome"] == decision.outcome
    assert None not in facts.values()


@given(order_decisions(), order_decisions())
def test_decisions_that_differ_have_texts_that_differ(one: Decision, other: Decision) -> None:
    assert (text_of(one, 1) == text_of(other, 1)) == (one == other)


def test_the_sequence_is_part_of_the_text() -> None:
    decision = decide(buy("1"), account(USD="1"), SEED, AT, "thread")

    assert text_of(decision, 1) != text_of(decision, 2)


def test_a_text_says_nothing_twice_and_nothing_that_is_not_so() -> None:
    """What is 0, absent or of no consequence is left out: a plain fill's text is all that there is to say."""
    decision = decide(buy("1.0"), account(USD="100000"), SEED, AT, "MainThread")

    assert text_of(decision, 4) == (
        '{"v":2,"user_id":7,"sequence":4,"key":"k","kind":"order","outcome":"ORDER_FILLED",'
        '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","quantity":"1.0"},"by":"MainThread",'
        f'"prices":{{"BTC":["50000.00000000","{PRICE_AT}"],"USD":["1.00000000","{PRICE_AT}"]}},'
        '"changes":{"BTC":"1.00000000","USD":"-50000.00000000"},"balances":{"BTC":"1.00000000","USD":"50000.00000000"},'
        f'"at":"{AT_TEXT}"}}'
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"v": FORM + 1}, "form 3; this release reads form 2. Run the release that wrote it"),
        ({"v": FORM - 1}, "form 1"),
        ({"kind": "loan"}, "the kind 'loan', which this release does not read"),
    ],
)
def test_a_text_of_another_form_or_kind_is_not_misread(change: dict[str, Any], says: str) -> None:
    text = text_of(decide(buy("1"), account(USD="1"), SEED, AT, "thread"), 1)

    with pytest.raises(UnsupportedForm, match=says):
        decision_from(json.dumps(json.loads(text) | change))


def test_the_fee_and_the_step_are_stated_where_they_made_the_figures() -> None:
    assets = SEED | {"BTC": replace(SEED["BTC"], fee_rate=2_550, quantity_step_units=10)}

    facts = json.loads(text_of(decide(spend("250"), account(USD="250"), assets, AT, "thread"), 1))

    assert (facts["fee_bps"], facts["step"], facts["fee"]) == ("25.5", "0.00000010", "0.63586800")


def test_a_price_with_many_decimals_is_stored_exactly() -> None:
    assets = SEED | {"BTC": replace(SEED["BTC"], price=12_345_678_901_234_567)}
    decision = decide(buy("1"), account(USD="100"), assets, AT, "thread")

    prices = json.loads(text_of(decision, 1))["prices"]

    assert prices["BTC"][0] == price_text(12_345_678_901_234_567) == "1.2345678901234567"


def test_a_debits_amount_has_no_sign_and_its_outcome_says_it_all() -> None:
    held = account(USD="5")
    _, record = append(held, transfer(held, Transfer(7, "k", "USD", -500_000_000), SEED["USD"], AT))

    assert record.text == (
        '{"v":2,"user_id":7,"sequence":4,"key":"k","kind":"transfer","outcome":"ACCOUNT_DEBITED",'
        f'"symbol":"USD","amount":"5.00000000","balance":"0.00000000","at":"{AT_TEXT}"}}'
    )


def test_a_record_is_equal_by_what_is_stored() -> None:
    """A record that was read is the one that was written: this is how a lost reply is recognised."""
    held = Account(7)
    _, written = append(held, decide(buy("1"), held, SEED, AT, "thread"))

    assert replace(written, decision=decision_from(written.text)) == written
    assert replace(written, text=written.text + " ") != written

"""The replay: honest histories pass, and each kind of damage is named for what it is."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.audit.discrepancy import Discrepancy, Kind
from chalicelib.audit.replay import compare, replay
from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import MAX_PRICE, Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Decision, Transfer, Void, Voided
from chalicelib.domain.linked import append_linked
from chalicelib.domain.money import PRICE_PER_USD, text_from
from chalicelib.domain.order import ALL, Amount, Order, Side
from chalicelib.domain.position import Books
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import Undecided
from chalicelib.domain.timestamps import rfc3339
from chalicelib.domain.transfer import transfer
from ops.spill import StoredRecord
from tests.unit.audit.histories import (
    ALL_OF_NOTHING,
    BEYOND_ITS_LIMIT,
    BOOKS,
    BOUGHT,
    BOUGHT_FOR_A_NOTIONAL,
    EXPIRED,
    FUNDED,
    FUNDED_AT_A_PRICE,
    SHORT,
    SOLD,
    SOLD_ALL_FOR_ANOTHER,
    TEXTS,
    UNFUNDED,
    UNFUNDED_ALL,
    UNFUNDED_TEXTS,
    USER,
    Change,
    Facts,
    account_of,
    all_of,
    chained,
    rewritten,
    with_basis,
)

RECORDS = chained(TEXTS)
ACCOUNT = account_of(RECORDS, BOOKS)


def discrepancy_in(records: list[StoredRecord], account: Account = ACCOUNT, **kept_heads: Any) -> Discrepancy:
    with pytest.raises(Discrepancy) as raised:
        compare(replay(account.user_id, records, **kept_heads), account)
    return raised.value


def claim_refused(text: str, change: Change) -> Discrepancy:
    """The finding in an honest history that ends in a changed text, where the whole chain was computed anew."""
    last = json.loads(text)["sequence"]
    records = chained([*TEXTS[: last - 1], rewritten(text, change)])
    with pytest.raises(Discrepancy) as raised:
        replay(USER, records)
    assert raised.value.sequence == last
    return raised.value


# Honest histories.


def test_a_history_written_by_hand_makes_its_account() -> None:
    replayed = replay(USER, RECORDS)

    compare(replayed, ACCOUNT)
    assert replayed.net_deposits == 118_000_00000000


def test_refusals_alone_make_an_account_that_nobody_funded() -> None:
    records = chained(UNFUNDED_TEXTS, 8)

    compare(replay(8, records), account_of(records, Books({}, {}, 0), 8))


def test_no_records_make_no_account() -> None:
    compare(replay(USER, []), Account(USER))


def test_each_record_is_read_as_it_comes() -> None:
    """A history may be larger than memory."""
    stored = iter(RECORDS)
    replay(USER, stored)

    assert list(stored) == []


SYMBOLS = ["BTC", "ETH", "SOL", "USD"]
prices = st.integers(1, MAX_PRICE) | st.integers(PRICE_PER_USD // 100, PRICE_PER_USD * 10_000)


moderate_prices = st.integers(PRICE_PER_USD, PRICE_PER_USD * 1_000)


def draw_asset(data: st.DataObject, symbol: str, prices: st.SearchStrategy[int] = prices) -> Asset:
    price = PRICE_PER_USD if symbol == "USD" else data.draw(prices)
    steps, rates = st.sampled_from([1, 1, 10, 12_345, 10**8]), st.sampled_from([0, 0, 1, 2_500, 12_345, 100_000])
    at = "2026-01-01T00:00:00.000000Z"
    return Asset(symbol, price, at, quantity_step_units=data.draw(steps), fee_rate=data.draw(rates))


def draw_order(data: st.DataObject, account: Account, key: str) -> Order:
    symbol, other = data.draw(st.permutations(SYMBOLS))[:2]
    side = data.draw(st.sampled_from(Side))
    given = other if side is Side.BUY else symbol
    units = data.draw(st.integers(1, max(1, min(10**23, account.balance_units(given)))) | st.integers(1, 10**23))
    amount = data.draw(st.sampled_from([Amount(units, text_from(units)), Amount(None, ALL)]))
    by_notional = side is Side.BUY and (amount.units is None or data.draw(st.booleans()))
    return Order(
        USER,
        key,
        symbol,
        other,
        quantity=None if by_notional else amount,
        notional=amount if by_notional else None,
        side=side,
        limit_price=data.draw(st.none() | st.integers(1, 10**40)),
        expires_at=data.draw(st.none() | st.integers(0, 20).map("2026-01-01T00:00:00.{:06}Z".format)),
    )


def draw_decision(data: st.DataObject, account: Account, index: int) -> Decision:
    key, at = f"key-{index}", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=index)
    market = {symbol: draw_asset(data, symbol) for symbol in SYMBOLS}
    if data.draw(st.integers(0, 2)):
        return decide(draw_order(data, account, key), account, market, at, "MainThread")
    symbol = data.draw(st.sampled_from(SYMBOLS))
    held_units = account.balance_units(symbol)
    units = data.draw(st.integers(1, 10**25) | st.integers(-held_units, -1) if held_units else st.integers(1, 10**25))
    return transfer(account, Transfer(USER, key, symbol, units), data.draw(st.sampled_from([market[symbol], None])), at)


@given(st.data())
def test_every_history_that_the_rule_book_writes_makes_its_account(data: st.DataObject) -> None:
    account = Account(USER)
    records: list[Record] = []
    for index in range(data.draw(st.integers(1, 12))):
        with suppress(Undecided):
            account, record = append(account, draw_decision(data, account, index))
            records.append(record)

    compare(replay(USER, records), account)


def draw_linked_order(data: st.DataObject, key: str) -> Order:
    """An order that can be decided, and that a few like it leave without funds."""
    symbol, other = data.draw(st.permutations(SYMBOLS))[:2]
    side = data.draw(st.sampled_from(Side))
    units = data.draw(st.integers(1, 100)) * 10**8
    of_balance = not data.draw(st.integers(0, 3))
    amount = Amount(None, ALL) if of_balance else Amount(units, text_from(units))
    by_notional = side is Side.BUY and (of_balance or data.draw(st.booleans()))
    return Order(
        USER,
        key,
        symbol,
        other,
        quantity=None if by_notional else amount,
        notional=amount if by_notional else None,
        side=side,
        limit_price=data.draw(st.none() | st.none() | st.integers(1, 10**20)),
        expires_at=data.draw(st.none() | st.none() | st.integers(0, 20).map("2026-01-01T00:00:00.{:06}Z".format)),
    )


@given(st.data())
def test_every_history_with_batches_and_voids_makes_its_account(data: st.DataObject) -> None:
    account = Account(USER)
    records: list[Record] = []

    def decide_one(decision: Decision) -> None:
        nonlocal account
        account, record = append(account, decision)
        records.append(record)

    for symbol in data.draw(st.sets(st.sampled_from(SYMBOLS))):
        at = datetime(2026, 1, 1, tzinfo=UTC)
        decide_one(transfer(account, Transfer(USER, f"fund-{symbol}", symbol, 300 * 10**8), None, at))
    for index in range(data.draw(st.integers(1, 5))):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=index)
        market = {symbol: replace(draw_asset(data, symbol, moderate_prices), quantity_step_units=1) for symbol in SYMBOLS}
        if not data.draw(st.integers(0, 4)):
            decide_one(Voided(Void(USER, f"void-{index}"), rfc3339(at)))
            continue
        orders = [draw_linked_order(data, f"key-{index}-{place}") for place in range(data.draw(st.integers(1, 6)))]
        with suppress(Undecided):
            account, made = append_linked(account, orders, market, at, "MainThread")
            records += made

    compare(replay(USER, records), account)


# Damage to records.


@pytest.mark.parametrize("lost", range(1, len(RECORDS)))
def test_a_deleted_record_is_a_gap_whatever_its_kind(lost: int) -> None:
    records = [record for record in RECORDS if record.sequence != lost]

    found = discrepancy_in(records)

    assert (found.kind, found.sequence) == (Kind.SEQUENCE, lost)
    assert str(found) == f"record {lost} is missing: {lost + 1} comes next"


def test_several_deleted_records_are_named_as_a_range() -> None:
    assert str(discrepancy_in([*RECORDS[:2], *RECORDS[5:]])) == "records 3 to 5 are missing: 6 comes next"


@pytest.mark.parametrize(("kept", "message"), [(11, "record 12 is missing"), (9, "records 10 to 12 are missing")])
def test_deleted_last_records_are_missed_by_the_account(kept: int, message: str) -> None:
    found = discrepancy_in(RECORDS[:kept])

    assert (found.kind, found.sequence) == (Kind.SEQUENCE, kept + 1)
    assert str(found) == (
        f"{message}: the account is at 12. Were records deleted, or restored from an earlier time than the account?"
    )


def test_two_records_at_one_place_are_both_named() -> None:
    found = discrepancy_in([*RECORDS[:3], RECORDS[2]._replace(key="order#copy"), *RECORDS[3:]])

    assert (found.kind, found.sequence, found.key) == (Kind.SEQUENCE, 3, "order#copy")
    assert str(found) == "record 3 appears twice: under order#b and order#copy"


@pytest.mark.parametrize("sequence", [0, -1])
def test_there_is_no_place_before_the_first(sequence: int) -> None:
    found = discrepancy_in([RECORDS[0]._replace(sequence=sequence), *RECORDS])

    assert (found.kind, str(found)) == (Kind.SEQUENCE, f"there is no record {sequence}: the first is 1")


BROKEN = "record {} is not as it was written, or not the one that followed the record before it"


@pytest.mark.parametrize("sequence", range(1, len(RECORDS) + 1))
def test_a_text_altered_by_one_letter_breaks_the_chain_at_its_place(sequence: int) -> None:
    records = list(RECORDS)
    records[sequence - 1] = records[sequence - 1]._replace(text=records[sequence - 1].text.replace("14:00", "15:00"))

    found = discrepancy_in(records)

    assert (found.kind, found.sequence, str(found)) == (Kind.CHAIN, sequence, BROKEN.format(sequence))


def test_an_altered_head_breaks_the_chain_at_its_place() -> None:
    found = discrepancy_in([*RECORDS[:3], RECORDS[3]._replace(head=b"x" * 32), *RECORDS[4:]])

    assert (found.kind, found.sequence) == (Kind.CHAIN, 4)


def test_a_record_rewritten_head_and_all_breaks_the_chain_after_it() -> None:
    rewrote = chained([TEXTS[0], rewritten(TEXTS[1], lambda facts: facts.update(by="Thread-2"))])

    found = discrepancy_in([*rewrote, *RECORDS[2:]])

    assert (found.kind, found.sequence) == (Kind.CHAIN, 3)


def test_records_that_changed_places_break_the_chain() -> None:
    one, other = RECORDS[5:7]

    found = discrepancy_in([*RECORDS[:5], other._replace(sequence=6), one._replace(sequence=7), *RECORDS[7:]])

    assert (found.kind, found.sequence) == (Kind.CHAIN, 6)


def test_a_text_that_is_not_ascii_is_unreadable() -> None:
    found = discrepancy_in([*RECORDS[:1], RECORDS[1]._replace(text=RECORDS[1].text.replace("Main", "Haupt­")), *RECORDS[2:]])

    assert (found.kind, found.sequence, str(found)) == (Kind.UNREADABLE, 2, "its text is not ASCII")


def test_a_text_that_the_reader_refuses_is_unreadable() -> None:
    found = claim_refused(BOUGHT, lambda facts: facts.pop("by"))

    assert (found.kind, found.key, str(found)) == (Kind.UNREADABLE, "order#a", "its text lacks by")


def test_a_text_of_a_newer_release_is_named_as_one() -> None:
    assert claim_refused(BOUGHT, lambda facts: facts.update(v=3)).kind is Kind.FORM


# Whose record it is, and under which key.


def test_a_record_belongs_to_its_user() -> None:
    """The first record of an account fits any account's chain."""
    with pytest.raises(Discrepancy) as raised:
        replay(9, [RECORDS[0]._replace(user_id=9)])

    assert (raised.value.kind, str(raised.value)) == (Kind.RECORD, "it is a record of user 7")


def test_a_record_belongs_to_its_place() -> None:
    records = chained([FUNDED.replace('"sequence":1', '"sequence":2')])

    with pytest.raises(Discrepancy) as raised:
        replay(USER, [records[0]._replace(sequence=1)])

    assert (raised.value.kind, str(raised.value)) == (Kind.RECORD, "its text says that it is record 2")


@pytest.mark.parametrize("key", ["order#deposit", "transfer#other", "deposit"])
def test_a_record_belongs_under_its_key(key: str) -> None:
    with pytest.raises(Discrepancy) as raised:
        replay(USER, [RECORDS[0]._replace(key=key)])

    assert (raised.value.kind, str(raised.value)) == (Kind.RECORD, "its text belongs under the key transfer#deposit")


# Claims that do not hold, in chains that were computed anew: a bug of the engine's, or somebody who rewrote all of it.


def setting(path: str, value: Any) -> Change:
    def change(facts: Facts) -> None:
        *above, name = path.split(".")
        for each in above:
            facts = facts[each]
        facts[name] = value

    return change


FALSE_FILLS: list[tuple[str, Change, str]] = [
    (
        BOUGHT,
        all_of(setting("changes.USD", "-50124.99999999"), setting("balances.USD", "49875.00000001")),
        "it cost 49999.99999999 USD before its fee, which its quantity and prices do not give",
    ),
    (
        BOUGHT,
        all_of(setting("changes.USD", "-50125.00000001"), setting("balances.USD", "49874.99999999")),
        "it cost 50000.00000001 USD before its fee, which its quantity and prices do not give",
    ),
    (
        BOUGHT,
        setting("changes.USD", "50125.00000000"),
        "it cost -50250.00000000 USD before its fee, which its quantity and prices do not give",
    ),
    (
        BOUGHT,
        all_of(setting("fee", "124.99999999"), setting("changes.USD", "-50124.99999999")),
        "its fee is 124.99999999 USD, which its cost and rate do not give",
    ),
    (BOUGHT, setting("fee_bps", "24"), "its fee is 125.00000000 USD, which its cost and rate do not give"),
    (BOUGHT, lambda facts: facts.pop("fee_bps"), "its fee is 125.00000000 USD, which its cost and rate do not give"),
    (
        SOLD,
        all_of(setting("changes.USD", "25935.00000001"), setting("balances.USD", "75810.00000001")),
        "it brought 26000.00000001 USD before its fee, which its quantity and prices do not give",
    ),
    (
        SOLD,
        all_of(setting("changes.USD", "25934.99999999"), setting("balances.USD", "75809.99999999")),
        "it brought 25999.99999999 USD before its fee, which its quantity and prices do not give",
    ),
    (
        SOLD,
        all_of(setting("fee", "66.00000000"), setting("changes.USD", "25934.00000000")),
        "its fee is 66.00000000 USD, which its proceeds and rate do not give",
    ),
    (BOUGHT, setting("terms.quantity", "1.5"), "it is for 1.00000000 BTC, the order was for 1.50000000"),
    (SOLD, setting("terms.quantity", "all"), "it is for 0.50000000 BTC, the order was for 1.00000000"),
    (
        BOUGHT_FOR_A_NOTIONAL,
        setting("terms.notional", "249.99994124"),
        "it cost 249.99994125 USD, more than the 249.99994124 to be spent",
    ),
    (
        BOUGHT_FOR_A_NOTIONAL,
        setting("terms.notional", "251"),
        "it bought 0.00498753 BTC, and 251.00000000 USD buy more",
    ),
    (BOUGHT_FOR_A_NOTIONAL, setting("terms.notional", "all"), "it bought 0.00498753 BTC, and 75810.00000000 USD buy more"),
    (BOUGHT_FOR_A_NOTIONAL, setting("step", "0.00000002"), "it bought 0.00498753 BTC, not a multiple of 0.00000002"),
    (
        BOUGHT_FOR_A_NOTIONAL,
        setting("at", "2026-02-21T14:00:05.000001Z"),
        "it was decided at 2026-02-21T14:00:05.000001Z, though the order expires at 2026-02-21T14:00:05.000000Z",
    ),
    (SOLD, setting("terms.limit_price", "52000.00000001"), "it was filled though the market was beyond its limit"),
    (BOUGHT, setting("terms.limit_price", "49999.99999999"), "it was filled though the market was beyond its limit"),
    (
        BOUGHT,
        setting("balances.USD", "49875.00000001"),
        "it says that 49875.00000001 USD were left, its records give 49875.00000000",
    ),
    (BOUGHT, setting("balances.BTC", "2.00000000"), "it says that 2.00000000 BTC were left, its records give 1.00000000"),
    (SOLD_ALL_FOR_ANOTHER, setting("terms.quantity", "7"), "it is for 6.00000000 ETH, the order was for 7.00000000"),
    (
        FUNDED,
        setting("balance", "100001.00000000"),
        "it says that 100001.00000000 USD were left, its records give 100000.00000000",
    ),
    (FUNDED_AT_A_PRICE, setting("balance", "9.00000000"), "it says that 9.00000000 ETH were left, its records give 10.00000000"),
    (
        FUNDED,
        all_of(setting("outcome", "ACCOUNT_DEBITED"), setting("balance", "0.00000000")),
        "it leaves -100000.00000000 USD",
    ),
    (
        FUNDED,
        all_of(setting("amount", f"{10**29}.00000001"), setting("balance", f"{10**29}.00000001")),
        f"it leaves {10**29}.00000001 USD, more than an account may hold",
    ),
]


@pytest.mark.parametrize(("text", "change", "message"), FALSE_FILLS)
def test_a_fill_or_transfer_that_its_facts_do_not_give_is_found(text: str, change: Change, message: str) -> None:
    found = claim_refused(text, change)

    assert (found.kind, str(found)) == (Kind.RECORD, message)


FALSE_REFUSALS: list[tuple[str, Change, str]] = [
    (
        SHORT,
        setting("held", "49875.00000001"),
        "it says that the account held 49875.00000001 USD, its records give 49875.00000000",
    ),
    (SHORT, setting("needed", "49875.00000000"), "it needed 49875.00000000 USD, which the balance of 49875.00000000 covers"),
    (SHORT, setting("needed", "100250.00000001"), "it needed 100250.00000001 USD, which its terms and prices do not give"),
    (SHORT, setting("terms.quantity", "1.9"), "it needed 100250.00000000 USD, which its terms and prices do not give"),
    (SHORT, lambda facts: facts.pop("needed"), "it does not say what the order needed"),
    (SHORT, lambda facts: facts.update(unfunded=True), "it says that nobody funded the account"),
    (
        SHORT,
        setting("terms.limit_price", "49999"),
        "it was refused for lack of funds, though the market was beyond its limit, which comes first",
    ),
    (
        SHORT,
        setting("terms.expires_at", "2026-02-21T14:00:01.999999Z"),
        "it was decided at 2026-02-21T14:00:02.000000Z, though the order expires at 2026-02-21T14:00:01.999999Z",
    ),
    (ALL_OF_NOTHING, setting("needed", "1.00000000"), "it needed 1.00000000 SOL, though it offers all of nothing"),
    (ALL_OF_NOTHING, setting("held", "1.00000000"), "it says that the account held 1.00000000 SOL, its records give 0.00000000"),
    (ALL_OF_NOTHING, setting("terms.quantity", "1"), "it does not say what the order needed"),
    (
        ALL_OF_NOTHING,
        all_of(setting("outcome", "ERR_PRICE_LIMIT"), lambda facts: facts.pop("held")),
        "it offers all of no SOL, which is refused for lack of funds before anything else",
    ),
    (
        BEYOND_ITS_LIMIT,
        setting("terms.limit_price", "50000"),
        "it was refused for its limit, though the market was not beyond it",
    ),
    (
        BEYOND_ITS_LIMIT,
        lambda facts: facts["terms"].pop("limit_price"),
        "it was refused for its limit, though the market was not beyond it",
    ),
    (
        BEYOND_ITS_LIMIT,
        setting("terms.expires_at", "2026-02-21T14:00:05.000000Z"),
        "it was decided at 2026-02-21T14:00:06.000000Z, though the order expires at 2026-02-21T14:00:05.000000Z",
    ),
    (
        EXPIRED,
        setting("terms.expires_at", "2026-02-21T14:00:07.000000Z"),
        "it was refused as expired at 2026-02-21T14:00:07.000000Z, but the order expires at 2026-02-21T14:00:07.000000Z",
    ),
    (
        EXPIRED,
        lambda facts: facts["terms"].pop("expires_at"),
        "it was refused as expired at 2026-02-21T14:00:07.000000Z, but the order does not expire",
    ),
]


@pytest.mark.parametrize(("text", "change", "message"), FALSE_REFUSALS)
def test_a_refusal_that_had_no_reason_is_found(text: str, change: Change, message: str) -> None:
    found = claim_refused(text, change)

    assert (found.kind, str(found)) == (Kind.RECORD, message)


def test_an_unfunded_account_is_said_to_be_one() -> None:
    records = chained([UNFUNDED.replace('"unfunded":true,', "")], 8)

    with pytest.raises(Discrepancy) as raised:
        replay(8, records)

    assert str(raised.value) == "it does not say that nobody funded the account"


def test_all_of_nothing_is_refused_for_funds_even_where_it_has_expired_and_its_limit_is_passed() -> None:
    beyond = rewritten(
        UNFUNDED_ALL, lambda facts: facts["terms"].update(limit_price="1", expires_at="2026-01-01T00:00:00.000000Z")
    )

    replay(8, chained([UNFUNDED, beyond], 8))


SHORT_OF_A_NOTIONAL = (
    '{"v":2,"user_id":8,"sequence":1,"key":"a","kind":"order","outcome":"ERR_LIQUIDITY",'
    '"terms":{"side":"buy","symbol":"BTC","pay_with":"USD","notional":"17000.00"},"by":"MainThread",'
    '"prices":{"BTC":["50000.00000000","2026-02-21T14:00:00Z"],"USD":["1.00000000","2026-01-01T00:00:00Z"]},'
    '"step":"0.10000000","needed":"15000.00000000","held":"0.00000000","unfunded":true,"at":"2026-02-21T14:00:01.000000Z"}'
)
"""17000 USD buy 0.3 BTC, and no tenth more."""


def test_a_notional_needs_what_the_largest_quantity_costs() -> None:
    replay(8, chained([SHORT_OF_A_NOTIONAL], 8))


@pytest.mark.parametrize(
    ("facts", "needed"),
    [
        ({"needed": "17000.00000000"}, "17000.00000000"),
        ({"needed": "10000.00000000"}, "10000.00000000"),
        ({"step": "0.40000000"}, "15000.00000000"),
        ({"step": "0.01000000"}, "15000.00000000"),
        ({"fee_bps": "1"}, "15000.00000000"),
    ],
)
def test_a_notional_needs_nothing_else(facts: Facts, needed: str) -> None:
    with pytest.raises(Discrepancy) as raised:
        replay(8, chained([rewritten(SHORT_OF_A_NOTIONAL, lambda copy: copy.update(facts))], 8))

    assert str(raised.value) == f"it needed {needed} USD, which its terms and prices do not give"


TINY_TRADES = [
    # 0.00001617 ETH cost 0.0000009702 BTC exactly, 0.00001499 ETH bring 0.0000008994.
    ("BTC", ("buy", "pay_with", "0.00001617"), ("0.00001617", "-0.00000098"), ("0.00001617", "9.99999902")),
    ("ETH", ("sell", "receive", "0.00001499"), ("-0.00001499", "0.00000089"), ("9.99998501", "0.00000089")),
]


@pytest.mark.parametrize(("given", "terms", "changes", "balances"), TINY_TRADES)
def test_a_fill_whose_rounding_cost_more_than_one_percent_is_found(
    given: str, terms: tuple[str, str, str], changes: tuple[str, str], balances: tuple[str, str]
) -> None:
    side, other_name, quantity = terms
    prices = {"ETH": ["3000.00000000", "2026-01-01T00:00:00Z"], "BTC": ["50000.00000000", "2026-01-01T00:00:00Z"]}

    def change(facts: Facts) -> None:
        facts["terms"] = {"side": side, "symbol": "ETH", other_name: "BTC", "quantity": quantity}
        facts.update(prices=prices, changes=dict(zip(prices, changes, strict=True)))
        facts["balances"] = dict(zip(prices, balances, strict=True))
        del facts["fee"], facts["fee_bps"]

    funded = FUNDED_AT_A_PRICE.replace('"sequence":5', '"sequence":1').replace("ETH", given)
    with pytest.raises(Discrepancy) as raised:
        replay(USER, chained([funded, rewritten(BOUGHT, change)]))

    assert str(raised.value) == "rounding cost more than 1 % of its value: no order is filled so"


# Damage to the account.


BEHIND = "Was the account deleted, or restored from an earlier time than its records?"


def test_an_account_behind_its_records_is_found() -> None:
    found = discrepancy_in(RECORDS, replace(ACCOUNT, sequence=10))

    assert (found.kind, found.sequence) == (Kind.SEQUENCE, 11)
    assert str(found) == f"the account is at 10, its records go on to 12. {BEHIND}"


def test_an_altered_head_of_the_account_is_found() -> None:
    found = discrepancy_in(RECORDS, replace(ACCOUNT, head=b"x" * 32))

    assert (found.kind, str(found)) == (Kind.CHAIN, "the account's head is not the one that its last record, 12, left")


@pytest.mark.parametrize(
    ("symbol", "units", "message"),
    [
        ("BTC", 1, "the account holds 0.00000001 BTC, its records give 0.86408753"),
        ("ETH", 1, "the account holds 0.00000001 ETH, its records give 0.00000000"),
        ("DOGE", 0, "the account holds 0.00000000 DOGE, its records give no"),
        ("ETH", None, "the account holds no ETH, its records give 0.00000000"),
    ],
)
def test_an_altered_balance_is_named_with_both_amounts(symbol: str, units: int | None, message: str) -> None:
    balances = {**BOOKS.balances, symbol: units}
    books = replace(BOOKS, balances={name: held for name, held in balances.items() if held is not None})

    found = discrepancy_in(RECORDS, replace(ACCOUNT, books=books))

    assert (found.kind, str(found)) == (Kind.BALANCES, message)


@pytest.mark.parametrize(
    ("symbol", "units", "message"),
    [
        ("BTC", 43267_49994124, "the account's cost basis of BTC is 43267.49994124 USD, its records give 43267.49994125"),
        ("SOL", 1, "the account's cost basis of SOL is 0.00000001 USD, its records give 0.00000000"),
        ("ETH", 0, "the account's cost basis of ETH is 0.00000000 USD, its records give no"),
        ("USD", 0, "the account's cost basis of USD is 0.00000000 USD, its records give no"),
    ],
)
def test_an_altered_cost_basis_is_named_with_both_amounts(symbol: str, units: int, message: str) -> None:
    found = discrepancy_in(RECORDS, replace(ACCOUNT, books=with_basis(BOOKS, **{symbol: units})))

    assert (found.kind, str(found)) == (Kind.COST_BASIS, message)


def test_an_altered_realized_profit_is_named_with_both_amounts() -> None:
    found = discrepancy_in(RECORDS, replace(ACCOUNT, books=replace(BOOKS, realized_pl_units=-1)))

    assert found.kind is Kind.REALIZED_PL
    assert str(found) == "the account's realized profit or loss is -0.00000001 USD, its records give 827.50000000"


# Heads that somebody kept.


def test_heads_that_were_kept_are_in_an_untouched_chain() -> None:
    compare(replay(USER, RECORDS, {record.sequence: record.head for record in RECORDS}), ACCOUNT)


@pytest.mark.parametrize("kept", [2, 5, 12])
def test_a_chain_computed_anew_is_betrayed_by_a_head_that_was_kept(kept: int) -> None:
    """Nothing else can: text, heads and account agree with each other."""
    records = chained([FUNDED, rewritten(BOUGHT, setting("by", "Thread-9")), *TEXTS[2:]])
    account = account_of(records, BOOKS)
    compare(replay(USER, records), account)

    found = discrepancy_in(records, account, kept_heads={1: RECORDS[0].head, kept: RECORDS[kept - 1].head})

    assert (found.kind, found.sequence) == (Kind.HEAD, kept)
    assert str(found) == (
        f"the head after record {kept} is {records[kept - 1].head.hex()}, but {RECORDS[kept - 1].head.hex()} was kept: "
        f"a record from 1 to {kept} was altered, and the chain computed anew"
    )


def test_a_history_that_was_cut_is_betrayed_by_a_head_that_was_kept() -> None:
    """The purchase of record 2, and all that followed, were deleted, and the account put back to what it was."""
    account = account_of(RECORDS[:1], Books({"USD": 100_000_00000000}, {}, 0))
    compare(replay(USER, RECORDS[:1]), account)

    found = discrepancy_in(RECORDS[:1], account, kept_heads={2: RECORDS[1].head})

    assert (found.kind, found.sequence) == (Kind.HEAD, 2)
    assert str(found) == (
        "a head was kept of record 2, but the account and its records end at 1. Were both cut, or restored from an earlier time?"
    )

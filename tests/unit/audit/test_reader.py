"""The reader of a record's text: what the engine writes is read, everything else is refused by the field's name."""

import json
from contextlib import suppress
from typing import Any

import pytest

from chalicelib.audit.discrepancy import Kind
from chalicelib.audit.reader import Fill, LinkedRefusal, Malformed, Refusal, Transfer, Void, read
from tests.unit.audit.histories import (
    ALL_OF_NOTHING,
    BEYOND_ITS_LIMIT,
    BOUGHT,
    BOUGHT_FOR_A_NOTIONAL,
    EXPIRED,
    FILLED_TOGETHER,
    FUNDED,
    FUNDED_AT_A_PRICE,
    LINKED_TEXTS,
    REFUSED_TOGETHER,
    SHORT,
    SOLD,
    TEXTS,
    UNFUNDED_TEXTS,
    VOIDED,
    WITHDRAWN,
    rewritten,
)

Facts = dict[str, Any]
ABSENT = object()


def refusal_of(text: str) -> Malformed:
    with pytest.raises(Malformed) as raised:
        read(text)
    return raised.value


def altered(text: str, path: str, value: Any) -> str:
    """`path`: names with points between them; `ABSENT` takes the field away."""

    def change(facts: Facts) -> None:
        *above, name = path.split(".")
        for each in above:
            facts = facts[each]
        if value is ABSENT:
            del facts[name]
        else:
            facts[name] = value

    return rewritten(text, change)


@pytest.mark.parametrize("text", [*TEXTS, *UNFUNDED_TEXTS, *LINKED_TEXTS])
def test_each_kind_and_outcome_is_read(text: str) -> None:
    facts = json.loads(text)

    entry = read(text)

    assert (entry.user_id, entry.sequence, entry.at) == (facts["user_id"], facts["sequence"], facts["at"])
    assert entry.record_key == ("transfer#" if facts["kind"] == "transfer" else "order#") + facts["key"]
    assert entry.linked == (tuple(facts["linked"]) if "linked" in facts else None)


def test_a_fill_is_read_in_units() -> None:
    decision = read(SOLD).decision

    assert isinstance(decision, Fill)
    assert not decision.order.buys
    assert (decision.order.symbol, decision.order.other, decision.order.given) == ("BTC", "USD", "BTC")
    assert (decision.order.quantity, decision.order.notional, decision.order.step) == (50_000_000, None, None)
    assert decision.order.limit_price == 51_999_5 * 10**15
    assert (decision.order.symbol_price, decision.order.other_price, decision.order.fee_rate) == (52_000 * 10**16, 10**16, 2_500)
    assert (decision.symbol_change, decision.other_change, decision.fee) == (-50_000_000, 25_935_00000000, 65_00000000)
    assert (decision.symbol_balance, decision.other_balance) == (50_000_000, 75_810_00000000)


def test_a_notional_is_read_with_its_step_and_expiry() -> None:
    decision = read(BOUGHT_FOR_A_NOTIONAL).decision

    assert isinstance(decision, Fill)
    assert (decision.order.quantity, decision.order.notional, decision.order.step) == (None, 250_00000000, 1)
    assert decision.order.expires_at == "2026-02-21T14:00:05.000000Z"


def test_a_refusal_is_read_with_what_was_short() -> None:
    short, nothing, unfunded = (read(text).decision for text in (SHORT, ALL_OF_NOTHING, UNFUNDED_TEXTS[0]))

    assert isinstance(short, Refusal)
    assert (short.needed, short.held, short.unfunded) == (100_250_00000000, 49_875_00000000, False)
    assert isinstance(nothing, Refusal)
    assert (nothing.needed, nothing.held, nothing.order.takes_all) == (None, 0, True)
    assert isinstance(unfunded, Refusal)
    assert unfunded.unfunded


def test_a_transfer_is_read_with_its_sign_and_price() -> None:
    assert read(FUNDED).decision == Transfer("USD", 100_000_00000000, 100_000_00000000, None)
    assert read(FUNDED_AT_A_PRICE).decision == Transfer("ETH", 10_00000000, 10_00000000, 3_000 * 10**16)
    assert read(WITHDRAWN).decision == Transfer("ETH", -4_00000000, 6_00000000, None)


def test_a_void_is_read_under_its_orders_key() -> None:
    entry = read(VOIDED)

    assert (entry.decision, entry.record_key, entry.linked) == (Void(), "order#void", None)


def test_an_order_refused_for_another_is_read_with_that_ones_place() -> None:
    entry = read(REFUSED_TOGETHER[0])

    assert isinstance(entry.decision, LinkedRefusal)
    assert (entry.linked, entry.decision.failed, entry.decision.order.step) == ((5, 4), 1, 10**8)


@pytest.mark.parametrize(
    ("shown", "price"),
    [
        ("0.0000000000000001", 1),
        ("1000000000000.00000000", 10**28),
        ("0.00001528301886", 152_830_188_600),
        ("0.10000000", 10**15),
    ],
)
def test_prices_have_8_to_16_decimals(shown: str, price: int) -> None:
    decision = read(altered(BOUGHT, "prices.BTC", [shown, "2026-02-21T14:00:00Z"])).decision

    assert isinstance(decision, Fill)
    assert decision.order.symbol_price == price


@pytest.mark.parametrize(("shown", "rate"), [("0.01", 1), ("2.5", 250), ("1000", 100_000), ("999.99", 99_999)])
def test_fees_have_up_to_2_decimals(shown: str, rate: int) -> None:
    decision = read(altered(BOUGHT, "fee_bps", shown)).decision

    assert isinstance(decision, Fill)
    assert decision.order.fee_rate == rate


TEXTS_THAT_ARE_NOT_JSON = ["", "{", "nothing", BOUGHT[:-1], "[" * 100_000, '{"v":' + "9" * 5_000 + "}"]


@pytest.mark.parametrize("text", TEXTS_THAT_ARE_NOT_JSON)
def test_a_text_that_is_not_json_is_refused(text: str) -> None:
    assert str(refusal_of(text)) == "its text is not JSON"


@pytest.mark.parametrize("text", ["[]", "null", "2", '"{}"'])
def test_a_text_that_is_not_an_object_is_refused(text: str) -> None:
    assert str(refusal_of(text)) == "its text is not a JSON object"


@pytest.mark.parametrize(
    "text",
    [
        BOUGHT.replace('"sequence":2', '"sequence":2,"sequence":2'),
        BOUGHT.replace(
            '"BTC":"1.00000000","USD":"-50125.00000000"', '"BTC":"9.00000000","BTC":"1.00000000","USD":"-50125.00000000"'
        ),
        BOUGHT.replace('"by":"MainThread"', '"by" :"Thread-9","by":"MainThread"'),
        BOUGHT.replace('"by":', '"by":"Thread-9\\":","by":'),
    ],
)
def test_each_thing_is_said_once(text: str) -> None:
    """A name that appears twice would mean one thing to one reader and another to the next."""
    assert str(refusal_of(text)) == "its text is not compact JSON with each name once"


@pytest.mark.parametrize("key", ['a":b', 'a" :b', '":":', 'say "hi"', "back\\slash"])
def test_a_key_may_look_like_json(key: str) -> None:
    assert read(altered(BOUGHT, "key", key)).record_key == f"order#{key}"


def test_a_newer_form_is_named_as_one() -> None:
    malformed = refusal_of(altered(BOUGHT, "v", 3))

    assert malformed.kind is Kind.FORM
    assert str(malformed) == "its text has form 3, written by a newer release; this audit reads form 2"


MALFORMED: list[tuple[str, str, Any, str]] = [
    # every kind
    (BOUGHT, "v", ABSENT, "its v is None, not 2"),
    (BOUGHT, "v", 1, "its v is 1, not 2"),
    (BOUGHT, "v", "2", "its v is '2', not 2"),
    (BOUGHT, "user_id", "7", "its user_id is '7', not an integer"),
    (BOUGHT, "user_id", 7.0, "its user_id is 7.0, not an integer"),
    (BOUGHT, "user_id", True, "its user_id is True, not an integer"),
    (BOUGHT, "sequence", 2.0, "its sequence is 2.0, not an integer"),
    (BOUGHT, "key", "", "its key is '', not a key"),
    (BOUGHT, "key", " a", "its key is ' a', not a key"),
    (BOUGHT, "key", "k" * 129, f"its key is '{'k' * 56}..., not a key"),
    (BOUGHT, "key", None, "its key is None, not a key"),
    (BOUGHT, "at", "2026-02-21T14:00:01Z", "its at is '2026-02-21T14:00:01Z', not a time"),
    (BOUGHT, "at", "2026-13-21T14:00:01.000000Z", "its at is '2026-13-21T14:00:01.000000Z', not a time"),
    (BOUGHT, "kind", 1, "its kind is 1, not a string"),
    (BOUGHT, "outcome", ["ORDER_FILLED"], "its outcome is ['ORDER_FILLED'], not a string"),
    (BOUGHT, "kind", "swap", "its text is of a kind and outcome that this release does not know: 'swap', 'ORDER_FILLED'"),
    (
        FUNDED,
        "outcome",
        "ORDER_FILLED",
        "its text is of a kind and outcome that this release does not know: 'transfer', 'ORDER_FILLED'",
    ),
    (BOUGHT, "kind", ABSENT, "its text lacks kind"),
    (BOUGHT, "at", ABSENT, "its text lacks at"),
    (BOUGHT, "note", "", "its text has unknown fields: note"),
    # orders
    (BOUGHT, "by", ABSENT, "its text lacks by"),
    (BOUGHT, "by", 1, "its by is 1, not a string"),
    (BOUGHT, "needed", "1.00000000", "its text has unknown fields: needed"),
    (BOUGHT, "terms", [], "its terms is [], not an object"),
    (BOUGHT, "terms.side", "short", "its side is 'short', not buy or sell"),
    (BOUGHT, "terms.side", ABSENT, "its side is None, not buy or sell"),
    (BOUGHT, "terms.side", "sell", "its terms lack receive"),
    (BOUGHT, "terms.quantity", ABSENT, "its terms lack notional"),
    (BOUGHT, "terms.notional", "1", "its terms have unknown fields: notional"),
    (SOLD, "terms.pay_with", "USD", "its terms have unknown fields: pay_with"),
    (BOUGHT, "terms.symbol", "btc", "its symbol is 'btc', not a symbol"),
    (BOUGHT, "terms.pay_with", None, "its pay_with is None, not a symbol"),
    (BOUGHT, "terms.pay_with", "BTC", "its terms trade BTC for itself"),
    (BOUGHT, "terms.quantity", 1, "its quantity is 1"),
    (BOUGHT, "terms.quantity", "0.0", "its quantity is '0.0'"),
    (BOUGHT, "terms.quantity", "1.", "its quantity is '1.'"),
    (BOUGHT, "terms.quantity", "-1", "its quantity is '-1'"),
    (BOUGHT, "terms.quantity", "0.000000001", "its quantity is '0.000000001'"),
    (BOUGHT, "terms.quantity", "1000000000000000.00000001", "its quantity is '1000000000000000.00000001'"),
    (BOUGHT, "terms.quantity", "all", "its terms buy a quantity of 'all'"),
    (BOUGHT_FOR_A_NOTIONAL, "terms.notional", "1e3", "its notional is '1e3'"),
    (SOLD, "terms.limit_price", "0", "its limit_price is '0'"),
    (SOLD, "terms.limit_price", 51_999.5, "its limit_price is 51999.5"),
    (SOLD, "terms.limit_price", "0.00000000000000001", "its limit_price is '0.00000000000000001'"),
    (EXPIRED, "terms.expires_at", None, "its expires_at is None, not a time"),
    (BOUGHT, "prices", [], "its prices is [], not an object of BTC and USD"),
    (BOUGHT, "prices.USD", ABSENT, "not an object of BTC and USD"),
    (BOUGHT, "prices.ETH", ["3000.00000000", "2026-02-21T14:00:00Z"], "not an object of BTC and USD"),
    (BOUGHT, "prices.BTC", "50000.00000000", "its price of BTC is '50000.00000000'"),
    (BOUGHT, "prices.BTC", ["50000", "2026-02-21T14:00:00Z"], "its price of BTC is ['50000', '2026-02-21T14:00:00Z']"),
    (
        BOUGHT,
        "prices.BTC",
        ["1.0000000000", "2026-02-21T14:00:00Z"],
        "its price of BTC is ['1.0000000000', '2026-02-21T14:00:00Z']",
    ),
    (BOUGHT, "prices.BTC", ["0.00000000", "2026-02-21T14:00:00Z"], "its price of BTC is ['0.00000000', '2026-02-21T14:00:00Z']"),
    (BOUGHT, "prices.BTC", ["50000.00000000", None], "its price of BTC is ['50000.00000000', None]"),
    (BOUGHT, "prices.BTC", ["50000.00000000", "yesterday"], "its price of BTC is ['50000.00000000', 'yesterday']"),
    (BOUGHT, "prices.USD", ["1.00000001", "2026-01-01T00:00:00Z"], "its price of USD is ['1.00000001', '2026-01-01T00:00:00Z']"),
    (BOUGHT, "fee_bps", "0", "its fee_bps is '0', not a rate"),
    (BOUGHT, "fee_bps", "25.0", "its fee_bps is '25.0', not a rate"),
    (BOUGHT, "fee_bps", "1000.01", "its fee_bps is '1000.01', not a rate"),
    (BOUGHT, "fee_bps", 25, "its fee_bps is 25, not a rate"),
    (BOUGHT, "step", "0.00000001", "its text has a step, which only a notional has"),
    (BOUGHT_FOR_A_NOTIONAL, "step", ABSENT, "its text lacks step"),
    (BOUGHT_FOR_A_NOTIONAL, "step", "0.00000000", "its step is '0.00000000', not more than 0"),
    # fills
    (BOUGHT, "changes", ABSENT, "its text lacks changes"),
    (BOUGHT, "changes.USD", ABSENT, "its changes is {'BTC': '1.00000000'}, not an object of BTC and USD"),
    (BOUGHT, "changes.USD", "-50125.0", "its change of USD is '-50125.0', not an amount with 8 decimals"),
    (BOUGHT, "changes.BTC", "+1.00000000", "its change of BTC is '+1.00000000', not an amount with 8 decimals"),
    (BOUGHT, "balances.USD", "-1.00000000", "its balance is '-1.00000000', not an amount with 8 decimals"),
    (BOUGHT, "balances.BTC", 1, "its balance is 1, not an amount with 8 decimals"),
    (BOUGHT, "balances.BTC", "01.00000000", "its balance is '01.00000000', not an amount with 8 decimals"),
    (BOUGHT, "fee", "0.00000000", "its fee is '0.00000000', not more than 0"),
    # refusals
    (SHORT, "held", ABSENT, "its text lacks held"),
    (SHORT, "needed", 100_250, "its needed is 100250, not an amount with 8 decimals"),
    (SHORT, "unfunded", False, "its unfunded is False, not true"),
    (SHORT, "fee", "1.00000000", "its text has unknown fields: fee"),
    (BEYOND_ITS_LIMIT, "held", "1.00000000", "its text has unknown fields: held"),
    (EXPIRED, "needed", "1.00000000", "its text has unknown fields: needed"),
    (SHORT, "failed", 1, "its text has unknown fields: failed"),
    # all-or-nothing batches
    (FILLED_TOGETHER[0], "linked", None, "its linked is None, not a sequence and a number"),
    (FILLED_TOGETHER[0], "linked", [3], "its linked is [3], not a sequence and a number"),
    (FILLED_TOGETHER[0], "linked", [3, 2, 1], "its linked is [3, 2, 1], not a sequence and a number"),
    (FILLED_TOGETHER[0], "linked", [3, True], "its linked is [3, True], not a sequence and a number"),
    (FILLED_TOGETHER[0], "linked", ["3", 2], "its linked is ['3', 2], not a sequence and a number"),
    (FILLED_TOGETHER[0], "linked", [0, 2], "its linked is [0, 2], not a sequence and a number up to 99"),
    (FILLED_TOGETHER[0], "linked", [3, 0], "its linked is [3, 0], not a sequence and a number up to 99"),
    (FILLED_TOGETHER[0], "linked", [3, 100], "its linked is [3, 100], not a sequence and a number up to 99"),
    (FILLED_TOGETHER[0], "failed", 1, "its text has unknown fields: failed"),
    (REFUSED_TOGETHER[0], "linked", ABSENT, "its text lacks linked"),
    (REFUSED_TOGETHER[0], "failed", ABSENT, "its text lacks failed"),
    (REFUSED_TOGETHER[0], "failed", -1, "its failed is -1, not a place in a batch"),
    (REFUSED_TOGETHER[0], "failed", 99, "its failed is 99, not a place in a batch"),
    (REFUSED_TOGETHER[0], "failed", True, "its failed is True, not a place in a batch"),
    (REFUSED_TOGETHER[0], "held", "1.00000000", "its text has unknown fields: held"),
    # voids
    (VOIDED, "by", "MainThread", "its text has unknown fields: by"),
    (VOIDED, "linked", [2, 1], "its text has unknown fields: linked"),
    (VOIDED, "outcome", "ORDER_FILLED", "does not know: 'void', 'ORDER_FILLED'"),
    # transfers
    (FUNDED, "linked", [1, 1], "its text has unknown fields: linked"),
    (FUNDED, "balance", ABSENT, "its text lacks balance"),
    (FUNDED, "amount", "0.00000000", "its amount is '0.00000000', not more than 0"),
    (FUNDED, "amount", "-1.00000000", "its amount is '-1.00000000', not an amount with 8 decimals"),
    (FUNDED, "by", "MainThread", "its text has unknown fields: by"),
    (FUNDED, "prices", {}, "its text has a price of USD, which brings its amount as its basis"),
    (FUNDED_AT_A_PRICE, "prices", {}, "its prices is {}, not an object of ETH"),
    (WITHDRAWN, "prices", {"ETH": ["3000.00000000", "2026-02-21T14:00:00Z"]}, "its text has unknown fields: prices"),
]


@pytest.mark.parametrize(("text", "path", "value", "message"), MALFORMED)
def test_a_text_that_the_engine_does_not_write_is_refused_by_the_fields_name(
    text: str, path: str, value: Any, message: str
) -> None:
    malformed = refusal_of(altered(text, path, value))

    assert malformed.kind is Kind.UNREADABLE
    assert message in str(malformed)


@pytest.mark.parametrize("text", [*TEXTS, *UNFUNDED_TEXTS, *LINKED_TEXTS])
@pytest.mark.parametrize("value", [None, 1, "", [], {}, 1.5, [[]], True, "x"])
def test_no_value_of_any_field_makes_the_reader_stumble(text: str, value: Any) -> None:
    for name in json.loads(text):
        with suppress(Malformed):
            read(altered(text, name, value))

"""Arbitrary bytes and headers at the parser: orders that can be executed, or refusals that say why. Never anything else."""

import json
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from chalicelib.api.openapi import document
from chalicelib.contract.batch import MAX_BATCH_BODY_BYTES, Batch, InvalidOrder, read_batch
from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import EngineError, Forbidden, IdempotencyKeyRequired, TooLarge, ValidationFailed
from chalicelib.contract.fields import MAX_BATCH_ORDERS
from chalicelib.contract.requests import KEY_HEADERS, Headers, read_headers, read_order
from chalicelib.domain.money import price_text, units_from
from chalicelib.domain.order import Order, Side
from chalicelib.domain.timestamps import rfc3339
from chalicelib.runtime.world import utc_now
from tests.fuzz.effort import inputs
from tests.fuzz.texts import BODIES, DIGITS, HEADERS, NUMBERS, ORDER, batches

CALLER = Caller(user_id=1, expires_at_s=0)
KEY: Headers = {"x-idempotency-key": ["k"]}
COMPONENTS = document()["components"]
MAX_REFUSAL_BYTES = 4096
MAX_BATCH_REFUSAL_BYTES = 16_384
"""That 99 orders have one key is said of each."""


def read(body: bytes, headers: Headers = KEY) -> Order | EngineError:
    """Returns a request's order or refusal. Whatever else is raised is a bug: the client would get a 500."""
    try:
        return read_order(body, headers, CALLER)
    except (TooLarge, ValidationFailed, Forbidden, IdempotencyKeyRequired) as refusal:
        return refusal


def check(outcome: Order | EngineError) -> None:
    if isinstance(outcome, Order):
        check_order(outcome)
    else:
        check_refusal(outcome)


def check_refusal(refusal: EngineError, max_bytes: int = MAX_REFUSAL_BYTES) -> None:
    text = refusal.body(rfc3339(utc_now()))
    assert len(text) < max_bytes
    assert text.isascii()
    schema = "ErrorWithDetails" if refusal.status == 422 else "Error"
    validator = Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": COMPONENTS})
    assert list(validator.iter_errors(json.loads(text))) == []


def check_order(order: Order) -> None:
    """Checks that an order is within every bound, and that whoever sends it written out plainly sends the same."""
    assert order.user_id == CALLER.user_id
    for symbol in (order.symbol, order.other):
        assert re.fullmatch(r"[A-Z0-9]{1,10}", symbol)
    assert order.symbol != order.other
    assert (order.quantity is None) != (order.notional is None)
    if order.amount.units is None:
        assert order.amount.text == "all"
        assert order.side is Side.SELL or order.notional is not None
    else:
        assert 0 < order.amount.units <= 10**23
        assert re.fullmatch(r"[0-9]+(\.[0-9]{1,8})?", order.amount.text)
        assert units_from(Decimal(order.amount.text)) == order.amount.units
    assert order.limit_price is None or 0 < order.limit_price <= 10**44
    assert order.expires_at is None or re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}\.[0-9]{6}Z", order.expires_at)
    assert re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]{0,126}[\x21-\x7e])?", order.idempotency_key)
    quoted = f'"{order.idempotency_key}"'  # only this leaves quotes alone that are the key's own
    assert read(json.dumps(plain(order)).encode(), {"idempotency-key": [quoted]}) == order


def plain(order: Order) -> dict[str, Any]:
    """Writes an order out."""
    fields = {
        "user_id": order.user_id,
        "side": order.side.value,
        "symbol": order.symbol,
        "pay_with" if order.side is Side.BUY else "receive": order.other,
        "quantity" if order.notional is None else "notional": order.amount.text,
        "limit_price": None if order.limit_price is None else price_text(order.limit_price),
        "expires_at": order.expires_at,
    }
    return {name: value for name, value in fields.items() if value is not None}


def test_every_body_with_every_header_is_an_order_or_refused() -> None:
    outcomes: set[type] = set()
    forms: set[tuple[Side, bool, bool]] = set()

    @inputs(400)
    @given(BODIES, st.just(KEY) | HEADERS)
    @example(b"", {})
    @example(json.dumps(ORDER | {"user_id": 2}).encode(), KEY)
    @example(b'{"user_id":' + b"1" * 16_000 + b"}", KEY)
    @example(b'{"a":' * 3_000, KEY)
    @example(b"[" * 8_000 + b"]" * 8_000, KEY)
    @example(b"{" + b",".join(b'"%x":[]' % number for number in range(1_900)) + b"}", KEY)
    @example(b'{"' + b"\\ud800" * 2_700 + b'":1}', KEY)
    @example(json.dumps(ORDER).encode().ljust(16 * 1024 + 1), KEY)
    def look(body: bytes, headers: Headers) -> None:
        outcome = read(body, headers)
        outcomes.add(type(outcome))
        check(outcome)
        if isinstance(outcome, Order):  # every reader of this body, a proxy or a log, sees the same one order in it
            names = [name for name, _ in json.loads(body, object_pairs_hook=list)]
            assert len(set(names)) == len(names)
            assert plain(outcome).keys() - {"side"} <= set(names) <= plain(outcome).keys()
            forms.add((outcome.side, outcome.notional is None, outcome.amount.units is None))

    look()
    # A fuzzer that never gets past the first check shows little.
    assert outcomes == {Order, TooLarge, ValidationFailed, Forbidden, IdempotencyKeyRequired}
    assert {(Side.BUY, True, False), (Side.BUY, False, False), (Side.SELL, True, True)} <= forms


def batch_of(orders: str) -> bytes:
    return f'{{"user_id": 1, "orders": [{orders}]}}'.encode()


def test_every_body_is_a_batch_or_refused_and_each_order_in_it_is_one_or_refused() -> None:
    """An order that is read in a batch is the one that is read alone: `check_order` sends it by itself."""
    outcomes: set[type] = set()

    @inputs(400)
    @given(batches())
    @example(b"")
    @example(batch_of(""))
    @example(batch_of(",".join(["1"] * MAX_BATCH_ORDERS)))
    @example(batch_of(",".join(["1"] * (MAX_BATCH_ORDERS + 1))))
    @example(batch_of("[" * 30_000 + "]" * 30_000))
    @example(batch_of('{"a":' * 9_000))
    @example(batch_of(",".join(['{"idempotency_key":"k"}'] * MAX_BATCH_ORDERS)))
    @example(batch_of('{"idempotency_key":' + "1" * 60_000 + "}"))
    @example(batch_of('{"idempotency_key":"' + "k" * 60_000 + '"}'))
    @example(b'{"user_id": "2", "orders": [1]}')
    @example(batch_of("").ljust(MAX_BATCH_BODY_BYTES + 1))
    def look(body: bytes) -> None:
        try:
            batch = read_batch(body, CALLER)
        except (TooLarge, ValidationFailed, Forbidden) as refusal:
            outcomes.add(type(refusal))
            check_refusal(refusal, max_bytes=MAX_BATCH_REFUSAL_BYTES)
            return
        outcomes.update({Batch, *map(type, batch.sent)})
        assert batch.user_id == CALLER.user_id
        assert 1 <= len(batch.sent) <= MAX_BATCH_ORDERS
        for each in batch.sent:
            if isinstance(each, InvalidOrder):
                assert isinstance(each.error, ValidationFailed | IdempotencyKeyRequired)
                check_refusal(each.error)
            else:
                check_order(each)
        keys = [each.idempotency_key for each in batch.sent if each.idempotency_key is not None]
        assert len(set(keys)) == len(keys)

    look()
    assert outcomes == {Batch, Order, InvalidOrder, TooLarge, ValidationFailed, Forbidden}


@inputs(100)
@given(HEADERS)
def test_an_order_with_whatever_headers_is_an_order_or_refused(headers: Headers) -> None:
    check(read(json.dumps(ORDER).encode(), headers))


@inputs(300)
@given(NUMBERS)
@example("1e400")
@example("1e-400")
@example("1e99999999999999999999")
@example("0e99999999999999999999")
@example("1E+15")
@example("1000000000000000.00000001")
@example("0.000000010")
@example("-0.0")
def test_a_number_is_read_digit_for_digit_or_not_at_all(written: str) -> None:
    """Held against exact fractions: no float, no rounding, and nothing refused that is within the bounds."""
    outcome = read(json.dumps(ORDER).replace('"1.0"', written).encode())

    if not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", written):
        assert isinstance(outcome, ValidationFailed), "it is not JSON"
        return
    mantissa, _, exponent = written.lower().partition("e")
    if abs(int(exponent or 0)) > 1_000:
        assert isinstance(outcome, ValidationFailed)
        return
    amount = Fraction(mantissa) * Fraction(10) ** int(exponent or 0)
    if 0 < amount <= 10**15 and (amount * 10**8).denominator == 1:
        assert isinstance(outcome, Order)
        assert outcome.amount.units == amount * 10**8
    else:
        assert isinstance(outcome, ValidationFailed)


@inputs(200)
@given(
    st.integers(0, 2**64) | DIGITS.map(int),
    st.sampled_from(["{}", '"{}"', '" {}"', '"+{}"', "0{}", '"0{}"', "{}.0", "{}e0", "-{}"]),
)
@example(1, "{}")
@example(1, '"{}"')
@example(2**63 - 1, '"{}"')
@example(2**63, "{}")
def test_a_user_is_an_integer_or_its_digits(number: int, form: str) -> None:
    outcome = read(json.dumps(ORDER | {"user_id": 0}).replace("0", form.format(number), 1).encode())

    if form in ("{}", '"{}"') and 1 <= number < 2**63:
        assert isinstance(outcome, Order if number == CALLER.user_id else Forbidden)
    else:
        assert isinstance(outcome, ValidationFailed)


WRITTEN = [write(name) for name in KEY_HEADERS for write in (str, str.lower, str.upper, str.swapcase)]
NAMES = st.one_of(st.sampled_from(WRITTEN), st.text(max_size=20))
"""Names of headers: those that hold keys, as people write them, and any others."""


@inputs(100)
@given(st.dictionaries(NAMES, st.lists(st.text(max_size=20), min_size=1, max_size=3), max_size=5))
def test_no_key_is_lost_however_its_header_is_written(headers: dict[str, list[str]]) -> None:
    read = read_headers({"headers": None, "multiValueHeaders": headers})

    keys = {name: values for name, values in headers.items() if name.lower() in {each.lower() for each in KEY_HEADERS}}
    assert read.keys() == {name.lower() for name in keys}
    assert sum(map(len, read.values())) == sum(map(len, keys.values()))

"""Texts of a hostile client: bodies that are nearly orders or batches, and headers that are nearly right."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

ORDER = {"user_id": 1, "symbol": "BTC", "pay_with": "USD", "quantity": "1.0"}
FORMS: list[dict[str, Any]] = [
    ORDER,
    {"user_id": "1", "side": "buy", "symbol": "BTC", "pay_with": "USD", "notional": "250.00", "limit_price": "49500.5"},
    {"user_id": 1, "side": "sell", "symbol": "BTC", "receive": "USD", "quantity": "all", "expires_at": "2030-01-01T00:00:00Z"},
]
"""An order of each form, and with each condition."""

FIELDS = sorted({name for form in FORMS for name in form})

# JSON's own signs, what only nearly belongs to it, and bytes that are not UTF-8.
PIECES = st.sampled_from(
    [
        *(sign.encode() for sign in '{}[]:,"\\ \t\n-+.0919eE'),
        *(b"null", b"true", b"NaN", b"Infinity", b"1_0", b"0x1", b"'", b"//", b"/**/", b"\\u0031", b"\\ud800", b'"symbol":'),
        *(
            b"\x00",
            b"\x7f",
            b"\xff",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xef\xbb\xbf",
            b"\xe2\x80\x8b",
            b"\xef\xbc\x91",
            b"\xd9\xa1",
        ),
    ]
)

# JSON numbers and what is nearly one, as they are written.
DIGITS = st.text("0123456789", min_size=1, max_size=30) | st.sampled_from(["0", "9" * 19, "1" * 400, "0" * 40 + "1"])
NUMBERS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "", "-", "+"]),
        DIGITS,
        st.just("") | DIGITS.map(".{}".format),
        st.just("") | st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), DIGITS),
    ),
)
WORDS = st.text(max_size=12) | st.text(st.sampled_from("BTCbtc019 \t\r\n.-\u00df\uff22\u0661\U0001f600"), max_size=12)
ESCAPED = st.text(st.sampled_from("aU0\u00e9\ud800\U0001f600\n"), max_size=6)


def written(text: str) -> str:
    """A JSON string, with every character as an escape: it means the same."""
    units = text.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    return '"' + "".join(f"\\u{unit}" for unit in units) + '"'


STRINGS = (
    WORDS.map(json.dumps)
    | WORDS.map(lambda text: json.dumps(text, ensure_ascii=False))
    | (WORDS | ESCAPED).map(written)
    | NUMBERS.map('"{}"'.format)
)
VALUES = st.one_of(
    st.sampled_from([json.dumps(value) for form in FORMS for value in form.values()]),
    st.sampled_from(['"BUY"', '"Sell"', '"all"', '"ALL"', '"2030-02-30T00:00:00Z"', '"2030-01-01t00:00:00.123456789-23:59"']),
    st.sampled_from(['"0001-01-01T00:00:00+23:59"', '"1e5"', '"0.0000000000000001"', '"10000000000000000000000000000.1"']),
    st.sampled_from(["2", '"1"', '"01"', '"ETH"', '" usd "', '"0.00000001"', "1.5", "1E+3", "1e-8", "1.000000000"]),
    NUMBERS,
    STRINGS,
    st.sampled_from(["null", "true", "false", "NaN", "-Infinity", "[]", "{}", "[[1]]", '{"a":{"b":1}}']),
)
NAMES = st.sampled_from([*FIELDS, "qty", "", "USER_ID", "user_id "]).map(json.dumps) | STRINGS
SPACES = st.sampled_from([""] * 40 + [" ", "\n", "\t", "\r\n", "\u00a0"])


@st.composite
def objects(draw: st.DrawFn, fields: Mapping[str, Any]) -> bytes:
    """A JSON object of these fields: each as it should be, or somehow else, or missing; and sometimes one more."""
    often = st.sampled_from([True, True, True, False])
    members = [
        (draw(st.sampled_from([json.dumps(name), written(name)])), json.dumps(value) if draw(often) else draw(VALUES))
        for name, value in fields.items()
        if draw(often) or draw(often)
    ]
    if not draw(often):
        members.insert(draw(st.integers(0, len(members))), (draw(NAMES), draw(VALUES)))
    text = ",".join(f"{draw(SPACES)}{name}{draw(SPACES)}:{draw(SPACES)}{value}" for name, value in members)
    return f"{{{text}}}".encode(errors="surrogatepass")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An order's body with pieces put in, taken out, or repeated."""
    body = json.dumps(ORDER).encode()
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 6)))
        body = body[:start] + draw(st.just(b"") | PIECES | st.just(body[start:end] * 2)) + body[end:]
    return body


@st.composite
def in_other_encodings(draw: st.DrawFn) -> bytes:
    """An order's body in an encoding that JSON is not in."""
    encoding = draw(st.sampled_from(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7", "cp037", "latin-1"]))
    return json.dumps(ORDER | {"symbol": draw(st.sampled_from(["BTC", "B\u00e9C"]))}, ensure_ascii=False).encode(encoding)


BODIES = st.one_of(
    *[objects(form) for form in FORMS * 2],
    damaged(),
    in_other_encodings(),
    st.lists(PIECES).map(b"".join) | st.binary(max_size=200),
)
KEYS = st.one_of(
    st.sampled_from(["k", " k ", "", " ", "\t", "k" * 128, "k" * 129, "two words", "caf\u00e9", "\u00a0", "a\x00", "\x7f"]),
    st.sampled_from(['"k"', '" k "', '""', '"', '""k""', 'a"b']),
    st.text(max_size=20),
    st.text(st.characters(codec="latin-1"), max_size=140),
)


@st.composite
def batches(draw: st.DrawFn) -> bytes:
    """A batch of orders, each as it should be or somehow else; seldom of something else, or something else altogether."""
    seldom = st.sampled_from([False] * 9 + [True])
    if draw(seldom):
        anything: bytes = draw(BODIES)
        return anything
    orders = []
    for number in range(draw(st.integers(1, 4))):
        key = draw(st.sampled_from(["k0", " k0", '"k0"', "", '""', None])) if draw(seldom) else f"k{number}"
        form = draw(st.sampled_from(FORMS))
        order = {name: value for name, value in form.items() if name != "user_id"} | {"idempotency_key": key}
        orders.append(json.dumps(order).encode() if draw(st.booleans()) else draw(BODIES if draw(seldom) else objects(order)))
    user_id = draw(st.sampled_from([b"2", b'"1"', b"0", b"1.0"])) if draw(seldom) else b"1"
    return b'{"user_id":%s,"%s":[%s]}' % (user_id, b"Orders" if draw(seldom) else b"orders", b",".join(orders))


HEADERS = st.dictionaries(
    st.sampled_from(["x-idempotency-key", "idempotency-key", "content-type", "x-idempotency-key "]) | st.text(max_size=8),
    st.lists(KEYS, max_size=3),
    max_size=4,
)

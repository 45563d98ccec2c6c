"""No request costs more than a few times a good one, whatever is in it.

Cost is counted, not timed: the bytecode instructions that the Lambda's handler executes for a request, those of the emulated
DynamoDB left out, and the characters it answers and logs. Instructions do not see what a function written in C does with one
large argument. There the bound is the code's: what is parsed has at most 16 KiB, digits become a number only where a pattern has
limited them (`int`, quadratic in their count, sees 19), no pattern has a repetition within a repetition, and decimal arithmetic
has 120 digits.
"""

import json
import logging
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import StringIO
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app
from chalicelib.http import MAX_BODY_BYTES
from chalicelib.identity import Caller
from chalicelib.log import JsonLines
from chalicelib.patience import utc_now
from tests.fuzz.document import USER
from tests.fuzz.effort import inputs
from tests.fuzz.texts import ORDER, PIECES
from tests.support.market import Market, new_key

MAX_HEADERS_BYTES = 10_240
"""API Gateway's limit for all headers of a request together."""

FEW = 2
MAX_ANSWER_BYTES = MAX_LOGGED_BYTES = 4096

Headers = dict[str, list[str]]


class Context:
    """What the handler uses of Lambda's."""

    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def event(body: bytes, headers: Headers) -> dict[str, Any]:
    """A request as API Gateway hands it on."""
    caller = Caller(USER, int(utc_now().timestamp()) + 60)
    return {
        "requestContext": {
            "httpMethod": "POST",
            "resourcePath": "/api/v1/trading/execute",
            "path": "/dev/api/v1/trading/execute",
            "requestId": "request",
            "authorizer": caller.context(),
        },
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "body": b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def instructions(do: Callable[[], Any]) -> tuple[int, Any]:
    """How many bytecode instructions something takes, but for the emulated DynamoDB's; and what it returns."""
    count = 0

    def trace(frame: FrameType, what: str, _: object) -> Any:
        nonlocal count
        if what == "call":
            if any(f"/{package}/" in frame.f_code.co_filename for package in ("moto", "responses", "werkzeug")):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += what == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = do()
    finally:
        sys.settrace(before)
    return count, result


def cost(body: bytes, headers: Headers | None = None) -> tuple[int, dict[str, Any]]:
    request = event(body, headers or {"X-Idempotency-Key": [new_key()]})
    return instructions(lambda: app.app(request, Context()))


GOOD = json.dumps(ORDER | {"user_id": USER, "quantity": "0.00000001"}).encode()


@pytest.fixture(scope="module")
def a_good_one(moto_market: Market) -> int:
    """What a fill costs in a process that has answered everything once."""
    moto_market.fund(USER, "USD", "1")
    key = {"X-Idempotency-Key": [new_key()]}
    cost(GOOD, key)
    cost(GOOD, key)
    spent, reply = cost(GOOD)
    assert reply["statusCode"] == 200
    return spent


@pytest.fixture
def logged() -> Iterator[StringIO]:
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonLines())
    logging.getLogger("hft").addHandler(handler)
    yield lines
    logging.getLogger("hft").removeHandler(handler)


def full_of(piece: bytes | Callable[[int], bytes], before: bytes = b"", after: bytes = b"", between: bytes = b"") -> bytes:
    """As many pieces as a body has room for."""
    pieces: list[bytes] = []
    room = MAX_BODY_BYTES - len(before) - len(after)
    while True:
        following = piece if isinstance(piece, bytes) else piece(len(pieces))
        room -= len(following) + len(between)
        if room < 0:
            return before + between.join(pieces) + after
        pieces.append(following)


BODIES = {
    "unknown fields": full_of(lambda number: b'"%x":1' % number, b"{", b"}", b","),
    "unknown fields that grow when they are written": full_of(lambda number: b'"\\u%04x":1' % number, b"{", b"}", b","),
    "an unknown field with a long name": full_of(b"\\u0001", b'{"', b'":1}'),
    "fields with long values": json.dumps(dict.fromkeys(ORDER, "x" * 4_000)).encode(),
    "a name again and again": full_of(b'"a":1', b"{", b"}", b","),
    "many objects, the last with a name twice": full_of(b'{"a":1}', b"[", b',{"a":1,"a":1}]', b","),
    "arrays in arrays": full_of(b"["),
    "arrays in arrays, as deep as goes": b"[" * 900 + b"]" * 900,
    "objects in objects": full_of(b'{"a":'),
    "many arrays": full_of(b"[]", b"[", b"]", b","),
    "many numbers": full_of(b"1e9", b"[", b"]", b","),
    "many strings": full_of(b'""', b"[", b"]", b","),
    "escapes": full_of(b"\\ud83d\\ude00", b'["', b'"]'),
    "a user of many digits": full_of(b"9", b'{"user_id":', b"}"),
    "a quantity of many digits": GOOD.replace(b'"0.00000001"', b"9" * 16_000),
    "a quantity of many decimals": GOOD.replace(b'"0.00000001"', b"0." + b"0" * 16_000 + b"1"),
    "a quantity with a large exponent": GOOD.replace(b'"0.00000001"', b"1e999999999999999999"),
    "a quantity with a small exponent": GOOD.replace(b'"0.00000001"', b"1e-999999999999999999"),
    "a zero with a large exponent": GOOD.replace(b'"0.00000001"', b"0e999999999999999999"),
    "a quantity that is a long text": GOOD.replace(b"0.00000001", b"0" * 16_000 + b"."),
    "blanks around everything": full_of(b" ", GOOD),
    "blanks around a symbol": full_of(b" ", b'{"symbol":"', b'"}'),
    "line ends before a mistake": full_of(b"\n", b"", b"x"),
    "no text": full_of(b"\xff"),
    "more than is read": b"x" * 1_000_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_made_to_cost_costs_little(a_good_one: int, logged: StringIO, name: str) -> None:
    spent, reply = cost(BODIES[name])

    assert spent <= FEW * a_good_one
    assert len(reply["body"]) < MAX_ANSWER_BYTES
    assert 0 < len(logged.getvalue()) < MAX_LOGGED_BYTES


HEADERS: dict[str, Headers] = {
    "many headers": {f"{number:x}": [""] for number in range(MAX_HEADERS_BYTES // 6)},
    "one header many times": {"X-Idempotency-Key": [new_key()] * (MAX_HEADERS_BYTES // 22)},
    "many keys": {"idempotency-key": [f"{number:x}" for number in range(MAX_HEADERS_BYTES // 22)]},
    "a long key": {"X-Idempotency-Key": ["k" * MAX_HEADERS_BYTES]},
    "a key of blanks": {"X-Idempotency-Key": [" \t" * (MAX_HEADERS_BYTES // 2)]},
    "a key with blanks around it": {"X-Idempotency-Key": [new_key().center(MAX_HEADERS_BYTES)]},
    "a long header": {"Cookie": ["a=b;" * (MAX_HEADERS_BYTES // 4)]},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_are_made_to_cost_cost_little(a_good_one: int, logged: StringIO, name: str) -> None:
    spent, reply = cost(GOOD, HEADERS[name])

    assert spent <= FEW * a_good_one
    assert len(reply["body"]) < MAX_ANSWER_BYTES
    assert 0 < len(logged.getvalue()) < MAX_LOGGED_BYTES


@inputs(25)
@given(*[st.lists(PIECES, max_size=3).map(b"".join)] * 3)
def test_whatever_a_body_is_full_of_it_costs_little(a_good_one: int, before: bytes, piece: bytes, after: bytes) -> None:
    spent, reply = cost(full_of(piece or b" ", before, after))

    assert spent <= FEW * a_good_one
    assert len(reply["body"]) < MAX_ANSWER_BYTES

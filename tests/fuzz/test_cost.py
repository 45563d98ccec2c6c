"""No request costs more than a few times a good one, whatever is in it.

Cost is counted, not timed: the bytecode instructions that the Lambda's handler executes for a request, those of the emulated
DynamoDB left out, and the characters it answers and logs. Instructions do not see what a function written in C does with one
large argument. There the bound is the code's: what is parsed has at most 16 KiB, digits become a number only where a pattern has
limited them (`int`, quadratic in their count, sees 19), no pattern has a repetition within a repetition, and decimal arithmetic
has 120 digits. A batch has four times as many bytes, and is held against a good one of 99 orders.
"""

import json
import logging
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app
from chalicelib.contract.batch import MAX_BATCH_BODY_BYTES
from chalicelib.contract.caller import Caller
from chalicelib.contract.fields import MAX_BATCH_ORDERS
from chalicelib.contract.requests import MAX_BODY_BYTES
from chalicelib.engine import build
from chalicelib.runtime.world import utc_now
from chalicelib.store.connection import DynamoDB
from chalicelib.telemetry.log import JsonLines
from tests.fuzz.document import BATCH, EXECUTE, USER
from tests.fuzz.effort import inputs
from tests.fuzz.texts import ORDER, PIECES
from tests.support.market import Market, batched, new_key

MAX_HEADERS_BYTES = 10_240
"""API Gateway's limit for all headers of a request together."""

FEW = 2
MAX_ANSWER_BYTES = MAX_LOGGED_BYTES = 4096
MAX_BATCH_ANSWER_BYTES = 128 * 1024
"""About three times the answer to 99 fills."""
MAX_BATCH_LOGGED_BYTES = 64 * 1024
"""A quarter of what CloudWatch is sure to take as one line."""

Headers = dict[str, list[str]]


class Context:
    """The part of Lambda's context that the handler uses."""

    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def event(path: str, body: bytes, headers: Headers) -> dict[str, Any]:
    """Returns a request as API Gateway passes it on."""
    caller = Caller(USER, int(utc_now().timestamp()) + 60)
    return {
        "requestContext": {
            "httpMethod": "POST",
            "resourcePath": path,
            "path": f"/dev{path}",
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
    """Counts the bytecode instructions of a call, but for the emulated DynamoDB and what that calls. Returns its result too."""
    count = 0
    emulator: FrameType | None = None

    def trace(frame: FrameType, what: str, _: object) -> Any:
        nonlocal count, emulator
        if emulator is not None:
            return None
        if what == "call":
            frame.f_trace_lines = False
            if any(f"/{package}/" in frame.f_code.co_filename for package in ("moto", "responses", "werkzeug")):
                emulator = frame
                return until_it_returns
            frame.f_trace_opcodes = True
        count += what == "opcode"
        return trace

    def until_it_returns(frame: FrameType, what: str, _: object) -> Any:
        nonlocal emulator
        if what == "return" and frame is emulator:
            emulator = None
        return until_it_returns

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = do()
    finally:
        sys.settrace(before)
    return count, result


def cost(body: bytes, headers: Headers | None = None, path: str = EXECUTE) -> tuple[int, dict[str, Any]]:
    request = event(path, body, headers or {"X-Idempotency-Key": [new_key()]})
    return instructions(lambda: app.app(request, Context()))


GOOD = json.dumps(ORDER | {"user_id": USER, "quantity": "0.00000001"}).encode()


@pytest.fixture(scope="module", autouse=True)
def prices_stay_known(moto_market: Market) -> Iterator[None]:
    """Gives the app an engine whose prices last as long as these tests: a read of some would count, where a machine is busy."""
    engine = build(replace(moto_market.settings, price_age_ms=3_600_000), DynamoDB(moto_market.settings))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(app, "_engine", engine)
        yield


@pytest.fixture(scope="module")
def a_good_one(moto_market: Market) -> int:
    """The cost of a fill in a process that has answered everything once."""
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


def full_of(
    piece: bytes | Callable[[int], bytes],
    before: bytes = b"",
    after: bytes = b"",
    between: bytes = b"",
    max_bytes: int = MAX_BODY_BYTES,
) -> bytes:
    """Returns a body of as many pieces as it has room for."""
    pieces: list[bytes] = []
    room = max_bytes - len(before) - len(after)
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
    "a user of many digits in a string": full_of(b"9", b'{"user_id":"', b'"}'),
    "a quantity of many digits": GOOD.replace(b'"0.00000001"', b"9" * 16_000),
    "a quantity of many decimals": GOOD.replace(b'"0.00000001"', b"0." + b"0" * 16_000 + b"1"),
    "a quantity with a large exponent": GOOD.replace(b'"0.00000001"', b"1e999999999999999999"),
    "a quantity with a small exponent": GOOD.replace(b'"0.00000001"', b"1e-999999999999999999"),
    "a zero with a large exponent": GOOD.replace(b'"0.00000001"', b"0e999999999999999999"),
    "a quantity that is a long text": GOOD.replace(b"0.00000001", b"0" * 16_000 + b"."),
    "a limit of many digits": full_of(b"9", GOOD[:-1] + b', "limit_price": "', b'"}'),
    "a limit of many decimals": full_of(b"0", GOOD[:-1] + b', "limit_price": "0.', b'1"}'),
    "an expiry with a long fraction": full_of(b"0", GOOD[:-1] + b', "expires_at": "2030-01-01T00:00:00.', b'Z"}'),
    "a side that is a long text": full_of(b"sell", GOOD[:-1] + b', "side": "', b'"}'),
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
    "a key of quotes": {"X-Idempotency-Key": ['"' * MAX_HEADERS_BYTES]},
    "blanks in quotes": {"X-Idempotency-Key": ['"' + " " * (MAX_HEADERS_BYTES - 2) + '"']},
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


# Batches.


def batch(*orders: bytes | dict[str, Any]) -> bytes:
    """Returns a batch of orders, written already or to be written."""
    written = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in orders]
    return b'{"user_id": %d, "orders": [%s]}' % (USER, b",".join(written))


def linked(*orders: dict[str, Any]) -> bytes:
    """Returns a batch of which either every order fills or none does."""
    return batch(*orders).replace(b"{", b'{"all_or_nothing": true, ', 1)


def little(**changed: Any) -> dict[str, Any]:
    return batched("BTC", "USD", "0.00000001") | changed


def good_batch() -> bytes:
    """Returns 99 orders as they are sent."""
    return batch(*(little() for _ in range(MAX_BATCH_ORDERS)))


def cost_of_batch(body: bytes) -> tuple[int, dict[str, Any]]:
    return cost(body, {}, BATCH)


@pytest.fixture(scope="module")
def a_good_batch(a_good_one: int, moto_market: Market) -> int:
    """The cost of 99 fills in a process that has answered everything once."""
    assert a_good_one
    moto_market.fund(USER, "USD", "100")
    cost_of_batch(good_batch())
    spent, reply = cost_of_batch(good_batch())
    assert [result["status"] for result in json.loads(reply["body"])["results"]] == [200] * MAX_BATCH_ORDERS
    return spent


EACH_BYTES = MAX_BATCH_BODY_BYTES // MAX_BATCH_ORDERS - 2
"""The room of each of 99 orders."""


def unknown_fields(name: str) -> bytes:
    """Returns an object with as many fields of such names as each order has room for."""
    return full_of(lambda number: b'"%s%x":1' % (name.encode(), number), b"{", b"}", b",", EACH_BYTES)


def all_of(piece: bytes, before: bytes = b"", after: bytes = b"", between: bytes = b"") -> bytes:
    return full_of(piece, before, after, between, MAX_BATCH_BODY_BYTES)


BATCHES = {
    "99 that are not orders": batch(*[b"1"] * MAX_BATCH_ORDERS),
    "99 that are empty": batch(*[b"{}"] * MAX_BATCH_ORDERS),
    "99 with a few unknown fields": batch(*[b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1}'] * MAX_BATCH_ORDERS),
    "99 full of unknown fields": batch(*[unknown_fields("")] * MAX_BATCH_ORDERS),
    "99 with unknown fields that grow when they are written": batch(*[unknown_fields("\u00e9" * 36)] * MAX_BATCH_ORDERS),
    "99 with everything wrong": batch(*[little(symbol=1, pay_with=1, quantity=1e9, idempotency_key="\u00e9")] * MAX_BATCH_ORDERS),
    "99 with quantities of many digits": batch(
        *(json.dumps(little()).encode().replace(b'"0.00000001"', b"9" * 500) for _ in range(MAX_BATCH_ORDERS))
    ),
    "99 with quantities of many decimals": batch(
        *(json.dumps(little()).encode().replace(b'"0.00000001"', b"0." + b"0" * 480 + b"1") for _ in range(MAX_BATCH_ORDERS))
    ),
    "99 with large exponents": batch(
        *(json.dumps(little()).encode().replace(b'"0.00000001"', b"1e999999999999999999") for _ in range(MAX_BATCH_ORDERS))
    ),
    "99 under one key": batch(*[little(idempotency_key="k" * 128)] * MAX_BATCH_ORDERS),
    "99 with long keys": batch(*(little(idempotency_key="k" * 500 + str(n)) for n in range(MAX_BATCH_ORDERS))),
    "99 with blanks around everything": batch(
        *(little(idempotency_key=new_key().center(200), symbol="BTC".center(100)) for _ in range(MAX_BATCH_ORDERS))
    ),
    "99 with keys that are escaped when they are written": batch(
        *(little(idempotency_key='"' * 126 + f"{n:02}", quantity="0") for n in range(MAX_BATCH_ORDERS))
    ),
    "99 with keys in quotes and blanks": batch(
        *(little(idempotency_key='"' + new_key().center(200) + '"') for _ in range(MAX_BATCH_ORDERS))
    ),
    "99 of assets that nobody knows": batch(
        *(little(symbol=f"N{number:09}", pay_with=f"M{number:09}") for number in range(MAX_BATCH_ORDERS))
    ),
    "99 that nobody can pay": batch(*(little(quantity="1000000000000000") for _ in range(MAX_BATCH_ORDERS))),
    "99 of which none fills since the last does not": linked(
        *(little() for _ in range(MAX_BATCH_ORDERS - 1)), little(quantity="1000000000000000")
    ),
    "99 of which all are answered by what is wrong with each": linked(*[little(symbol=1, pay_with=1)] * MAX_BATCH_ORDERS),
    "99 with limits of many digits": batch(*(little(limit_price="0" * 480 + "1") for _ in range(MAX_BATCH_ORDERS))),
    "99 with expiries of long fractions": batch(
        *(little(expires_at="2030-01-01T00:00:00." + "0" * 480 + "Z") for _ in range(MAX_BATCH_ORDERS))
    ),
    "99 arrays in arrays": batch(*[b"[" * 300 + b"]" * 300] * MAX_BATCH_ORDERS),
    "one full of unknown fields": full_of(
        lambda number: b'"%x":1' % number, batch(b"{")[:-2], b"}]}", b",", MAX_BATCH_BODY_BYTES
    ),
    "many unknown fields beside the orders": full_of(
        lambda number: b'"%x":1' % number, batch(little())[:-1] + b",", b"}", b",", MAX_BATCH_BODY_BYTES
    ),
    "many that are not orders": all_of(b"1", batch()[:-2], b"]}", b","),
    "many that are empty": all_of(b"{}", batch()[:-2], b"]}", b","),
    "many objects, the last with a name twice": all_of(b'{"a":1}', batch()[:-2], b',{"a":1,"a":1}]}', b","),
    "many arrays": all_of(b"[]", batch()[:-2], b"]}", b","),
    "arrays in arrays": all_of(b"[", batch()[:-2]),
    "arrays in arrays, as deep as goes": batch(b"[" * 900 + b"]" * 900),
    "objects in objects": all_of(b'{"a":', batch()[:-2]),
    "a user of many digits": all_of(b"9", b'{"user_id":', b',"orders":[]}'),
    "escapes": all_of(b"\\ud83d\\ude00", batch()[:-2] + b'"', b'"]}'),
    "blanks around everything": all_of(b" ", batch(little())),
    "line ends before a mistake": all_of(b"\n", b"", b"x"),
    "more than is read": b"x" * 1_000_000,
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_that_is_made_to_cost_costs_little(a_good_batch: int, logged: StringIO, name: str) -> None:
    spent, reply = cost_of_batch(BATCHES[name])

    assert spent <= FEW * a_good_batch
    assert len(reply["body"]) < MAX_BATCH_ANSWER_BYTES
    assert 0 < len(logged.getvalue()) < MAX_BATCH_LOGGED_BYTES
    assert reply["statusCode"] in (200, 413, 422)


def test_a_batch_that_comes_again_costs_little(a_good_batch: int) -> None:
    body = good_batch()
    cost_of_batch(body)

    spent, reply = cost_of_batch(body)

    assert all(result["replayed"] for result in json.loads(reply["body"])["results"])
    assert spent <= FEW * a_good_batch


@inputs(25)
@given(*[st.lists(PIECES, max_size=3).map(b"".join)] * 2, st.sampled_from([b",", b""]))
def test_whatever_a_batch_is_full_of_it_costs_little(a_good_batch: int, before: bytes, piece: bytes, between: bytes) -> None:
    spent, reply = cost_of_batch(all_of(piece or b" ", batch()[:-2] + before, b"]}", between))

    assert spent <= FEW * a_good_batch
    assert len(reply["body"]) < MAX_BATCH_ANSWER_BYTES

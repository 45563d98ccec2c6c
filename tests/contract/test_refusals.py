"""Bad input: a clear 4xx that names the field, and nothing decided."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.market import Market, new_key, new_user_id, order

EXECUTE = "/api/v1/trading/execute"
GOOD = {"user_id": 1, "symbol": "BTC", "pay_with": "USD", "quantity": "1.0"}


def without(name: str) -> dict[str, Any]:
    return {field: value for field, value in GOOD.items() if field != name}


NOT_USER_IDS: list[Any] = [0, -1, 1.5, 1.0, "", "0", "01", "+1", " 1", "1.0", "one", "١", str(2**63), True, None, [], 2**63]
NOT_SYMBOLS: list[Any] = ["", " ", "B-C", "ELEVENCHARS", "BTC\x00", "ＢＴＣ", "Ⅷ", "\u00a0BTC", 1, None, {}]
NOT_QUANTITIES: list[Any] = [
    *("", " ", "0", "0.0", "0.00000000", "-1", "+1", "1.", ".5", "1e3", "1E3", "NaN", "Infinity", "1_000", "1,000"),
    *(" 1", "1 ", "1\n", "１", "٣", "0x10", "1.000000001", "1.123456789", "1000000000000001", "1000000000000000.00000001"),
    *("1/2", "--1", "1.1.1", 0, -1, 0.0, -0.5, True, None, [], {}),
]
NOT_QUANTITIES_AS_NUMBERS = [
    *("1e400", "1e-400", "1e-9", "1.5e-8", "1e16", "1" * 5000, "0." + "0" * 9000 + "1", "1e99999999999999999999"),
]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'"text"', "body"),
        (b"\xff\xfe", "body"),
        (b"\xef\xbb\xbf{}", "body"),
        (b"[" * 16_000, "body"),
        (b'{"a":' * 3_000, "body"),
        (b'{"quantity": NaN}', "body"),
        (b'{"quantity": -Infinity}', "body"),
        (json.dumps(GOOD).replace('"symbol"', '"symbol": "ETH", "symbol"').encode(), "symbol"),
        (json.dumps(GOOD).replace('"user_id"', '"user_id": 1, "user_id"').encode(), "user_id"),
        *((json.dumps(without(name)).encode(), name) for name in GOOD),
        *((json.dumps(GOOD | {"user_id": value}).encode(), "user_id") for value in NOT_USER_IDS),
        (json.dumps(GOOD).replace("1,", "1e0,").encode(), "user_id"),
        *((json.dumps(GOOD | {name: value}).encode(), name) for name in ("symbol", "pay_with") for value in NOT_SYMBOLS),
        (json.dumps(GOOD | {"symbol": "usd"}).encode(), "pay_with"),
        *((json.dumps(GOOD | {"quantity": value}).encode(), "quantity") for value in NOT_QUANTITIES),
        *((json.dumps(GOOD).replace('"1.0"', number).encode(), "quantity") for number in NOT_QUANTITIES_AS_NUMBERS),
        (json.dumps(GOOD | {"side": "hold"}).encode(), "side"),
        (json.dumps(GOOD | {"stop_price": "1"}).encode(), "stop_price"),
    ],
)
def test_what_is_not_an_order_is_refused_with_the_field_named(market: Market, body: bytes, field: str) -> None:
    response = market.post(body, new_key())

    assert response.status_code == 422, response.text
    error = response.json()
    assert (error["status"], error["error_code"]) == (422, "ERR_VALIDATION")
    assert [detail["field"] for detail in error["details"]] == [field]
    assert all(detail["message"] for detail in error["details"])


def test_every_field_that_is_wrong_is_named(market: Market) -> None:
    response = market.post({"user_id": "one", "symbol": "", "quantity": 0, "limit": 1}, new_key())

    fields = [detail["field"] for detail in response.json()["details"]]
    assert fields == ["user_id", "symbol", "pay_with", "quantity", "limit"]


def test_of_very_many_unknown_fields_the_first_few_are_named(market: Market) -> None:
    """An answer is no larger than it has to be to help: a body of 16 KiB has room for thousands of names."""
    response = market.post({**GOOD, **{f"f{number}": 1 for number in range(1_000)}}, new_key())

    *named, summed_up = response.json()["details"]
    assert [detail["field"] for detail in named] == [f"f{number}" for number in range(8)]
    assert summed_up == {"field": "body", "message": "has 1000 unknown fields"}
    assert len(response.content) < 2_000


@pytest.mark.parametrize("headers", [[], [("X-Idempotency-Key", "")], [("X-Idempotency-Key", " \t ")], [("Idempotency-Key", "")]])
def test_an_order_without_a_key_is_refused(market: Market, headers: list[tuple[str, str]]) -> None:
    status, error = market.raw("POST", EXECUTE, headers, json.dumps(order(new_user_id())).encode())

    assert status == 400
    assert error["error_code"] == "ERR_IDEMPOTENCY_REQUIRED"


def test_the_body_is_looked_at_before_the_key(market: Market) -> None:
    assert market.post({}).status_code == 422


@pytest.mark.parametrize("key", ["k" * 129, "caf\u00e9", "\u00a0", "tab\tinside", "\x7f"])
def test_a_key_that_cannot_be_one_is_refused(market: Market, key: str) -> None:
    status, error = market.raw("POST", EXECUTE, [("X-Idempotency-Key", key)], json.dumps(order(new_user_id())).encode())

    assert status == 422
    assert error["error_code"] == "ERR_VALIDATION"
    assert [detail["field"] for detail in error["details"]] == ["X-Idempotency-Key"]


@pytest.mark.parametrize("key", ["k" * 128, " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ x", "a b", "\t trimmed \t"])
def test_any_printable_ascii_is_a_key(market: Market, key: str) -> None:
    user = market.new_user(USD="100000")

    status, _ = market.raw("POST", EXECUTE, [("X-Idempotency-Key", key)], json.dumps(order(user)).encode())

    assert status == 200
    assert {record.key for record in market.records(user)} >= {f"order#{key.strip()}"}


def test_two_key_headers_that_differ_are_refused(market: Market) -> None:
    response = market.post(order(new_user_id()), "one", headers={"Idempotency-Key": "other"})

    assert response.status_code == 422
    assert response.json()["error_code"] == "ERR_VALIDATION"


@pytest.mark.parametrize(("second", "expected"), [("one", 402), ("other", 422)])
def test_a_key_header_that_comes_twice_must_say_the_same(market: Market, second: str, expected: int) -> None:
    headers = [("X-Idempotency-Key", "one"), ("X-Idempotency-Key", second)]

    status, _ = market.raw("POST", EXECUTE, headers, json.dumps(order(new_user_id())).encode())

    assert status == expected


def test_a_body_over_16_kib_is_too_large(market: Market) -> None:
    body = json.dumps(order(new_user_id())).encode()

    assert market.post(body.ljust(16 * 1024), new_key()).status_code == 402
    response = market.post(body.ljust(16 * 1024 + 1), new_key())

    assert response.status_code == 413
    assert response.json()["error_code"] == "ERR_TOO_LARGE"


@pytest.mark.parametrize("user_id", ["0", "-1", "1.0", "one", "9223372036854775808", "%31x", "１", "1e3", "+1"])
def test_a_portfolio_of_no_user_id_is_refused(market: Market, user_id: str) -> None:
    response = market.get(f"/api/v1/trading/portfolio/{user_id}")

    assert response.status_code == 422
    assert [detail["field"] for detail in response.json()["details"]] == ["user_id"]


@pytest.mark.parametrize("path", ["/nope", "/api/v1/trading", "/api/v1/trading/portfolio", "/docs/secret.js", "/docs/../app.py"])
def test_an_unknown_route_is_not_found(market: Market, path: str) -> None:
    response = market.get(path)

    assert response.status_code == 404
    assert response.json()["error_code"] == "ERR_NOT_FOUND"
    assert response.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "target", ["GET /api/v1/trading/execute", "POST /health", "DELETE /api/v1/trading/assets", "HEAD /api/v1/trading/assets"]
)
def test_another_method_is_not_allowed(market: Market, target: str) -> None:
    method, path = target.split()
    connection = http.client.HTTPConnection(urlsplit(market.urls[0]).netloc, timeout=30)

    for _ in range(2):  # over one connection: no answer spills into the next
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 405
        assert response.headers["X-Request-Id"]
        if method != "HEAD":
            assert json.loads(body)["error_code"] == "ERR_METHOD_NOT_ALLOWED"
    connection.close()


def test_no_answer_is_without_a_request_id(market: Market) -> None:
    for response in (
        market.get("/health"),
        market.get("/docs"),
        market.get("/openapi.json"),
        market.get("/api/v1/trading/assets"),
        market.post(b"{", new_key()),
        market.post(order(new_user_id()), new_key()),
    ):
        assert response.headers["X-Request-Id"]

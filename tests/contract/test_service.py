"""The service around the trading: bodies that are not JSON, HEAD, the root, CORS, and errors of the gateway's own."""

import gzip
import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from harness.processes import chalice_local
from tests.support.issuer import SECRET, by_secret
from tests.support.market import Market, batched, new_key, order

EXECUTE = "/api/v1/trading/execute"
BATCH = f"{EXECUTE}/batch"
PREVIEW = "/api/v1/trading/preview"
PUBLIC = ["/", "/health", "/docs", "/docs/start.js", "/openapi.json"]
ORDER = json.dumps(order(1)).encode()


def ask(url: str, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[HTTPResponse, bytes]:
    base = urlsplit(url)
    connection = HTTPConnection(base.netloc, timeout=60)
    connection.request(method, base.path + path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


@pytest.mark.parametrize("path", [EXECUTE, BATCH, PREVIEW])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is empty: it must be a JSON object"),
        (b" \r\n", "is empty: it must be a JSON object"),
        (b"user_id=1&symbol=BTC&pay_with=USD&quantity=1.0", "is a form: it must be a JSON object"),
        (b'--x\r\nContent-Disposition: form-data; name="user_id"\r\n\r\n1\r\n--x--\r\n', "is a form: it must be a JSON object"),
        (gzip.compress(ORDER, mtime=0), "is compressed: send it without Content-Encoding"),
        (b"\xef\xbb\xbf" + ORDER, "begins with a byte order mark: send UTF-8 without one"),
        (ORDER.decode().encode("utf-16"), "is UTF-16: it must be UTF-8"),
        (ORDER + b"\xff", "must be UTF-8"),
        (b"[]", "must be a JSON object"),
    ],
)
def test_a_body_that_is_not_json_is_refused_in_words_that_say_what_it_is(
    market: Market, path: str, body: bytes, says: str
) -> None:
    headers = {**market.headers, "X-Idempotency-Key": new_key(), "Content-Type": "application/json"}
    response = requests.post(market.urls[0] + path, data=body, headers=headers, timeout=60)

    assert (response.status_code, response.json()["error_code"]) == (422, "ERR_VALIDATION")
    (detail,) = response.json()["details"]
    assert detail["field"] == "body"
    assert detail["message"].startswith(says)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "a/b", "", "?"],
)
def test_the_content_type_does_not_matter(market: Market, content_type: str) -> None:
    user = market.new_user(USD="1")
    response = market.raw(
        "POST",
        EXECUTE,
        [("X-Idempotency-Key", new_key()), ("Content-Type", content_type)],
        json.dumps(order(user, quantity="0.00000001")).encode(),
    )
    assert response[0] == 200, response


@pytest.mark.parametrize(
    ("path", "limit_bytes", "length"),
    [(EXECUTE, 16_384, 16_385), (EXECUTE, 16_384, 11_000_000), (BATCH, 65_536, 65_537), (BATCH, 65_536, 11_000_000)],
)
def test_a_body_that_is_too_large_is_refused_with_the_routes_limit(
    market: Market, path: str, limit_bytes: int, length: int
) -> None:
    response = requests.post(market.urls[0] + path, data=b" " * length, headers=market.headers, timeout=60)

    assert (response.status_code, response.json()["error_code"]) == (413, "ERR_TOO_LARGE")
    assert response.json()["message"] == f"The body is larger than {limit_bytes} bytes"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/health", 405), ("POST", EXECUTE, 422), ("GET", "/health", 200)],
)
def test_a_body_ends_with_a_line_end(market: Market, method: str, path: str, status: int) -> None:
    response, content = ask(market.urls[0], method, path, None, **market.headers)

    assert response.status == status
    assert content.endswith(b"}\n")


@pytest.mark.parametrize("path", PUBLIC)
def test_head_is_get_without_the_body(market: Market, path: str) -> None:
    head, nothing = ask(market.urls[0], "HEAD", path)
    get, content = ask(market.urls[0], "GET", path)

    assert nothing == b""
    assert head.status == get.status
    varying = {"date", "x-request-id", "x-amzn-requestid", "x-amz-request-id"}
    assert {(name, value) for name, value in head.getheaders() if name.lower() not in varying} == {
        (name, value) for name, value in get.getheaders() if name.lower() not in varying
    }
    assert head.headers["Content-Length"] == str(len(content))


def test_head_is_not_for_routes_that_ask_for_a_token(market: Market) -> None:
    response, _ = ask(market.urls[0], "HEAD", "/api/v1/trading/assets")
    assert (response.status, response.headers["Allow"]) == (405, "GET")


def test_the_root_is_the_console(market: Market) -> None:
    response, content = ask(market.urls[0], "GET", "/")

    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert content.startswith(b"<!doctype html>")


# CORS.

LISTED, OTHER = "https://trade.example", "https://other.example"


@pytest.fixture(scope="module")
def cors_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A closed run that lists an origin: as deployed, no other guard stands before it."""
    log: Path = tmp_path_factory.mktemp("cors") / "log"
    settings = {"HFT_TOKEN_SECRET": SECRET, "HFT_CORS_ORIGINS": f"{LISTED} http://localhost:3000"}
    with chalice_local(log, **settings) as server:
        yield server.url


def token() -> str:
    return "Bearer " + by_secret("1", iss="hft-trading-engine", aud="hft-trading-engine")


def cors_headers(response: HTTPResponse) -> dict[str, str]:
    return {name: value for name, value in response.getheaders() if name.startswith("Access-Control-") or name == "Vary"}


def test_without_origins_cors_is_off(market: Market) -> None:
    own = market.urls[0]
    response, _ = ask(own, "GET", "/health", Origin=own)
    preflight, _ = ask(own, "OPTIONS", EXECUTE, Origin=own, Access_Control_Request_Method="POST")

    assert (response.status, cors_headers(response)) == (200, {})
    assert (preflight.status, cors_headers(preflight)) == (405, {})


@pytest.mark.parametrize(
    "path", ["/health", "/api/v1/trading/assets", "/api/v1/trading/portfolio/2", "/api/v1/trading/assets?x=1"]
)
def test_a_listed_origin_is_echoed_whatever_the_status(cors_url: str, path: str) -> None:
    for origin in (LISTED, "http://localhost:3000"):
        response, _ = ask(cors_url, "GET", path, Origin=origin, Authorization=token())
        assert cors_headers(response) == {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "Idempotent-Replayed, X-Request-Id, Retry-After",
        }


def test_another_origin_is_not_echoed(cors_url: str) -> None:
    for origin in (OTHER, "null", f"{LISTED}.evil.example", LISTED.replace("https", "http")):
        response, _ = ask(cors_url, "GET", "/health", Origin=origin)
        assert cors_headers(response) == {"Vary": "Origin"}
        preflight, _ = ask(cors_url, "OPTIONS", EXECUTE, Origin=origin, Access_Control_Request_Method="POST")
        assert cors_headers(preflight) == {"Vary": "Origin"}
    response, _ = ask(cors_url, "GET", "/health")
    assert cors_headers(response) == {"Vary": "Origin"}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (EXECUTE, "POST"),
        (BATCH, "POST"),
        ("/api/v1/trading/portfolio/1", "GET"),
        ("/api/v1/trading/orders/1/void", "POST"),
        ("/health", "GET, HEAD"),
    ],
)
def test_a_preflight_needs_no_token(cors_url: str, path: str, methods: str) -> None:
    response, content = ask(
        cors_url,
        "OPTIONS",
        path,
        Origin=LISTED,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,content-type,x-idempotency-key",
    )

    assert (response.status, content) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == LISTED
    assert response.headers["Access-Control-Allow-Methods"] == methods
    allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "x-idempotency-key", "idempotency-key"} <= set(allowed)
    assert response.headers["Vary"] == "Origin"


def test_a_page_of_a_listed_origin_trades(cors_url: str) -> None:
    body = json.dumps({"user_id": 1, "orders": [batched(quantity="0.00000001")]}).encode()
    response, content = ask(cors_url, "POST", BATCH, body, Origin=LISTED, Authorization=token())

    assert response.status == 200
    assert json.loads(content)["results"][0]["status"] == 200
    assert response.headers["Access-Control-Allow-Origin"] == LISTED


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", EXECUTE, 401), ("GET", "/nowhere", 404), ("DELETE", EXECUTE, 405)]
)
def test_the_gateways_own_answers_are_for_any_page(cors_url: str, method: str, path: str, status: int) -> None:
    response, _ = ask(cors_url, method, path, Origin=OTHER)
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (status, "*")


def test_an_open_run_takes_requests_from_listed_origins_alone(tmp_path: Path) -> None:
    with chalice_local(tmp_path / "log", HFT_CORS_ORIGINS=LISTED) as server:
        for origin, status in ((LISTED, 200), (OTHER, 403)):
            response, _ = ask(server.url, "GET", "/api/v1/trading/assets", Origin=origin, Sec_Fetch_Site="cross-site")
            assert response.status == status
        preflight, _ = ask(server.url, "OPTIONS", EXECUTE, Origin=LISTED, Access_Control_Request_Method="POST")
        assert preflight.status == 204

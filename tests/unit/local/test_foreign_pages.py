"""No web page trades on an open local run through a visitor's browser."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chalicelib.config import Settings
from chalicelib.contract.errors import Forbidden
from chalicelib.local.foreign_pages import refuse_foreign_page
from chalicelib.local.http import Head, Headers
from harness.processes import chalice_local
from tests.support.issuer import SECRET
from tests.support.market import Market, batched

EXECUTE = "/api/v1/trading/execute"
BATCH = f"{EXECUTE}/batch"
ROUTES = [
    ("POST", EXECUTE),
    ("POST", BATCH),
    ("POST", "/api/v1/trading/preview"),
    ("GET", "/api/v1/trading/portfolio/1"),
    ("GET", "/api/v1/trading/assets"),
    ("PUT", "/api/v1/operator/prices"),
    ("GET", "/health"),
    ("OPTIONS", EXECUTE),
    ("GET", "/nowhere"),
]
EVIL = "http://evil.example"
FOREIGN = [
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Origin": "http://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Host": "evil.example"},
    {"Host": "evil.example:8000", "Origin": "http://evil.example:8000", "Sec-Fetch-Site": "same-origin"},
]


def ask(url: str, method: str, path: str, headers: Mapping[str, str], body: str = "") -> tuple[int, str]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("headers", FOREIGN)
def test_a_foreign_page_reaches_no_route(moto_market: Market, method: str, path: str, headers: dict[str, str]) -> None:
    status, text = ask(moto_market.urls[0], method, path, headers)

    assert (status, json.loads(text)["error_code"]) == (403, "ERR_FORBIDDEN")


def test_a_foreign_page_trades_nothing(moto_market: Market) -> None:
    """As a page posts without asking first: text, and no header of its own."""
    user = moto_market.new_user(USD="1")
    batch = json.dumps({"user_id": user, "orders": [batched(quantity="0.00000001")]})
    headers = {"Content-Type": "text/plain;charset=UTF-8", "Origin": EVIL, "Sec-Fetch-Site": "cross-site"}

    assert ask(moto_market.urls[0], "POST", BATCH, headers, batch)[0] == 403
    assert moto_market.portfolio(user)["holdings"] == {"USD": "1.00000000"}


def head(method: str = "GET", path: str = "/health", host: str | None = "localhost:8000", **headers: str) -> Head:
    sent = Headers()
    for name, value in headers.items():
        sent.add(name.replace("_", "-"), value)
    return Head("", method, path, (1, 1), host, sent)


NAVIGATION = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}


@pytest.mark.parametrize(
    "request_head",
    [
        head(host=None),
        head(host="127.0.0.1"),
        head(host="192.168.1.2:8000"),
        head(host="[::1]:8000"),
        head(host="LocalHost"),
        head(host="hft.localhost:8000"),
        head(host="trader.lan:8000"),
        head("POST", EXECUTE, Origin="http://localhost:8000", Sec_Fetch_Site="same-origin"),
        head("POST", EXECUTE, Origin="https://console.example", Sec_Fetch_Site="cross-site"),
        head(Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate"),
        head(path="/docs", **NAVIGATION),
        head(path="/docs/?x=1", **NAVIGATION),
        head(path="/", **NAVIGATION),
    ],
)
def test_the_users_own_requests_pass(request_head: Head) -> None:
    settings = Settings(local_hosts=frozenset({"trader.lan"}), cors_origins=frozenset({"https://console.example"}))
    refuse_foreign_page(request_head, settings)


@pytest.mark.parametrize(
    "request_head",
    [
        head(host=""),
        head(host="trader.lan"),
        head(host="localhost.evil.example"),
        head(host="localhost@evil.example"),
        head(host="evil.example#localhost"),
        head(host="127.0.0.1.evil.example"),
        head(host="2130706433"),
        head(host="[::1"),
        head(Origin=""),
        head(Origin="https://localhost:8001"),
        head(Origin="file://localhost:8000"),
        head(Origin="http://localhost:8000.evil.example"),
        head("POST", "/docs", **NAVIGATION),
        head(path="/api/v1/trading/portfolio/1", **NAVIGATION),
        head(path="/docs", **NAVIGATION | {"Sec_Fetch_Dest": "iframe"}),
        head(path="/docs", **NAVIGATION | {"Sec_Fetch_Mode": "no-cors"}),
        head(Sec_Fetch_Site="Cross-Site"),
        head("POST", BATCH, Origin="http://localhost:8000", Sec_Fetch_Site="cross-site"),
    ],
)
def test_requests_that_only_resemble_them_do_not(request_head: Head) -> None:
    with pytest.raises(Forbidden):
        refuse_foreign_page(request_head, Settings())


def test_a_closed_run_asks_for_tokens_alone(log: Path) -> None:
    with chalice_local(log, HFT_TOKEN_SECRET=SECRET) as server:
        assert ask(server.url, "GET", "/health", {"Host": "trader.example", "Origin": EVIL})[0] == 200
        assert ask(server.url, "POST", BATCH, {"Origin": EVIL}, "{}")[0] == 401

"""`chalice local` as a newcomer meets it: no account, no credentials, no network."""

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from harness.processes import ROOT, chalice_local, environment, ministack
from tests.support.market import Market

ORDER: dict[str, Any] = {"user_id": 1, "symbol": "BTC", "pay_with": "USD", "quantity": "1.0"}
SEEDED = {"BTC": "50000.00000000", "ETH": "3000.00000000", "SOL": "100.00000000", "USD": "1.00000000"}


def test_it_trades_at_once_and_says_what_to_open_and_try(log: Path) -> None:
    with chalice_local(log) as server:
        url = server.url
        assert {
            asset["symbol"]: asset["price"] for asset in requests.get(f"{url}/api/v1/trading/assets", timeout=30).json()
        } == SEEDED
        portfolio = requests.get(f"{url}/api/v1/trading/portfolio/1", timeout=30).json()
        assert (portfolio["total_valuation_usd"], portfolio["holdings"]) == ("100000.00", {"USD": "100000.00000000"})

        banner = log.read_text()
        assert f"{url}/docs" in banner
        assert "memory" in banner
        (curl,) = (line.partition("curl")[2] for line in banner.splitlines() if "curl" in line)
        reply = subprocess.run(["sh", "-c", f"curl{curl}"], capture_output=True, check=True, timeout=30)
        assert json.loads(reply.stdout)["status"] == "ORDER_FILLED"


def test_a_fill_in_memory_is_seen_by_every_connection(log: Path) -> None:
    with chalice_local(log) as server:
        url = server.url
        reply = requests.post(f"{url}/api/v1/trading/execute", json=ORDER, headers={"X-Idempotency-Key": "k"}, timeout=30)
        assert reply.status_code == 200
        assert requests.get(f"{url}/api/v1/trading/portfolio/1", timeout=30).json()["holdings"]["BTC"] == "1.00000000"


def test_a_new_engine_on_loopback_is_seeded_once_whoever_comes_first(tmp_path: Path) -> None:
    with ministack(tmp_path / "ministack") as server:
        endpoint = server.url
        env = {"AWS_ENDPOINT_URL_DYNAMODB": endpoint}

        def start_and_trade(number: int) -> int:
            with chalice_local(tmp_path / f"{number}", **env) as engine:
                reply = requests.post(
                    f"{engine.url}/api/v1/trading/execute", json=ORDER, headers={"X-Idempotency-Key": f"key-{number}"}, timeout=30
                )
                return reply.status_code

        with ThreadPoolExecutor(3) as threads:
            statuses = Counter(threads.map(start_and_trade, range(3)))

        assert statuses == {200: 2, 402: 1}
        with chalice_local(tmp_path / "last", **env) as last:
            assert endpoint in (tmp_path / "last").read_text()
            holdings = requests.get(f"{last.url}/api/v1/trading/portfolio/1", timeout=30).json()["holdings"]
            assert holdings == {"BTC": "2.00000000", "USD": "0.00000000"}


def test_requests_on_one_connection_wait_for_nothing(moto_market: Market) -> None:
    """Headers and body leave in one piece: in two, Nagle's algorithm and a delayed ACK put 40 ms between them."""
    url = urlsplit(moto_market.urls[0])
    assert url.hostname
    assert url.port
    with create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first_piece = connection.recv(65536)
    assert first_piece.endswith(b"}\n"), "the body came with the headers"


def test_a_body_in_chunks_is_read(moto_market: Market) -> None:
    connection = HTTPConnection(urlsplit(moto_market.urls[0]).netloc, timeout=30)
    body = json.dumps(ORDER | {"quantity": "0.00000001"}).encode()
    for key in ("chunks-1", "chunks-2"):  # the second shows that the first was read to its end
        pieces = iter([body[:10], body[10:]])
        connection.request("POST", "/api/v1/trading/execute", pieces, {"X-Idempotency-Key": key}, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["status"]) == (200, "ORDER_FILLED")
    connection.close()


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"POST /api/v1/trading/execute HTTP/1.1\r\nContent-Length: x\r\n\r\n", 422, "ERR_VALIDATION"),
        (b"POST /api/v1/trading/execute HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 422, "ERR_VALIDATION"),
        (b"POST /api/v1/trading/execute HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413, "ERR_TOO_LARGE"),
        (b"POST /api/v1/trading/execute HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", 422, "ERR_VALIDATION"),
        (b"POST /api/v1/trading/execute HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413, "ERR_TOO_LARGE"),
        (b"BREW /health HTTP/1.1\r\n\r\n", 405, "ERR_METHOD_NOT_ALLOWED"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 413, "ERR_TOO_LARGE"),
        (b"nonsense\r\n\r\n", 422, "ERR_VALIDATION"),
    ],
)
def test_what_is_hardly_http_is_refused_in_the_same_shape(
    moto_market: Market, request_bytes: bytes, status: int, code: str
) -> None:
    url = urlsplit(moto_market.urls[0])
    assert url.hostname
    assert url.port
    with create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(request_bytes)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"X-Request-Id:" in head
    assert json.loads(body)["error_code"] == code


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "QUERY", "BREW"])
def test_a_method_that_a_route_does_not_take_is_told_which_it_does(moto_market: Market, method: str) -> None:
    connection = HTTPConnection(urlsplit(moto_market.urls[0]).netloc, timeout=30)
    connection.request(method, "/health")
    response = connection.getresponse()
    connection.close()

    assert (response.status, response.headers["Allow"]) == (405, "GET")
    assert response.headers["X-Request-Id"]


def test_a_client_that_asks_before_it_sends_is_told_to_go_on_at_once(moto_market: Market) -> None:
    url = urlsplit(moto_market.urls[0])
    assert url.hostname
    assert url.port
    with create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(b"POST /api/v1/trading/execute HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 422 ")


def test_packaging_starts_no_engine_and_packs_no_moto() -> None:
    """app.py is imported by `chalice package` too; if that reached the store, moto would answer Chalice's own calls to AWS."""
    program = """
import sys
from chalice.cli.factory import CLIFactory
CLIFactory(sys.argv[1]).create_config_obj().chalice_app
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"moto", "boto3"} - before, loaded
"""
    program = program.replace(
        "import sys\n", "import sys\nimport chalice.cli\nbefore = {name.partition('.')[0] for name in sys.modules}\n", 1
    )
    subprocess.run(
        [sys.executable, "-c", program, str(ROOT)], env=environment(AWS_CHALICE_CLI_MODE="true"), check=True, timeout=60, cwd=ROOT
    )


def test_the_lambda_package_lists_nothing_that_only_a_local_run_needs() -> None:
    packed = {line.partition("==")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}

    assert "pynamodb" in packed
    assert not packed & {"moto", "boto3", "pytest", "chalice", "ministack", "hypothesis"}

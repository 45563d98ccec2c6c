"""`chalice local` as a newcomer meets it: no account, no credentials, no network."""

import gc
import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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


def test_orders_that_come_together_ride_together(log: Path) -> None:
    with chalice_local(log) as server, ExitStack() as opened:
        address = urlsplit(server.url).netloc
        connections = [opened.enter_context(closing(HTTPConnection(address, timeout=30))) for _ in range(8)]
        for turn in range(10):
            for number, connection in enumerate(connections):  # all are sent before the first answer is read
                headers = {"X-Idempotency-Key": f"key-{turn}-{number}", "Content-Type": "application/json"}
                connection.request("POST", "/api/v1/trading/execute", json.dumps({**ORDER, "quantity": "0.01"}), headers)
            for connection in connections:
                response = connection.getresponse()
                response.read()
                assert response.status == 200

    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert max(line["together"] for line in lines if line["event"] == "order") > 1


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


def test_what_survives_a_full_collection_of_garbage_is_not_searched_again(moto_market: Market) -> None:
    assert moto_market.urls
    kept: list[str] = []

    gc.collect()

    assert all(searched is not kept for searched in gc.get_objects())


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

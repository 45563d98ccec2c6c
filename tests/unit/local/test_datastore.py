"""A local run trades in the store that our settings name, or in memory, whatever the SDK's configuration names."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from socket import create_server

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from chalicelib.config import Settings
from chalicelib.local.authorizer import is_open
from chalicelib.local.banner import banner
from chalicelib.local.datastore import explain, require_tables
from chalicelib.local.schema import create_missing
from chalicelib.local.seed import PRICES_USD, seed
from harness.processes import ROOT, chalice_local, environment
from tests.support.market import Market
from tests.support.tables import with_tables_of_its_own

READ = "import app; print(app.engine().queries.portfolio(1, app.engine().deadline()).account.balances)"
DOGE: dict[str, object] = {
    "symbol": {"S": "DOGE"},
    "price_usd": {"S": "0.1"},
    "price_at": {"S": "2026-01-01T00:00:00.000000Z"},
    "version": {"N": "1"},
}
SEEDED = "{'USD': 10000000000000}"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Another store, which nothing may reach: its URL, and files that name it."""
    with create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        (tmp_path / "endpoint").write_text(f"[default]\nendpoint_url = {url}\nregion = moon\n")
        (tmp_path / "services").write_text(
            f"[default]\nservices = s\n[services s]\ndynamodb =\n  endpoint_url = {url}\n[profile p]\nsso_session = s\n"
        )
        yield {"url": url, "files": str(tmp_path)}
        with pytest.raises(BlockingIOError):
            listener.accept()


CONFIGURATIONS = {
    "an endpoint of all services": {"AWS_ENDPOINT_URL": "{url}"},
    "a file with an endpoint": {"AWS_CONFIG_FILE": "{files}/endpoint"},
    "a file with services": {"AWS_CONFIG_FILE": "{files}/services"},
    "endpoints to be heeded": {"AWS_CONFIG_FILE": "{files}/services", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"},
    "a region that is this machine": {"AWS_REGION": "local"},
    "an impossible region": {"AWS_REGION": "the moon", "AWS_DEFAULT_REGION": ""},
    "an unknown profile": {"AWS_PROFILE": "nobody"},
    "a profile that is signed out": {"AWS_CONFIG_FILE": "{files}/services", "AWS_PROFILE": "p"},
    "a proxy": {"HTTPS_PROXY": "{url}", "http_proxy": "{url}", "ALL_PROXY": "{url}"},
    "moto as a server": {"TEST_SERVER_MODE": "true", "TEST_SERVER_MODE_ENDPOINT": "{url}", "INITIAL_NO_AUTH_ACTION_COUNT": "0"},
    "modes of the SDK": {
        "AWS_DEFAULTS_MODE": "?",
        "AWS_RETRY_MODE": "?",
        "AWS_MAX_ATTEMPTS": "x",
        "AWS_USE_FIPS_ENDPOINT": "true",
    },
}


def read_portfolio(**env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", READ], cwd=ROOT, env=environment(**env), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_run_is_in_memory_whatever_the_sdk_is_configured_to(name: str, elsewhere: dict[str, str]) -> None:
    read = read_portfolio(**{variable: value.format_map(elsewhere) for variable, value in CONFIGURATIONS[name].items()})

    assert (read.stdout.strip(), read.stderr) == (SEEDED, "")


def test_a_run_on_a_store_of_this_machine_reaches_that_and_no_other(ministack_url: str, elsewhere: dict[str, str]) -> None:
    everything = {
        variable: value.format_map(elsewhere)
        for name in sorted(CONFIGURATIONS)
        for variable, value in CONFIGURATIONS[name].items()
    }
    read = read_portfolio(**everything, AWS_ENDPOINT_URL_DYNAMODB=ministack_url, HFT_TABLE_PREFIX="hft-sdk")

    assert (read.stdout.strip(), read.stderr) == (SEEDED, "")
    client = boto3.client("dynamodb", region_name="us-east-1", endpoint_url=ministack_url)
    assert "hft-sdk-accounts" in client.list_tables()["TableNames"]


def test_a_server_starts_whatever_the_sdk_is_configured_to(log: Path, elsewhere: dict[str, str]) -> None:
    everything = {
        variable: value.format_map(elsewhere) for name in CONFIGURATIONS for variable, value in CONFIGURATIONS[name].items()
    }
    with chalice_local(log, **everything, no_proxy="127.0.0.1") as server:
        holdings = requests.get(f"{server.url}/api/v1/trading/portfolio/1", timeout=30).json()["holdings"]

    assert holdings == {"USD": "100000.00000000"}
    assert "in this process's memory" in log.read_text()


def test_the_banner_of_a_run_names_the_store_and_the_tables(log: Path, ministack_url: str) -> None:
    with chalice_local(log, AWS_ENDPOINT_URL_DYNAMODB=ministack_url):
        assert re.search(rf"State +in the datastore at {re.escape(ministack_url)}: the tables hft-dev-\*", log.read_text())

    at_aws = banner("127.0.0.1", 8000, Settings(datastore="aws", region="eu-west-1"), "closed", None, is_open=False)
    assert "DynamoDB at AWS, eu-west-1: the tables hft-local-*" in at_aws


@pytest.mark.parametrize(
    ("url", "opens"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://[::1]:4566", True),
        ("http://localhost:4566", True),
        ("http://dynamodb.localhost:4566", True),
        ("http://0.0.0.0:4566", False),
        ("http://192.168.1.2:4566", False),
        ("http://127.0.0.1@dynamodb.example", False),
        ("http://localhost.example", False),
        ("https://dynamodb.eu-west-1.amazonaws.com", False),
    ],
)
def test_only_a_store_of_this_machine_is_open(monkeypatch: pytest.MonkeyPatch, url: str, *, opens: bool) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
    assert is_open.__wrapped__() is opens


def test_a_store_elsewhere_without_the_tables_is_refused(ministack_url: str) -> None:
    with pytest.raises(ClientError) as refused:
        require_tables(Settings(datastore_endpoint=ministack_url, table_prefix="hft-nowhere"))

    line = explain(refused.value, Settings(datastore="aws", region="eu-west-1", table_prefix="hft-nowhere"))
    assert line == "There are no tables hft-nowhere-* in eu-west-1: is the stage deployed there, in this account?"


# The seed.


@pytest.fixture
def empty(moto_market: Market) -> Market:
    """Tables without an item."""
    own = with_tables_of_its_own(moto_market)
    for table, key in ((own.tables.assets, ["symbol"]), (own.tables.accounts, ["user_id"])):
        for item in own.dynamodb.scan(TableName=table)["Items"]:
            own.dynamodb.delete_item(TableName=table, Key={name: item[name] for name in key})
    for item in own.dynamodb.scan(TableName=own.tables.idempotency)["Items"]:
        record = {name: item[name] for name in ("user_id", "idempotency_key")}
        own.dynamodb.delete_item(TableName=own.tables.idempotency, Key=record)
    return own


def items(market: Market) -> list[dict[str, object]]:
    tables = (market.tables.assets, market.tables.accounts, market.tables.idempotency)
    return [item for table in tables for item in market.dynamodb.scan(TableName=table)["Items"]]


def test_empty_tables_are_seeded_once(empty: Market) -> None:
    create_missing(empty.dynamodb, empty.settings.table_prefix)
    seed(empty.engine, empty.dynamodb)
    seeded = items(empty)
    seed(empty.engine, empty.dynamodb)

    assert len(seeded) == len(PRICES_USD) + 2
    assert items(empty) == seeded


def test_a_market_gets_neither_money_nor_assets(empty: Market) -> None:
    empty.dynamodb.put_item(TableName=empty.tables.assets, Item=DOGE)
    seed(empty.engine, empty.dynamodb)

    assert items(empty) == [DOGE]


class Meanwhile:
    """A client for whom another process is faster by a moment: it lists an asset just before the seed is written."""

    def __init__(self, market: Market, listed: dict[str, object]) -> None:
        self.market = market
        self.listed = listed

    def __getattr__(self, name: str) -> object:
        return getattr(self.market.dynamodb, name)

    def transact_write_items(self, **request: object) -> object:
        self.market.dynamodb.put_item(TableName=self.market.tables.assets, Item=self.listed)
        return self.market.dynamodb.transact_write_items(**request)


def test_a_seed_is_there_whole_or_not_at_all(empty: Market) -> None:
    seed(empty.engine, Meanwhile(empty, DOGE | {"symbol": {"S": "ETH"}}))

    assert items(empty) == [DOGE | {"symbol": {"S": "ETH"}}]

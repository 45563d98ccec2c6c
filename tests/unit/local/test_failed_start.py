"""A local run that cannot start ends with one line that names the problem and the remedy."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socket import SHUT_RDWR, create_server
from threading import Thread
from typing import Any

import boto3
import pytest

from chalicelib.config import Settings
from chalicelib.local import feed
from chalicelib.local.datastore import stand_in_credentials
from chalicelib.local.schema import create_missing, definitions
from harness.processes import CHALICE, ROOT, environment, free_port

STAGE, PREFIX = "prod", "hft-prod"
"""A stage whose tables no other test uses: Chalice sets its prefix."""

USER_1, AT = {"N": "1"}, {"S": "2026-02-21T14:01:48.011301Z"}
ASSET = ("assets", {"symbol": {"S": "USD"}, "price": {"N": "100000000"}, "updated_at": AT, "version": {"N": "1"}})
ACCOUNT = (
    "accounts",
    {"user_id": USER_1, "balances": {"M": {"USD": {"N": "10000000000000"}}}, "sequence": {"N": "1"}, "head": {"B": b"\1" * 32}},
)
RECORD = (
    "idempotency",
    {
        "user_id": USER_1,
        "idempotency_key": {"S": "transfer#seed"},
        "fingerprint": {"S": "transfer 100000.00000000 USD"},
        "status": {"N": "200"},
        "reply": {"S": "{}"},
        "prices": {"M": {}},
        "created_at": AT,
        "sequence": {"N": "1"},
        "changes": {"M": {"USD": {"N": "10000000000000"}}},
        "head": {"B": b"\1" * 32},
    },
)


@pytest.fixture
def dynamodb(ministack_url: str) -> Iterator[Any]:
    """A client of empty tables."""
    stand_in_credentials()
    client = boto3.client("dynamodb", region_name="us-east-1", endpoint_url=ministack_url)
    create_missing(client, PREFIX)
    yield client
    for definition in definitions(PREFIX):
        client.delete_table(TableName=definition["TableName"])


def start(**env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CHALICE, "local", "--no-autoreload", "--stage", STAGE, "--port", str(free_port())],
        cwd=ROOT,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def the_only_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 1
    assert ended.stdout == "", "a run that does not begin has no banner"
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("items", "named"),
    [
        ([ASSET, ACCOUNT, RECORD], "The record transfer#seed of user 1"),
        ([ASSET], "The asset USD"),
        ([ACCOUNT], "The account 1"),
    ],
)
def test_tables_with_items_of_version_1(
    ministack_url: str, dynamodb: Any, items: list[tuple[str, dict[str, Any]]], named: str
) -> None:
    for table, item in items:
        dynamodb.put_item(TableName=f"{PREFIX}-{table}", Item=item)

    line = the_only_line(start(AWS_ENDPOINT_URL_DYNAMODB=ministack_url))

    assert line.startswith(f"{named} was stored by version 1.x. ")
    assert "HFT_TABLE_PREFIX" in line


def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    line = the_only_line(start(HFT_DATA=str(tmp_path / "file")))

    assert line == f"{tmp_path / 'file'} cannot be used for data: File exists"


NOT_DYNAMODB = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot here\n"


@pytest.fixture
def web_server() -> Iterator[str]:
    """A server that is not DynamoDB."""
    with create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(NOT_DYNAMODB)

        Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(SHUT_RDWR)


def test_a_store_that_is_not_dynamodb(web_server: str) -> None:
    line = the_only_line(start(AWS_ENDPOINT_URL_DYNAMODB=web_server))

    assert line.startswith(f"{web_server} does not answer as DynamoDB does: ")


KEYS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
NOWHERE = "http://127.0.0.1:9"
CLOSED = {"HFT_TOKEN_SECRET": "a secret of this test's own, long enough"}


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"AWS_ENDPOINT_URL_DYNAMODB": NOWHERE}, f"Nothing answers at {NOWHERE}, which AWS_ENDPOINT_URL_DYNAMODB names"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "127.0.0.1:9"}, "AWS_ENDPOINT_URL_DYNAMODB must be a URL such as"),
        ({"HFT_DATASTORE": "foo"}, "HFT_DATASTORE must be moto or aws, not 'foo'"),
        ({"HFT_DATASTORE": "aws"}, "HFT_DATASTORE=aws needs AWS credentials"),
        ({"HFT_DATASTORE": "aws", "AWS_PROFILE": "nobody"}, "The AWS configuration cannot be used: "),
        ({"HFT_DATASTORE": "aws", "AWS_DEFAULTS_MODE": "?", **KEYS}, "The AWS configuration cannot be used: "),
        (
            {"HFT_DATASTORE": "aws", "AWS_CA_BUNDLE": "/nowhere", **KEYS},
            "AWS_CA_BUNDLE names a file that does not exist: /nowhere",
        ),
        ({"HFT_DATASTORE": "aws", "AWS_REGION": "local"}, "AWS_REGION must be a region of AWS such as us-east-1, not 'local'"),
        ({"HFT_PRICE_AGE_MS": "soon"}, "HFT_PRICE_AGE_MS must be a positive whole number, not 'soon'"),
        ({"HFT_DATASTORE": "aws", "HFT_DATA": "/tmp"}, "HFT_DATA is for a run whose datastore is in this process"),
        ({"HFT_CORS_ORIGINS": "*"}, "HFT_CORS_ORIGINS must list origins"),
        ({"HFT_FEED": "wlak"}, "FEED must be walk, file:PATH or ccxt:EXCHANGE, not 'wlak'"),
        ({"HFT_FEED": "file:/nowhere.csv"}, "FEED names a file that cannot be read: /nowhere.csv"),
        ({"HFT_FEED": "file:/"}, "FEED names a file that cannot be read: /"),
        ({"HFT_FEED": "ccxt:nosuch"}, "FEED names an exchange that ccxt does not know: 'nosuch'"),
        ({"HFT_FEED": "walk", **CLOSED}, "FEED needs the operator's API, which a closed run has with HFT_OPERATOR_API=on"),
        (
            {"HFT_FEED": "walk", "HFT_OPERATOR_API": "on", **CLOSED},
            "FEED needs an operator's token in HFT_TOKEN, since this run is closed: make token OPERATOR=1 signs one",
        ),
        ({"HFT_FEED": "walk", "HFT_DATASTORE": "aws", **KEYS}, "FEED is for a run whose datastore is on this machine"),
    ],
)
def test_settings_that_cannot_work(env: dict[str, str], says: str) -> None:
    assert the_only_line(start(**env)).startswith(says)


@pytest.mark.parametrize("name", ["base/exchange", "__init__", "Kraken"])
def test_a_module_of_ccxt_that_is_not_an_exchange(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("HFT_FEED", f"ccxt:{name}")

    with pytest.raises(feed.FeedUnusable, match="an exchange that ccxt does not know"):
        feed.wanted(Settings(), is_open=True)


def test_an_exchange_that_ccxt_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFT_FEED", "ccxt:kraken")

    assert feed.wanted(Settings(), is_open=True) == "ccxt:kraken"


def test_a_feed_from_an_exchange_without_ccxt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "find_spec", lambda _: None)
    monkeypatch.setenv("HFT_FEED", "ccxt:kraken")

    with pytest.raises(feed.FeedUnusable, match="FEED=ccxt:kraken needs ccxt"):
        feed.wanted(Settings(), is_open=True)


def test_a_profile_that_is_signed_out(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile p]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n"
        "[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://sso.example/start\n"
    )
    line = the_only_line(start(HFT_DATASTORE="aws", AWS_PROFILE="p", AWS_CONFIG_FILE=str(config), HOME=str(tmp_path)))

    assert line.startswith("The AWS configuration cannot be used: ")


def test_a_check_of_an_engine_that_is_not_up() -> None:
    command = [sys.executable, "bench/acknowledged.py", NOWHERE]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert the_only_line(ended) == f"No engine answers at {NOWHERE}: Connection refused"

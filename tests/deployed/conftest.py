"""The stage `dev`, deployed to an emulator of AWS as `make deploy STAGE=dev` deploys it, once for all suites of this package."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.engine import build
from chalicelib.local.seed import seed
from chalicelib.store.connection import DynamoDB
from harness.processes import ministack
from harness.project import change_stage, copy_project
from tests.deployed.market import DeployedMarket
from tests.deployed.rehearsal import PRICE_AGE_MS, Rehearsal
from tests.support.issuer import SECRET
from tests.support.tickers import Tickers, http, tickers


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The emulator and a copy of the project, with nothing deployed yet."""
    directory = tmp_path_factory.mktemp("rehearsal")
    with ministack(directory / "log", services="") as server:
        yield Rehearsal(copy_project(directory / "project"), server.url)


@pytest.fixture(scope="session")
def dev(rehearsal: Rehearsal) -> Rehearsal:
    """The stage `dev`, deployed and seeded. Its tokens are signed with the tests' secret."""
    change_stage(rehearsal.project, "dev", environment_variables={"HFT_PRICE_AGE_MS": str(PRICE_AGE_MS)})
    refused = rehearsal.deploy("apply", "dev")
    assert refused.returncode == 1
    assert refused.stderr.startswith("API Gateway may not write logs")
    assert rehearsal.deploy("log-role", "dev").returncode == 0

    deployed = rehearsal.deploy("apply", "dev")

    assert deployed.returncode == 0, deployed.stderr
    assert f"curl -s {rehearsal.url('dev')}/health" in deployed.stdout
    assert "only to a release that reads form 2" in deployed.stdout
    settings = rehearsal.settings("dev")
    seed(build(settings, DynamoDB(settings)), rehearsal.client("dynamodb"))
    rehearsal.client("secretsmanager").put_secret_value(SecretId=rehearsal.outputs("dev")["TokenSecretArn"], SecretString=SECRET)
    rehearsal.apply_gateway_responses("dev")
    return rehearsal


@pytest.fixture(scope="session")
def market(dev: Rehearsal) -> DeployedMarket:
    return DeployedMarket([dev.url("dev")], dev.settings("dev"))


SCOPE = "hft/operator"
"""The operators' scope in `extended`."""

SOL = "/sol"
"""The path of SOL's price at `ticker`."""


@pytest.fixture(scope="session")
def ticker() -> Iterator[Tickers]:
    """A source of SOL's price for `extended`."""
    with tickers({SOL: http('{"price": 101.5}')}) as server:
        yield server


@pytest.fixture(scope="session")
def extended(tmp_path_factory: pytest.TempPathFactory, ticker: Tickers) -> Iterator[Rehearsal]:
    """The stage `dev` with all that it can turn on, deployed and seeded, on an emulator of its own."""
    directory = tmp_path_factory.mktemp("extended")
    with ministack(directory / "log", services="") as server:
        rehearsal = Rehearsal(copy_project(directory / "project"), server.url)
        change_stage(
            rehearsal.project,
            "dev",
            environment_variables={
                "HFT_OPERATOR_API": "on",
                "HFT_PRICE_FEED": "on",
                "HFT_PRICE_AGE_MS": str(PRICE_AGE_MS),
            },
            lambda_functions={"authorizer": {"environment_variables": {"HFT_TOKEN_OPERATOR_SCOPE": SCOPE}}},
        )
        sources = rehearsal.stage("dev").sources
        sources.parent.mkdir()
        sources.write_text(json.dumps({"SOL": [ticker.source(SOL, "/price")]}))
        assert rehearsal.deploy("log-role", "dev").returncode == 0
        deployed = rehearsal.deploy("apply", "dev")
        assert deployed.returncode == 0, deployed.stderr
        settings = rehearsal.settings("dev")
        seed(build(settings, DynamoDB(settings)), rehearsal.client("dynamodb"))
        secret = rehearsal.outputs("dev")["TokenSecretArn"]
        rehearsal.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=SECRET)
        yield rehearsal


@pytest.fixture(scope="session")
def operators_market(extended: Rehearsal) -> DeployedMarket:
    """The same stage, for callers who are traders and operators at once."""
    return DeployedMarket([extended.url("dev")], extended.settings("dev"), scope=SCOPE)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


_TEXT = "the gateway passes bodies on as text: a function never sees bytes that are not UTF-8"
_TOO_LARGE = "API Gateway takes no 11 MB: it answers 413 by itself"
_NOT_OF_THE_STAGE = "it starts an engine of its own, with settings of its own"
SKIPPED = {
    "test_another_method_is_not_allowed": "API Gateway answers 404 for a wrong method too: see test_lambda.py",
    "test_a_key_header_that_comes_twice_must_say_the_same[other-422]": "the emulator passes on only the last value of a header",
    "test_a_body_that_is_not_json_is_refused_in_words_that_say_what_it_is[\\x1f\\x8b": _TEXT,
    "test_a_body_that_is_not_json_is_refused_in_words_that_say_what_it_is[body6-is UTF-16": _TEXT,
    'test_a_body_that_is_not_json_is_refused_in_words_that_say_what_it_is[{"user_id": 1': _TEXT,
    "test_a_body_that_is_too_large_is_refused_with_the_routes_limit[/api/v1/trading/execute-16384-11000000]": _TOO_LARGE,
    "test_a_body_that_is_too_large_is_refused_with_the_routes_limit[/api/v1/trading/execute/batch-65536-11": _TOO_LARGE,
    "test_a_body_ends_with_a_line_end[GET-/nowhere": "the gateway answers by itself",
    "test_a_body_ends_with_a_line_end[DELETE-/health": "the gateway answers by itself",
    "test_head_is_not_for_routes_that_ask_for_a_token": "API Gateway answers 404 for a wrong method",
    "test_without_origins_cors_is_off": "the gateway answers a preflight by itself",
    "test_a_listed_origin_is_echoed": _NOT_OF_THE_STAGE,
    "test_another_origin_is_not_echoed": _NOT_OF_THE_STAGE,
    "test_a_preflight_needs_no_token": _NOT_OF_THE_STAGE,
    "test_a_page_of_a_listed_origin_trades": _NOT_OF_THE_STAGE,
    "test_the_gateways_own_answers_are_for_any_page": _NOT_OF_THE_STAGE,
    "test_an_open_run_takes_requests_from_listed_origins_alone": _NOT_OF_THE_STAGE,
}
"""Tests of other engines that a deployed stage cannot pass, with the reasons."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the tests of other engines that a deployed stage cannot pass."""
    for item in items:
        for name, reason in SKIPPED.items():
            if item.name.startswith(name) and "deployed" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason=reason))

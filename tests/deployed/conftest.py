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
            environment_variables={"HFT_OPERATOR_API": "on", "HFT_PRICE_FEED": "on"},
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


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


SKIPPED = {
    "test_another_method_is_not_allowed": "API Gateway answers 404 for a wrong method too: see test_lambda.py",
    "test_a_key_header_that_comes_twice_must_say_the_same[other-422]": "the emulator passes on only the last value of a header",
}
"""Tests of other engines that a deployed stage cannot pass, with the reasons."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the tests of other engines that a deployed stage cannot pass."""
    for item in items:
        for name, reason in SKIPPED.items():
            if item.name.startswith(name) and "deployed" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason=reason))

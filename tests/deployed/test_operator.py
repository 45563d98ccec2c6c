"""The operator's API of a stage that turns it on, through API Gateway, the authorizer and the function's role."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chalicelib.engine import build
from chalicelib.local.seed import seed
from chalicelib.store.connection import DynamoDB
from harness.processes import ministack
from harness.project import change_stage, copy_project
from tests.deployed.rehearsal import Rehearsal
from tests.support.issuer import SECRET, by_secret
from tests.support.market import TIMEOUT_S, new_key, new_user_id

SCOPE = "hft/operator"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The stage `dev` with the operator's API, deployed and seeded, on an emulator of its own."""
    directory = tmp_path_factory.mktemp("operators")
    with ministack(directory / "log", services="") as server:
        rehearsal = Rehearsal(copy_project(directory / "project"), server.url)
        change_stage(
            rehearsal.project,
            "dev",
            environment_variables={"HFT_OPERATOR_API": "on"},
            lambda_functions={"authorizer": {"environment_variables": {"HFT_TOKEN_OPERATOR_SCOPE": SCOPE}}},
        )
        assert rehearsal.deploy("log-role", "dev").returncode == 0
        deployed = rehearsal.deploy("apply", "dev")
        assert deployed.returncode == 0, deployed.stderr
        settings = rehearsal.settings("dev")
        seed(build(settings, DynamoDB(settings)), rehearsal.client("dynamodb"))
        secret = rehearsal.outputs("dev")["TokenSecretArn"]
        rehearsal.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=SECRET)
        yield rehearsal


def ask(stage: Rehearsal, method: str, path: str, body: Any, **claims: Any) -> requests.Response:
    token = by_secret(claims.pop("user_id", None), iss="hft-trading-engine", aud="hft-trading-engine", **claims)
    headers = {"Authorization": f"Bearer {token}", "X-Idempotency-Key": new_key()}
    url = f"{stage.url('dev')}/api/v1/operator/{path}"
    return requests.request(method, url, json=body, headers=headers, timeout=TIMEOUT_S)


def test_an_operator_without_an_account_lists_prices_and_funds(stage: Rehearsal) -> None:
    answers = [
        ask(stage, "PUT", "assets/NEW", {"price": "2", "fee_bps": "25"}, scope=SCOPE),
        ask(stage, "PUT", "prices", {"prices": {"NEW": "2.1", "BTC": "500"}}, scope=SCOPE),
        ask(stage, "POST", "assets/NEW/halt", None, scope=SCOPE),
        ask(stage, "POST", "transfers", {"user_id": new_user_id(), "symbol": "NEW", "amount": "3"}, scope=SCOPE),
    ]

    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    assert answers[1].json() == {"results": {"NEW": "set", "BTC": "held"}}
    assert (answers[2].json()["halted"], answers[3].json()["balance"]) == (True, "3.00000000")


def test_a_user_is_forbidden(stage: Rehearsal) -> None:
    response = ask(stage, "PUT", "prices", {"prices": {"BTC": "50001"}}, user_id="1")

    assert (response.status_code, response.json()["error_code"]) == (403, "ERR_FORBIDDEN")


def test_the_engines_role_has_the_second_policy(stage: Rehearsal) -> None:
    role = stage.client("lambda").get_function(FunctionName=stage.outputs("dev")["APIHandlerName"])["Configuration"]["Role"]

    policies = stage.client("iam").list_role_policies(RoleName=role.rpartition("/")[2])["PolicyNames"]
    assert "Operator" in policies

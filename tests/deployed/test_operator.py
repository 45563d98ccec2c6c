"""The operator's API of a stage that turns it on, through API Gateway, the authorizer and the function's role."""

from typing import Any

import requests

from tests.deployed.conftest import SCOPE
from tests.deployed.rehearsal import Rehearsal
from tests.support.issuer import by_secret
from tests.support.market import TIMEOUT_S, new_key, new_user_id


def ask(extended: Rehearsal, method: str, path: str, body: Any, **claims: Any) -> requests.Response:
    token = by_secret(claims.pop("user_id", None), iss="hft-trading-engine", aud="hft-trading-engine", **claims)
    headers = {"Authorization": f"Bearer {token}", "X-Idempotency-Key": new_key()}
    url = f"{extended.url('dev')}/api/v1/operator/{path}"
    return requests.request(method, url, json=body, headers=headers, timeout=TIMEOUT_S)


def test_an_operator_without_an_account_lists_prices_and_funds(extended: Rehearsal) -> None:
    answers = [
        ask(extended, "PUT", "assets/NEW", {"price": "2", "fee_bps": "25"}, scope=SCOPE),
        ask(extended, "PUT", "prices", {"prices": {"NEW": "2.1", "BTC": "500"}}, scope=SCOPE),
        ask(extended, "POST", "assets/NEW/halt", None, scope=SCOPE),
        ask(extended, "POST", "transfers", {"user_id": new_user_id(), "symbol": "NEW", "amount": "3"}, scope=SCOPE),
    ]

    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    assert answers[1].json() == {"results": {"NEW": "set", "BTC": "held"}}
    assert (answers[2].json()["halted"], answers[3].json()["balance"]) == (True, "3.00000000")


def test_a_user_is_forbidden(extended: Rehearsal) -> None:
    response = ask(extended, "PUT", "prices", {"prices": {"BTC": "50001"}}, user_id="1")

    assert (response.status_code, response.json()["error_code"]) == (403, "ERR_FORBIDDEN")


def test_the_engines_role_has_the_second_policy(extended: Rehearsal) -> None:
    role = extended.client("lambda").get_function(FunctionName=extended.outputs("dev")["APIHandlerName"])["Configuration"]["Role"]

    policies = extended.client("iam").list_role_policies(RoleName=role.rpartition("/")[2])["PolicyNames"]
    assert "Operator" in policies

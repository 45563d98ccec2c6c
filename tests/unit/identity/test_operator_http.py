"""The operator's routes of a closed run: they exist where the run turns them on, for tokens with the operator's scope."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from harness.processes import chalice_local
from tests.support.issuer import SECRET, by_secret
from tests.support.market import new_key

SCOPE = "hft/operator"
CLOSED = {"HFT_TOKEN_SECRET": SECRET, "HFT_TOKEN_OPERATOR_SCOPE": SCOPE}
ROUTES = [
    ("PUT", "prices", {"prices": {"BTC": "50000"}}),
    ("POST", "transfers", {"user_id": 9, "symbol": "USD", "amount": "1"}),
    ("PUT", "assets/BTC", {}),
    ("POST", "assets/SOL/halt", None),
    ("POST", "assets/SOL/resume", None),
]


def ask(url: str, method: str, path: str, body: Any, token: str | None) -> requests.Response:
    headers = {"X-Idempotency-Key": new_key()} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    return requests.request(method, f"{url}/api/v1/operator/{path}", json=body, headers=headers, timeout=30)


def token(user_id: str | None, scope: str | None = None) -> str:
    scopes = {} if scope is None else {"scope": scope}
    return by_secret(user_id, iss="hft-trading-engine", aud="hft-trading-engine", **scopes)


@pytest.fixture(scope="module")
def turned_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chalice_local(tmp_path_factory.mktemp("on") / "log", HFT_OPERATOR_API="on", **CLOSED) as server:
        yield server.url


@pytest.fixture(scope="module")
def turned_off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chalice_local(tmp_path_factory.mktemp("off") / "log", **CLOSED) as server:
        yield server.url


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_an_operator_needs_no_account(turned_on: str, method: str, path: str, body: Any) -> None:
    response = ask(turned_on, method, path, body, token(None, SCOPE))

    assert response.status_code == 200, response.text


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_caller_without_the_scope_is_forbidden_even_for_the_own_account(
    turned_on: str, method: str, path: str, body: Any
) -> None:
    for scope in (None, "hft/other"):
        response = ask(turned_on, method, path, body, token("9", scope))

        assert (response.status_code, response.json()["error_code"]) == (403, "ERR_FORBIDDEN"), response.text


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_without_a_token_there_is_no_caller(turned_on: str, method: str, path: str, body: Any) -> None:
    response = ask(turned_on, method, path, body, None)

    assert (response.status_code, response.json()["error_code"]) == (401, "ERR_UNAUTHENTICATED")


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_where_the_run_does_not_turn_them_on_the_routes_do_not_exist(turned_off: str, method: str, path: str, body: Any) -> None:
    for bearer in (token(None, SCOPE), token("9"), None):
        response = ask(turned_off, method, path, body, bearer)

        assert (response.status_code, response.json()["error_code"]) == (404, "ERR_NOT_FOUND"), response.text


def test_a_body_is_not_read_for_a_caller_without_the_scope(turned_on: str) -> None:
    response = ask(turned_on, "PUT", "prices", {"prices": {"BTC": "0"}}, token("9"))

    assert response.status_code == 403

"""A deployed engine under test. Every request has a token for the account that it names."""

import json
from collections.abc import Mapping
from typing import Any

import requests

from chalicelib.contract.fields import InvalidValue, user_id_from_text
from tests.support.market import TIMEOUT_S, Market
from tests.unit.identity.test_identity_http import token

ANYBODY = 1


def authorization(account: Any) -> dict[str, str]:
    """Returns the header with a token for an account, or for another one where this is not a user id."""
    try:
        user_id = user_id_from_text(str(account))
    except InvalidValue:
        user_id = ANYBODY
    return {"Authorization": f"Bearer {token(user_id)}"}


def account_in(body: Any) -> Any:
    """Returns the account that a body names."""
    try:
        return (json.loads(body) if isinstance(body, bytes) else body)["user_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


class DeployedMarket(Market):
    """A `Market` behind API Gateway and its authorizer."""

    def post(
        self, body: Any, key: str | None = None, process: int = 0, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        return super().post(body, key, process, {**authorization(account_in(body)), **(headers or {})})

    def post_batch(self, body: Any, process: int = 0, headers: Mapping[str, str] | None = None) -> requests.Response:
        return super().post_batch(body, process, {**authorization(account_in(body)), **(headers or {})})

    def raw(self, method: str, path: str, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> tuple[int, Any]:
        return super().raw(method, path, [*authorization(account_in(body)).items(), *(headers or [])], body)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.urls[0] + path, headers=authorization(path.rpartition("/")[2]), timeout=TIMEOUT_S)

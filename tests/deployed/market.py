"""A deployed engine under test. Every request has a token for the account that it names."""

import json
import re
import time
from collections.abc import Mapping
from typing import Any

import requests

from chalicelib.config import Settings
from chalicelib.contract.fields import InvalidValue, user_id_from_text
from chalicelib.identity.settings import SELF
from tests.support.issuer import by_secret
from tests.support.market import TIMEOUT_S, Market

ANYBODY = 1
TOKEN_S = 3_600
"""The lifetime of a token: longer than all suites together."""


_USER_IN_PATH = re.compile(r"/api/v1/trading/(?:portfolio|history|orders)/([0-9]+)")


def account_of(path: str, body: Any = None) -> Any:
    """Returns the account that a path names, or else a body."""
    found = _USER_IN_PATH.match(path)
    return found[1] if found else account_in(body)


def account_in(body: Any) -> Any:
    """Returns the account that a body names."""
    try:
        return (json.loads(body) if isinstance(body, bytes) else body)["user_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


class DeployedMarket(Market):
    """A `Market` behind API Gateway and its authorizer."""

    def __init__(self, urls: list[str], settings: Settings, **claims: Any) -> None:
        """`claims`: what every token has beside its account, such as an operator's scope."""
        self._claims = {"iss": SELF, "aud": SELF, **claims}
        super().__init__(urls, settings, self._authorization(ANYBODY))

    def _authorization(self, account: Any) -> dict[str, str]:
        """Returns the header with a token for an account, or for another one where this is not a user id."""
        try:
            user_id = user_id_from_text(str(account))
        except InvalidValue:
            user_id = ANYBODY
        return {"Authorization": f"Bearer {by_secret(str(user_id), exp=int(time.time()) + TOKEN_S, **self._claims)}"}

    def post(
        self, body: Any, key: str | None = None, process: int = 0, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        return super().post(body, key, process, {**self._authorization(account_in(body)), **(headers or {})})

    def post_batch(self, body: Any, process: int = 0, headers: Mapping[str, str] | None = None) -> requests.Response:
        return super().post_batch(body, process, {**self._authorization(account_in(body)), **(headers or {})})

    def raw(self, method: str, path: str, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> tuple[int, Any]:
        own = self._authorization(account_of(path, body))
        return Market(self.urls, self.settings, own).raw(method, path, headers, body)

    def send(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> requests.Response:
        return super().send(method, path, body, {**self._authorization(account_of(path, body)), **(headers or {})})

    def get(self, path: str) -> requests.Response:
        return requests.get(self.urls[0] + path, headers=self._authorization(account_of(path)), timeout=TIMEOUT_S)

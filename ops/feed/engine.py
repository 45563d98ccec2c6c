"""The engine, as a feed reaches it: two routes of its HTTP API, and nothing else.

Failure              401, 403 or 404: it would be the same the next time; the feed ends
RequestRefused       422: one of the prices is at fault, or the clock
EngineUnavailable    everything else that is not a result: no answer, 429, 5xx, something that is not JSON
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import requests

from chalicelib.config import is_loopback
from chalicelib.domain.asset import UNIT_OF_ACCOUNT
from chalicelib.domain.timestamps import rfc3339
from ops.failure import Failure

TIMEOUTS_S = (3.05, 15.0)
"""The time to connect, and the longest silence after that. A gateway may start a function first."""

_ENDINGS = {
    HTTPStatus.UNAUTHORIZED: "it wants a token in HFT_TOKEN, of an operator (make token OPERATOR=1), which has not expired",
    HTTPStatus.FORBIDDEN: "the token in HFT_TOKEN is not an operator's (HFT_TOKEN_OPERATOR_SCOPE)",
    HTTPStatus.NOT_FOUND: "the operator's API is off (HFT_OPERATOR_API=on), or the URL is not an engine's",
}


class EngineUnavailable(Exception):
    """No result from the engine. The message completes the sentence "The engine …"."""


class RequestRefused(Exception):
    """A request that the engine refused as a whole. The message is the engine's."""


class EngineApi:
    """An engine at a URL. `source`: the feed's name in the engine's log."""

    def __init__(self, url: str, token: str | None, source: str) -> None:
        if token and url.startswith("http:") and not is_loopback(url):
            raise Failure("The token would travel in the clear: an engine on another machine needs an https URL")
        if token and not (token.isascii() and token.isprintable()):
            raise Failure("HFT_TOKEN does not hold a token")
        self._url = url.rstrip("/")
        self._source = source
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        if is_loopback(url):
            self._session.trust_env = False  # no proxy leads to this machine

    def prices(self) -> dict[str, str]:
        """Returns the listed prices by symbol, without the unit of account's.

        Raises:
            Failure, EngineUnavailable, RequestRefused: see above.
        """
        listed = self._call("GET", "/api/v1/trading/assets")
        try:
            return {asset["symbol"]: str(asset["price"]) for asset in listed if asset["symbol"] != UNIT_OF_ACCOUNT}
        except (TypeError, KeyError):
            raise EngineUnavailable("answers without a list of assets") from None

    def set_prices(self, prices: Mapping[str, str], as_of: datetime) -> dict[str, str]:
        """Sets prices as of a time. Returns the result of each.

        Raises:
            Failure, EngineUnavailable, RequestRefused: see above.
        """
        body = {"prices": prices, "as_of": rfc3339(as_of), "source": self._source}
        reply = self._call("PUT", "/api/v1/operator/prices", body)
        try:
            return {symbol: str(result) for symbol, result in reply["results"].items()}
        except (TypeError, KeyError, AttributeError):
            raise EngineUnavailable("answers without results") from None

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            # A redirect is not followed: it would show the token to somebody else.
            reply = self._session.request(method, f"{self._url}{path}", json=body, timeout=TIMEOUTS_S, allow_redirects=False)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
            raise Failure(f"--url must be a URL such as http://127.0.0.1:8000, not {self._url!r}") from None
        except requests.RequestException as error:
            raise EngineUnavailable(f"does not answer: {_cause(error)}") from None
        if reply.status_code in _ENDINGS:
            raise Failure(
                f"{self._url} answers {reply.status_code}: {_ENDINGS[HTTPStatus(reply.status_code)]}. {_message(reply)}"
            )
        if reply.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise RequestRefused(_message(reply))
        if reply.status_code != HTTPStatus.OK:
            raise EngineUnavailable(f"answers {reply.status_code}: {_message(reply)}")
        try:
            return reply.json()
        except requests.exceptions.JSONDecodeError:
            raise EngineUnavailable("answers something that is not JSON") from None


class _Bearer(requests.auth.AuthBase):
    """Puts the token into each request. Without it requests would take one from ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _message(reply: requests.Response) -> str:
    try:
        return str(reply.json()["message"])
    except (requests.exceptions.JSONDecodeError, KeyError, TypeError):
        return reply.reason or ""


def _cause(error: BaseException) -> str:
    """Returns the innermost reason in few words: requests and urllib3 wrap it several times."""
    inner: Any = error
    while True:
        deeper = inner.__cause__ or inner.__context__ or getattr(inner, "reason", None)
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    return getattr(inner, "strerror", None) or type(inner).__name__

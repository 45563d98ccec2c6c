"""An engine under test: reached over HTTP as a client would, and set up from behind as an operator would."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import requests

from chalicelib.config import Settings
from harness.store import Store, new_key, new_user_id

__all__ = ["TIMEOUT_S", "Market", "batched", "new_key", "new_user_id", "order"]

TIMEOUT_S = 60


def order(user_id: int, symbol: str = "BTC", pay_with: str = "USD", quantity: Any = "1.0") -> dict[str, Any]:
    return {"user_id": user_id, "symbol": symbol, "pay_with": pay_with, "quantity": quantity}


def batched(symbol: str = "BTC", pay_with: str = "USD", quantity: Any = "0.5", key: str | None = None) -> dict[str, Any]:
    """Returns an order of a batch."""
    return {"idempotency_key": key or new_key(), "symbol": symbol, "pay_with": pay_with, "quantity": quantity}


class Market(Store):
    """One engine, perhaps in several processes at `urls`, over one datastore, which `settings` reach."""

    def __init__(self, urls: list[str], settings: Settings, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(settings)
        self.urls = urls
        self.headers = dict(headers or {})

    def post(
        self, body: Any, key: str | None = None, process: int = 0, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """Sends an order. `body`: JSON to be, or bytes as they are."""
        keyed = {"X-Idempotency-Key": key} if key is not None else {}
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        url = f"{self.urls[process % len(self.urls)]}/api/v1/trading/execute"
        return requests.post(url, headers={**self.headers, **keyed, **(headers or {})}, timeout=TIMEOUT_S, **content)

    def post_batch(self, body: Any, process: int = 0, headers: Mapping[str, str] | None = None) -> requests.Response:
        """Sends a batch. `body`: JSON to be, or bytes as they are."""
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        url = f"{self.urls[process % len(self.urls)]}/api/v1/trading/execute/batch"
        return requests.post(url, headers={**self.headers, **(headers or {})}, timeout=TIMEOUT_S, **content)

    def batch_results(self, user_id: int, orders: list[dict[str, Any]], process: int = 0) -> list[dict[str, Any]]:
        """Sends a batch and returns the result of each of its orders."""
        response = self.post_batch({"user_id": user_id, "orders": orders}, process)
        assert response.status_code == 200, response.text
        results: list[dict[str, Any]] = response.json()["results"]
        assert len(results) == len(orders)
        return results

    def raw(self, method: str, path: str, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> tuple[int, Any]:
        """Sends headers just as they are (blanks, repeats); returns the status and the body as JSON."""
        url = urlsplit(self.urls[0])
        connection = HTTPConnection(url.netloc, timeout=TIMEOUT_S)
        try:
            connection.putrequest(method, url.path + path)
            for name, value in [*self.headers.items(), *(headers or []), ("Content-Length", str(len(body)))]:
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def send(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> requests.Response:
        """Sends a body as JSON."""
        return requests.request(
            method, self.urls[0] + path, json=body, headers={**self.headers, **(headers or {})}, timeout=TIMEOUT_S
        )

    def get(self, path: str) -> requests.Response:
        return requests.get(self.urls[0] + path, headers=self.headers, timeout=TIMEOUT_S)

    def portfolio(self, user_id: int) -> dict[str, Any]:
        response = self.get(f"/api/v1/trading/portfolio/{user_id}")
        assert response.status_code == 200, response.text
        portfolio: dict[str, Any] = response.json()
        return portfolio

    def holdings(self, user_id: int) -> dict[str, Decimal]:
        return {symbol: Decimal(amount) for symbol, amount in self.portfolio(user_id)["holdings"].items()}

    def post_all(self, orders: list[tuple[dict[str, Any], str]]) -> list[requests.Response]:
        """Sends orders, each from a thread of its own, over all processes in turn."""
        with ThreadPoolExecutor(len(orders)) as threads:
            return list(threads.map(lambda each: self.post(each[1][0], each[1][1], process=each[0]), enumerate(orders)))

"""An engine under test: reached over HTTP as a client would, and set up from behind as an operator would."""

import itertools
import json
import os
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
import requests

from chalicelib.config import Settings
from chalicelib.domain.account import Account, Record
from chalicelib.domain.transfer import Transfer
from chalicelib.domain.money import units_from
from chalicelib.engine import Engine, build
from chalicelib.trading.transfers import transfer_once
from chalicelib.store.connection import DynamoDB
from chalicelib.store.tables import Tables, asset_key, number, record_from

_user_ids = itertools.count(1_000_000 + int.from_bytes(os.urandom(4)) * 1_000)
TIMEOUT_S = 60


def new_user_id() -> int:
    """A user nobody else in this run, or in an earlier one, has."""
    return next(_user_ids)


def new_key() -> str:
    return f"key-{uuid.uuid4()}"


def order(user_id: int, symbol: str = "BTC", pay_with: str = "USD", quantity: Any = "1.0") -> dict[str, Any]:
    return {"user_id": user_id, "symbol": symbol, "pay_with": pay_with, "quantity": quantity}


def batched(symbol: str = "BTC", pay_with: str = "USD", quantity: Any = "0.5", key: str | None = None) -> dict[str, Any]:
    """An order of a batch."""
    return {"idempotency_key": key or new_key(), "symbol": symbol, "pay_with": pay_with, "quantity": quantity}


@dataclass
class Market:
    """One engine (perhaps in several processes, at `urls`) over one datastore, which `settings` reach."""

    urls: list[str]
    settings: Settings
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.datastore = DynamoDB(self.settings)
        self.engine: Engine = build(self.settings, self.datastore)
        self.tables = Tables.of(self.settings.table_prefix)
        self.dynamodb = boto3.client(
            "dynamodb",
            region_name=self.settings.region,
            endpoint_url=self.settings.datastore_endpoint,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    # As a client.

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
        """What became of each order of a batch."""
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

    def get(self, path: str) -> requests.Response:
        return requests.get(self.urls[0] + path, headers=dict(self.headers), timeout=TIMEOUT_S)

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

    # As an operator.

    def new_user(self, **balances: str) -> int:
        """A user with these balances: `new_user(USD="100000")`."""
        user_id = new_user_id()
        for symbol, amount in balances.items():
            self.fund(user_id, symbol, amount)
        return user_id

    def fund(self, user_id: int, symbol: str, amount: str) -> None:
        transfer_once(self.engine, Transfer(user_id, new_key(), symbol, units_from(Decimal(amount))))

    def list_asset(self, symbol: str, price: str, *, halted: bool = False) -> None:
        item = {
            **asset_key(symbol),
            "price": number(units_from(Decimal(price))),
            "halted": {"BOOL": halted},
            "version": number(1),
        }
        self.dynamodb.put_item(TableName=self.tables.assets, Item=item)

    def remove_asset(self, symbol: str) -> None:
        self.dynamodb.delete_item(TableName=self.tables.assets, Key=asset_key(symbol))

    def account(self, user_id: int) -> Account:
        return self.engine.ledger.read_account(user_id, self.engine.patience())

    def records(self, user_id: int) -> list[Record]:
        """Every record of an account, in no particular order."""
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=self.tables.idempotency,
            KeyConditionExpression="user_id = :user_id",
            ExpressionAttributeValues={":user_id": number(user_id)},
            ConsistentRead=True,
        )
        return [record_from(item) for page in pages for item in page["Items"]]

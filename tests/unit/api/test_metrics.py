"""The metrics in the log lines of a deployed stage: what the alarms watch."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from chalice.app import Chalice

from chalicelib.api import operator, orders
from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import DatastoreUnavailable
from chalicelib.engine import Engine
from tests.support.log_lines import Lines, log_lines, metrics_of
from tests.support.market import Market, batched, new_user_id

NEVER_S = 4_000_000_000
SYMBOL = "METRICS"


class Context:
    """A Lambda's context, with all of its time left."""

    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


@pytest.fixture
def lines() -> Iterator[Lines]:
    with log_lines() as found:
        yield found


def send(app: Chalice, method: str, path: str, body: Any, caller: Caller) -> int:
    """Sends a request as API Gateway hands it to the function. Returns the status."""
    context = {"httpMethod": method, "resourcePath": path, "requestId": "request-1", "authorizer": caller.context()}
    event = {
        "requestContext": context,
        "headers": {},
        "multiValueHeaders": {},
        "pathParameters": {},
        "multiValueQueryStringParameters": None,
        "stageVariables": {},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
    status: int = app(event, Context())["statusCode"]
    return status


def on_lambda(market: Market, routes: Any, engine: Any = None) -> Chalice:
    """The app of a function with these routes."""
    app = Chalice("hft", configure_logs=False)
    app.register_blueprint(
        routes.blueprint(replace(market.settings, on_lambda=True), lambda: market.engine if engine is None else engine)
    )
    return app


def test_held_prices_are_counted_and_a_line_without_them_has_no_metric(moto_market: Market, lines: Lines) -> None:
    moto_market.list_new_asset(SYMBOL, "100")
    app, caller = on_lambda(moto_market, operator), Caller(None, NEVER_S, operator=True)

    for price in ("101", "1000"):
        body = {"prices": {SYMBOL: price, "NOWHERE": price}, "source": "a feed"}
        assert send(app, "PUT", "/api/v1/operator/prices", body, caller) == 200
    moto_market.remove_asset(SYMBOL)

    fine, held = lines.of("prices")
    assert "_aws" not in fine
    assert metrics_of(held) == {"PricesHeld": 1}
    assert (held["held"], held["source"], held["Stage"]) == ([SYMBOL], "a feed", moto_market.settings.table_prefix)


class Broken:
    """An engine that is broken in one way."""

    def __init__(self, engine: Engine, error: Exception, *, raises: bool) -> None:
        self.executor = self
        self.deadline = engine.deadline
        self.error = error
        self.raises = raises

    def execute_batch(self, given: list[Any], *_: Any) -> list[Exception]:
        if self.raises:
            raise self.error
        return [self.error for _ in given]


def test_an_outage_within_a_batch_is_counted_although_the_batch_is_a_200(moto_market: Market, lines: Lines) -> None:
    app = on_lambda(moto_market, orders, Broken(moto_market.engine, DatastoreUnavailable(), raises=False))
    user = new_user_id()

    body = {"user_id": user, "orders": [batched(), batched()]}
    assert send(app, "POST", "/api/v1/trading/execute/batch", body, Caller(user, NEVER_S)) == 200

    (counted,) = lines.of("orders")
    assert (counted["Outcome"], metrics_of(counted)) == ("ERR_DATASTORE_UNAVAILABLE", {"Refusals": 2})


def test_a_bug_is_logged_with_its_traceback_and_counted(moto_market: Market, lines: Lines) -> None:
    app = on_lambda(moto_market, orders, Broken(moto_market.engine, ZeroDivisionError("a bug"), raises=True))
    user = new_user_id()

    body = {"user_id": user, "orders": [batched()]}
    assert send(app, "POST", "/api/v1/trading/execute/batch", body, Caller(user, NEVER_S)) == 500

    (bug,), (counted,) = lines.of("bug"), lines.of("refused")
    assert "ZeroDivisionError: a bug" in bug["exception"]
    assert (counted["Outcome"], metrics_of(counted)) == ("ERR_INTERNAL", {"Refusals": 1})


def test_a_bug_that_no_response_reports_is_logged_as_all_others_are(moto_market: Market, lines: Lines) -> None:
    import app  # in the process of the market, which has set it up

    assert moto_market.settings == app.settings
    app.engine().world.report(ValueError("a bug"))

    (line,) = lines.of("bug")
    assert (line["level"], line["event"]) == ("ERROR", "bug")
    assert "ValueError: a bug" in line["exception"]

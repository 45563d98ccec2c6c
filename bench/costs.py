"""The cost of each outcome at DynamoDB: requests, and write units as the datastore itself counts them.

The application is called as Lambda calls it, in a process that has read the account and the prices before. Counts do not vary, so
each is taken once.
"""

import json
import multiprocessing
import os
import uuid
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.orders import BATCH, EXECUTE, ORDER, QUANTITY, SEEDED_USER, SYMBOL
from bench.processes import leave_interrupts_to_parent
from bench.setting import Say, Setting
from bench.targets import at_most
from chalicelib.config import Settings
from chalicelib.contract.caller import Caller
from chalicelib.runtime.world import utc_now
from chalicelib.store.connection import DynamoDB
from harness.metered import Metered
from harness.processes import ministack

PART = "datastore"
BATCH_SIZE = 99
PRICE_AGE_MS = 3_600_000
"""An age that no price reaches during the measurement, so that none is read again."""
WRITE_UNITS_A_FILL = 5
"""Two for the record, two for the account, one for the index."""
WRITE_UNITS_A_FILL_IN_A_BATCH = 3 + 2 / BATCH_SIZE
"""Two for the record, one for the index, and a share of the account's."""
PORTFOLIO = "/api/v1/trading/portfolio/{user_id}"


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one request, and the status of its answer."""

    status: int
    requests: int
    write_units: float


def measure(setting: Setting, say: Say) -> list[Figure]:
    """Causes each outcome once, and counts its cost."""
    say("one request for each outcome")
    forks = multiprocessing.get_context("forkserver")
    with (
        ministack(setting.log("ministack")) as datastore,
        ProcessPoolExecutor(1, forks, initializer=leave_interrupts_to_parent) as process,
    ):
        costs = process.submit(_count, datastore.url, setting.log("application")).result()
    statuses = {name: cost.status for name, cost in costs.items()}
    assert statuses == STATUSES, statuses
    return _figures(costs)


FILL, REPLAY, REFUSAL = "fill", "replay", "refusal for funds"
SHOWN, UNKNOWN, BAD, MANY = "portfolio", "unknown asset", "bad request", f"batch of {BATCH_SIZE} fills"
STATUSES = {FILL: 200, REPLAY: 200, REFUSAL: 402, SHOWN: 200, UNKNOWN: 404, BAD: 422, MANY: 200}


def _figures(costs: Mapping[str, Cost]) -> list[Figure]:
    most_requests = dict.fromkeys((FILL, REPLAY, REFUSAL, SHOWN, MANY, UNKNOWN), 1) | {BAD: 0}
    figures = []
    for name, cost in costs.items():
        requests = Figure(PART, f"{name}: requests", cost.requests, "")
        figures.append(at_most(requests, most_requests[name]))
    fill = Figure(PART, f"{FILL}: write units", costs[FILL].write_units, "")
    in_batch = Figure(PART, f"{FILL} in a batch of {BATCH_SIZE}: write units", costs[MANY].write_units / BATCH_SIZE, "")
    return [
        *figures,
        at_most(fill, WRITE_UNITS_A_FILL),
        at_most(in_batch, WRITE_UNITS_A_FILL_IN_A_BATCH),
        Figure(PART, f"{REFUSAL}: write units", costs[REFUSAL].write_units, ""),
        *(Figure(PART, f"{name}: write units", costs[name].write_units, "") for name in (REPLAY, SHOWN, UNKNOWN, BAD)),
    ]


def _count(endpoint: str, log: Path) -> dict[str, Cost]:
    """Counts the costs, in a separate process: the application reads its settings once, and logs to standard output."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 1)
    os.environ |= {"AWS_ENDPOINT_URL_DYNAMODB": endpoint, "HFT_PRICE_AGE_MS": str(PRICE_AGE_MS)}
    import app

    meters: list[Metered] = []

    def metered(settings: Settings) -> Metered:
        meters.append(Metered(DynamoDB(settings)))
        return meters[-1]

    app.DynamoDB = metered  # type: ignore[assignment,attr-defined]
    app.engine()
    (meter,) = meters

    def cost(event: dict[str, Any]) -> Cost:
        meter.requests, meter.write_units = 0, []
        answer = app.app(event, Context())
        return Cost(answer["statusCode"], meter.requests, sum(meter.write_units))

    key = uuid.uuid4().hex
    for first in (_order(f"{key}-first"), _portfolio(), _order(f"{key}-first-unknown", symbol="UNKNOWN")):
        cost(first)
    return {
        FILL: cost(_order(key)),
        REPLAY: cost(_order(key)),
        REFUSAL: cost(_order(f"{key}-refused", quantity="1000000000")),
        SHOWN: cost(_portfolio()),
        UNKNOWN: cost(_order(f"{key}-unknown", symbol="UNKNOWN")),
        BAD: cost(_order(f"{key}-bad", quantity="-1")),
        MANY: cost(_batch(key)),
    }


class Context:
    """The part of Lambda's context that the application uses."""

    aws_request_id = "bench"

    def get_remaining_time_in_millis(self) -> int:
        """Returns the remaining time at the start of a request."""
        return 25_000


def _order(key: str, symbol: str = SYMBOL, quantity: str = QUANTITY) -> dict[str, Any]:
    order = {"user_id": SEEDED_USER, **ORDER, "symbol": symbol, "quantity": quantity}
    return _event("POST", EXECUTE, order, {"x-idempotency-key": key})


def _batch(key: str) -> dict[str, Any]:
    orders = [{"idempotency_key": f"{key}-{number}", **ORDER} for number in range(BATCH_SIZE)]
    return _event("POST", BATCH, {"user_id": SEEDED_USER, "orders": orders})


def _portfolio() -> dict[str, Any]:
    return _event("GET", PORTFOLIO, None, parameters={"user_id": str(SEEDED_USER)})


def _event(
    method: str,
    resource: str,
    body: object,
    headers: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Returns a request as API Gateway passes it on after its authorizer has allowed it."""
    caller = Caller(SEEDED_USER, int((utc_now() + timedelta(minutes=10)).timestamp()))
    return {
        "requestContext": {
            "httpMethod": method,
            "resourcePath": resource,
            "path": resource,
            "requestId": "bench",
            "authorizer": caller.context(),
        },
        "headers": headers or {},
        "multiValueHeaders": {name: [value] for name, value in (headers or {}).items()},
        "multiValueQueryStringParameters": None,
        "pathParameters": parameters,
        "stageVariables": None,
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }

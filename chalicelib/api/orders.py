"""The routes of orders: a single one, a preview, or a batch."""

import itertools
from collections.abc import Callable
from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib.api import metrics
from chalicelib.api.batch_results import Result, batch_body, results
from chalicelib.api.endpoint import Endpoint, body_of, json_response, request_id
from chalicelib.config import Settings
from chalicelib.contract.batch import read_batch
from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import EngineError, error_of
from chalicelib.contract.replies import order_reply_of, preview_body, reply_of
from chalicelib.contract.requests import read_headers, read_order, read_terms
from chalicelib.domain.order import Order
from chalicelib.domain.refusals import Undecided
from chalicelib.engine import Engine
from chalicelib.runtime.world import utc_now
from chalicelib.telemetry import log
from chalicelib.trading.instruction import Outcome


def blueprint(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """Returns the routes that trade."""
    routes = Blueprint(__name__)
    endpoint = Endpoint(routes, settings, engine)
    requests = itertools.count()

    def is_first() -> bool:
        """Returns whether this is the process's first order, which waited for the process to start."""
        return next(requests) == 0

    @endpoint.route("/api/v1/trading/execute", "POST")
    def execute(request: Request, caller: Caller) -> Response:
        """Executes an order."""
        order = read_order(body_of(request), read_headers(request.to_original_event()), caller)
        deadline = endpoint.deadline(request)
        outcome = engine().executor.execute(order, deadline)
        status, body = order_reply_of(outcome.record)
        figures = {}
        if settings.on_lambda:
            figures = metrics.of_order(settings.table_prefix, utc_now(), outcome, deadline, cold_start=is_first())
        log.info(
            "order",
            request_id=request_id(request),
            user_id=order.user_id,
            **_decided(order, outcome, status),
            attempts=outcome.attempts,
            together=outcome.together,
            **figures,
        )
        return json_response(body, status, {"Idempotent-Replayed": "true"} if outcome.replayed else {})

    @endpoint.route("/api/v1/trading/preview", "POST")
    def preview(request: Request, caller: Caller) -> Response:
        """Returns the answer that an order would get now, and stores nothing."""
        order = read_terms(body_of(request), caller)
        try:
            record = engine().executor.preview(order, endpoint.deadline(request))
        except Undecided as reason:
            error = error_of(reason)
            return json_response(preview_body(error.code, error.status, error.body("")))
        status, body = reply_of(record)
        return json_response(preview_body(record.decision.outcome.value, status, body))

    @endpoint.route("/api/v1/trading/execute/batch", "POST")
    def execute_batch(request: Request, caller: Caller) -> Response:
        """Executes several orders for one account."""
        batch = read_batch(body_of(request), caller)
        deadline = endpoint.deadline(request)
        execute = engine().executor.execute_linked if batch.all_or_nothing else engine().executor.execute_batch
        outcomes = execute(batch.orders, deadline)
        now = utc_now()
        of_orders = list(results(batch, outcomes, now))
        figures = {}
        if settings.on_lambda:
            decided = [result.outcome for result in of_orders if isinstance(result.outcome, Outcome)]
            figures = metrics.of_batch(settings.table_prefix, now, decided, deadline, cold_start=is_first())
            for counts in metrics.of_batch_results(settings.table_prefix, now, [result.outcome for result in of_orders]):
                log.info("orders", request_id=request_id(request), **counts)
        log.info(
            "batch",
            request_id=request_id(request),
            user_id=batch.user_id,
            orders=[_log_fields(result) for result in of_orders],
            **figures,
        )
        return json_response(batch_body(of_orders))

    return routes


def _decided(order: Order, outcome: Outcome, status: int) -> dict[str, Any]:
    """Returns the log fields of an order that has an outcome."""
    return {
        "idempotency_key": order.idempotency_key,
        "order": order.fingerprint,
        "status": status,
        "replayed": outcome.replayed,
        "sequence": outcome.record.sequence,
    }


def _log_fields(result: Result) -> dict[str, Any]:
    if isinstance(result.outcome, Outcome) and result.order is not None:
        return _decided(result.order, result.outcome, result.status)
    assert isinstance(result.outcome, EngineError), "an order that cannot be read has an error"
    return {"idempotency_key": result.idempotency_key, "error_code": result.outcome.code, "message": str(result.outcome)}

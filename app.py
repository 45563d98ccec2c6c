"""The HTTP routes, and the wiring. Each route: read the request, make one call, present the result."""

import gc
import itertools
import json
import os
from collections.abc import Callable, Mapping
from functools import wraps
from threading import Lock
from typing import Any

gc.disable()  # till the end of this module: what is made until then stays, and searching it for garbage is 4 % of a cold start

from chalice.app import Chalice, Request, Response

from chalicelib import __version__
from chalicelib.identity import authorizer
from chalicelib.api import pages as docs
from chalicelib.telemetry import log
from chalicelib.api import metrics
from chalicelib.contract.batch import Result, batch_body, read_batch, results
from chalicelib.config import Settings
from chalicelib.domain.order import Order
from chalicelib.engine import Engine, build
from chalicelib.contract.errors import EngineError, InternalError, RouteNotFound
from chalicelib.contract.requests import assets_body, portfolio_body, read_headers, read_order, read_user_id
from chalicelib.contract.caller import Caller, read_caller
from chalicelib.runtime.deadline import Patience, utc_now
from chalicelib.trading.exactly_once import Outcome
from chalicelib.store.connection import DynamoDB

log.configure()
settings = Settings.from_environment()
app = Chalice(app_name="hft-trading-engine", configure_logs=False)
app.register_blueprint(authorizer.blueprint)

_orders = itertools.count()
_engine: Engine | None = None
_engine_lock = Lock()


def engine() -> Engine:
    """The process's engine, made when first asked for: `chalice package` imports this module too, and must reach no store."""
    global _engine  # noqa: PLW0603
    with _engine_lock:
        if _engine is None:
            if not settings.on_lambda:
                from chalicelib.local.datastore import prepare

                prepare(settings)
            _engine = build(settings, DynamoDB(settings))
        return _engine


if settings.on_lambda:
    engine()  # in the init phase, which has a full CPU at any memory size
elif "AWS_CHALICE_CLI_MODE" in os.environ:
    from chalicelib.local import server

    server.install(warm_up=engine)


def route(
    path: str, method: str = "GET", *, public: bool = False
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Registers a view for a path: it takes the request, the caller unless it is `public`, and the path's parameters.

    What it raises becomes the contract's error, here around the view: Chalice turns an exception into a response before any
    middleware sees it.
    """

    def register(view: Callable[..., Response]) -> Callable[..., Response]:
        @wraps(view)
        def guarded(**parameters: str) -> Response:
            request = app.current_request
            assert request is not None, "Chalice sets it before it calls a view"
            request_id = _request_id(request)
            try:
                caller = () if public else (read_caller(request.context, utc_now()),)
                response = view(request, *caller, **parameters)
            except EngineError as error:
                response = _refused(error, request_id, path)
            except Exception as error:  # noqa: BLE001  (the boundary: a bug is logged whole here, and told to nobody)
                log.bug(error, request_id=request_id, route=path)
                response = _refused(InternalError(), request_id, path)
            response.headers["X-Request-Id"] = request_id
            response.headers["X-Content-Type-Options"] = "nosniff"
            return response

        # The content type does not matter: what counts is whether the body is JSON.
        door = None if public else authorizer.authorizer
        app.route(path, methods=[method], content_types=["*/*"], authorizer=door)(guarded)
        return guarded

    return register


def _request_id(request: Request) -> str:
    """API Gateway's id of the request where there is one, so that its access log and ours agree; else the Lambda's."""
    context: Any = request.lambda_context
    return str(request.context.get("requestId") or context.aws_request_id)


def _json(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    # The line end is for those who read it in a terminal.
    return Response(body + "\n", {"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})}, status)


def _body(request: Request) -> bytes:
    body = request.raw_body
    return body.encode() if isinstance(body, str) else body


def _patience(request: Request, here: Engine) -> Patience:
    context: Any = request.lambda_context
    return here.patience(context.get_remaining_time_in_millis())


def _refused(error: EngineError, request_id: str, path: str) -> Response:
    figures = metrics.of_refusal(settings.table_prefix, utc_now(), error.code) if settings.on_lambda else {}
    log.info("refused", request_id=request_id, route=path, error_code=error.code, message=str(error), **figures)
    response = _json(error.body(utc_now()), error.status, error.headers)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


@route("/api/v1/trading/execute", "POST")
def execute(request: Request, caller: Caller) -> Response:
    """A market BUY."""
    order = read_order(_body(request), read_headers(request.to_original_event()), caller)
    here = engine()
    patience = _patience(request, here)
    outcome = here.executor.execute(order, patience)
    figures = {}
    if settings.on_lambda:
        figures = metrics.of_order(settings.table_prefix, utc_now(), outcome, patience, cold_start=_is_first())
    log.info(
        "order",
        request_id=_request_id(request),
        user_id=order.user_id,
        **_decided(order, outcome),
        attempts=outcome.attempts,
        **figures,
    )
    replayed = {"Idempotent-Replayed": "true"} if outcome.replayed else {}
    return _json(outcome.record.reply, outcome.record.status, replayed)


@route("/api/v1/trading/execute/batch", "POST")
def execute_batch(request: Request, caller: Caller) -> Response:
    """Several market BUYs for one account, each for itself."""
    batch = read_batch(_body(request), caller)
    here = engine()
    patience = _patience(request, here)
    told = list(results(batch, here.executor.execute_batch(batch.orders, patience)))
    now = utc_now()
    figures = {}
    if settings.on_lambda:
        outcomes = [result.outcome for result in told if isinstance(result.outcome, Outcome)]
        figures = metrics.of_batch(settings.table_prefix, now, outcomes, patience, cold_start=_is_first())
        for counts in metrics.of_batch_results(settings.table_prefix, now, [result.outcome for result in told]):
            log.info("orders", request_id=_request_id(request), **counts)
    log.info(
        "batch",
        request_id=_request_id(request),
        user_id=batch.user_id,
        orders=[_result(result) for result in told],
        **figures,
    )
    return _json(batch_body(told, now))


def _is_first() -> bool:
    """Whether this is the process's first order: the one that waited for it to start."""
    return next(_orders) == 0


def _decided(order: Order, outcome: Outcome) -> dict[str, Any]:
    """What the log says of an order that has an outcome."""
    movement = outcome.record.movement
    return {
        "idempotency_key": order.idempotency_key,
        "order": order.fingerprint,
        "status": outcome.record.status,
        "replayed": outcome.replayed,
        "sequence": movement.sequence if movement else None,
    }


def _result(result: Result) -> dict[str, Any]:
    if isinstance(result.outcome, Outcome) and result.order is not None:
        return _decided(result.order, result.outcome)
    assert isinstance(result.outcome, EngineError), "only an order has another outcome than an error"
    return {"idempotency_key": result.idempotency_key, "error_code": result.outcome.code, "message": str(result.outcome)}


@route("/api/v1/trading/portfolio/{user_id}")
def portfolio(request: Request, caller: Caller, user_id: str) -> Response:
    """What a user holds, and what it is worth."""
    number = read_user_id(user_id)
    caller.require(number)
    here = engine()
    return _json(portfolio_body(here.queries.portfolio(number, _patience(request, here))))


@route("/api/v1/trading/assets")
def assets(request: Request, _: Caller) -> Response:
    """What can be traded, at what price."""
    here = engine()
    return _json(assets_body(here.queries.assets(_patience(request, here))))


@route("/health", public=True)
def health(_: Request) -> Response:
    """Whether the process answers; it asks nothing of the datastore."""
    return _json(json.dumps({"status": "ok", "engine": f"HFT Trading Engine v{__version__}"}))


@route("/openapi.json", public=True)
def openapi(_: Request) -> Response:
    """The description of this API."""
    from chalicelib.api.openapi import document  # nothing that trades needs it

    return _json(json.dumps(document()))


@route("/docs", public=True)
def docs_page(request: Request) -> Response:
    """Swagger UI."""
    return Response(
        docs.page(request.context["path"]),
        {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": docs.CONTENT_SECURITY_POLICY},
    )


@route("/docs/{asset}", public=True)
def docs_asset(_: Request, asset: str) -> Response:
    """What the page is made of."""
    found = docs.asset(asset)
    if found is None:
        raise RouteNotFound
    content, content_type = found
    return Response(content, {"Content-Type": content_type, "Cache-Control": "public, max-age=86400"})


gc.freeze()
gc.enable()

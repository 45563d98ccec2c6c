"""The routes of orders' keys: look-up and void."""

import json
from collections.abc import Callable

from chalice.app import Blueprint, Request, Response

from chalicelib.api.endpoint import Endpoint, body_of, json_response, query_of, request_id
from chalicelib.config import Settings
from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import OrderDecided
from chalicelib.contract.replies import record_body, reply_of
from chalicelib.contract.requests import read_key_parameter, read_query, read_user_id, read_void
from chalicelib.domain.facts import Void
from chalicelib.domain.timestamps import rfc3339
from chalicelib.engine import Engine
from chalicelib.runtime.world import utc_now
from chalicelib.telemetry import log


def blueprint(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """Returns the routes of orders' keys."""
    routes = Blueprint(__name__)
    endpoint = Endpoint(routes, settings, engine)

    @endpoint.route("/api/v1/trading/orders/{user_id}/lookup", query=("idempotency_key",))
    def lookup(request: Request, caller: Caller, user_id: str) -> Response:
        """Returns the record under an order's key."""
        number = read_user_id(user_id)
        caller.require_reader(number)
        key = read_key_parameter(read_query(query_of(request), ("idempotency_key",)))
        return json_response(json.dumps(record_body(engine().queries.order(number, key, endpoint.deadline(request)))))

    @endpoint.route("/api/v1/trading/orders/{user_id}/void", "POST")
    def void(request: Request, caller: Caller, user_id: str) -> Response:
        """Makes sure that a key never executes."""
        number = read_user_id(user_id)
        caller.require_reader(number)
        key = read_void(body_of(request))
        try:
            outcome = engine().voids.make(Void(number, key), endpoint.deadline(request))
        except OrderDecided as error:
            body = error.body(rfc3339(utc_now()), order=record_body(error.record))
            return json_response(body, error.status)
        status, body = reply_of(outcome.record)
        log.info(
            "void",
            request_id=request_id(request),
            user_id=number,
            idempotency_key=key,
            replayed=outcome.replayed,
            sequence=outcome.record.sequence,
        )
        return json_response(body, status, {"Idempotent-Replayed": "true"} if outcome.replayed else {})

    return routes

"""The operator's routes: prices, transfers, listings, halts. They exist only where the stage turns them on."""

import json
from collections.abc import Callable

from chalice.app import Blueprint, Request, Response

from chalicelib.api.endpoint import Endpoint, body_of, json_response, request_id
from chalicelib.config import Settings
from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import FieldError, ValidationFailed
from chalicelib.contract.operator import read_listing, read_prices, read_transfer
from chalicelib.contract.replies import asset_body, reply_of
from chalicelib.contract.requests import read_headers, read_symbol
from chalicelib.domain.asset import Asset
from chalicelib.engine import Engine
from chalicelib.runtime.world import utc_now
from chalicelib.store.assets import HeldPrice, ImmutableAsset
from chalicelib.telemetry import emf, log
from chalicelib.trading.listings import PriceResult

OPERATOR = "/api/v1/operator"


def blueprint(settings: Settings, engine: Callable[[], Engine]) -> Blueprint:
    """Returns the operator's routes."""
    routes = Blueprint(__name__)
    endpoint = Endpoint(routes, settings, engine)

    @endpoint.route(f"{OPERATOR}/prices", "PUT")
    def prices(request: Request, caller: Caller) -> Response:
        """Sets prices, each by itself: a newer one wins, and one that moves too far is held."""
        caller.require_operator()
        wanted = read_prices(body_of(request), utc_now())
        results = engine().listings.set_prices(wanted.prices, wanted.as_of, wanted.allow_move, endpoint.deadline(request))
        held = [symbol for symbol, result in results.items() if result is PriceResult.HELD]
        figures = {}
        if settings.on_lambda and held:
            figures = emf.of_held_prices(settings.table_prefix, utc_now(), len(held))
        log.info("prices", request_id=request_id(request), source=wanted.source, results=results, held=held, **figures)
        return json_response(json.dumps({"results": results}))

    @endpoint.route(f"{OPERATOR}/transfers", "POST")
    def transfers(request: Request, caller: Caller) -> Response:
        """Funds or debits an account, once per key."""
        caller.require_operator()
        transfer = read_transfer(body_of(request), read_headers(request.to_original_event()))
        outcome = engine().transfers.make(transfer, endpoint.deadline(request))
        status, body = reply_of(outcome.record)
        log.info(
            "transfer",
            request_id=request_id(request),
            user_id=transfer.user_id,
            idempotency_key=transfer.key,
            transfer=transfer.fingerprint,
            replayed=outcome.replayed,
            sequence=outcome.record.sequence,
        )
        return json_response(body, status, {"Idempotent-Replayed": "true"} if outcome.replayed else {})

    @endpoint.route(f"{OPERATOR}/assets/{{symbol}}", "PUT")
    def assets(request: Request, caller: Caller, symbol: str) -> Response:
        """Lists an asset, or changes its rules."""
        caller.require_operator()
        name = read_symbol(symbol)
        price, rules = read_listing(body_of(request))
        return _changed(lambda: engine().listings.put(name, price, rules, utc_now(), endpoint.deadline(request)))

    @endpoint.route(f"{OPERATOR}/assets/{{symbol}}/halt", "POST")
    def halt(request: Request, caller: Caller, symbol: str) -> Response:
        """Stops trading in an asset."""
        caller.require_operator()
        name = read_symbol(symbol)
        return _changed(lambda: engine().listings.set_halted(name, endpoint.deadline(request), halted=True))

    @endpoint.route(f"{OPERATOR}/assets/{{symbol}}/resume", "POST")
    def resume(request: Request, caller: Caller, symbol: str) -> Response:
        """Opens trading in an asset again."""
        caller.require_operator()
        name = read_symbol(symbol)
        return _changed(lambda: engine().listings.set_halted(name, endpoint.deadline(request), halted=False))

    return routes


def _changed(change: Callable[[], Asset]) -> Response:
    try:
        asset = change()
    except ImmutableAsset as immutable:
        raise ValidationFailed(FieldError("symbol", str(immutable))) from None
    except HeldPrice as held:
        raise ValidationFailed(FieldError("price", str(held))) from None
    log.info("asset", asset=json.loads(asset_body(asset)))
    return json_response(asset_body(asset))

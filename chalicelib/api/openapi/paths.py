"""Every route, with examples that come from the engine's own functions."""

import json
from typing import Any

from chalicelib import __version__
from chalicelib.api import pages as docs
from chalicelib.api.batch_results import Result, batch_body
from chalicelib.api.openapi.parts import (
    AT,
    REPLAYED,
    SERVICE,
    TRADING,
    Json,
    in_path,
    json_content,
    operation,
    refusal,
    reply,
    response,
)
from chalicelib.contract import errors
from chalicelib.contract.batch import MAX_BATCH_BODY_BYTES
from chalicelib.contract.caller import Caller
from chalicelib.contract.errors import FieldError
from chalicelib.contract.fields import KEY_SCHEMA, USER_ID_MESSAGE
from chalicelib.contract.replies import assets_body, portfolio_body, reply_of
from chalicelib.contract.requests import KEY_HEADERS, MAX_BODY_BYTES, read_order
from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Transfer
from chalicelib.domain.money import PRICE_PER_USD, UNITS_PER_ONE
from chalicelib.domain.order import Order
from chalicelib.domain.portfolio import value
from chalicelib.domain.record import Record
from chalicelib.domain.timestamps import rfc3339
from chalicelib.domain.transfer import transfer
from chalicelib.trading.instruction import Outcome

# The market that a local run opens with, so that the examples work there as they stand here.
ASSETS = {
    symbol: Asset(symbol, usd * PRICE_PER_USD, rfc3339(AT))
    for symbol, usd in (("BTC", 50_000), ("ETH", 3_000), ("SOL", 100), ("USD", 1))
}


def _funded(user_id: int, units: int) -> Account:
    funding = transfer(Account(user_id), Transfer(user_id, "seed", "USD", units), ASSETS["USD"], AT)
    return append(Account(user_id), funding)[0]


def _decided(order: Order, account: Account) -> tuple[Account, Record]:
    return append(account, decide(order, account, ASSETS, AT, "MainThread"))


ACCOUNT = _funded(1, 100_000 * UNITS_PER_ONE)

KEY = "order-1"
ORDERS = {
    "Buy BTC with USD": {"user_id": 1, "symbol": "BTC", "pay_with": "USD", "quantity": "1.0"},
    "Buy ETH with BTC, at the cross rate": {"user_id": 1, "symbol": "ETH", "pay_with": "BTC", "quantity": "2.5"},
    "Sell BTC: buy USD with it": {"user_id": 1, "symbol": "USD", "pay_with": "BTC", "quantity": "1000"},
}
"""Orders by what they do. Swagger UI fills in the first."""

BATCH: Json = {
    "user_id": 1,
    "orders": [
        {"idempotency_key": "order-1", "symbol": "BTC", "pay_with": "USD", "quantity": "0.5"},
        {"idempotency_key": "order-2", "symbol": "ETH", "pay_with": "BTC", "quantity": "1.25"},
    ],
}

ORDER, ANOTHER, *_ = (
    read_order(json.dumps(body).encode(), {KEY_HEADERS[0].lower(): [KEY]}, Caller(user_id=1, expires_at_s=0))
    for body in ORDERS.values()
)
ACCOUNT_AFTER, RECORD = _decided(ORDER, ACCOUNT)


def paths() -> Json:
    """The document's ``paths``."""
    return {
        "/api/v1/trading/execute": {"post": _execute()},
        "/api/v1/trading/execute/batch": {"post": _execute_batch()},
        "/api/v1/trading/portfolio/{user_id}": {"get": _portfolio()},
        "/api/v1/trading/assets": {"get": _assets()},
        "/health": {"get": _health()},
        "/openapi.json": {"get": _openapi()},
        "/docs": {"get": _docs()},
        "/docs/{asset}": {"get": _docs_asset()},
    }


def otherwise() -> Json:
    """What any path may answer, whether this document knows it or not."""
    return refusal(errors.RouteNotFound(), errors.MethodNotAllowed(), errors.TooManyRequests())


def _execute() -> Json:
    key, alias = KEY_HEADERS
    return operation(
        "executeOrder",
        TRADING,
        "Buy at the market price",
        "A market BUY. To sell is to buy the other way round: USD with BTC. Checked in this order: whose account it is, "
        "the body, the key, the outcome that the key has already, the assets, the funds.",
        reply("The order is filled.", "Fill", {"ORDER_FILLED": json.loads(reply_of(RECORD)[1])}, REPLAYED),
        errors.IdempotencyKeyRequired(),
        errors.InsufficientFunds("150000.00000000", "100000.00000000", "USD"),
        errors.Forbidden(),
        errors.AssetNotFound(["DOGE"]),
        errors.Contention(),
        errors.AssetHalted(["BTC"]),
        errors.TooLarge(MAX_BODY_BYTES),
        errors.ValidationFailed(FieldError("quantity", "must be more than 0")),
        errors.OrderRuleBroken("quantity", "is so small that rounding would cost more than 1 % of its value"),
        errors.IdempotencyKeyReused(ORDER.fingerprint, ANOTHER.fingerprint),
        errors.DatastoreUnavailable(),
        parameters=[
            {
                "name": key,
                "in": "header",
                "required": True,
                "description": "A value of your own: new for each order, the same when an order is sent again. It is trimmed, "
                f"and belongs to its user for ever. `{alias}` is the same thing.",
                "schema": KEY_SCHEMA,
                "example": KEY,
            },
            {
                "name": alias,
                "in": "header",
                "description": f"Another name for `{key}`: one of them is enough.",
                "schema": KEY_SCHEMA,
            },
        ],
        requestBody={
            "required": True,
            "description": f"At most {MAX_BODY_BYTES} bytes of JSON, whatever the content type says.",
            "content": json_content("Order", ORDERS),
        },
    )


def _execute_batch() -> Json:
    return operation(
        "executeBatch",
        TRADING,
        "Buy several times at once",
        "Up to 99 market BUYs for one account, each with a key of its own. They are decided in the order in which they are sent, "
        "each for itself: one that is refused, replayed or invalid does not stop the next. All that is decided is stored in one "
        "transaction, so a batch is much faster than its orders one by one. To try again, send the same batch, or any of its "
        "orders in any other: what counts is an order's key.",
        reply(
            "What became of each order, in its place. Every order that could not be decided for the time being says so in its "
            "status (`409 ERR_CONTENTION`, `503`): send those again, with their keys.",
            "BatchResults",
            {"A fill, a replayed refusal, and what is no order": json.loads(_batch_reply())},
        ),
        errors.Forbidden(),
        errors.TooLarge(MAX_BATCH_BODY_BYTES),
        errors.ValidationFailed(FieldError("orders[1].idempotency_key", "appears twice in the batch")),
        requestBody={
            "required": True,
            "description": f"At most {MAX_BATCH_BODY_BYTES} bytes of JSON, whatever the content type says.",
            "content": json_content("Batch", {"Two orders": BATCH}),
        },
    )


def _batch_reply() -> str:
    _, refusal = _decided(ORDER, _funded(1, 1))
    results = (
        Result(KEY, ORDER, Outcome(RECORD, replayed=False)),
        Result("order-2", ORDER, Outcome(refusal, replayed=True)),
        Result("order-3", None, errors.ValidationFailed(FieldError("quantity", "must be more than 0"))),
    )
    return batch_body(results, AT)


def _portfolio() -> Json:
    return operation(
        "getPortfolio",
        TRADING,
        "What a user holds, and what it is worth",
        "A consistent snapshot: never half of a trade. An account that nobody funded is an empty portfolio.",
        reply(
            "The portfolio.",
            "Portfolio",
            {"After a fill": _portfolio_of(ACCOUNT_AFTER), "Never funded": _portfolio_of(Account(2))},
        ),
        errors.Forbidden(),
        errors.ValidationFailed(FieldError("user_id", USER_ID_MESSAGE)),
        errors.DatastoreUnavailable(),
        parameters=[in_path("user_id", "Whose account.", 1, {"$ref": "#/components/schemas/UserId"})],
    )


def _portfolio_of(account: Account) -> Any:
    return json.loads(portfolio_body(value(account, ASSETS, AT)))


def _assets() -> Json:
    return operation(
        "listAssets",
        TRADING,
        "What can be traded, at what price",
        "Every asset, sorted by symbol.",
        reply("The assets.", "Assets", {"Four assets": json.loads(assets_body(list(ASSETS.values())))}),
        errors.DatastoreUnavailable(),
    )


def _health() -> Json:
    return operation(
        "getHealth",
        SERVICE,
        "Whether the process answers",
        "It asks nothing of the datastore.",
        reply("It does.", "Health", {"ok": {"status": "ok", "engine": f"HFT Trading Engine v{__version__}"}}),
        public=True,
    )


def _openapi() -> Json:
    return operation(
        "getOpenApi",
        SERVICE,
        "This document",
        "OpenAPI 3.1.",
        response("The document.", {"application/json": {"schema": {"type": "object"}}}),
        public=True,
    )


def _docs() -> Json:
    return operation(
        "getDocs",
        SERVICE,
        "Swagger UI",
        "This document, as a page to try things out on.",
        response("The page.", {"text/html": {"schema": {"type": "string"}}}),
        public=True,
    )


def _docs_asset() -> Json:
    return operation(
        "getDocsAsset",
        SERVICE,
        "A file of Swagger UI",
        "A script or a style sheet of the page.",
        response("The file.", {kind: {"schema": {"type": "string"}} for kind in ("text/css", "text/javascript")}),
        errors.RouteNotFound(),
        public=True,
        parameters=[in_path("asset", "The file's name.", "start.js", {"enum": list(docs.CONTENT_TYPES)})],
    )

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
    in_query,
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
from chalicelib.contract.replies import assets_body, portfolio_body, preview_body, record_body, reply_of
from chalicelib.contract.requests import KEY_HEADERS, MAX_BODY_BYTES, MAX_SEQUENCE, read_order
from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Transfer, Void, Voided
from chalicelib.domain.history import MAX_LIMIT
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
USER = in_path("user_id", "The account's user.", 1, {"$ref": "#/components/schemas/UserId"})
ORDERS = {
    "Buy BTC with USD": {"user_id": 1, "symbol": "BTC", "pay_with": "USD", "quantity": "1.0"},
    "Buy ETH with BTC, at the cross rate": {"user_id": 1, "symbol": "ETH", "pay_with": "BTC", "quantity": "2.5"},
    "Spend 250 USD on SOL": {"user_id": 1, "symbol": "SOL", "pay_with": "USD", "notional": "250.00"},
    "Sell BTC, at 49500 USD or more": {
        "user_id": 1,
        "side": "sell",
        "symbol": "BTC",
        "receive": "USD",
        "quantity": "0.1",
        "limit_price": "49500",
    },
}
"""Orders by what they do. Swagger UI fills in the first."""

BATCH: Json = {
    "user_id": 1,
    "orders": [
        {"idempotency_key": "order-1", "symbol": "BTC", "pay_with": "USD", "quantity": "0.5"},
        {"idempotency_key": "order-2", "side": "sell", "symbol": "BTC", "receive": "ETH", "quantity": "all"},
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
        "/api/v1/trading/preview": {"post": _preview()},
        "/api/v1/trading/orders/{user_id}/lookup": {"get": _lookup()},
        "/api/v1/trading/orders/{user_id}/void": {"post": _void()},
        "/api/v1/trading/portfolio/{user_id}": {"get": _portfolio()},
        "/api/v1/trading/history/{user_id}": {"get": _history()},
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
        "Buy or sell at the market price",
        "Checked in this order: whose account it is, the body, the key, the outcome that the key has already, the assets, the "
        "rules, the expiry, the limit, the funds.",
        reply("The order is filled.", "Fill", {"ORDER_FILLED": json.loads(reply_of(RECORD)[1])}, REPLAYED),
        errors.IdempotencyKeyRequired(),
        errors.InsufficientFunds("150000.00000000", "100000.00000000", "USD"),
        errors.Forbidden(),
        errors.AssetNotFound(["DOGE"]),
        errors.Contention(),
        errors.AssetHalted(["BTC"]),
        errors.OrderExpired("2026-02-21T14:00:00.000000Z"),
        errors.OrderVoided(rfc3339(AT)),
        errors.PriceLimitExceeded("50000.00000000", "49500.00000000", "BTC", "USD"),
        errors.LinkedOrderFailed(0),
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
        "Execute several orders at once",
        "Up to 99 orders of one account, each with a key of its own. They are decided in the order in which they are sent, "
        "each for itself: one that is refused, replayed or invalid does not stop the next. All that is decided is stored in one "
        "transaction, so a batch is much faster than its orders one by one. To try again, send the same batch, or any of its "
        "orders in any other: what counts is an order's key. With `all_or_nothing` either every order fills or none does; what "
        "cannot be decided for one is then the answer to the whole.",
        reply(
            "What became of each order, in its place. Every order that could not be decided for the time being says so in its "
            "status (`409 ERR_CONTENTION`, `503`): send those again, with their keys.",
            "BatchResults",
            {"A fill, a replayed refusal, and what is no order": json.loads(_batch_reply())},
        ),
        errors.IdempotencyKeyRequired("the field idempotency_key"),
        errors.Forbidden(),
        errors.AssetNotFound(["DOGE"]),
        errors.AssetHalted(["BTC"]),
        errors.Contention(),
        errors.OrdersDecided([0]),
        errors.TooLarge(MAX_BATCH_BODY_BYTES),
        errors.ValidationFailed(FieldError("orders[1].idempotency_key", "appears twice in the batch")),
        errors.DatastoreUnavailable(),
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


def _preview() -> Json:
    would = preview_body(RECORD.decision.outcome.value, *reply_of(RECORD))
    return operation(
        "previewOrder",
        TRADING,
        "What an order would be answered now",
        "Takes an order's body, and no key. Stores nothing.",
        reply("What the order would get.", "Preview", {"It would fill": json.loads(would)}),
        errors.Forbidden(),
        errors.TooLarge(MAX_BODY_BYTES),
        errors.ValidationFailed(FieldError("quantity", "must be more than 0")),
        errors.DatastoreUnavailable(),
        requestBody={"required": True, "content": json_content("Order", ORDERS)},
    )


def _lookup() -> Json:
    return operation(
        "lookUpOrder",
        TRADING,
        "What is stored under an order's key",
        "Never executes anything.",
        reply("The record.", "Record", {"A fill": record_body(RECORD)}),
        errors.IdempotencyKeyRequired("the parameter idempotency_key"),
        errors.Forbidden(),
        errors.OrderNotFound(),
        errors.ValidationFailed(FieldError("user_id", USER_ID_MESSAGE)),
        errors.DatastoreUnavailable(),
        parameters=[USER, in_query("idempotency_key", "The order's key.", KEY, KEY_SCHEMA, required=True)],
    )


def _void() -> Json:
    void = Void(1, "order-4")
    _, record = append(ACCOUNT_AFTER, Voided(void, rfc3339(AT)))
    return operation(
        "voidOrder",
        TRADING,
        "Make sure that a key never executes",
        "From then on `execute` with the key answers `410 ERR_ORDER_VOIDED`, whatever the order. Voiding twice is a replay.",
        reply("The key is void.", "Voided", {"ORDER_VOIDED": json.loads(reply_of(record)[1])}, REPLAYED),
        errors.IdempotencyKeyRequired("the field idempotency_key"),
        errors.Forbidden(),
        errors.Contention(),
        errors.OrderDecided(RECORD),
        errors.TooLarge(MAX_BODY_BYTES),
        errors.ValidationFailed(FieldError("user_id", USER_ID_MESSAGE)),
        errors.DatastoreUnavailable(),
        parameters=[USER],
        requestBody={"required": True, "content": json_content("Void", {"A key": {"idempotency_key": "order-4"}})},
    )


def _history() -> Json:
    page = {"records": [record_body(RECORD)], "next": "before=2", "sequence": 2}
    return operation(
        "getHistory",
        TRADING,
        "Every decision of an account",
        "One number each, 1, 2, 3 … without a gap, refusals included. Newest first; with `after`, oldest first, for those who "
        "keep a copy. Text and head of each record verify the whole history.",
        reply("A page of records.", "History", {"The newest": page}),
        errors.Forbidden(),
        errors.ValidationFailed(FieldError("limit", f"must be a whole number from 1 to {MAX_LIMIT}")),
        errors.DatastoreUnavailable(),
        parameters=[
            USER,
            in_query("limit", "The most records of a page.", 50, _whole(1, MAX_LIMIT)),
            in_query("before", "Only records before this one.", 3, _whole(1, MAX_SEQUENCE)),
            in_query("after", "Only records after this one; not with `before`.", 1, _whole(0, MAX_SEQUENCE)),
        ],
    )


def _whole(least: int, most: int) -> Json:
    return {"type": "integer", "format": "int64", "minimum": least, "maximum": most}


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
        parameters=[USER],
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

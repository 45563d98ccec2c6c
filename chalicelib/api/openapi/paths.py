"""Every route, with examples that come from the engine's own functions."""

import json
from datetime import timedelta
from typing import Any

from chalicelib import __version__
from chalicelib.api import pages as docs
from chalicelib.api.batch_results import batch_body, result_of
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
from chalicelib.contract.errors import EngineError, FieldError, in_batch
from chalicelib.contract.fields import KEY_SCHEMA, SYMBOL, USER_ID_MESSAGE
from chalicelib.contract.replies import (
    assets_body,
    candles_body,
    history_body,
    portfolio_body,
    preview_body,
    record_body,
    reply_of,
)
from chalicelib.contract.requests import KEY_HEADERS, MAX_BODY_BYTES, MAX_SEQUENCE, read_order
from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.candle import MAX_CANDLES, Chart, Interval, OpenCandles
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import OrderOutcome, Transfer, Void, Voided
from chalicelib.domain.history import MAX_LIMIT, Paging, page
from chalicelib.domain.linked import append_linked
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


def _funded(user_id: int, units: int) -> tuple[Account, Record]:
    funding = transfer(Account(user_id), Transfer(user_id, "seed", "USD", units), ASSETS["USD"], AT)
    return append(Account(user_id), funding)


def _decided(order: Order, account: Account) -> tuple[Account, Record]:
    return append(account, decide(order, account, ASSETS, AT, "MainThread"))


def _order(body: Json, key: str) -> Order:
    return read_order(json.dumps(body).encode(), {KEY_HEADERS[0].lower(): [key]}, Caller(user_id=1, expires_at_s=0))


ACCOUNT, FUNDING = _funded(1, 100_000 * UNITS_PER_ONE)

KEY = "order-1"
ORDERS: dict[str, Json] = {
    "Buy BTC with USD": {"user_id": 1, "symbol": "BTC", "pay_with": "USD", "quantity": "1.0"},
    "Buy ETH with BTC, at the cross rate": {"user_id": 1, "symbol": "ETH", "pay_with": "BTC", "quantity": "2.5"},
    "Buy SOL for at most 250 USD": {"user_id": 1, "symbol": "SOL", "pay_with": "USD", "notional": "250.00"},
    "Sell BTC for USD": {"user_id": 1, "side": "sell", "symbol": "BTC", "receive": "USD", "quantity": "0.5"},
    "Sell the rest, at 49500 USD or better, until a time": {
        "user_id": 1,
        "side": "sell",
        "symbol": "BTC",
        "receive": "USD",
        "quantity": "all",
        "limit_price": "49500",
        "expires_at": "2099-12-31T23:59:59Z",
    },
}
"""Orders by what they do. Swagger UI fills in the first."""

BATCH: Json = {
    "user_id": 1,
    "orders": [
        {"idempotency_key": "order-1", "symbol": "BTC", "pay_with": "USD", "quantity": "0.5"},
        {"idempotency_key": "order-2", "side": "sell", "symbol": "BTC", "receive": "USD", "quantity": "all"},
    ],
}
BATCHES: dict[str, Json] = {"Each for itself": BATCH, "All or nothing": BATCH | {"all_or_nothing": True}}

BUY, CROSS, _SPEND, SELL, _SELL_ALL = ORDERS.values()
ORDER, ANOTHER = _order(BUY, KEY), _order(CROSS, KEY)
TOO_DEAR = _order({**BUY, "quantity": "3.0"}, "order-3")
AFTER_BUY, BOUGHT = _decided(ORDER, ACCOUNT)
AFTER_SELL, SOLD = _decided(_order(SELL, "order-2"), AFTER_BUY)
AFTER_REFUSAL, REFUSED = _decided(TOO_DEAR, AFTER_SELL)
VOIDED = append(AFTER_REFUSAL, Voided(Void(1, "order-4"), rfc3339(AT)))[1]

NOT_POSITIVE = FieldError("quantity", "must be more than 0")
STALE = errors.PriceStale({"BTC": rfc3339(AT)}, 60)
ROUNDS_BADLY = "is so small that rounding would cost more than 1 % of its value (rule rounding)"


def paths() -> Json:
    """Returns the document's ``paths``."""
    return {
        "/api/v1/trading/execute": {"post": _execute()},
        "/api/v1/trading/execute/batch": {"post": _execute_batch()},
        "/api/v1/trading/preview": {"post": _preview()},
        "/api/v1/trading/orders/{user_id}/lookup": {"get": _lookup()},
        "/api/v1/trading/orders/{user_id}/void": {"post": _void()},
        "/api/v1/trading/portfolio/{user_id}": {"get": _portfolio()},
        "/api/v1/trading/history/{user_id}": {"get": _history()},
        "/api/v1/trading/assets": {"get": _assets()},
        "/api/v1/trading/candles/{symbol}": {"get": _candles()},
        "/health": {"get": _health()},
        "/openapi.json": {"get": _openapi()},
        "/docs": {"get": _docs()},
        "/docs/{asset}": {"get": _docs_asset()},
    }


def otherwise() -> Json:
    """Returns the answers that any path may give, known to this document or not."""
    return refusal(errors.RouteNotFound(), errors.MethodNotAllowed(), errors.TooManyRequests())


def _user_in_path() -> Json:
    return in_path("user_id", "The account's user.", 1, {"$ref": "#/components/schemas/UserId"})


def _body_of(schema: str, examples: Json, max_bytes: int = MAX_BODY_BYTES) -> Json:
    return {
        "required": True,
        "description": f"At most {max_bytes} bytes of JSON, whatever the content type says.",
        "content": json_content(schema, examples),
    }


def _execute() -> Json:
    key, alias = KEY_HEADERS
    fills = {"ORDER_FILLED": json.loads(reply_of(BOUGHT)[1]), "A sell": json.loads(reply_of(SOLD)[1])}
    return operation(
        "executeOrder",
        TRADING,
        "Buy or sell at the market price",
        "A market order. Checked in this sequence: the caller, the body, the key, the outcome that the key already has, "
        "the assets, trading rules, expiry, limit, funds.",
        reply("The order is filled.", "Fill", fills, REPLAYED),
        errors.IdempotencyKeyRequired(),
        errors.InsufficientFunds("150000.00000000", "100000.00000000", "USD"),
        errors.Forbidden(),
        errors.AssetNotFound(["DOGE"]),
        errors.Contention(),
        errors.AssetHalted(["BTC"]),
        STALE,
        errors.OrderExpired("2026-02-21T14:00:00.000000Z"),
        errors.OrderVoided(rfc3339(AT)),
        errors.PriceLimitExceeded("50000.00000000", "49500.00000000", "BTC", "USD"),
        errors.TooLarge(MAX_BODY_BYTES),
        errors.ValidationFailed(NOT_POSITIVE),
        errors.OrderRuleBroken("quantity", ROUNDS_BADLY),
        errors.IdempotencyKeyReused(ORDER.fingerprint, ANOTHER.fingerprint),
        errors.LinkedOrderFailed(0),
        errors.DatastoreUnavailable(),
        parameters=[
            {
                "name": key,
                "in": "header",
                "required": True,
                "description": "A value that you choose: new for each order, the same when an order is sent again. It is "
                f"trimmed, and belongs to its user for ever. `{alias}` is the same thing.",
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
        requestBody=_body_of("Order", ORDERS),
    )


def _execute_batch() -> Json:
    return operation(
        "executeBatch",
        TRADING,
        "Execute several orders at once",
        "Up to 99 orders of one account, each with a key of its own, decided in the sequence in which they are sent. Each is "
        "decided for itself: a refused, replayed or invalid order does not stop the next. All decisions are stored in one "
        "transaction, so that a batch is much faster than its orders one by one. With `all_or_nothing` either every order fills "
        "or none does; where one cannot be decided, or only some have outcomes, its error answers the whole request. To try "
        "again, send the same batch; each for itself, its orders may be sent in any other way too.",
        reply(
            "The result of each order, in its place. A result with status `409 ERR_CONTENTION` or `503` can be sent again, with "
            "its key.",
            "BatchResults",
            {
                "A fill, a replayed refusal, and what is no order": json.loads(_batch_reply()),
                "All or nothing: one refusal, and the order that it stopped": json.loads(_linked_reply()),
            },
        ),
        *_of_second(
            errors.IdempotencyKeyRequired("the field idempotency_key"),
            errors.AssetNotFound(["DOGE"]),
            errors.AssetHalted(["BTC"]),
            errors.PriceStale({"BTC": rfc3339(AT)}, 60),
            errors.OrderRuleBroken("quantity", ROUNDS_BADLY),
        ),
        errors.Forbidden(),
        errors.Contention(),
        errors.OrdersDecided([1]),
        errors.TooLarge(MAX_BATCH_BODY_BYTES),
        errors.ValidationFailed(FieldError("orders[1].idempotency_key", "appears twice in the batch")),
        errors.IdempotencyKeyReused(ORDER.fingerprint, ANOTHER.fingerprint),
        errors.DatastoreUnavailable(),
        requestBody=_body_of("Batch", BATCHES, MAX_BATCH_BODY_BYTES),
    )


def _of_second(*samples: EngineError) -> list[EngineError]:
    """Returns errors as an all-or-nothing batch has them for its second order."""
    return [in_batch(sample, [1]) for sample in samples]


def _batch_reply() -> str:
    poor, _ = _funded(1, 1)
    _, refused = _decided(ORDER, poor)
    results = (
        result_of(KEY, ORDER, Outcome(BOUGHT, replayed=False), AT),
        result_of("order-2", ORDER, Outcome(refused, replayed=True), AT),
        result_of("order-3", None, errors.ValidationFailed(NOT_POSITIVE), AT),
    )
    return batch_body(results)


def _linked_reply() -> str:
    orders = [ORDER, TOO_DEAR]
    _, records = append_linked(ACCOUNT, orders, ASSETS, AT, "MainThread")
    results = [
        result_of(order.idempotency_key, order, Outcome(record, replayed=False), AT)
        for order, record in zip(orders, records, strict=True)
    ]
    return batch_body(results)


def _preview() -> Json:
    refused = errors.OrderRuleBroken("quantity", ROUNDS_BADLY)
    previews = {
        "It would fill": preview_body(OrderOutcome.FILLED.value, *reply_of(BOUGHT)),
        "It would be refused": preview_body(OrderOutcome.LIQUIDITY.value, *reply_of(REFUSED)),
        "It would not be decided": preview_body(refused.code, refused.status, refused.body(rfc3339(AT))),
    }
    return operation(
        "previewOrder",
        TRADING,
        "Preview an order",
        "Returns the answer that an order would get now. Stores nothing, and takes no key.",
        reply("The answer.", "Preview", {name: json.loads(preview) for name, preview in previews.items()}),
        errors.Forbidden(),
        errors.TooLarge(MAX_BODY_BYTES),
        errors.ValidationFailed(NOT_POSITIVE),
        errors.DatastoreUnavailable(),
        requestBody=_body_of("Order", ORDERS),
    )


def _lookup() -> Json:
    return operation(
        "lookUpOrder",
        TRADING,
        "Look up an order by its key",
        "Returns what is stored under an order's key now. Never executes. Where nothing is stored, a request under way may still "
        "store something; a void prevents it.",
        reply("The record, as the history has it.", "Record", {"A fill": record_body(BOUGHT), "A void": record_body(VOIDED)}),
        errors.IdempotencyKeyRequired("the parameter idempotency_key"),
        errors.Forbidden(),
        errors.OrderNotFound(),
        errors.ValidationFailed(FieldError("user_id", USER_ID_MESSAGE)),
        errors.DatastoreUnavailable(),
        parameters=[
            _user_in_path(),
            in_query("idempotency_key", "The order's key.", KEY, KEY_SCHEMA, required=True),
        ],
    )


def _void() -> Json:
    return operation(
        "voidOrder",
        TRADING,
        "Void an order's key",
        "Makes sure that the key never executes: from then on an order with it, whatever its terms, is answered with "
        "`410 ERR_ORDER_VOIDED`. Where the key has an outcome, the answer contains it. Voiding twice is a replay.",
        reply("The key never executes.", "Voided", {"ORDER_VOIDED": json.loads(reply_of(VOIDED)[1])}, REPLAYED),
        errors.IdempotencyKeyRequired("the field idempotency_key"),
        errors.Forbidden(),
        errors.Contention(),
        errors.OrderDecided(BOUGHT),
        errors.TooLarge(MAX_BODY_BYTES),
        errors.ValidationFailed(FieldError("user_id", USER_ID_MESSAGE)),
        errors.DatastoreUnavailable(),
        parameters=[_user_in_path()],
        requestBody=_body_of("Void", {"A key": {"idempotency_key": "order-4"}}),
    )


def _portfolio() -> Json:
    return operation(
        "getPortfolio",
        TRADING,
        "Show an account's holdings and their value",
        "A consistent snapshot: never half of a trade. An account that nobody funded is an empty portfolio.",
        reply(
            "The portfolio.",
            "Portfolio",
            {"After a fill": _portfolio_of(AFTER_BUY), "Never funded": _portfolio_of(Account(2))},
        ),
        errors.Forbidden(),
        errors.ValidationFailed(FieldError("user_id", USER_ID_MESSAGE)),
        errors.DatastoreUnavailable(),
        parameters=[_user_in_path()],
    )


def _portfolio_of(account: Account) -> Any:
    return json.loads(portfolio_body(value(account, ASSETS, AT)))


def _history() -> Json:
    number = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_SEQUENCE}
    records = [FUNDING, BOUGHT, SOLD, REFUSED, VOIDED]
    return operation(
        "getHistory",
        TRADING,
        "Show every decision of an account",
        "Every decision of the account, numbered 1, 2, 3 … without gaps, refusals included. Newest first; with `after` oldest "
        "first, for a copy of the history. `before` and `after` cannot be combined.",
        reply(
            "A page of the history.",
            "History",
            {"All kinds of decisions": json.loads(history_body(page(Paging(limit=5), len(records), records)))},
        ),
        errors.Forbidden(),
        errors.ValidationFailed(FieldError("limit", f"must be a whole number from 1 to {MAX_LIMIT}")),
        errors.DatastoreUnavailable(),
        parameters=[
            _user_in_path(),
            in_query(
                "limit",
                "The largest number of records on the page.",
                Paging().limit,
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": Paging().limit},
            ),
            in_query("before", "Only records below this number, newest first.", 6, number),
            in_query("after", "Only records above this number, oldest first.", 0, number | {"minimum": 0}),
        ],
    )


def _assets() -> Json:
    return operation(
        "listAssets",
        TRADING,
        "List the assets, with prices and trading rules",
        "Every asset, sorted by symbol.",
        reply("The assets.", "Assets", {"Four assets": json.loads(assets_body(list(ASSETS.values())))}),
        errors.ValidationFailed(FieldError("page", "is not a parameter of this route")),
        errors.DatastoreUnavailable(),
    )


def _candles() -> Json:
    opened, confirmed = OpenCandles.opened(49_900 * PRICE_PER_USD, AT - timedelta(minutes=2)), 50_000 * PRICE_PER_USD
    minutes = [opened.then(50_100 * PRICE_PER_USD, AT - timedelta(minutes=2)).minute, OpenCandles.opened(confirmed, AT).minute]
    return operation(
        "getCandles",
        TRADING,
        "Show the candles of an asset",
        "The last candles of the interval, oldest first, the one under way included. Each contains the prices that were set in "
        "its time, and those that were confirmed. A time without a price has no candle. Candles of 1m and 5m go back 2 days, "
        "those of 1h and 1d 400 days. USD has none.",
        reply("The candles.", "Candles", {"Two minutes": json.loads(candles_body(minutes)), "None": []}),
        errors.AssetNotFound(["DOGE"]),
        errors.ValidationFailed(FieldError("interval", f"must be one of {', '.join(Interval)}")),
        errors.DatastoreUnavailable(),
        parameters=[
            in_path("symbol", "The asset; case does not matter.", "BTC", {"type": "string", "pattern": SYMBOL.schema["pattern"]}),
            in_query(
                "interval",
                "The length of a candle.",
                Interval.MINUTE.value,
                {"type": "string", "enum": [each.value for each in Interval], "default": Chart().interval.value},
            ),
            in_query(
                "limit",
                "The largest number of candles.",
                Chart().limit,
                {"type": "integer", "minimum": 1, "maximum": MAX_CANDLES, "default": Chart().limit},
            ),
            in_query(
                "before",
                "Only candles that start before this time. RFC 3339 with an offset.",
                "2099-12-31T23:59:59Z",
                {"type": "string", "format": "date-time"},
            ),
        ],
    )


def _health() -> Json:
    return operation(
        "getHealth",
        SERVICE,
        "Check that the process answers",
        "Makes no call to the datastore.",
        reply("The process answers.", "Health", {"ok": {"status": "ok", "engine": f"HFT Trading Engine v{__version__}"}}),
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
        "A page to read this document and to try requests.",
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

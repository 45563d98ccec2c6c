"""The JSON Schemas that the OpenAPI document publishes: an order as it is validated, replies as they are sent."""

from collections.abc import Iterable
from typing import Any

from chalicelib.contract.fields import (
    BATCH_FIELDS,
    EXPIRES_AT,
    IDEMPOTENCY_KEY,
    LIMIT_PRICE,
    MAX_BATCH_ORDERS,
    NOTIONAL,
    PAY_WITH,
    QUANTITY,
    RECEIVE,
    SIDE,
    SYMBOL,
    USER_ID,
    Field,
)
from chalicelib.domain.money import DECIMALS

Schema = dict[str, Any]


def schemas(error_codes: Iterable[str]) -> dict[str, Schema]:
    """Every schema by its name in ``components/schemas``. Replies may gain fields; an order takes none but its own."""
    return {
        "Order": _order(USER_ID),
        "Batch": _request(BATCH_FIELDS),
        "BatchOrder": _order(IDEMPOTENCY_KEY),
        "Void": _request((IDEMPOTENCY_KEY,)),
        "Fill": _object(
            {
                "status": {"const": "ORDER_FILLED"},
                "symbol": _described("Symbol", "The asset that was bought or sold."),
                "quantity_filled": {
                    "type": "string",
                    "pattern": _decimal_pattern("{1,8}", optional=True),
                    "description": "How much of `symbol` was bought or sold, at the scale in which the order gave it.",
                },
                "execution_price": _described(
                    "Price", "One `symbol` in the other asset, rounded half up. For display; the cost is computed exactly."
                ),
                "remaining_balance": _described("Amount", "What the account holds of the asset it gave, after this order."),
                "executed_at": _described("Time", "When the order was decided."),
                "executed_by_thread": {"type": "string", "description": "The thread of the engine that decided the order."},
                "side": {"enum": ["buy", "sell"], "description": "The order's side."},
                "fee": _described("Amount", "The fee, in the asset that the order trades `symbol` against."),
                "balances": {
                    **_by_symbol({"$ref": "#/components/schemas/Amount"}),
                    "description": "What the account holds of both assets after this order.",
                },
                "sequence": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "The place of this decision among all of the account: 1, 2, 3 … without gaps.",
                },
            },
            optional={
                "total_cost": _described("Amount", "On a buy: what was paid, rounded up, the fee included."),
                "paid_with": _described("Symbol", "On a buy: the asset that was paid with."),
                "total_proceeds": _described("Amount", "On a sell: what was received, rounded down, after the fee."),
                "received": _described("Symbol", "On a sell: the asset that was received."),
            },
        )
        | {"oneOf": [{"required": ["total_cost", "paid_with"]}, {"required": ["total_proceeds", "received"]}]},
        "Preview": _object(
            {
                "would": {"type": "string", "description": "`ORDER_FILLED`, or the code of the error."},
                "status": {"type": "integer", "minimum": 200, "maximum": 599, "description": "The status that it would have."},
                "reply": {
                    "type": "object",
                    "description": "The body that it would have, less what only an execution has: times, thread, sequence.",
                },
            }
        ),
        "Voided": _object(
            {
                "status": {"const": "ORDER_VOIDED"},
                "idempotency_key": {"type": "string", "description": "The key, which never executes from now on."},
                "voided_at": _described("Time", "When it was voided."),
                "sequence": {"type": "integer", "minimum": 1, "description": "The place among the account's decisions."},
            }
        ),
        "Transfer": _object(
            {
                "status": {"enum": ["ACCOUNT_FUNDED", "ACCOUNT_DEBITED"], "description": "In, or out."},
                "symbol": _described("Symbol", "The asset."),
                "amount": _described("Amount", "How much of it."),
                "balance": _described("Amount", "The balance after it."),
                "sequence": {"type": "integer", "minimum": 1, "description": "The place among the account's decisions."},
            }
        ),
        "Record": _object(
            {
                "sequence": {"type": "integer", "minimum": 1, "description": "Its place: 1, 2, 3 … without gaps."},
                "idempotency_key": {"type": "string", "description": "The key that it was stored under."},
                "kind": {"enum": ["order", "transfer", "void"], "description": "What was decided."},
                "outcome": {"type": "string", "description": "The outcome's name: of a refusal its error's code."},
                "status": {"type": "integer", "minimum": 200, "maximum": 599, "description": "The status of the reply."},
                "decided_at": _described("Time", "When it was decided."),
                "reply": {
                    "description": "The reply, the same at once and at every replay.",
                    "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Fill", "Voided", "Transfer", "Error")],
                },
                "record": {"type": "string", "description": "The exact text that was stored."},
                "head": _described("Head", "The chain's value: SHA-256 of the previous head and `record`."),
            },
            optional={
                "order": {"type": "object", "description": "The order as it was understood."},
                "transfer": {"type": "object", "description": "The asset and the amount."},
            },
        ),
        "History": _object(
            {
                "records": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/Record"},
                    "description": "Newest first; with `after`, oldest first.",
                },
                "next": {"type": ["string", "null"], "description": "The parameter of the next page, such as `before=2`."},
                "sequence": {"type": "integer", "minimum": 0, "description": "How many decisions the account has seen."},
            },
            optional={
                "missing": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "description": "Sequences that this page lacks, since the index behind it lags: ask again.",
                }
            },
        ),
        "BatchResults": _object(
            {
                "results": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_BATCH_ORDERS,
                    "description": "One for each order, in its place.",
                    "items": {"$ref": "#/components/schemas/BatchResult"},
                }
            }
        ),
        "BatchResult": _object(
            {
                "idempotency_key": {
                    "type": ["string", "null"],
                    "description": "The order's key, trimmed; `null` where there is none, or none that could be one.",
                },
                "status": {
                    "type": "integer",
                    "minimum": 200,
                    "maximum": 599,
                    "description": "The HTTP status that the order would have got by itself.",
                },
                "replayed": {
                    "type": "boolean",
                    "description": "Whether an earlier request with this key decided the order: `body` is its reply.",
                },
                "body": {
                    "description": "What the order would have got by itself.",
                    "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Fill", "ErrorWithDetails", "Error")],
                },
            }
        ),
        "Portfolio": _object(
            {
                "user_id": _described("UserId", "Whose account it is."),
                "total_valuation_usd": {
                    "type": "string",
                    "pattern": _decimal_pattern("{2}"),
                    "description": "The sum of `usd_values`, rounded half up to cents.",
                },
                "holdings": {
                    **_by_symbol({"$ref": "#/components/schemas/Amount"}),
                    "description": "Balances by symbol, each in its own asset. Everything ever held is listed, zeros too.",
                },
                "usd_values": {
                    **_by_symbol(_or_null("Amount")),
                    "description": "What each holding is worth in USD, rounded half up; `null` where the asset has no price.",
                },
                "sequence": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "How many decisions the account has seen: the `sequence` of the last one.",
                },
                "head": _described("Head", "The head of the account's chain: that of its last record."),
                "valued_at": _described("Time", "When the account was read."),
                "net_deposits_usd": _described("SignedAmount", "What was put in, less what was taken out, in USD."),
                "positions": {**_by_symbol(_position()), "description": "Each holding's value, cost and gain, by symbol."},
                "realized_pl_usd": _described("SignedAmount", "What sales gained or lost, by average cost, in USD."),
            }
        ),
        "Asset": _object(
            {
                "symbol": _described("Symbol", "The asset's name in orders."),
                "price": _described("Price", "One of the asset in USD, exactly."),
                "price_at": _described("Time", "When the market set the price."),
                "halted": {"type": "boolean", "description": "Whether an operator halted trading in the asset."},
                "min_quantity": _described("Amount", "The smallest quantity of an order for the asset."),
                "quantity_step": _described("Amount", "Quantities of the asset are multiples of this."),
                "min_notional_usd": _described("Amount", "The smallest value of an order; of two assets' the larger holds."),
                "fee_bps": {
                    "type": "string",
                    "pattern": r"^[0-9]{1,4}(\.[0-9]{1,2})?$",
                    "description": "The fee in basis points; of two assets' the larger holds.",
                },
            }
        ),
        "Assets": {"type": "array", "items": {"$ref": "#/components/schemas/Asset"}},
        "Health": _object(
            {
                "status": {"const": "ok"},
                "engine": {"type": "string", "description": "The engine's name and version."},
            }
        ),
        "Error": _object(
            {
                "timestamp": {
                    "description": "When the request was refused; in a replay, when the order was. API Gateway's own answers "
                    "have its notation instead.",
                    "anyOf": [
                        {"$ref": "#/components/schemas/Time"},
                        {"type": "string", "pattern": r"^[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}(:[0-9]{2}){3} \+0000$"},
                    ],
                },
                "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
                "error_code": {"enum": sorted(error_codes), "description": "What happened, for a program to read."},
                "message": {"type": "string", "description": "What happened, for a person to read; its wording may change."},
            },
            optional={"order": _described("Record", "With `ERR_ORDER_DECIDED` on a void: the record under the key.")},
        ),
        "ErrorWithDetails": {
            "allOf": [{"$ref": "#/components/schemas/Error"}],
            **_object(
                {
                    "details": {
                        "type": "array",
                        "minItems": 1,
                        "description": "All that is wrong, not only the first thing; of many unknown fields the first few.",
                        "items": _object(
                            {
                                "field": {
                                    "type": "string",
                                    "description": "A field of the order or the path, a header, or `body`.",
                                },
                                "message": {"type": "string", "description": "What is wrong with it."},
                            }
                        ),
                    }
                }
            ),
        },
        "UserId": dict(USER_ID.schema["anyOf"][0]),
        "Head": {
            "type": "string",
            "pattern": "^([0-9a-f]{64})?$",
            "description": "SHA-256 in hexadecimal; empty before the first decision.",
        },
        "SignedAmount": {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{8}$", "examples": ["-12.50000000"]},
        "Price": {"type": "string", "pattern": _decimal_pattern("{8,}"), "examples": ["0.0000012345"]},
        "Amount": {"type": "string", "pattern": _decimal_pattern(f"{{{DECIMALS}}}"), "examples": ["50000.00000000"]},
        "Symbol": {"type": "string", "pattern": "^[A-Z0-9]{1,10}$", "examples": ["BTC"]},
        "Time": {
            "type": "string",
            "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
            "description": "RFC 3339, in UTC, with microseconds.",
            "examples": ["2026-02-21T14:01:48.011301Z"],
        },
    }


def _position() -> Schema:
    return _object(
        {
            "quantity": _described("Amount", "The balance."),
            "price": {**_or_null("Price"), "description": "One of the asset in USD; `null` where it has no price."},
            "price_at": {**_or_null("Time"), "description": "When the market set the price."},
            "value_usd": {**_or_null("Amount"), "description": "The value at that price, rounded half up."},
            "cost_basis_usd": _described("Amount", "What the balance cost, fees included, by average cost."),
            "average_price_usd": {**_or_null("Price"), "description": "The cost of one; `null` at quantity 0."},
            "unrealized_pl_usd": {**_or_null("SignedAmount"), "description": "The value less the cost."},
            "share": {
                "type": ["string", "null"],
                "pattern": r"^[01]\.[0-9]{4}$",
                "description": "The part of the total value; `null` where there is no price, or the total is 0.",
            },
        }
    )


def _or_null(name: str) -> Schema:
    return {"anyOf": [{"$ref": f"#/components/schemas/{name}"}, {"type": "null"}]}


def _object(properties: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": properties | (optional or {}), "required": list(properties)}


def _request(fields: Iterable[Field], title: str | None = None) -> Schema:
    """Returns what is sent to the engine: it takes no fields but its own."""
    named = {field.name: field for field in fields}
    return {
        **({"title": title} if title else {}),
        "type": "object",
        "properties": {name: dict(field.schema) for name, field in named.items()},
        "required": [name for name, field in named.items() if field.required],
        "additionalProperties": False,
    }


def _order(first: Field) -> Schema:
    """Returns the three forms of an order."""
    buy = _given(SIDE, optional=True, pattern="^[Bb][Uu][Yy]$", examples=["buy"])
    sell = _given(SIDE, pattern="^[Ss][Ee][Ll][Ll]$", examples=["sell"])
    exact = _given(QUANTITY, anyOf=QUANTITY.schema["anyOf"][:-1])  # "all" is for sells
    conditions = (LIMIT_PRICE, EXPIRES_AT)
    return {
        "type": "object",
        "oneOf": [
            _request((first, buy, SYMBOL, _given(PAY_WITH), exact, *conditions), "Buy a quantity"),
            _request((first, buy, SYMBOL, _given(PAY_WITH), _given(NOTIONAL), *conditions), "Buy for an amount"),
            _request((first, sell, SYMBOL, _given(RECEIVE), _given(QUANTITY), *conditions), "Sell"),
        ],
    }


def _given(field: Field, *, optional: bool = False, **keywords: Any) -> Field:
    """Returns a field as one form of an order has it, with other keywords. Only what is optional has a default."""
    schema = {keyword: value for keyword, value in field.schema.items() if optional or keyword != "default"}
    return Field(field.name, schema | keywords, field.convert, required=not optional)


def _by_symbol(values: Schema) -> Schema:
    return {"type": "object", "propertyNames": {"$ref": "#/components/schemas/Symbol"}, "additionalProperties": values}


def _described(name: str, description: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}", "description": description}


def _decimal_pattern(decimals: str, *, optional: bool = False) -> str:
    fraction = rf"\.[0-9]{decimals}"
    return f"^[0-9]+({fraction})?$" if optional else f"^[0-9]+{fraction}$"

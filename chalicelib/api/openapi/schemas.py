"""The JSON Schemas that the OpenAPI document publishes: an order as it is validated, replies as they are sent."""

from collections.abc import Iterable
from typing import Any

from chalicelib.contract.fields import BATCH_FIELDS, BATCH_ORDER_FIELDS, MAX_BATCH_ORDERS, ORDER_FIELDS, USER_ID, Field
from chalicelib.domain.money import DECIMALS

Schema = dict[str, Any]


def schemas(error_codes: Iterable[str]) -> dict[str, Schema]:
    """Every schema by its name in ``components/schemas``. Replies may gain fields; an order takes none but its own."""
    return {
        "Order": _request(ORDER_FIELDS),
        "Batch": _request(BATCH_FIELDS),
        "BatchOrder": _request(BATCH_ORDER_FIELDS),
        "Fill": _object(
            {
                "status": {"const": "ORDER_FILLED"},
                "symbol": _described("Symbol", "What was bought."),
                "quantity_filled": {
                    "type": "string",
                    "pattern": _decimal_pattern("{1,8}", optional=True),
                    "description": "How much of `symbol` was bought: the order's quantity, at the scale it was written in.",
                },
                "execution_price": _described(
                    "Amount", "One `symbol` in `paid_with`, rounded half up. Only shown: see `total_cost`."
                ),
                "total_cost": _described("Amount", "What was paid, in `paid_with`: exact, then rounded up."),
                "paid_with": _described("Symbol", "What was paid with."),
                "remaining_balance": _described("Amount", "What the account holds of `paid_with` after this order."),
                "executed_at": _described("Time", "When the order was decided."),
                "executed_by_thread": {"type": "string", "description": "The thread of the engine that decided the order."},
                "sequence": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "The place of this fill among all movements of the account's money: 1, 2, 3 … without gaps.",
                },
            }
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
                    "description": "What everything held is worth, in USD with 2 decimals: summed exactly, then rounded half up. "
                    "It may differ from the sum of `usd_values`, which are rounded one by one.",
                },
                "holdings": {
                    **_by_symbol({"$ref": "#/components/schemas/Amount"}),
                    "description": "Balances by symbol, each in its own asset. Everything ever held is listed, zeros too.",
                },
                "usd_values": {
                    **_by_symbol({"anyOf": [{"$ref": "#/components/schemas/Amount"}, {"type": "null"}]}),
                    "description": "What each holding is worth in USD, rounded half up; `null` where the asset has no price.",
                },
                "valued_at": _described("Time", "When the account was read."),
                "sequence": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "How many movements the account has seen: the `sequence` of the last one.",
                },
            }
        ),
        "Asset": _object(
            {
                "symbol": _described("Symbol", "The asset's name in orders."),
                "price": _described("Amount", "One of the asset in USD."),
            },
            optional={"halted": {"const": True, "description": "There while trading in the asset is halted."}},
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
            }
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
        "UserId": {keyword: USER_ID.schema[keyword] for keyword in ("type", "format", "minimum", "maximum")},
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


def _object(properties: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": properties | (optional or {}), "required": list(properties)}


def _request(fields: Iterable[Field]) -> Schema:
    """What is sent to the engine takes no fields but its own."""
    return {**_object({field.name: dict(field.schema) for field in fields}), "additionalProperties": False}


def _by_symbol(values: Schema) -> Schema:
    return {"type": "object", "propertyNames": {"$ref": "#/components/schemas/Symbol"}, "additionalProperties": values}


def _described(name: str, description: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}", "description": description}


def _decimal_pattern(decimals: str, *, optional: bool = False) -> str:
    fraction = rf"\.[0-9]{decimals}"
    return f"^[0-9]+({fraction})?$" if optional else f"^[0-9]+{fraction}$"

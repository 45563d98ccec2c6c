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
                    "Price", "One `symbol` in `paid_with`, rounded half up. For display; `total_cost` is computed exactly."
                ),
                "total_cost": _described("Amount", "What was paid, in `paid_with`: exact, then rounded up; the fee included."),
                "paid_with": _described("Symbol", "What was paid with."),
                "remaining_balance": _described("Amount", "What the account holds of `paid_with` after this order."),
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
                "head": {
                    "type": "string",
                    "pattern": "^([0-9a-f]{64})?$",
                    "description": "The head of the account's chain: SHA-256 of the previous head and the last record's text; "
                    "empty before the first decision.",
                },
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
        "UserId": dict(USER_ID.schema["anyOf"][0]),
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

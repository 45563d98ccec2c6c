"""The JSON Schemas of the OpenAPI document: requests as the engine validates them, replies as it sends them."""

from collections.abc import Iterable, Mapping
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
from chalicelib.contract.replies import NOT_IN_A_PREVIEW
from chalicelib.domain.candle import MAX_CANDLES
from chalicelib.domain.facts import OrderOutcome, TransferOutcome, VoidOutcome
from chalicelib.domain.history import MAX_LIMIT
from chalicelib.domain.money import DECIMALS

Schema = dict[str, Any]


def schemas(error_codes: Iterable[str]) -> dict[str, Schema]:
    """Returns every schema by its name in ``components/schemas``. Replies may gain fields; a request takes only its own."""
    codes = sorted(error_codes)
    return {**_requests(), **_orders(), **_batches(), **_accounts(codes), **_market(), **_errors(codes), **_values()}


def _requests() -> dict[str, Schema]:
    return {
        "Order": _order(USER_ID),
        "Batch": _request(BATCH_FIELDS),
        "BatchOrder": _order(IDEMPOTENCY_KEY, " in a batch"),
        "Void": _request([IDEMPOTENCY_KEY]),
    }


def _orders() -> dict[str, Schema]:
    return {
        "Fill": {"oneOf": [_ref("BuyFill"), _ref("SellFill")]},
        "BuyFill": _object(_fill("buy")),
        "SellFill": _object(_fill("sell")),
        "Voided": _object(
            {
                "status": {"const": VoidOutcome.VOIDED.value},
                "idempotency_key": {"type": "string", "description": "The key that never executes."},
                "voided_at": _described("Time", "The time of the first void of this key."),
                "sequence": _sequence(),
            }
        ),
        "Preview": _object(
            {
                "would": {"type": "string", "description": "The outcome or the error code that the order would get now."},
                "status": _status("The HTTP status that the order would get now."),
                "reply": {
                    "description": f"The reply that the order would get now, without {_listed(sorted(NOT_IN_A_PREVIEW))}.",
                    "anyOf": [
                        _object(_previewed(fields))
                        for fields in (_fill("buy"), _fill("sell"), _error_fields(None) | _detail_fields(), _error_fields(None))
                    ],
                },
            }
        ),
    }


def _fill(side: str) -> dict[str, Schema]:
    buys = side == "buy"
    if buys:
        moved = {
            "total_cost": _described("Amount", "The cost, in `paid_with`: exact, then rounded up; the fee included."),
            "paid_with": _described("Symbol", "The asset that was paid."),
        }
    else:
        moved = {
            "total_proceeds": _described("Amount", "The proceeds after the fee, in `received`: exact, then rounded down."),
            "received": _described("Symbol", "The asset that was received."),
        }
    other, given = ("paid_with", "paid_with") if buys else ("received", "symbol")
    return {
        "status": {"const": OrderOutcome.FILLED.value},
        "symbol": _described("Symbol", "The asset that was bought." if buys else "The asset that was sold."),
        "quantity_filled": {
            "type": "string",
            "pattern": _decimal_pattern("{1,8}", optional=True),
            "description": "The amount of `symbol`, at the scale in which the order gave it.",
        },
        "execution_price": _described("Price", f"One `symbol` in `{other}`, rounded half up. For display only."),
        **moved,
        "remaining_balance": _described("Amount", f"The balance of `{given}` after this order."),
        "executed_at": _described("Time", "The time of the decision."),
        "executed_by_thread": {"type": "string", "description": "The thread of the engine that decided the order."},
        "side": {"const": side, "description": "The order's side."},
        "fee": _described("Amount", f"The fee, in `{other}`."),
        "balances": {**_by_symbol(_ref("Amount")), "description": "The balances of both assets after this order."},
        "sequence": _sequence(),
    }


def _batches() -> dict[str, Schema]:
    return {
        "BatchResults": _object(
            {
                "results": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_BATCH_ORDERS,
                    "description": "One result for each order, in its place.",
                    "items": _ref("BatchResult"),
                }
            }
        ),
        "BatchResult": _object(
            {
                "idempotency_key": {
                    "type": ["string", "null"],
                    "description": "The order's key, trimmed; `null` where it is missing or invalid.",
                },
                "status": _status("The HTTP status that the order would have got by itself."),
                "replayed": {"type": "boolean", "description": "An earlier request decided the order: `body` is its reply."},
                "body": {
                    "description": "The reply that the order would have got by itself.",
                    "anyOf": [_ref(name) for name in ("Fill", "ErrorWithDetails", "Error")],
                },
            }
        ),
    }


def _accounts(codes: list[str]) -> dict[str, Schema]:
    outcomes = sorted({*codes, OrderOutcome.FILLED, VoidOutcome.VOIDED, *TransferOutcome})
    return {
        "Portfolio": _object(
            {
                "user_id": _described("UserId", "The account's user."),
                "total_valuation_usd": {
                    "type": "string",
                    "pattern": _decimal_pattern("{2}"),
                    "description": "The sum of `usd_values`, rounded half up to cents.",
                },
                "holdings": {
                    **_by_symbol(_ref("Amount")),
                    "description": "Balances by symbol, each in its own asset. Everything ever held is listed, zeros too.",
                },
                "usd_values": {
                    **_by_symbol(_or_null("Amount")),
                    "description": "The value of each holding in USD, rounded half up; `null` where the asset has no price.",
                },
                "sequence": _count("The number of decisions in the account's history."),
                "head": _described("Head", "The head of the account's history; empty before the first decision."),
                "valued_at": _described("Time", "The time at which the account was read."),
                "net_deposits_usd": _described("SignedAmount", "All transfers in, less all transfers out, in USD."),
                "positions": {**_by_symbol(_ref("Position")), "description": "Each holding's value, cost and gain, by symbol."},
                "realized_pl_usd": _described("SignedAmount", "The gain or loss of all sales, by average cost, in USD."),
            }
        ),
        "Position": _object(
            {
                "quantity": _described("Amount", "The balance."),
                "price": {**_or_null("Price"), "description": "One of the asset in USD; `null` where it has no price."},
                "price_at": {**_or_null("Time"), "description": "The time at which the market set the price."},
                "value_usd": {**_or_null("Amount"), "description": "The value at that price, rounded half up."},
                "cost_basis_usd": _described("Amount", "The cost of the balance, fees included, by average cost."),
                "average_price_usd": {**_or_null("Price"), "description": "The cost of one; `null` at quantity 0."},
                "unrealized_pl_usd": {**_or_null("SignedAmount"), "description": "The value less the cost."},
                "share": {
                    "type": ["string", "null"],
                    "pattern": r"^[01]\.[0-9]{4}$",
                    "description": "The part of the total value; `null` where there is no price, or the total is 0.",
                },
            }
        ),
        "History": _object(
            {
                "records": {
                    "type": "array",
                    "maxItems": MAX_LIMIT,
                    "description": "Decisions of the account: newest first, or oldest first with `after`.",
                    "items": _ref("Record"),
                },
                "next": {
                    "type": ["string", "null"],
                    "pattern": "^(before|after)=[0-9]+$",
                    "description": "The query parameter of the page that follows; `null` on the last page.",
                },
                "sequence": _count("The number of decisions in the account's history."),
            },
            {
                "missing": {
                    "type": "array",
                    "items": _sequence(),
                    "description": "Numbers that the page cannot show yet. Ask again for them.",
                }
            },
        ),
        "Record": _object(
            {
                "sequence": _sequence(),
                "idempotency_key": {"type": "string", "description": "The key of the order or of the transfer."},
                "kind": {"enum": ["order", "transfer", "void"], "description": "The kind of decision."},
                "outcome": {"enum": outcomes, "description": "The outcome, or the error code of a refusal."},
                "status": _status("The HTTP status of the reply."),
                "decided_at": _described("Time", "The time of the decision."),
                "reply": {
                    "description": "The reply, the same at every replay.",
                    "anyOf": [_ref(name) for name in ("Fill", "Transfer", "Voided", "Error")],
                },
                "record": {
                    "type": "string",
                    "description": "The exact text that is stored. SHA-256 over the previous `head` and this text gives `head`.",
                },
                "head": _described("Head", "The head of the history after this decision."),
            },
            {
                "order": {**_order_terms(), "description": "The order as the engine understood it. Only for an order."},
                "transfer": {
                    **_object(
                        {
                            "symbol": _described("Symbol", "The asset."),
                            "amount": _described("Amount", "The amount."),
                        }
                    ),
                    "description": "The transfer. Only for a transfer.",
                },
            },
        ),
        "Transfer": _object(
            {
                "status": {"enum": sorted(TransferOutcome), "description": "The direction: to the account or from it."},
                "symbol": _described("Symbol", "The asset."),
                "amount": _described("Amount", "The amount."),
                "balance": _described("Amount", "The balance after the transfer."),
                "sequence": _sequence(),
            }
        ),
    }


def _order_terms() -> Schema:
    text = {"type": "string"}
    return _object(
        {
            "side": {"enum": ["buy", "sell"], "description": "The order's side."},
            "symbol": _described("Symbol", "The asset that is bought or sold."),
        },
        {
            "pay_with": _described("Symbol", "The asset that a buy pays with."),
            "receive": _described("Symbol", "The asset that a sell receives."),
            "quantity": {**text, "description": "The quantity, as the client wrote it."},
            "notional": {**text, "description": "The notional, as the client wrote it."},
            "limit_price": _described("Price", "The worst accepted price."),
            "expires_at": _described("Time", "The time after which the order is refused."),
        },
    )


def _market() -> dict[str, Schema]:
    return {
        "Asset": _object(
            {
                "symbol": _described("Symbol", "The asset's name in orders."),
                "price": _described("Price", "One of the asset in USD, exactly."),
                "price_at": _described("Time", "The time at which the market set the price."),
                "halted": {"type": "boolean", "description": "True while trading in the asset is halted."},
                "min_quantity": _described("Amount", "The smallest quantity of an order in the asset."),
                "quantity_step": _described("Amount", "The step of quantities of the asset."),
                "min_notional_usd": _described("Amount", "The smallest value of an order; of two assets' the larger holds."),
                "fee_bps": {
                    "type": "string",
                    "pattern": r"^[0-9]{1,4}(\.[0-9]{1,2})?$",
                    "description": "The fee in basis points; of two assets' the larger holds.",
                },
            }
        ),
        "Assets": {"type": "array", "items": _ref("Asset")},
        "Candle": _object(
            {
                "at": _described("Time", "The time at which the candle starts."),
                "open": _described("Price", "The first price."),
                "high": _described("Price", "The highest price."),
                "low": _described("Price", "The lowest price."),
                "close": _described("Price", "The last price."),
            }
        ),
        "Candles": {"type": "array", "maxItems": MAX_CANDLES, "items": _ref("Candle")},
        "Health": _object(
            {
                "status": {"const": "ok"},
                "engine": {"type": "string", "description": "The engine's name and version."},
            }
        ),
    }


def _errors(codes: list[str]) -> dict[str, Schema]:
    return {
        "Error": _object(
            _error_fields(codes), {"order": _described("Record", "The stored record, where a void comes too late.")}
        ),
        "ErrorWithDetails": {"allOf": [_ref("Error")], **_object(_detail_fields())},
    }


def _error_fields(codes: list[str] | None) -> dict[str, Schema]:
    code: Schema = {"type": "string"} if codes is None else {"enum": codes}
    return {
        "timestamp": {
            "description": "The time of the refusal, the first one in a replay. API Gateway's own answers have its notation.",
            "anyOf": [
                _ref("Time"),
                {"type": "string", "pattern": r"^[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}(:[0-9]{2}){3} \+0000$"},
            ],
        },
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
        "error_code": {**code, "description": "The error, for a program to read."},
        "message": {"type": "string", "description": "The error, for a person to read; its wording may change."},
    }


def _detail_fields() -> dict[str, Schema]:
    return {
        "details": {
            "type": "array",
            "minItems": 1,
            "description": "All errors of the request, not only the first; of many unknown fields the first few.",
            "items": _object(
                {
                    "field": {"type": "string", "description": "A field, a parameter, a header, or `body`."},
                    "message": {"type": "string", "description": "The error in it."},
                }
            ),
        }
    }


def _values() -> dict[str, Schema]:
    return {
        "UserId": dict(USER_ID.schema["anyOf"][0]),
        "SignedAmount": {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{8}$", "examples": ["-12.50000000"]},
        "Price": {"type": "string", "pattern": _decimal_pattern("{8,}"), "examples": ["0.0000012345"]},
        "Amount": {"type": "string", "pattern": _decimal_pattern(f"{{{DECIMALS}}}"), "examples": ["50000.00000000"]},
        "Symbol": {"type": "string", "pattern": "^[A-Z0-9]{1,10}$", "examples": ["BTC"]},
        "Head": {
            "type": "string",
            "pattern": "^([0-9a-f]{64})?$",
            "description": "SHA-256 over the previous head's bytes and the last record's text, in hexadecimal.",
        },
        "Time": {
            "type": "string",
            "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
            "description": "RFC 3339, in UTC, with microseconds.",
            "examples": ["2026-02-21T14:01:48.011301Z"],
        },
    }


def _previewed(fields: Mapping[str, Schema]) -> dict[str, Schema]:
    return {name: schema for name, schema in fields.items() if name not in NOT_IN_A_PREVIEW}


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _sequence() -> Schema:
    return {
        "type": "integer",
        "minimum": 1,
        "description": "The decision's place in the account's history: 1, 2, 3 … without gaps.",
    }


def _count(description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "description": description}


def _status(description: str) -> Schema:
    return {"type": "integer", "minimum": 200, "maximum": 599, "description": description}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(name: str) -> Schema:
    return {"anyOf": [_ref(name), {"type": "null"}]}


def _object(properties: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": properties | (optional or {}), "required": list(properties)}


def _request(fields: Iterable[Field], title: str | None = None) -> Schema:
    """Returns the schema of a request. It takes no fields but its own."""
    named = {field.name: field for field in fields}
    return {
        **({"title": title} if title else {}),
        "type": "object",
        "properties": {name: dict(field.schema) for name, field in named.items()},
        "required": [name for name, field in named.items() if field.required],
        "additionalProperties": False,
    }


def _order(first: Field, where: str = "") -> Schema:
    """Returns the three forms of an order. `where`: the end of their titles, of which generators make names: each is unique."""
    buy = _given(SIDE, optional=True, pattern="^[Bb][Uu][Yy]$", examples=["buy"])
    sell = _given(SIDE, pattern="^[Ss][Ee][Ll][Ll]$", examples=["sell"])
    exact = _given(QUANTITY, anyOf=QUANTITY.schema["anyOf"][:-1])  # "all" is for sells
    conditions = (LIMIT_PRICE, EXPIRES_AT)
    return {
        "type": "object",
        "oneOf": [
            _request((first, buy, SYMBOL, _given(PAY_WITH), exact, *conditions), f"Buy a quantity{where}"),
            _request((first, buy, SYMBOL, _given(PAY_WITH), _given(NOTIONAL), *conditions), f"Buy for an amount{where}"),
            _request((first, sell, SYMBOL, _given(RECEIVE), _given(QUANTITY), *conditions), f"Sell{where}"),
        ],
    }


def _given(field: Field, *, optional: bool = False, **keywords: Any) -> Field:
    """Returns a field as one form of an order has it, with other keywords.

    No field has a default, which its description states: generators make a field with one required.
    """
    return Field(field.name, {**field.schema, **keywords}, field.convert, required=not optional)


def _by_symbol(values: Schema) -> Schema:
    return {"type": "object", "propertyNames": _ref("Symbol"), "additionalProperties": values}


def _described(name: str, description: str) -> Schema:
    return {**_ref(name), "description": description}


def _decimal_pattern(decimals: str, *, optional: bool = False) -> str:
    fraction = rf"\.[0-9]{decimals}"
    return f"^[0-9]+({fraction})?$" if optional else f"^[0-9]+{fraction}$"

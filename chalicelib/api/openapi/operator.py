"""The operator's routes and their schemas: the document has them where the routes exist."""

import json
from typing import Any

from chalicelib.api.openapi.parts import AT, OPERATOR, REPLAYED, Json, in_path, json_content, operation, reply
from chalicelib.contract import errors
from chalicelib.contract.errors import FieldError
from chalicelib.contract.fields import KEY_SCHEMA, QUANTITY, SYMBOL, USER_ID
from chalicelib.contract.operator import MAX_PRICES, MAX_SOURCE_LENGTH
from chalicelib.contract.replies import asset_body, reply_of
from chalicelib.contract.requests import KEY_HEADERS, MAX_BODY_BYTES
from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Transfer
from chalicelib.domain.money import PRICE_PER_USD, UNITS_PER_ONE
from chalicelib.domain.timestamps import rfc3339
from chalicelib.domain.transfer import transfer
from chalicelib.trading.listings import PriceResult

BTC = Asset("BTC", 50_000 * PRICE_PER_USD, rfc3339(AT))
USD = Asset("USD", PRICE_PER_USD, rfc3339(AT))

FORBIDDEN = errors.Forbidden("This route needs a token with the operator's scope")
IMMUTABLE = errors.ValidationFailed(FieldError("symbol", "USD is the unit of account: it cannot be changed"))

_PRICE: Json = {
    "type": "string",
    "pattern": r"^(?=.*[1-9])0*([0-9]{1,12}(\.[0-9]{1,16})?|10{12}(\.0{1,16})?)$",
    "description": "The price of one in USD: from 10⁻¹⁶ to 10¹², up to 16 decimals.",
    "examples": ["50123.45"],
}
_ANY_SYMBOL: Json = {"type": "string", "pattern": SYMBOL.schema["pattern"]}


def paths() -> Json:
    """Returns the ``paths`` of the operator's routes."""
    return {
        "/api/v1/operator/prices": {"put": _prices()},
        "/api/v1/operator/transfers": {"post": _transfers()},
        "/api/v1/operator/assets/{symbol}": {"put": _list_asset()},
        "/api/v1/operator/assets/{symbol}/halt": {
            "post": _set_halted(
                "haltAsset",
                "Halt trading in an asset",
                "Orders in the asset are refused with `409 ERR_ASSET_HALTED` until it is resumed. They decide nothing.",
            )
        },
        "/api/v1/operator/assets/{symbol}/resume": {
            "post": _set_halted("resumeAsset", "Resume trading in an asset", "Opens trading in a halted asset again.")
        },
    }


def schemas() -> Json:
    """Returns the schemas of the operator's requests and replies, by name."""
    return {
        "Prices": _request(
            {
                "prices": {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": MAX_PRICES,
                    "propertyNames": _ANY_SYMBOL,
                    "additionalProperties": _PRICE,
                    "description": f"Up to {MAX_PRICES} prices by symbol.",
                }
            },
            {
                "as_of": {
                    "type": "string",
                    "format": "date-time",
                    "description": "The time of the prices, RFC 3339 with an offset; now, where it is absent.",
                },
                "source": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_SOURCE_LENGTH,
                    "description": "The source of the prices, for the log.",
                },
                "allow_move": {
                    "type": "array",
                    "maxItems": MAX_PRICES,
                    "items": _ANY_SYMBOL,
                    "description": "The symbols whose prices may move further than their guard allows.",
                },
            },
        ),
        "PriceResults": _object(
            {
                "results": {
                    "type": "object",
                    "propertyNames": {"$ref": "#/components/schemas/Symbol"},
                    "additionalProperties": {"enum": sorted(PriceResult)},
                    "description": "The result of each price, by symbol. `held`: the move is larger than the asset's guard "
                    "allows, so the price was not set. `older`: the price is older than the stored one.",
                }
            }
        ),
        "TransferOrder": _request(
            {
                "user_id": {**USER_ID.schema, "description": "The user whose account is funded or debited."},
                "symbol": {**_ANY_SYMBOL, "description": "The asset; case does not matter."},
                "amount": _signed_amount(),
            },
            {},
        ),
        "ListingOrder": _listing(),
        "GuardedAsset": {
            "allOf": [{"$ref": "#/components/schemas/Asset"}],
            **_object(
                {
                    "max_move": {
                        "type": "string",
                        "pattern": r"^[0-9]+(\.[0-9]{1,4})?$",
                        "description": "The guard on the asset's price: the largest move that is taken, as a part of the price.",
                    }
                }
            ),
        },
    }


def _signed_amount() -> Json:
    text, number, *_ = QUANTITY.schema["anyOf"]
    return {
        "description": "The amount, with a leading `-` to debit; otherwise the grammar of a quantity.",
        "examples": ["1000.00"],
        "anyOf": [
            {"type": "string", "pattern": text["pattern"].replace("^", "^-?", 1)},
            {
                "type": "number",
                "format": "double",
                "minimum": -number["maximum"],
                "maximum": number["maximum"],
                "not": {"const": 0},
            },
        ],
    }


def _listing() -> Json:
    amount = {"type": "string", "pattern": r"^0*[0-9]{1,15}(\.[0-9]{1,8})?$"}
    return _request(
        {},
        {
            "price": {**_PRICE, "description": f"{_PRICE['description']} Required for an asset that is not listed yet."},
            "min_quantity": {**amount, "description": "The smallest quantity of an order."},
            "quantity_step": {**amount, "description": "The step of quantities."},
            "min_notional_usd": {**amount, "description": "The smallest value of an order in USD."},
            "fee_bps": {
                "type": "string",
                "pattern": r"^0*[0-9]{1,4}(\.[0-9]{1,2})?$",
                "description": "The fee in basis points, from 0 to 1000.",
            },
            "max_move": {
                "type": "string",
                "pattern": r"^0*[0-9]{1,5}(\.[0-9]{1,4})?$",
                "description": "The largest move of the price that needs no permission: 0.2 is 20 %.",
            },
        },
    )


def _object(required: Json, optional: Json | None = None) -> Json:
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


def _request(required: Json, optional: Json) -> Json:
    return {**_object(required, optional), "additionalProperties": False}


def _body_of(schema: str, examples: Json) -> Json:
    return {
        "required": True,
        "description": f"At most {MAX_BODY_BYTES} bytes of JSON, whatever the content type says.",
        "content": json_content(schema, examples),
    }


def _of_asset() -> list[Json]:
    return [in_path("symbol", "The asset.", "BTC", _ANY_SYMBOL)]


def _asset_reply() -> Json:
    return reply("The asset, as it is now.", "GuardedAsset", {"BTC": json.loads(asset_body(BTC))})


def _prices() -> Json:
    sample = {"prices": {"BTC": "50123.45", "ETH": "4000"}, "as_of": rfc3339(AT), "source": "desk"}
    return operation(
        "setPrices",
        OPERATOR,
        "Set prices",
        "Sets each price by itself: a newer one wins. A price that moves further than its asset's guard allows is held, unless "
        "`allow_move` names the asset.",
        reply("The result of each price.", "PriceResults", {"One set, one held": {"results": {"BTC": "set", "ETH": "held"}}}),
        FORBIDDEN,
        errors.TooLarge(MAX_BODY_BYTES),
        errors.ValidationFailed(FieldError("prices", "BTC: must be from 10^-16 to 10^12 USD")),
        errors.DatastoreUnavailable(),
        requestBody=_body_of("Prices", {"Two prices": sample}),
    )


def _transfers() -> Json:
    key, alias = KEY_HEADERS
    return operation(
        "makeTransfer",
        OPERATOR,
        "Fund or debit an account",
        "Makes the transfer once per key, as a decision of the account's history. Keys of transfers and keys of orders are "
        "separate. A refusal decides nothing.",
        reply("The transfer is made.", "Transfer", {"ACCOUNT_FUNDED": _transfer_reply()}, REPLAYED),
        errors.IdempotencyKeyRequired(),
        errors.TransferOverdraws("a debit of 2.00000000 USD overdraws the balance of 1.00000000"),
        FORBIDDEN,
        errors.AssetNotFound(["DOGE"]),
        errors.Contention(),
        errors.TooLarge(MAX_BODY_BYTES),
        errors.ValidationFailed(FieldError("amount", "must be more than 0")),
        errors.IdempotencyKeyReused("FUND 1000.00000000 USD", "FUND 2000.00000000 USD", "transfer"),
        errors.DatastoreUnavailable(),
        parameters=[
            {
                "name": key,
                "in": "header",
                "required": True,
                "description": f"The transfer's key: the same when it is sent again. `{alias}` is the same thing.",
                "schema": KEY_SCHEMA,
                "example": "transfer-1",
            },
            {
                "name": alias,
                "in": "header",
                "description": f"Another name for `{key}`: one of them is enough.",
                "schema": KEY_SCHEMA,
            },
        ],
        requestBody=_body_of("TransferOrder", {"Fund": {"user_id": 2, "symbol": "USD", "amount": "1000.00"}}),
    )


def _transfer_reply() -> Any:
    funding = Transfer(2, "transfer-1", "USD", 1_000 * UNITS_PER_ONE)
    _, record = append(Account(2), transfer(Account(2), funding, USD, AT))
    return json.loads(reply_of(record)[1])


def _list_asset() -> Json:
    samples = {"List an asset": {"price": "50000"}, "Change its fee and its guard": {"fee_bps": "2.5", "max_move": "0.1"}}
    return operation(
        "putAsset",
        OPERATOR,
        "List an asset, or change its rules",
        "Lists an asset at its `price`, or changes the price and the rules of a listed one. Absent fields stay as they are.",
        _asset_reply(),
        FORBIDDEN,
        errors.AssetNotFound(["DOGE"]),
        errors.TooLarge(MAX_BODY_BYTES),
        IMMUTABLE,
        errors.DatastoreUnavailable(),
        parameters=_of_asset(),
        requestBody=_body_of("ListingOrder", samples),
    )


def _set_halted(operation_id: str, summary: str, description: str) -> Json:
    return operation(
        operation_id,
        OPERATOR,
        summary,
        description,
        _asset_reply(),
        FORBIDDEN,
        errors.AssetNotFound(["DOGE"]),
        IMMUTABLE,
        errors.DatastoreUnavailable(),
        parameters=_of_asset(),
    )

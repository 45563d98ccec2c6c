"""The OpenAPI document as the fuzzer gets it. It allows the same, but for what a document cannot express."""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil
from typing import Any

from chalicelib.api.openapi import document
from chalicelib.contract.fields import BLANKS, MAX_USER_ID
from chalicelib.local.seed import PRICES_USD

USER = 2**62
"""The user whose orders find money; no other test has this one."""

TRADED = {"symbol": ["BTC", "eth", " Sol\t"], "pay_with": ["USD", "usd", "BTC"]}
"""Assets that are bought, and assets that pay for them, in some of the spellings that they may have."""

EXECUTE = "/api/v1/trading/execute"
BATCH = f"{EXECUTE}/batch"


def steered_document() -> dict[str, Any]:
    """The document, with changes that allow and forbid the same.

    Half of the users and symbols are known ones: of those that the patterns allow, nearly all are not, and every order would end
    in the same 404. Half of the keys are new. The sample orders are `USER`'s. And one of the two names of the key's header is
    left out: the document cannot express that one of them is enough, and the fuzzer would report it as a mistake that it is.
    """
    steered = document()
    operation = steered["paths"][EXECUTE]["post"]
    key, _ = operation["parameters"]
    key["schema"] = _half_new(key["schema"])
    operation["parameters"] = [key]
    schemas = steered["components"]["schemas"]
    for path, schema in ((EXECUTE, "Order"), (BATCH, "Batch")):
        for sample in steered["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"].values():
            sample["value"]["user_id"] = USER
        fields = schemas[schema]["properties"]
        fields["user_id"] = {"anyOf": [{"enum": [USER, str(USER)]}, fields["user_id"]]}
    for schema in ("Order", "BatchOrder"):
        fields = schemas[schema]["properties"]
        for name, symbols in TRADED.items():
            fields[name] = {"anyOf": [{"enum": symbols}, fields[name]]}
    keys = schemas["BatchOrder"]["properties"]
    keys["idempotency_key"] = _half_new(keys["idempotency_key"])
    return steered


def _half_new(key: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "string", "pattern": "^fuzz-[0-9]{12}$"}, key]}


def without_whole_floats(order: Any) -> Any:
    """Makes 7.0 a 7. It is an integer to JSON Schema and not to the engine, as the tests of the contract have it."""
    if isinstance(order, dict) and isinstance(order.get("user_id"), float) and order["user_id"].is_integer():
        return order | {"user_id": int(order["user_id"])}
    return order


def with_plain_keys(body: Any) -> Any:
    """Trims the keys in a body, and leaves none in quotes: JSON Schema can only describe the whole of a key as it was sent."""
    if not isinstance(body, dict) or not isinstance(body.get("orders"), list):
        return body
    return body | {"orders": [_with_plain_key(each) for each in body["orders"]]}


def _with_plain_key(order: Any) -> Any:
    if not isinstance(order, dict) or not isinstance(order.get("idempotency_key"), str):
        return order
    return order | {"idempotency_key": plain_key(order["idempotency_key"])}


def plain_key(key: str) -> str:
    """Returns a key trimmed, and not in quotes."""
    key = key.strip(BLANKS)
    return key.replace('"', "'") if key[:1] == key[-1:] == '"' else key


def beyond_the_document(order: Mapping[str, Any]) -> set[str]:
    """Returns the fields for which an order is refused although its schema allows them: JSON Schema has no words for it."""
    fields: set[str] = set()
    if is_user_too_large(order.get("user_id")):
        fields.add("user_id")
    quantity = order["quantity"]
    if not isinstance(quantity, str) and (_exact(quantity) * 10**8).denominator != 1:
        fields.add("quantity")
    symbol, pay_with = _symbols(order)
    return fields or ({"pay_with"} if symbol == pay_with else set())


def is_user_too_large(user_id: Any) -> bool:
    """Returns whether a user's digits, in a string, are of a larger number than there is."""
    return isinstance(user_id, str) and int(user_id) > MAX_USER_ID


def rounds_badly(order: Mapping[str, Any]) -> bool:
    """Returns whether rounding would cost an order more than 1 % of its value, at the prices of the seed."""
    symbol, pay_with = _symbols(order)
    exact = _exact(order["quantity"]) * 10**8 * Fraction(PRICES_USD[symbol]) / Fraction(PRICES_USD[pay_with])
    return ceil(exact) > exact * Fraction(101, 100)


def _exact(quantity: Any) -> Fraction:
    return Fraction(quantity if isinstance(quantity, str) else repr(quantity))


def _symbols(order: Mapping[str, Any]) -> tuple[str, str]:
    symbol, pay_with = (order[name].strip(BLANKS).upper() for name in ("symbol", "pay_with"))
    return symbol, pay_with

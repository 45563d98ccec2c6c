"""The OpenAPI document as the fuzzer gets it. It allows the same, but for what a document cannot express."""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor
from typing import Any

from chalicelib.api.openapi import document
from chalicelib.contract.fields import BLANKS, MAX_USER_ID
from chalicelib.local.seed import PRICES_USD

USER = 2**62
"""The user whose orders find money; no other test has this one."""

TRADED = {"symbol": ["BTC", "eth", " Sol\t"], "pay_with": ["USD", "usd", "BTC"], "receive": ["USD", "usd ", "ETH"]}
"""Assets that are bought, and assets that pay for them, in some of the spellings that they may have."""

EXECUTE = "/api/v1/trading/execute"
BATCH = f"{EXECUTE}/batch"


PREVIEW = "/api/v1/trading/preview"
VOID = "/api/v1/trading/orders/{user_id}/void"
LOOKUP = "/api/v1/trading/orders/{user_id}/lookup"
HISTORY = "/api/v1/trading/history/{user_id}"

EXPIRIES = ["2030-01-01T00:00:00Z", "2030-01-01t02:00:00.123456789+02:00", "2020-01-01T00:00:00Z"]


def steered_document() -> dict[str, Any]:
    """Returns the document, with changes that allow and forbid the same, but for times.

    Half of the users and symbols are known ones: of those that the patterns allow, nearly all are not, and every order would end
    in the same 404. Half of the keys are new. The sample orders are `USER`'s. Of the key's two headers one is left out: the
    document cannot express that one of them is enough, and the fuzzer would report it as a mistake. Times are a few: JSON Schema
    has a format for them that every reader understands in another way, and the parser's tests try them.
    """
    steered = document()
    for path in (EXECUTE, BATCH, PREVIEW):
        for sample in steered["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"].values():
            sample["value"]["user_id"] = USER
    operation = steered["paths"][EXECUTE]["post"]
    key, _ = operation["parameters"]
    key["schema"] = _half_new(key["schema"])
    operation["parameters"] = [key]
    schemas = steered["components"]["schemas"]
    for form in [schemas["Batch"], *schemas["Order"]["oneOf"], *schemas["BatchOrder"]["oneOf"]]:
        fields = form["properties"]
        if "user_id" in fields:
            fields["user_id"] = {"anyOf": [{"enum": [USER, str(USER)]}, fields["user_id"]]}
        if "idempotency_key" in fields:
            fields["idempotency_key"] = _half_new(fields["idempotency_key"])
        if "expires_at" in fields:
            fields["expires_at"] = {"enum": EXPIRIES}
        for name in TRADED.keys() & fields.keys():
            fields[name] = {"anyOf": [{"enum": TRADED[name]}, fields[name]]}
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
    if not isinstance(body, dict):
        return body
    if isinstance(body.get("idempotency_key"), str):
        body = body | {"idempotency_key": plain_key(body["idempotency_key"])}
    if isinstance(body.get("orders"), list):
        body = body | {"orders": [with_plain_keys(each) for each in body["orders"]]}
    return body


def plain_key(key: str) -> str:
    """Returns a key trimmed, and not in quotes."""
    key = key.strip(BLANKS)
    return key.replace('"', "'") if key[:1] == key[-1:] == '"' else key


def beyond_the_document(order: Mapping[str, Any]) -> set[str]:
    """Returns the fields for which an order is refused although its schema allows them: JSON Schema has no words for it."""
    fields: set[str] = set()
    if is_user_too_large(order.get("user_id")):
        fields.add("user_id")
    for name in ("quantity", "notional"):
        amount = order.get(name, "1")
        if not isinstance(amount, str) and (_exact(amount) * 10**8).denominator != 1:
            fields.add(name)
    symbol, other = _symbols(order)
    if symbol == other:
        fields.add("receive" if "receive" in order else "pay_with")
    return fields


def is_user_too_large(user_id: Any) -> bool:
    """Returns whether a user's digits, in a string, are of a larger number than there is."""
    return isinstance(user_id, str) and int(user_id) > MAX_USER_ID


def breaks_a_rule(order: Mapping[str, Any]) -> bool:
    """Returns whether an order is too small, at the prices of the seed: it buys nothing, or rounding costs over 1 % of its value.

    An order of all there is may be too small as well, or too large.
    """
    amount = order.get("quantity", order.get("notional"))
    if amount == "all":
        return True
    units = _exact(amount) * 10**8
    symbol, other = (Fraction(PRICES_USD[each]) for each in _symbols(order))
    if "notional" in order:
        units = Fraction(floor(units * other / symbol))
        if units == 0:
            return True
    exact = units * symbol / other
    moved = floor(exact) if "receive" in order else ceil(exact)
    return moved == 0 or abs(moved - exact) * 100 > exact


def _exact(amount: Any) -> Fraction:
    return Fraction(amount if isinstance(amount, str) else repr(amount))


def _symbols(order: Mapping[str, Any]) -> tuple[str, str]:
    symbol, other = (order[name].strip(BLANKS).upper() for name in ("symbol", "receive" if "receive" in order else "pay_with"))
    return symbol, other

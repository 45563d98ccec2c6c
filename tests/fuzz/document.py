"""The OpenAPI document as the fuzzer gets it: what it allows is the same, but for what it cannot say."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from chalicelib.api.openapi import document
from chalicelib.contract.fields import BLANKS

USER = 2**62
"""Whose orders find money: a user of no other test's."""

TRADED = {"symbol": ["BTC", "eth", " Sol\t"], "pay_with": ["USD", "usd", "BTC"]}
"""What is bought and what with, in some of the spellings it may have."""

EXECUTE = "/api/v1/trading/execute"
BATCH = f"{EXECUTE}/batch"


def steered_document() -> dict[str, Any]:
    """The document, with changes that allow and forbid the same.

    Half of the users and symbols are known ones: of those that the patterns allow, nearly all are not, and every order would end
    in the same 404. Half of the keys are new. The sample orders are `USER`'s. And one of the two names of the key's header is
    left out: the document cannot say that one of them is enough, and the fuzzer would take it for a mistake that it is.
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
        fields["user_id"] = {"anyOf": [{"const": USER}, fields["user_id"]]}
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
    """7.0 is an integer to JSON Schema and none to the engine, which is said once, in the tests of the contract: sent as 7."""
    if isinstance(order, dict) and isinstance(order.get("user_id"), float) and order["user_id"].is_integer():
        return order | {"user_id": int(order["user_id"])}
    return order


def with_trimmed_keys(body: Any) -> Any:
    """A key is trimmed before anything is said of it; JSON Schema can only speak of the whole. Sent trimmed."""
    if not isinstance(body, dict) or not isinstance(body.get("orders"), list):
        return body
    return body | {"orders": [_with_trimmed_key(each) for each in body["orders"]]}


def _with_trimmed_key(order: Any) -> Any:
    if not isinstance(order, dict) or not isinstance(order.get("idempotency_key"), str):
        return order
    return order | {"idempotency_key": order["idempotency_key"].strip(BLANKS)}


def beyond_the_document(order: Mapping[str, Any]) -> set[str]:
    """The fields for which an order is refused although its schema allows them: what JSON Schema has no words for."""
    fields: set[str] = set()
    quantity = order["quantity"]
    if not isinstance(quantity, str) and (Fraction(repr(quantity)) * 10**8).denominator != 1:
        fields.add("quantity")
    symbol, pay_with = (order[name].strip(BLANKS).upper() for name in ("symbol", "pay_with"))
    return fields or ({"pay_with"} if symbol == pay_with else set())

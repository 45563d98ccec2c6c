"""The OpenAPI document as the fuzzer gets it: what it allows is the same, but for what it cannot say."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from chalicelib.fields import BLANKS
from chalicelib.openapi import document

USER = 2**62
"""Whose orders find money: a user of no other test's."""

TRADED = {"symbol": ["BTC", "eth", " Sol\t"], "pay_with": ["USD", "usd", "BTC"]}
"""What is bought and what with, in some of the spellings it may have."""

EXECUTE = "/api/v1/trading/execute"


def steered_document() -> dict[str, Any]:
    """The document, with changes that allow and forbid the same.

    Half of the users and symbols are known ones: of those that the patterns allow, nearly all are not, and every order would end
    in the same 404. Half of the keys are new. The sample orders are `USER`'s. And one of the two names of the key's header is
    left out: the document cannot say that one of them is enough, and the fuzzer would take it for a mistake that it is.
    """
    steered = document()
    operation = steered["paths"][EXECUTE]["post"]
    key, _ = operation["parameters"]
    key["schema"] = {"anyOf": [{"type": "string", "pattern": "^fuzz-[0-9]{12}$"}, key["schema"]]}
    operation["parameters"] = [key]
    for sample in operation["requestBody"]["content"]["application/json"]["examples"].values():
        sample["value"]["user_id"] = USER
    fields = steered["components"]["schemas"]["Order"]["properties"]
    fields["user_id"] = {"anyOf": [{"const": USER}, fields["user_id"]]}
    for name, symbols in TRADED.items():
        fields[name] = {"anyOf": [{"enum": symbols}, fields[name]]}
    return steered


def without_whole_floats(order: Any) -> Any:
    """7.0 is an integer to JSON Schema and none to the engine, which is said once, in the tests of the contract: sent as 7."""
    if isinstance(order, dict) and isinstance(order.get("user_id"), float) and order["user_id"].is_integer():
        return order | {"user_id": int(order["user_id"])}
    return order


def beyond_the_document(order: Mapping[str, Any]) -> set[str]:
    """The fields for which an order is refused although its schema allows them: what JSON Schema has no words for."""
    fields: set[str] = set()
    quantity = order["quantity"]
    if not isinstance(quantity, str) and (Fraction(repr(quantity)) * 10**8).denominator != 1:
        fields.add("quantity")
    symbol, pay_with = (order[name].strip(BLANKS).upper() for name in ("symbol", "pay_with"))
    return fields or ({"pay_with"} if symbol == pay_with else set())

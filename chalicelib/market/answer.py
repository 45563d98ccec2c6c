"""A source's answer: the price in it, or the reason why there is none.

Numbers stay text until they become units, so no digit passes through a float.
"""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from chalicelib.domain.asset import MAX_PRICE, MIN_PRICE
from chalicelib.domain.money import EXACT, PRICE_DECIMALS

MAX_SHOWN = 40
"""The characters of an answer that a log line quotes."""

# A JSON number without a sign, or the same as a string. The lengths keep within EXACT's digits; no market quotes more.
_NUMBER = re.compile(r"[0-9]{1,50}(?:\.[0-9]{1,50})?(?:[eE][+-]?[0-9]{1,3})?")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class UnusableAnswer(Exception):
    """An answer without a price, or none at all. The message completes the sentence "The source …"."""


def price_in(body: bytes, pointer: str) -> int:
    """Returns the price that a JSON document holds at a place, in units of 10⁻¹⁶ USD; further decimals are cut.

    Raises:
        UnusableAnswer: see there.
    """
    try:
        document = json.loads(body, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise UnusableAnswer("answers something that is not JSON") from None
    text = _at(document, pointer)
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise UnusableAnswer(f"has no price at {pointer!r} but {json.dumps(text, ensure_ascii=False)[:MAX_SHOWN]}")
    price = int(EXACT.scaleb(Decimal(text), PRICE_DECIMALS))
    if not MIN_PRICE <= price <= MAX_PRICE:
        raise UnusableAnswer(f"has a price that is not from 10^-16 to 10^12 USD: {text[:MAX_SHOWN]}")
    return price


def median(prices: Sequence[int]) -> int:
    """Returns the median: of an even number of prices the mean of the middle two, rounded down."""
    ordered = sorted(prices)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def _at(document: Any, pointer: str) -> Any:
    """Returns the value at a JSON Pointer (RFC 6901)."""
    value = document
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            raise UnusableAnswer(f"has nothing at {pointer!r}")
    return value

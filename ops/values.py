"""What a command's values may be. The engine's own fields where it has them: what it would refuse, no operator can write."""

import re
from collections.abc import Callable
from typing import Any

import rich_click as click

from chalicelib.contract import fields
from chalicelib.domain.transfer import MAX_FUNDED_UNITS
from chalicelib.domain.money import DECIMALS, text_from
from chalicelib.domain.pricing import MAX_PRICE_UNITS, MIN_PRICE_UNITS
from chalicelib.contract.fields import Refused

_AMOUNT = re.compile(r"(?P<whole>[0-9]+)(?:\.(?P<decimals>[0-9]{1,8}))?", re.ASCII)


class Value(click.ParamType[Any]):
    """A command's value, read by a function that raises `Refused`."""

    def __init__(self, name: str, read: Callable[[Any], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """See `click.ParamType.convert`."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except Refused as refused:
            self.fail(f"{value!r} {refused}", param, ctx)


def read_symbol(value: Any) -> str:
    """A symbol, as orders write them.

    Raises:
        Refused: it is none.
    """
    symbol: str = fields.SYMBOL.read(value)
    return symbol


def read_price(value: Any) -> int:
    """A price in USD, as text; returns units.

    Raises:
        Refused: it is none that the engine takes.
    """
    return _read_units(value, MIN_PRICE_UNITS, MAX_PRICE_UNITS)


def _read_amount(value: Any) -> int:
    return _read_units(value, 1, MAX_FUNDED_UNITS)


def _read_units(value: Any, least: int, most: int) -> int:
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Refused(f"must be decimal text such as 50000 or 0.5, with at most {DECIMALS} decimals")
    # Not int() on the whole text: past 4300 digits it raises what nobody here expects.
    digits = (found["whole"] + (found["decimals"] or "").ljust(DECIMALS, "0")).lstrip("0")
    if len(digits) > len(str(most)) or not least <= int(digits or "0") <= most:
        raise Refused(f"must be from {text_from(least)} to {text_from(most)}")
    return int(digits)


def _read_key(value: str) -> str:
    if not value.strip(fields.BLANKS):
        raise Refused("must not be blank")
    return fields.idempotency_key(value)


USER = Value("user", fields.user_id_from_text)
SYMBOL = Value("symbol", read_symbol)
PRICE = Value("price", read_price)
AMOUNT = Value("amount", _read_amount)
KEY = Value("key", _read_key)

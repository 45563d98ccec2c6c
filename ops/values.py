"""Values of a command's arguments. They use the engine's own fields, so that no operator writes what the engine would refuse."""

import re
from collections.abc import Callable
from typing import Any

import rich_click as click

from chalicelib.contract import fields
from chalicelib.contract.fields import InvalidValue
from chalicelib.domain.asset import MAX_PRICE, MIN_PRICE
from chalicelib.domain.money import DECIMALS, MAX_BALANCE_UNITS, PRICE_DECIMALS, price_text, text_from

_DECIMAL = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)


class Value(click.ParamType[Any]):
    """A command's value, read by a function that raises `InvalidValue`."""

    def __init__(self, name: str, read: Callable[[Any], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """See `click.ParamType.convert`."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except InvalidValue as invalid:
            self.fail(f"{value!r} {invalid}", param, ctx)


def read_symbol(value: Any) -> str:
    """Reads a symbol, as orders write them.

    Raises:
        InvalidValue: the value is not a symbol.
    """
    symbol: str = fields.SYMBOL.read(value)
    return symbol


def read_price(value: Any) -> int:
    """Reads a price in USD, as text. Returns units of 10⁻¹⁶ USD.

    Raises:
        InvalidValue: the engine does not accept this price.
    """
    return _read_units(value, PRICE_DECIMALS, MIN_PRICE, MAX_PRICE, price_text)


def _read_amount(value: Any) -> int:
    return _read_units(value, DECIMALS, 1, MAX_BALANCE_UNITS, text_from)


def _read_units(value: Any, decimals: int, least: int, most: int, text: Callable[[int], str]) -> int:
    found = _DECIMAL.fullmatch(value) if isinstance(value, str) else None
    if found is None or len(found[2] or "") > decimals:
        raise InvalidValue(f"must be decimal text such as 50000 or 0.5, with at most {decimals} decimals")
    # int() on the whole text would raise another error beyond 4,300 digits.
    digits = (found[1] + (found[2] or "").ljust(decimals, "0")).lstrip("0")
    if len(digits) > len(str(most)) or not least <= int(digits or "0") <= most:
        raise InvalidValue(f"must be from {text(least)} to {text(most)}")
    return int(digits)


def _read_key(value: str) -> str:
    key = fields.idempotency_key(value)
    if not key:
        raise InvalidValue("must not be blank")
    return key


USER = Value("user", fields.user_id_from_text)
SYMBOL = Value("symbol", read_symbol)
PRICE = Value("price", read_price)
AMOUNT = Value("amount", _read_amount)
KEY = Value("key", _read_key)

"""An operator's requests, read into values: prices, transfers, listings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.contract.errors import FieldError, ValidationFailed
from chalicelib.contract.fields import (
    QUANTITY,
    SYMBOL,
    USER_ID,
    DuplicateName,
    InvalidValue,
    Json,
    JsonNumber,
    price_text_units,
    time_text,
)
from chalicelib.contract.requests import MAX_BODY_BYTES, Headers, parse_object, read_key
from chalicelib.domain.asset import MAX_FEE_BPS, MAX_MAX_MOVE, MAX_PRICE, MIN_PRICE, MOVE_DECIMALS, UNIT_OF_ACCOUNT
from chalicelib.domain.facts import Transfer
from chalicelib.domain.money import PRICE_PER_USD, UNITS_PER_ONE, units_from

MAX_PRICES = 100
MAX_AHEAD = timedelta(seconds=5)
"""The furthest that a price's time may be ahead of the engine's clock."""

MAX_SOURCE_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in units of 10⁻¹⁶ USD by symbol, as of a time; `allow_move`: symbols that may move beyond their guard."""

    prices: Mapping[str, int]
    as_of: datetime
    source: str | None
    allow_move: frozenset[str]


def read_prices(body: bytes, now: datetime) -> Prices:
    """Reads prices.

    Raises:
        TooLarge, ValidationFailed: something in the body is wrong, and so none of its prices is used.
    """
    given = parse_object(body, MAX_BODY_BYTES)
    fields = _Fields(given, ("prices", "as_of", "source", "allow_move"))
    prices = fields.take("prices", _prices, {})
    as_of = fields.take("as_of", lambda value: _as_of(value, now), now, required=False)
    source = fields.take("source", _source, None, required=False)
    allow_move = fields.take("allow_move", _symbols, frozenset(), required=False)
    fields.end()
    return Prices(prices, as_of, source, allow_move)


def read_transfer(body: bytes, headers: Headers) -> Transfer:
    """Reads a transfer and its key.

    Raises:
        TooLarge, ValidationFailed, IdempotencyKeyRequired: the body or the key is wrong.
    """
    fields = _Fields(parse_object(body, MAX_BODY_BYTES), ("user_id", "symbol", "amount"))
    user_id = fields.take("user_id", USER_ID.read, 0)
    symbol = fields.take("symbol", SYMBOL.read, "")
    units = fields.take("amount", _signed, 0)
    fields.end()
    return Transfer(user_id, read_key(headers), symbol, units)


def read_listing(body: bytes) -> tuple[int | None, dict[str, int]]:
    """Reads an asset's price, or `None`, and its rules by the names of `Asset`'s fields.

    Raises:
        TooLarge, ValidationFailed: something in the body is wrong.
    """
    fields = _Fields(parse_object(body, MAX_BODY_BYTES), ("price", *_RULES))
    price = fields.take("price", _price, None, required=False)
    rules: dict[str, int] = {}
    for name, (attribute, read) in _RULES.items():
        value = fields.take(name, read, None, required=False)
        if value is not None:
            rules[attribute] = value
    fields.end()
    return price, rules


class _Fields:
    """The fields of a body, and their errors."""

    def __init__(self, given: Mapping[str, Json], known: tuple[str, ...]) -> None:
        self._given = given
        self._wrong: list[FieldError] = []
        self._unknown = [FieldError(name[:40], "is not a field of this request") for name in given if name not in known][:8]

    def take(self, name: str, read: Callable[[Json], Any], default: Any, *, required: bool = True) -> Any:
        """Returns one field's value, or the default where it is missing or wrong."""
        if name not in self._given:
            if required:
                self._wrong.append(FieldError(name, "is required"))
            return default
        value = self._given[name]
        try:
            if isinstance(value, DuplicateName):
                raise InvalidValue("appears twice")
            return read(value)
        except InvalidValue as invalid:
            self._wrong.append(FieldError(name, str(invalid)))
            return default

    def end(self) -> None:
        """Raises the errors, if there are any."""
        wrong = [*self._wrong, *self._unknown]
        if wrong:
            raise ValidationFailed(*wrong)


def _prices(value: Json) -> dict[str, int]:
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_PRICES:
        raise InvalidValue(f"must be an object of 1 to {MAX_PRICES} prices by symbol")
    prices: dict[str, int] = {}
    for name, text in value.items():
        try:
            symbol = SYMBOL.read(name)
            if symbol in prices or isinstance(text, DuplicateName):
                raise InvalidValue("appears twice")
            prices[symbol] = _price(text)
        except InvalidValue as invalid:
            raise InvalidValue(f"{name[:40]}: {invalid}") from None
        if symbol == UNIT_OF_ACCOUNT and prices[symbol] != PRICE_PER_USD:
            raise InvalidValue(f"{UNIT_OF_ACCOUNT}: is the unit of account, its price is 1")
    return prices


def _price(value: Json) -> int:
    price = price_text_units(value)
    if not MIN_PRICE <= price <= MAX_PRICE:
        raise InvalidValue("must be from 10^-16 to 10^12 USD")
    return price


def _as_of(value: Json, now: datetime) -> datetime:
    at = datetime.fromisoformat(time_text(value))
    if at > now + MAX_AHEAD:
        raise InvalidValue("must not be more than 5 s ahead of the engine's clock")
    return at


def _source(value: Json) -> str:
    if not isinstance(value, str) or isinstance(value, JsonNumber) or not 0 < len(value) <= MAX_SOURCE_LENGTH:
        raise InvalidValue(f"must be a string of 1 to {MAX_SOURCE_LENGTH} characters")
    return value


def _symbols(value: Json) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > MAX_PRICES:
        raise InvalidValue(f"must be a list of at most {MAX_PRICES} symbols")
    return frozenset(SYMBOL.read(symbol) for symbol in value)


def _signed(value: Json) -> int:
    negative = isinstance(value, str) and value.startswith("-")
    amount = QUANTITY.read(type(value)(value[1:]) if negative else value)
    if amount.units is None:
        raise InvalidValue("must be an amount")
    return -amount.units if negative else int(amount.units)


def _decimal(most: int, decimals: int, *, least: int = 0) -> Callable[[Json], int]:
    """Returns a reader of decimal text as units of 10 to the minus `decimals`."""

    def read(value: Json) -> int:
        units = price_text_units(value, decimals)
        if not least <= units <= most:
            raise InvalidValue(f"must be from {Decimal(least).scaleb(-decimals):f} to {Decimal(most).scaleb(-decimals):f}")
        return units

    return read


_MAX_UNITS = units_from(Decimal(10**15))
_RULES: dict[str, tuple[str, Callable[[Json], int]]] = {
    "min_quantity": ("min_quantity_units", _decimal(_MAX_UNITS, 8, least=1)),
    "quantity_step": ("quantity_step_units", _decimal(_MAX_UNITS, 8, least=1)),
    "min_notional_usd": ("min_notional_usd_units", _decimal(10**12 * UNITS_PER_ONE, 8)),
    "fee_bps": ("fee_rate", _decimal(MAX_FEE_BPS * 100, 2)),
    "max_move": ("max_move", _decimal(MAX_MAX_MOVE, MOVE_DECIMALS, least=1)),
}
"""The rules by their names in the contract: the field of `Asset`, and the reader of its value."""

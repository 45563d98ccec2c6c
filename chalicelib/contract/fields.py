"""Fields of a request. One definition of each validates it and is published in the OpenAPI document.

This module uses the standard library only. A validation library would add more to a cold start than the whole package. It would
not read a quantity digit for digit either.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, DecimalException
from typing import Any, NamedTuple

from chalicelib.domain.money import DECIMALS, EXACT, PRICE_DECIMALS, PRICE_PER_USD, units_from
from chalicelib.domain.order import ALL, Amount, Side
from chalicelib.domain.timestamps import rfc3339

MAX_USER_ID = 2**63 - 1
MAX_QUANTITY = 10**15
MAX_LIMIT_PRICE = 10**28
MAX_KEY_LENGTH = 128
MAX_BATCH_ORDERS = 99
"""DynamoDB's limit of 100 actions in a transaction, less one for the account."""

Json = Any
"""A parsed JSON value; a number is a `JsonNumber`."""


class JsonNumber(str):
    """A JSON number as the client wrote it, never converted to a float."""

    __slots__ = ()


class DuplicateName(NamedTuple):
    """The value of a name that appears twice in an object. JSON leaves open which value counts, so the field is refused."""


class InvalidValue(Exception):
    """A value that its field does not accept. The message describes the values that it accepts."""


class Field(NamedTuple):
    """One field: its name, its values as JSON Schema, and the function that converts a value or raises `InvalidValue`."""

    name: str
    schema: Mapping[str, Any]
    convert: Callable[[Json], Any]
    required: bool = True

    def read(self, value: Json) -> Any:
        """Returns the value as the engine uses it.

        Raises:
            InvalidValue: the field does not accept it.
        """
        if isinstance(value, DuplicateName):
            raise InvalidValue("appears twice")
        return self.convert(value)


_WHOLE = re.compile(r"[1-9][0-9]{0,18}")
_SYMBOL = re.compile(r"[A-Za-z0-9]{1,10}")
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]{1,8})?")
_LONG_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
_NEGATIVE = re.compile(r"-[0-9]+(\.[0-9]+)?")
_PAIR_SIGNS = frozenset("/-_:")
"""The characters that others put between the two assets of a market: BTC/USD, BTC-USD."""

_DECIMAL_TEXT = re.compile(r"[0-9]+(?:\.([0-9]+))?")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?:[Zz]|([+-][0-9]{2}:[0-9]{2}))"
)
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
BLANKS = " \t\r\n"
"""The characters that are trimmed. Other white space is refused, since it is not printable ASCII."""

USER_ID_MESSAGE = f"must be an integer from 1 to {MAX_USER_ID}, or a string of its digits"


def user_id_from_text(text: str) -> int:
    """Returns the user id that a text holds: decimal digits, no sign, no leading zero.

    Raises:
        InvalidValue: the text is not a user id.
    """
    if not _WHOLE.fullmatch(text) or int(text) > MAX_USER_ID:
        raise InvalidValue(USER_ID_MESSAGE)
    return int(text)


def _user_id(value: Json) -> int:
    if not isinstance(value, str):  # a JSON number is text as well
        raise InvalidValue(USER_ID_MESSAGE)
    return user_id_from_text(value)


def _symbol(value: Json) -> str:
    if not _is_string(value) or not _SYMBOL.fullmatch(value.strip(BLANKS)):
        is_pair = _is_string(value) and not _PAIR_SIGNS.isdisjoint(value)
        hint = ", one asset alone: the other is named by pay_with or receive" if is_pair else ""
        raise InvalidValue(f"must be a string of 1 to 10 ASCII letters or digits{hint}")
    symbol: str = value.strip(BLANKS).upper()
    return symbol


def _is_string(value: Json) -> bool:
    return isinstance(value, str) and not isinstance(value, JsonNumber)


def _side(value: Json) -> Side:
    if not _is_string(value) or value.lower() not in set(Side):
        raise InvalidValue('must be "buy" or "sell"')
    return Side(value.lower())


def _quantity(value: Json) -> Amount:
    if not isinstance(value, str) or not (isinstance(value, JsonNumber) or _DECIMAL.fullmatch(value)):
        raise InvalidValue(_decimal_flaw(value))
    try:
        amount = Decimal(value)
        if amount <= 0:
            raise InvalidValue("must be more than 0")
        if amount > MAX_QUANTITY:
            raise InvalidValue(f"must be at most {MAX_QUANTITY}")
        exponent = int(amount.as_tuple().exponent)
        if not -DECIMALS <= exponent <= 0:
            # A number such as 1E+3 or 1.000000000: only its value counts.
            amount = EXACT.quantize(amount, Decimal((0, (1,), max(-DECIMALS, min(0, exponent)))))
        return Amount(units_from(amount), format(amount, "f"))
    except DecimalException:
        raise InvalidValue(f"must have at most {DECIMALS} decimals") from None


def _decimal_flaw(value: Json) -> str:
    """Returns what is wrong with text that is not a decimal: as for a number, where it would be one."""
    if isinstance(value, str):
        if _NEGATIVE.fullmatch(value):
            return "must be more than 0"
        if _LONG_DECIMAL.fullmatch(value):
            return f"must have at most {DECIMALS} decimals"
    return f'must be a decimal string such as "1.5", of digits with at most {DECIMALS} decimals'


def _amount_or_all(value: Json) -> Amount:
    return Amount(None, ALL) if _is_string(value) and value == ALL else _quantity(value)


def price_text_units(value: Json, decimals: int = PRICE_DECIMALS) -> int:
    """Returns decimal text as a number of units, each 10 to the power of minus `decimals`.

    Raises:
        InvalidValue: the value is not a string of digits with at most `decimals` decimals.
    """
    found = _DECIMAL_TEXT.fullmatch(value) if _is_string(value) else None
    if found is None or len(found[1] or "") > decimals:
        raise InvalidValue(f'must be a decimal string such as "49500", of digits with at most {decimals} decimals')
    try:
        return units_from(Decimal(value), decimals)
    except DecimalException:
        raise InvalidValue("is too large") from None


def _limit_price(value: Json) -> int:
    price = price_text_units(value)
    if not 0 < price <= MAX_LIMIT_PRICE * PRICE_PER_USD:
        raise InvalidValue("must be more than 0, and at most 10^28")
    return price


def time_text(value: Json) -> str:
    """Returns a time in UTC with microseconds, as the API shows it; more decimals are cut.

    Raises:
        InvalidValue: the text is not an RFC 3339 time with an offset.
    """
    found = _TIME.fullmatch(value) if _is_string(value) else None
    try:
        if found is None:
            raise ValueError
        date, time, fraction, offset = found.groups()
        at = datetime.fromisoformat(f"{date}T{time}.{(fraction or '')[:6]:0<6}{offset or '+00:00'}")
        return rfc3339(at)
    except (ValueError, OverflowError):
        raise InvalidValue('must be a time with its offset, such as "2026-02-21T14:00:00Z" (RFC 3339)') from None


def idempotency_key(text: str) -> str:
    """Returns a key in its stored form: trimmed, without one pair of enclosing double quotes, trimmed again; "" for a blank one.

    The quotes are those of the IETF draft "The Idempotency-Key HTTP Header Field".

    Raises:
        InvalidValue: the key is too long, or contains other characters than printable ASCII.
    """
    key = text.strip(BLANKS)
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1].strip(BLANKS)
    if key and (len(key) > MAX_KEY_LENGTH or not _PRINTABLE.fullmatch(key)):
        raise InvalidValue(f"must be 1 to {MAX_KEY_LENGTH} printable ASCII characters")
    return key


def _key(value: Json) -> str:
    """Reads the key of an order in a batch; returns an empty text for a missing key."""
    if value is None:
        return ""
    if not _is_string(value):
        raise InvalidValue(f"must be a string of 1 to {MAX_KEY_LENGTH} printable ASCII characters")
    return idempotency_key(value)


def _boolean(value: Json) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue("must be true or false")
    return value


def _orders(value: Json) -> list[Json]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_BATCH_ORDERS:
        raise InvalidValue(f"must be a list of 1 to {MAX_BATCH_ORDERS} orders")
    return value


_AMOUNT_SCHEMA = (
    {"type": "string", "pattern": r"^(?=.*[1-9])0*([0-9]{1,15}(\.[0-9]{1,8})?|10{15}(\.0{1,8})?)$"},
    {"type": "number", "format": "double", "exclusiveMinimum": 0, "maximum": MAX_QUANTITY},
)
_SYMBOL_SCHEMA = {"type": "string", "pattern": r"^[ \t\r\n]*[A-Za-z0-9]{1,10}[ \t\r\n]*$"}

USER_ID = Field(
    "user_id",
    {
        "description": "The user whose account trades: an integer (`1`, not `1.0`), or a string of its digits, since JavaScript "
        "rounds integers above 2⁵³.",
        "examples": [1],
        "anyOf": [
            {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_USER_ID},
            {"type": "string", "pattern": r"^[1-9][0-9]{0,18}$"},
        ],
    },
    _user_id,
)
SYMBOL = Field(
    "symbol",
    {**_SYMBOL_SCHEMA, "description": "The asset to buy or sell; case does not matter.", "examples": ["BTC"]},
    _symbol,
)
PAY_WITH = Field(
    "pay_with",
    {**_SYMBOL_SCHEMA, "description": "On a buy: the asset to pay with, other than `symbol`.", "examples": ["USD"]},
    _symbol,
    required=False,
)
RECEIVE = Field(
    "receive",
    {**_SYMBOL_SCHEMA, "description": "On a sell: the asset to receive, other than `symbol`.", "examples": ["USD"]},
    _symbol,
    required=False,
)
SIDE = Field(
    "side",
    {
        "type": "string",
        "pattern": "^([Bb][Uu][Yy]|[Ss][Ee][Ll][Ll])$",
        "description": "`buy`, which is the default, or `sell`; case does not matter.",
        "examples": ["buy", "sell"],
    },
    _side,
    required=False,
)
QUANTITY = Field(
    "quantity",
    {
        "description": "The amount of `symbol`: more than 0, at most 10¹⁵, at most 8 decimals. A string is safest, since many "
        'JSON writers round numbers; a number is read digit for digit. A sell also takes `"all"`: the whole balance.',
        "examples": ["1.0"],
        "anyOf": [*_AMOUNT_SCHEMA, {"const": ALL}],
    },
    _amount_or_all,
    required=False,
)
NOTIONAL = Field(
    "notional",
    {
        "description": "Buys only, instead of `quantity`: the most of `pay_with` to spend, fee included; "
        '`"all"` is the whole balance at the decision.',
        "examples": ["250.00"],
        "anyOf": [*_AMOUNT_SCHEMA, {"const": ALL}],
    },
    _amount_or_all,
    required=False,
)
LIMIT_PRICE = Field(
    "limit_price",
    {
        "type": "string",
        "pattern": r"^(?=.*[1-9])0*([0-9]{1,28}(\.[0-9]{1,16})?|10{28}(\.0{1,16})?)$",
        "description": "The worst accepted price: `pay_with` or `receive` per one `symbol`, without fees; at most 10²⁸.",
        "examples": ["49500"],
    },
    _limit_price,
    required=False,
)
EXPIRES_AT = Field(
    "expires_at",
    {
        "type": "string",
        "format": "date-time",
        "description": "An order decided later than this is refused. RFC 3339 with an offset; cut to microseconds.",
        "examples": ["2030-01-01T00:00:00Z"],
    },
    time_text,
    required=False,
)
KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": r"^[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*$"}
IDEMPOTENCY_KEY = Field(
    "idempotency_key",
    {
        **KEY_SCHEMA,
        "description": "A value that you choose: new for each order, the same when an order is sent again, in a batch or by "
        "itself. It is trimmed, and belongs to its user for ever.",
        "examples": ["order-1"],
    },
    _key,
)
ORDERS = Field(
    "orders",
    {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_BATCH_ORDERS,
        "items": {"$ref": "#/components/schemas/BatchOrder"},
        "description": "Orders, decided one by one in this sequence. No two may have the same key.",
    },
    _orders,
)
TERMS = (SIDE, SYMBOL, PAY_WITH, RECEIVE, QUANTITY, NOTIONAL, LIMIT_PRICE, EXPIRES_AT)
"""The fields that describe an order, by itself or in a batch."""

ALL_OR_NOTHING = Field(
    "all_or_nothing",
    {"type": "boolean", "description": "Either every order fills or none does; without it, each order is decided for itself."},
    _boolean,
    required=False,
)
ORDER_FIELDS = (USER_ID, *TERMS)
BATCH_FIELDS = (USER_ID, ORDERS, ALL_OR_NOTHING)
BATCH_ORDER_FIELDS = (IDEMPOTENCY_KEY, *TERMS)

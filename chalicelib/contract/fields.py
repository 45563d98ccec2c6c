"""What each field of a request may hold: one definition that validates and that the OpenAPI document publishes.

Standard library only. A validation library would cost a cold start more than everything else in this package together, and none
of them says what a quantity is: decimal text, read digit for digit.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any

from chalicelib.domain.money import DECIMALS, EXACT, units_from
from chalicelib.domain.order import Amount

MAX_USER_ID = 2**63 - 1
MAX_QUANTITY = 10**15
MAX_KEY_LENGTH = 128
MAX_BATCH_ORDERS = 99
"""One transaction of DynamoDB's takes them, and the account's own action: 100."""

Json = Any
"""A parsed JSON value; a number is a `JsonNumber`."""


class JsonNumber(str):
    """A JSON number as it was written: never yet a float."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DuplicateName:
    """In place of the value of a name that stands twice in an object: JSON leaves open which counts; with money, neither does."""


class InvalidValue(Exception):
    """A value is not what its field takes; the message says what it takes."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, what it takes as JSON Schema, and the function that takes it (or raises `InvalidValue`)."""

    name: str
    schema: Mapping[str, Any]
    take: Callable[[Json], Any]

    def read(self, value: Json) -> Any:
        """The value, as the engine uses it.

        Raises:
            InvalidValue: the field does not take it.
        """
        if isinstance(value, DuplicateName):
            raise InvalidValue("stands twice")
        return self.take(value)


_WHOLE = re.compile(r"[1-9][0-9]{0,18}")
_SYMBOL = re.compile(r"[A-Za-z0-9]{1,10}")
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]{1,8})?")
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
BLANKS = " \t\r\n"
"""What is trimmed. Other white space is not ASCII, or not printable, and is refused."""

USER_ID_MESSAGE = f"must be an integer from 1 to {MAX_USER_ID}, or a string of its digits"


def user_id_from_text(text: str) -> int:
    """A user id in a path: decimal digits, no sign, no leading zero.

    Raises:
        InvalidValue: it is not one.
    """
    if not _WHOLE.fullmatch(text) or int(text) > MAX_USER_ID:
        raise InvalidValue(USER_ID_MESSAGE)
    return int(text)


def _user_id(value: Json) -> int:
    if not isinstance(value, str):  # a JSON number is text as well
        raise InvalidValue(USER_ID_MESSAGE)
    return user_id_from_text(value)


def _symbol(value: Json) -> str:
    if not isinstance(value, str) or isinstance(value, JsonNumber) or not _SYMBOL.fullmatch(value.strip(BLANKS)):
        raise InvalidValue("must be a string of 1 to 10 ASCII letters or digits")
    return value.strip(BLANKS).upper()


def _quantity(value: Json) -> Amount:
    if not isinstance(value, str) or not (isinstance(value, JsonNumber) or _DECIMAL.fullmatch(value)):
        raise InvalidValue(f'must be a decimal string such as "1.5", of digits with at most {DECIMALS} decimals')
    try:
        amount = Decimal(value)
        if amount <= 0:
            raise InvalidValue("must be more than 0")
        if amount > MAX_QUANTITY:
            raise InvalidValue(f"must be at most {MAX_QUANTITY}")
        exponent = int(amount.as_tuple().exponent)
        if not -DECIMALS <= exponent <= 0:
            # A number such as 1E+3 or 1.000000000: it is the value that counts.
            amount = EXACT.quantize(amount, Decimal((0, (1,), max(-DECIMALS, min(0, exponent)))))
        return Amount(units_from(amount), format(amount, "f"))
    except DecimalException:
        raise InvalidValue(f"must have at most {DECIMALS} decimals") from None


def idempotency_key(text: str) -> str:
    """Returns a key as it counts: trimmed, without one pair of enclosing double quotes, trimmed; empty where it is blank.

    The quotes are those of the IETF draft "The Idempotency-Key HTTP Header Field".

    Raises:
        InvalidValue: it is too long, or holds something that is not printable ASCII.
    """
    key = text.strip(BLANKS)
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1].strip(BLANKS)
    if key and (len(key) > MAX_KEY_LENGTH or not _PRINTABLE.fullmatch(key)):
        raise InvalidValue(f"must be 1 to {MAX_KEY_LENGTH} printable ASCII characters")
    return key


def _key(value: Json) -> str:
    """Reads the key of an order in a batch; it is empty where there is none."""
    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, JsonNumber):
        raise InvalidValue(f"must be a string of 1 to {MAX_KEY_LENGTH} printable ASCII characters")
    return idempotency_key(value)


def _orders(value: Json) -> list[Json]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_BATCH_ORDERS:
        raise InvalidValue(f"must be a list of 1 to {MAX_BATCH_ORDERS} orders")
    return value


_SYMBOL_SCHEMA = {"type": "string", "pattern": r"^[ \t\r\n]*[A-Za-z0-9]{1,10}[ \t\r\n]*$"}

USER_ID = Field(
    "user_id",
    {
        "description": "Whose account trades: an integer (`1`, not `1.0`), or a string of its digits, since JavaScript rounds "
        "integers above 2⁵³.",
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
    {**_SYMBOL_SCHEMA, "description": "What to buy; case does not matter.", "examples": ["BTC"]},
    _symbol,
)
PAY_WITH = Field(
    "pay_with",
    {**_SYMBOL_SCHEMA, "description": "What to pay with: another asset than `symbol`.", "examples": ["USD"]},
    _symbol,
)
QUANTITY = Field(
    "quantity",
    {
        "description": "How much to buy: more than 0, at most 10¹⁵, at most 8 decimals. A string is safest, since many JSON "
        "writers round numbers; a number is read digit for digit.",
        "examples": ["1.0"],
        "anyOf": [
            {"type": "string", "pattern": r"^(?=.*[1-9])0*([0-9]{1,15}(\.[0-9]{1,8})?|10{15}(\.0{1,8})?)$"},
            {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_QUANTITY},
        ],
    },
    _quantity,
)
KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": r"^[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*$"}
IDEMPOTENCY_KEY = Field(
    "idempotency_key",
    {
        **KEY_SCHEMA,
        "description": "A value of your own: new for each order, the same when an order is sent again, in a batch or by itself. "
        "It is trimmed, and belongs to its user for ever.",
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
        "description": "Decided in this order, each for itself. No two may have the same key.",
    },
    _orders,
)
ORDER_FIELDS = (USER_ID, SYMBOL, PAY_WITH, QUANTITY)
BATCH_FIELDS = (USER_ID, ORDERS)
BATCH_ORDER_FIELDS = (IDEMPOTENCY_KEY, SYMBOL, PAY_WITH, QUANTITY)

"""Amounts and times as the engine reads them: text, never a float."""

from datetime import datetime
from decimal import Decimal

Amount = Decimal | int | str
"""An amount, a quantity or a price: exact. A `str` is sent as it is, such as ``"0.50"`` or ``"all"``."""

ALWAYS_TAKEN = 8
"""Decimals that the engine takes in every amount and price. Zeros beyond them, which arithmetic leaves, are dropped."""


def amount_text(name: str, value: Amount) -> str:
    """Returns an amount as text in plain notation. `name`: the parameter, for the message.

    Raises:
        TypeError: the value is a float, or something else that is not an exact number.
        ValueError: the value is not finite.
    """
    if isinstance(value, float):
        raise TypeError(
            f"{name} is a float, and a float cannot hold most decimal amounts exactly: 0.1 is 0.1000000000000000055…. "
            f'Use Decimal("0.1"), the string "0.1" or an int'
        )
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise TypeError(f"{name} must be a Decimal, an int or a str, not {type(value).__name__}")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{name} must be finite, not {value}")
        whole, point, fraction = f"{value:f}".partition(".")
        return whole + point + fraction[:ALWAYS_TAKEN] + fraction[ALWAYS_TAKEN:].rstrip("0")
    return str(value)


def time_text(name: str, value: datetime | str) -> str:
    """Returns a time as RFC 3339 text. A `str` is sent as it is.

    Raises:
        ValueError: the time has no offset from UTC.
    """
    if isinstance(value, str):
        return value
    if value.utcoffset() is None:
        raise ValueError(f"{name} has no time zone: use datetime.now(timezone.utc), for example")
    return value.isoformat()

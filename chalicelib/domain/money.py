"""Money: whole units inside, decimal text at the edges, float nowhere.

An amount is an ``int`` that counts units of 10⁻⁸: 1 BTC is ``100_000_000``. A price is an ``int`` in units of 10⁻¹⁶ USD.
Integers are exact at every size in Python, and up to 38 digits in DynamoDB. All arithmetic is done here, none in the datastore's
expressions. `Decimal` appears only where text becomes units, in a context that raises rather than rounds.
"""

from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

DECIMALS = 8
UNITS_PER_ONE: int = 10**DECIMALS
PRICE_DECIMALS = 16
PRICE_PER_USD: int = 10**PRICE_DECIMALS
"""The price of one USD: the unit of account."""

MAX_BALANCE_UNITS = 10**37
"""The largest balance a decision may leave: a tenth of what DynamoDB holds exactly (38 digits)."""

QUOTIENT_DIGITS = 8
"""Significant digits that a shown quotient has at least."""

# 120 digits are three times as many as any amount has. Should something longer come up after all, Inexact is raised: a wrong
# amount is worse than none.
EXACT = Context(prec=120, Emax=999_999, Emin=-999_999, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero])


def units_from(amount: Decimal, decimals: int = DECIMALS) -> int:
    """Returns the units in an amount: ``Decimal("1.5")`` → ``150_000_000``.

    Raises:
        decimal.Inexact: the amount has more than `decimals` decimals.
    """
    return int(EXACT.quantize(EXACT.scaleb(amount, decimals), Decimal(1)))


def price_from(price: Decimal) -> int:
    """Returns a price in units of 10⁻¹⁶ USD.

    Raises:
        decimal.Inexact: the price has more than 16 decimals.
    """
    return units_from(price, PRICE_DECIMALS)


def text_from(units: int, decimals: int = DECIMALS) -> str:
    """Returns units as plain decimal text with one decimal or more: ``150_000_000`` → ``"1.50000000"``."""
    digits = str(abs(units)).zfill(decimals + 1)
    point = len(digits) - decimals
    return f"{'-' if units < 0 else ''}{digits[:point]}.{digits[point:] or 0}"


def price_text(price: int) -> str:
    """Returns a listed price exactly, with 8 to 16 decimals: zeros beyond the eighth decimal are dropped."""
    return _trimmed(text_from(price, PRICE_DECIMALS), PRICE_DECIMALS)


def quotient_text(numerator: int, denominator: int) -> str:
    """Returns a quotient half up at 8 decimals, or at as many more as 8 significant digits take.

    For display: nothing is computed from it. Zeros beyond the eighth decimal are dropped.
    """
    decimals = DECIMALS
    scaled = numerator * 10**decimals
    while scaled < 10 ** (QUOTIENT_DIGITS - 1) * denominator and numerator:
        decimals += 1
        scaled *= 10
    return _trimmed(text_from(divide_half_up(scaled, denominator), decimals), decimals)


def _trimmed(text: str, decimals: int) -> str:
    keep = len(text) - (decimals - DECIMALS)
    return text[:keep] + text[keep:].rstrip("0")


def divide_up(dividend: int, divisor: int) -> int:
    """Returns a quotient rounded up: a buy's cost and every fee are rounded so, against the client."""
    return -(-dividend // divisor)


def divide_half_up(dividend: int, divisor: int) -> int:
    """Returns a quotient of non-negative integers, rounded half up: how whatever is shown or apportioned is rounded."""
    return (2 * dividend + divisor) // (2 * divisor)

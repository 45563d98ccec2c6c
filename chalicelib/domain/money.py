"""Money: whole units of 10⁻⁸ inside, decimal text at the edges, float nowhere.

An amount is an ``int`` that counts units: 1 BTC is ``100_000_000``. Integers are exact at every size in Python, and up to 38
digits in DynamoDB. All arithmetic is done here, none in the datastore's expressions. `Decimal` appears only where text becomes
units, in a context that raises rather than rounds.
"""

from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

DECIMALS = 8
UNITS_PER_ONE = 10**DECIMALS
MAX_STORED_UNITS = 10**38 - 1
"""The largest amount DynamoDB holds exactly (38 digits)."""

# 120 digits are three times as many as any amount has. Should something longer come up after all, Inexact is raised: a wrong
# amount is worse than none.
EXACT = Context(prec=120, Emax=999_999, Emin=-999_999, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero])


def units_from(amount: Decimal) -> int:
    """The units in an amount: ``Decimal("1.5")`` → ``150_000_000``.

    Raises:
        decimal.Inexact: the amount has more than 8 decimals.
    """
    return int(EXACT.quantize(EXACT.scaleb(amount, DECIMALS), Decimal(1)))


def text_from(units: int, decimals: int = DECIMALS) -> str:
    """Units as plain decimal text: ``150_000_000`` → ``"1.50000000"``; never scientific notation."""
    whole, fraction = divmod(abs(units), 10**decimals)
    return f"{'-' if units < 0 else ''}{whole}.{fraction:0{decimals}}"


def divide_up(dividend: int, divisor: int) -> int:
    """The quotient of two positive integers, rounded up: how every cost is rounded, against the buyer."""
    return -(-dividend // divisor)


def divide_half_up(dividend: int, divisor: int) -> int:
    """The quotient of two non-negative integers, rounded half up: how whatever is only shown is rounded."""
    return (2 * dividend + divisor) // (2 * divisor)

"""An asset: its price, and the trading rules that hold for it."""

from dataclasses import dataclass

from chalicelib.domain.money import PRICE_PER_USD

UNIT_OF_ACCOUNT = "USD"
"""Always listed, never halted, its price is 1."""

MIN_PRICE = 1
MAX_PRICE = 10**12 * PRICE_PER_USD
MAX_FEE_BPS = 1_000

MOVE_DECIMALS = 4
MOVES_PER_ONE: int = 10**MOVE_DECIMALS
DEFAULT_MAX_MOVE = 2_000
"""20 %: a larger move of a price is more often a slip, or a broken feed, than the market."""

MAX_MAX_MOVE = 10**8

RATE_PER_ONE = 10**6
"""A fee's rate is in parts of a million: 1 bps is 100 of them, and the hundredth of a bps is the smallest."""


@dataclass(frozen=True, slots=True)
class Asset:
    """Something that can be traded.

    `price`: USD for one of it, in units of 10⁻¹⁶. `price_at`: when the market set it, RFC 3339. `min_quantity_units` and
    `quantity_step_units` hold for orders in this symbol; of `min_notional_usd_units` and `fee_rate` (in 10⁻⁶) the larger of the
    two assets' holds. `max_move`: the largest change of the price that is taken for one, in 10⁻⁴ of it.
    """

    symbol: str
    price: int
    price_at: str
    halted: bool = False
    min_quantity_units: int = 1
    quantity_step_units: int = 1
    min_notional_usd_units: int = 0
    fee_rate: int = 0
    max_move: int = DEFAULT_MAX_MOVE


def is_too_large_a_move(before: int, after: int, max_move: int) -> bool:
    """Returns whether a price would move by more than `max_move`, in 10⁻⁴ of the price before."""
    return abs(after - before) * MOVES_PER_ONE > before * max_move


def max_move_text(max_move: int) -> str:
    """Returns a largest move as a part of the price, as short as it is exact: ``"0.2"``."""
    whole, fraction = divmod(max_move, MOVES_PER_ONE)
    return f"{whole}.{fraction:0{MOVE_DECIMALS}}".rstrip("0").rstrip(".")


def fee_bps_text(rate: int) -> str:
    """Returns a fee's rate in basis points, as short as it is exact: ``"25"``, ``"2.5"``."""
    whole, hundredths = divmod(rate, 100)
    return f"{whole}.{hundredths:02}".rstrip("0").rstrip(".")


def value_usd_units(units: int, price: int) -> int:
    """Returns what an amount is worth in units of 10⁻⁸ USD, half up."""
    return (2 * units * price + PRICE_PER_USD) // (2 * PRICE_PER_USD)

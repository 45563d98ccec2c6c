"""An asset: its price, and the trading rules that hold for it."""

from dataclasses import dataclass

from chalicelib.domain.money import PRICE_PER_USD

UNIT_OF_ACCOUNT = "USD"
"""Always listed, never halted, its price is 1."""

MIN_PRICE = 1
MAX_PRICE = 10**12 * PRICE_PER_USD
MAX_FEE_BPS = 1_000

RATE_PER_ONE = 10**6
"""A fee's rate is in parts of a million: 1 bps is 100 of them, and the hundredth of a bps is the smallest."""


@dataclass(frozen=True, slots=True)
class Asset:
    """Something that can be traded.

    `price`: USD for one of it, in units of 10⁻¹⁶. `price_at`: when the market set it, RFC 3339. `min_quantity_units` and
    `quantity_step_units` hold for orders in this symbol; of `min_notional_usd_units` and `fee_rate` (in 10⁻⁶) the larger of the
    two assets' holds.
    """

    symbol: str
    price: int
    price_at: str
    halted: bool = False
    min_quantity_units: int = 1
    quantity_step_units: int = 1
    min_notional_usd_units: int = 0
    fee_rate: int = 0


def fee_bps_text(rate: int) -> str:
    """Returns a fee's rate in basis points, as short as it is exact: ``"25"``, ``"2.5"``."""
    whole, hundredths = divmod(rate, 100)
    return f"{whole}.{hundredths:02}".rstrip("0").rstrip(".")


def value_usd_units(units: int, price: int) -> int:
    """Returns what an amount is worth in units of 10⁻⁸ USD, half up."""
    return (2 * units * price + PRICE_PER_USD) // (2 * PRICE_PER_USD)

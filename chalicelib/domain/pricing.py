"""What one asset costs in another: cross rates over USD prices, and the one rounding that takes money."""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.domain.money import UNITS_PER_ONE, divide_half_up, divide_up

MIN_PRICE_UNITS = 1
MAX_PRICE_UNITS = 10**12 * UNITS_PER_ONE


@dataclass(frozen=True, slots=True)
class Asset:
    """Something that can be traded. `price_units`: USD for one of it, in units of 10⁻⁸."""

    symbol: str
    price_units: int
    halted: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """The two prices that decide an order."""

    buy: Asset
    pay: Asset

    def cost_units(self, quantity_units: int) -> int:
        """What `quantity_units` of the bought asset cost, in units of the paying asset.

        Computed from the two USD prices and rounded **up** once: never in the buyer's favour and, since both prices and the
        quantity are positive, never zero.
        """
        return divide_up(quantity_units * self.buy.price_units, self.pay.price_units)

    def execution_price_units(self) -> int:
        """One of the bought asset in the paying asset, rounded half up. For display: no cost is computed from it."""
        return divide_half_up(self.buy.price_units * UNITS_PER_ONE, self.pay.price_units)

    def prices(self) -> dict[str, int]:
        """USD prices by symbol: what the record keeps of the market."""
        return {asset.symbol: asset.price_units for asset in (self.buy, self.pay)}


@dataclass(frozen=True, slots=True)
class Valuation:
    """Balances in USD: 8 decimals each, 2 in the total; `None` where an asset has no price any more."""

    value_units: dict[str, int | None]
    total_cents: int


def value(balances: Mapping[str, int], assets: Mapping[str, Asset]) -> Valuation:
    """Values balances at USD prices. The total is summed exactly and rounded once, so it may differ from the sum of the parts."""
    values: dict[str, int | None] = {}
    total = 0  # in units of 10⁻¹⁶ USD: units of the asset times units of its price
    for symbol, units in balances.items():
        asset = assets.get(symbol)
        if asset is None:
            values[symbol] = None
            continue
        exact = units * asset.price_units
        values[symbol] = divide_half_up(exact, UNITS_PER_ONE)
        total += exact
    return Valuation(values, divide_half_up(total, UNITS_PER_ONE * UNITS_PER_ONE // 100))

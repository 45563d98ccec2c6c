"""All that can be traded, drawn so that small and large are equally likely: uniform draws would hardly ever be small."""

from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from chalicelib.domain.asset import MAX_PRICE, MIN_PRICE, Asset
from chalicelib.domain.money import MAX_BALANCE_UNITS
from tests.unit.domain.builders import PRICE_AT

MAX_QUANTITY_UNITS = 10**15 * 10**8
MAX_FEE_RATE = 100_000


def integers(least: int, most: int) -> st.SearchStrategy[int]:
    """Integers of every magnitude."""
    return st.integers(least.bit_length(), most.bit_length()).flatmap(
        lambda bits: st.integers(max(least, (1 << bits) >> 1), min(most, (1 << bits) - 1))
    )


prices = integers(MIN_PRICE, MAX_PRICE)
quantities = integers(1, MAX_QUANTITY_UNITS)
balances = integers(0, MAX_BALANCE_UNITS)
fee_rates = st.one_of(st.just(0), integers(1, MAX_FEE_RATE))


@dataclass(frozen=True)
class Deal:
    """Two assets, A and B, and an amount of each that is worth about the same."""

    market: Mapping[str, Asset]
    quantity_units: int
    notional_units: int

    @property
    def price(self) -> int:
        return self.market["A"].price

    @property
    def other_price(self) -> int:
        return self.market["B"].price

    @property
    def rate(self) -> int:
        return max(asset.fee_rate for asset in self.market.values())


@st.composite
def deals(draw: st.DrawFn, *, stepless: bool = False) -> Deal:
    """Deals that are mostly large enough for rounding to cost little."""
    price, other_price = draw(prices), draw(prices)
    notional = draw(integers(50, MAX_QUANTITY_UNITS))
    near = max(1, min(MAX_QUANTITY_UNITS, notional * other_price // price))
    step = 1 if stepless else draw(st.one_of(st.just(1), integers(1, near)))
    market = {
        "A": Asset("A", price, PRICE_AT, quantity_step_units=step, fee_rate=draw(fee_rates)),
        "B": Asset("B", other_price, PRICE_AT, fee_rate=draw(fee_rates)),
    }
    return Deal(market, near - near % step, notional)

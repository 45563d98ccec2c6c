"""An account valued at the market's prices."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from chalicelib.domain.account import Account
from chalicelib.domain.asset import Asset, value_usd_units


class Position(NamedTuple):
    """One asset's part of an account, in units. `asset` and `value_units` are `None` where there is no price any more."""

    quantity_units: int
    cost_basis_units: int
    asset: Asset | None
    value_units: int | None


class Portfolio(NamedTuple):
    """An account at one moment, and what it was worth: `positions` by symbol; `total_units`: the sum of their values, in USD."""

    account: Account
    positions: Mapping[str, Position]
    total_units: int
    valued_at: datetime


def value(account: Account, market: Mapping[str, Asset], at: datetime) -> Portfolio:
    """Values an account at the market's prices."""
    positions: dict[str, Position] = {}
    total_units = 0
    for symbol, units in sorted(account.balances.items()):
        asset = market.get(symbol)
        value_units = None if asset is None else value_usd_units(units, asset.price)
        positions[symbol] = Position(units, account.books.basis_units(symbol), asset, value_units)
        total_units += value_units or 0
    return Portfolio(account, positions, total_units, at)

"""Cost basis and realized gain, by the average-cost method: a pure function of an account's history.

A purchase raises the received asset's basis by what was given for it, fees included; a sale takes the given asset's share of its
basis and realizes the difference. A transfer in brings its value along, a transfer out takes its share of the basis, and neither
realizes anything. USD is the unit of account: its basis is its balance. So after every decision, to the unit,

    sum of bases − realized = net deposits
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.domain.asset import UNIT_OF_ACCOUNT, value_usd_units
from chalicelib.domain.money import divide_half_up


@dataclass(frozen=True, slots=True)
class Books:
    """An account's holdings, their cost and the realized gain. All amounts are in units of 10⁻⁸.

    `cost_basis`: USD by symbol; none for USD itself nor for a zero balance.
    """

    balances: Mapping[str, int]
    cost_basis: Mapping[str, int]
    realized_pl_units: int

    def basis_units(self, symbol: str) -> int:
        """Returns an asset's basis in units of USD."""
        if symbol == UNIT_OF_ACCOUNT:
            return self.balances.get(symbol, 0)
        return self.cost_basis.get(symbol, 0)


Leg = tuple[str, int]
"""An asset, and how much of it a trade moved, in units."""


def traded(books: Books, gave: Leg, got: Leg, value_units: int) -> Books:
    """Returns the books after a trade. `value_units`: the one USD figure that both legs have (see `trade_value_units`)."""
    (given, given_units), (received, received_units) = gave, got
    balances, cost_basis = dict(books.balances), dict(books.cost_basis)
    held_units = balances.get(given, 0)
    basis_units = _share(books.basis_units(given), given_units, held_units)
    balances[given] = held_units - given_units
    balances[received] = balances.get(received, 0) + received_units
    cost_basis[given] = cost_basis.get(given, 0) - basis_units
    cost_basis[received] = cost_basis.get(received, 0) + value_units
    return Books(balances, _stored(cost_basis, balances), books.realized_pl_units + value_units - basis_units)


def trade_value_units(symbol: Leg, other: Leg, other_price: int) -> int:
    """Returns a trade's value in units of USD: the USD that moved where one asset is USD, else the other asset's value."""
    for name, units in (symbol, other):
        if name == UNIT_OF_ACCOUNT:
            return units
    return value_usd_units(other[1], other_price)


def deposited(books: Books, symbol: str, units: int, value_units: int) -> Books:
    """Returns the books after a transfer in that is worth `value_units`."""
    balances, cost_basis = dict(books.balances), dict(books.cost_basis)
    balances[symbol] = balances.get(symbol, 0) + units
    cost_basis[symbol] = cost_basis.get(symbol, 0) + value_units
    return Books(balances, _stored(cost_basis, balances), books.realized_pl_units)


def withdrawn(books: Books, symbol: str, units: int) -> Books:
    """Returns the books after a transfer out; it takes its share of the basis along and realizes nothing."""
    balances, cost_basis = dict(books.balances), dict(books.cost_basis)
    held_units = balances[symbol]
    balances[symbol] = held_units - units
    cost_basis[symbol] = cost_basis.get(symbol, 0) - _share(books.basis_units(symbol), units, held_units)
    return Books(balances, _stored(cost_basis, balances), books.realized_pl_units)


def net_deposits_units(books: Books) -> int:
    """Returns what was put in, less what was taken out, in units of USD."""
    return sum(books.basis_units(symbol) for symbol in books.balances) - books.realized_pl_units


def _share(basis_units: int, part_units: int, whole_units: int) -> int:
    """Returns a part's share of a basis, half up; the whole takes all of it."""
    return divide_half_up(basis_units * part_units, whole_units)


def _stored(cost_basis: Mapping[str, int], balances: Mapping[str, int]) -> dict[str, int]:
    return {symbol: units for symbol, units in cost_basis.items() if symbol != UNIT_OF_ACCOUNT and balances[symbol]}

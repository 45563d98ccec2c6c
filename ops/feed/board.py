"""The newest price of each asset, what became of it, and which one is sent next.

It keeps one price an asset, however long the engine does not answer: a newer one takes the place of an older one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.contract.fields import InvalidValue
from chalicelib.contract.operator import MAX_PRICES
from chalicelib.domain.asset import UNIT_OF_ACCOUNT
from chalicelib.domain.money import PRICE_DECIMALS, PRICE_PER_USD, price_text
from ops.feed.source import Tick
from ops.values import read_price, read_symbol

PAUSE_S = 10.0
"""The pause before another price of an asset follows one that the engine did not take for a reason that may last."""

TAKEN = frozenset({"set", "unchanged"})
LASTING = frozenset({"held", "unknown", "refused"})


@dataclass(slots=True)
class Row:
    """One asset. `price`: the newest, in units of 10⁻¹⁶ USD. `result`: what became of the last one that was sent."""

    symbol: str
    price: int
    at: datetime
    pending: bool
    result: str = ""
    taken: int = 0
    held: int = 0
    failed: int = 0
    paused_until_s: float = 0.0


class Board:
    """All assets of a feed."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.problems: dict[str, str] = {}
        """The last problem of the engine, of the source and of a price, by these names, until it is solved."""
        self.invalid = 0
        """Prices that the engine would refuse, and that were not sent."""

    def add(self, ticks: Iterable[Tick]) -> None:
        """Takes prices from a source. One that is older than the asset's newest is dropped, as is one that no engine takes."""
        for tick in ticks:
            try:
                symbol = read_symbol(tick.symbol)
                price = _price(symbol, tick.price)
            except InvalidValue as invalid:
                self.invalid += 1
                self.problems["price"] = f"{tick.symbol[:40]!r} at {tick.price[:40]!r} is not sent: it {invalid}"
                continue
            row = self.rows.get(symbol)
            if row is None:
                self.rows[symbol] = Row(symbol, price, tick.at, pending=True)
            elif tick.at > row.at or (tick.at == row.at and price != row.price):
                row.price, row.at, row.pending = price, tick.at, True

    def pending(self, now_s: float) -> list[list[Row]]:
        """Returns the rows to send: those of one time together, since the engine takes one time for all prices of a request."""
        by_time: dict[datetime, list[Row]] = defaultdict(list)
        for row in self.rows.values():
            if row.pending and now_s >= row.paused_until_s:
                by_time[row.at].append(row)
        return [rows[n : n + MAX_PRICES] for _, rows in sorted(by_time.items()) for n in range(0, len(rows), MAX_PRICES)]

    def settle(self, rows: Sequence[Row], results: Mapping[str, str], now_s: float) -> None:
        """Notes the engine's results. None of these prices is sent again."""
        for row in rows:
            row.result = results.get(row.symbol, "no result")
            row.pending = False
            row.taken += row.result in TAKEN
            row.held += row.result == "held"
            row.failed += row.result not in TAKEN | {"held", "older"}
            if row.result in LASTING:
                row.paused_until_s = now_s + PAUSE_S

    def fail(self, rows: Sequence[Row]) -> None:
        """Notes that no answer came. The newest price of each is sent again."""
        for row in rows:
            row.failed += 1
            row.result = "no answer"


def _price(symbol: str, text: str) -> int:
    """Returns a price in units; decimals beyond the sixteenth are cut.

    Raises:
        InvalidValue: the engine would refuse it.
    """
    whole, point, decimals = text.partition(".")
    price = read_price(f"{whole}{point}{decimals[:PRICE_DECIMALS]}")
    if symbol == UNIT_OF_ACCOUNT and price != PRICE_PER_USD:
        raise InvalidValue("is the unit of account, its price is 1")
    return price


def prices_of(rows: Sequence[Row]) -> dict[str, str]:
    """Returns the prices of rows as the engine takes them."""
    return {row.symbol: price_text(row.price) for row in rows}

"""A random walk, for demonstrations: the same seed and the same first prices give the same walk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from chalicelib.domain.money import PRICE_DECIMALS
from ops.failure import Failure
from ops.feed.source import Tick

STEP_PPM = 500
"""The largest step, in millionths of the first price."""

RANGE = Decimal("0.05")
"""The walk's distance from the first price, at most. Its extremes are closer to each other than the guard of 20 %, so that an
engine that begins anew at its own prices holds none of these.
"""

DIGITS = 8
"""The significant digits of a price."""


@dataclass(slots=True)
class _Path:
    """One asset's walk. `tick`: the smallest difference between two of its prices."""

    first: Decimal
    price: Decimal
    tick: Decimal


class Walk:
    """Steps of each asset's price, up and down within a range around the first one."""

    def __init__(self, seed: int, symbols: Sequence[str]) -> None:
        self._random = Random(seed)  # noqa: S311  (a demonstration wants numbers that come again)
        self._symbols = symbols
        self._paths: dict[str, _Path] = {}

    def start(self, listed: Mapping[str, str]) -> None:
        """See `Source`. The walk begins at the engine's prices."""
        missing = [symbol for symbol in self._symbols if symbol not in listed]
        if missing:
            raise Failure(f"{', '.join(missing)} must be listed: a walk begins at the engine's price")
        for symbol in sorted(self._symbols or listed):
            price = Decimal(listed[symbol])
            tick = Decimal((0, (1,), max(-PRICE_DECIMALS, price.adjusted() - DIGITS + 1)))
            first = price.quantize(tick)
            self._paths[symbol] = _Path(first, first, tick)
        if not self._paths:
            raise Failure("The engine lists no asset whose price could move")

    def poll(self, now: datetime) -> Iterator[Tick]:
        """See `Source`."""
        for symbol, path in self._paths.items():
            step = (path.first * self._random.randint(-STEP_PPM, STEP_PPM) / 1_000_000).quantize(path.tick)
            if abs(path.price + step - path.first) > path.first * RANGE:
                step = -step
            path.price += step
            yield Tick(symbol, format(path.price, "f"), now)

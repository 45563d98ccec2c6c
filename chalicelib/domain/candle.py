"""Candles: the first, the highest, the lowest and the last price of a stretch of time.

The minute and the hour under way are open: they are part of the asset. The price that belongs to a later minute closes them, and
what is closed is stored. Candles of five minutes and of days are rolled up from these when they are read.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

DAY_S = 86_400
MAX_CANDLES = 300
"""The number of candles that a chart may have."""


class Interval(StrEnum):
    """The length of a candle, by its name in the contract."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def length_s(self) -> int:
        """The length in seconds."""
        return _LENGTH_S[self]

    @property
    def stored(self) -> "Interval":
        """The interval of the stored candles from which this one is rolled up: the minute or the hour."""
        return Interval.MINUTE if self.length_s < Interval.HOUR.length_s else Interval.HOUR

    @property
    def kept_s(self) -> int:
        """The time for which the stored candles can be read, in seconds."""
        return _KEPT_S[self.stored]

    def start_s(self, at_s: int) -> int:
        """Returns the start of the candle that a moment belongs to, both in seconds since 1970."""
        return at_s - at_s % self.length_s


_LENGTH_S = {Interval.MINUTE: 60, Interval.FIVE_MINUTES: 300, Interval.HOUR: 3_600, Interval.DAY: DAY_S}
_KEPT_S = {Interval.MINUTE: 2 * DAY_S, Interval.HOUR: 400 * DAY_S}


class Candle(NamedTuple):
    """One candle. `at_s`: its start in seconds since 1970, UTC. The prices are in units of 10⁻¹⁶ USD; `prices`: their number."""

    at_s: int
    open: int
    high: int
    low: int
    close: int
    prices: int = 1

    @property
    def at(self) -> datetime:
        """The start."""
        return EPOCH + self.at_s * SECOND

    def then(self, later: "Candle") -> "Candle":
        """Returns the candle of both together."""
        high, low = max(self.high, later.high), min(self.low, later.low)
        return Candle(self.at_s, self.open, high, low, later.close, self.prices + later.prices)


class OpenCandles(NamedTuple):
    """The minute and the hour that an asset's last price belongs to."""

    minute: Candle
    hour: Candle

    @classmethod
    def opened(cls, price: int, at: datetime) -> "OpenCandles":
        """Returns the candles of a first price."""
        at_s = (at - EPOCH) // SECOND
        return cls(*(Candle(interval.start_s(at_s), price, price, price, price) for interval in (Interval.MINUTE, Interval.HOUR)))

    def then(self, price: int, at: datetime) -> "OpenCandles":
        """Returns the candles that are open after one more price, which is not earlier than the last one."""
        latest = OpenCandles.opened(price, at)
        return OpenCandles(_then(self.minute, latest.minute), _then(self.hour, latest.hour))


def closed(before: OpenCandles, after: OpenCandles | None) -> list[tuple[Interval, Candle]]:
    """Returns the candles that a change closes. `after`: what is open then, `None` where the asset is removed."""
    pairs = (
        (Interval.MINUTE, before.minute, None if after is None else after.minute),
        (Interval.HOUR, before.hour, None if after is None else after.hour),
    )
    return [(interval, earlier) for interval, earlier, later in pairs if later is None or later.at_s != earlier.at_s]


def rolled_up(candles: Iterable[Candle], interval: Interval) -> list[Candle]:
    """Returns the candles of an interval that shorter ones make up. Both are oldest first."""
    rolled: list[Candle] = []
    for candle in candles:
        longer = candle._replace(at_s=interval.start_s(candle.at_s))
        if rolled and rolled[-1].at_s == longer.at_s:
            rolled[-1] = rolled[-1].then(longer)
        else:
            rolled.append(longer)
    return rolled


class Chart(NamedTuple):
    """A wish for the last `limit` candles of an interval that start before `before`; `None`: for the newest."""

    interval: Interval = Interval.MINUTE
    limit: int = 200
    before: datetime | None = None

    def span_s(self, now: datetime) -> tuple[int, int]:
        """Returns the first and the last second at which a stored candle of the chart may start.

        The first is where the oldest candle starts that is kept whole. It is after the last where the chart is empty.
        """
        oldest_s = -((EPOCH - now) // SECOND) - self.interval.kept_s
        first_s = -self.interval.start_s(-oldest_s)
        if self.before is None:
            return first_s, (datetime.max.replace(tzinfo=UTC) - EPOCH) // SECOND
        before_s = -((EPOCH - self.before) // SECOND)  # rounded up: a candle starts at a whole second
        return first_s, self.interval.start_s(before_s - 1) + self.interval.length_s - 1

    @property
    def most_stored(self) -> int:
        """The number of stored candles that the chart may take."""
        return self.limit * (self.interval.length_s // self.interval.stored.length_s)

    def of(self, stored: Sequence[Candle], open_candles: OpenCandles, now: datetime) -> list[Candle]:
        """Returns the chart's candles, oldest first.

        `stored`: the newest `most_stored` of the stored ones in `span_s`, oldest first. `open_candles`: as they were before the
        stored ones were read. One that is in both was closed meanwhile, or its asset was removed and listed again: the one of
        more prices is complete.
        """
        first_s, last_s = self.span_s(now)
        under_way = open_candles.minute if self.interval.stored is Interval.MINUTE else open_candles.hour
        by_start = {candle.at_s: candle for candle in stored}
        known = by_start.get(under_way.at_s)
        if first_s <= under_way.at_s <= last_s and (known is None or known.prices < under_way.prices):
            by_start[under_way.at_s] = under_way
        return rolled_up(sorted(by_start.values()), self.interval)[-self.limit :]


def _then(earlier: Candle, later: Candle) -> Candle:
    return earlier.then(later) if earlier.at_s == later.at_s else later

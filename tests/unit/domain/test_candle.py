"""Candles: for any prices, what is stored and open is rolled up to what the prices themselves say."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.domain.candle import DAY_S, MAX_CANDLES, Candle, Chart, Interval, OpenCandles, closed, rolled_up

NOW = datetime(2026, 2, 21, 14, 1, 48, 11_301, UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
US = timedelta(microseconds=1)

Tick = tuple[datetime, int]
"""A price, and when the market set it."""


def start(at: datetime, interval: Interval) -> datetime:
    """The start of the candle that a moment belongs to, by the calendar."""
    match interval:
        case Interval.MINUTE:
            return at.replace(second=0, microsecond=0)
        case Interval.FIVE_MINUTES:
            return at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0)
        case Interval.HOUR:
            return at.replace(minute=0, second=0, microsecond=0)
        case Interval.DAY:
            return at.replace(hour=0, minute=0, second=0, microsecond=0)


def by_hand(ticks: Sequence[Tick], chart: Chart, now: datetime) -> list[tuple[datetime, int, int, int, int]]:
    """A chart, made of the prices themselves."""
    kept = timedelta(days=2 if chart.interval in (Interval.MINUTE, Interval.FIVE_MINUTES) else 400)
    candles = []
    for at, group in groupby(ticks, key=lambda tick: start(tick[0], chart.interval)):
        prices = [price for _, price in group]
        if at >= now - kept and (chart.before is None or at < chart.before):
            candles.append((at, prices[0], max(prices), min(prices), prices[-1]))
    return candles[-chart.limit :]


def shown(candles: Sequence[Candle]) -> list[tuple[datetime, int, int, int, int]]:
    return [(each.at, each.open, each.high, each.low, each.close) for each in candles]


class Table:
    """Stored candles by interval and start, and what is open, as an asset's item has it."""

    def __init__(self, first: Tick) -> None:
        self.stored: dict[tuple[Interval, int], Candle] = {}
        self.open = OpenCandles.opened(first[1], first[0])

    def set(self, at: datetime, price: int) -> None:
        after = self.open.then(price, at)
        for interval, candle in closed(self.open, after):
            assert (interval, candle.at_s) not in self.stored, "no candle is closed twice"
            self.stored[interval, candle.at_s] = candle
        self.open = after

    def chart(self, chart: Chart, now: datetime) -> list[Candle]:
        first_s, last_s = chart.span_s(now)
        found = [candle for (interval, at_s), candle in sorted(self.stored.items()) if interval is chart.interval.stored]
        found = [candle for candle in found if first_s <= candle.at_s <= last_s]
        return chart.of(found[-chart.most_stored :], self.open, now)


# Gaps of every magnitude: two prices in a microsecond, or a year apart.
gaps = st.integers(0, 45).flatmap(lambda bits: st.integers(0, 1 << bits)).map(lambda us: us * US)
ticks = st.lists(st.tuples(gaps, st.integers(1, 10**28)), min_size=1, max_size=40).map(
    lambda drawn: [
        (NOW - sum((gap for gap, _ in drawn[place + 1 :]), timedelta()), price) for place, (_, price) in enumerate(drawn)
    ]
)
charts = st.builds(
    Chart,
    st.sampled_from(Interval),
    st.one_of(st.just(MAX_CANDLES), st.integers(1, 5)),
    st.one_of(
        st.none(),
        st.datetimes(timezones=st.just(UTC)),
        st.integers(-5, 500).map(lambda minutes: start(NOW, Interval.MINUTE) - timedelta(minutes=minutes)),
        gaps.map(lambda gap: NOW - gap),
    ),
)


@settings(max_examples=400)
@given(ticks, charts)
@example([(NOW, 1)], Chart(before=datetime.max.replace(tzinfo=UTC)))
@example([(NOW, 1)], Chart(Interval.DAY, before=datetime.min.replace(tzinfo=UTC)))
def test_a_chart_is_what_the_prices_say(prices: list[Tick], chart: Chart) -> None:
    table = Table(prices[0])
    for at, price in prices[1:]:
        table.set(at, price)

    assert shown(table.chart(chart, NOW)) == by_hand(prices, chart, NOW)
    hours = [candle for (interval, _), candle in table.stored.items() if interval is Interval.HOUR]
    assert sum(candle.prices for candle in [*hours, table.open.hour]) == len(prices), "each price is counted once"
    minutes = [candle for (interval, _), candle in table.stored.items() if interval is Interval.MINUTE]
    assert sum(candle.prices for candle in [*minutes, table.open.minute]) == len(prices)


@pytest.mark.parametrize("interval", Interval)
def test_the_most_stored_candles_are_enough_and_the_oldest_candle_shown_is_whole(interval: Interval) -> None:
    """Every stored interval has a candle: as many as there can be."""
    each = interval.stored.length_s
    last_s = interval.start_s(int(NOW.timestamp())) + interval.length_s - each
    candles = [Candle(last_s - back * each, *[1 + back] * 4) for back in range(2 * DAY_S // 60)][::-1]
    chart = Chart(interval, MAX_CANDLES)
    first_s, _ = chart.span_s(NOW)
    kept = [candle for candle in candles if candle.at_s >= first_s]

    found = chart.of(kept[-chart.most_stored :], OpenCandles(candles[-1], candles[-1]), NOW)

    assert found == rolled_up(kept, interval)[-MAX_CANDLES:]
    assert {candle.prices for candle in found} == {interval.length_s // each}


def test_the_last_microsecond_of_a_minute_belongs_to_it_and_the_next_one_does_not() -> None:
    end = datetime(2026, 2, 21, 15, 0, tzinfo=UTC)
    before = OpenCandles.opened(7, end - US)

    after = before.then(9, end)

    assert (before.minute.at, before.hour.at) == (end - timedelta(minutes=1), end - timedelta(hours=1))
    assert (after.minute, after.hour) == (Candle(after.minute.at_s, 9, 9, 9, 9), Candle(after.minute.at_s, 9, 9, 9, 9))
    assert closed(before, after) == [(Interval.MINUTE, before.minute), (Interval.HOUR, before.hour)]
    assert closed(after, after.then(1, end + 59 * US)) == []


def test_a_removal_closes_what_is_open() -> None:
    under_way = OpenCandles.opened(7, NOW)

    assert closed(under_way, None) == [(Interval.MINUTE, under_way.minute), (Interval.HOUR, under_way.hour)]


def test_before_is_exclusive_to_the_microsecond() -> None:
    minute = start(NOW, Interval.MINUTE)
    table = Table((minute, 5))

    assert table.chart(Chart(before=minute), NOW) == []
    assert len(table.chart(Chart(before=minute + US), NOW)) == 1


def test_of_a_candle_that_is_stored_and_open_the_one_of_more_prices_counts() -> None:
    """It was closed after the asset had been read; or its asset was removed and listed again."""
    under_way = OpenCandles.opened(5, NOW).then(6, NOW)
    closed_meanwhile = under_way.then(9, NOW).minute
    before_the_removal = OpenCandles.opened(5, NOW).minute

    assert Chart().of([closed_meanwhile], under_way, NOW) == [closed_meanwhile]
    assert Chart().of([before_the_removal], under_way, NOW) == [under_way.minute]


def test_an_interval_goes_back_as_far_as_what_it_is_made_of() -> None:
    assert {interval: interval.kept_s // DAY_S for interval in Interval} == {"1m": 2, "5m": 2, "1h": 400, "1d": 400}
    assert [Chart(interval, MAX_CANDLES).most_stored for interval in Interval] == [300, 1_500, 300, 7_200]


@pytest.mark.parametrize("interval", [Interval.FIVE_MINUTES, Interval.DAY])
def test_a_candle_of_which_part_is_kept_no_longer_is_not_shown(interval: Interval) -> None:
    oldest_kept = NOW - timedelta(seconds=interval.kept_s - 2 * interval.stored.length_s)
    whole = start(oldest_kept, interval) + timedelta(seconds=interval.length_s)
    table = Table((oldest_kept, 5))
    table.set(whole, 6)
    table.set(NOW, 7)

    assert [candle.at for candle in table.chart(Chart(interval), NOW)] == [whole, start(NOW, interval)]

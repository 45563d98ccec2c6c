"""Candles, as an operator's prices make them and a trader reads them: also while two writers pass a minute's end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest
import requests

from chalicelib.domain.candle import Chart, Interval
from tests.contract.test_operator import put_asset, put_prices, refused, results, wrong_fields
from tests.support.market import TIMEOUT_S, Market

SYMBOL = "CANDLES"
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=6)
"""The beginning of an hour that is over. Nothing in these tests depends on which one."""


def shown(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def candle(at: datetime, opened: str, high: str, low: str, close: str) -> dict[str, str]:
    prices = {"open": opened, "high": high, "low": low, "close": close}
    return {"at": shown(at), **{name: f"{Decimal(price):.8f}" for name, price in prices.items()}}


def flat(at: datetime, price: str) -> dict[str, str]:
    return candle(at, price, price, price, price)


def get_candles(market: Market, symbol: str = SYMBOL, **query: Any) -> requests.Response:
    url = f"{market.urls[0]}/api/v1/trading/candles/{symbol}"
    return requests.get(url, params=query, headers=market.headers, timeout=TIMEOUT_S)


def candles(market: Market, **query: Any) -> list[dict[str, str]]:
    response = get_candles(market, **query)
    assert response.status_code == 200, response.text
    found: list[dict[str, str]] = response.json()
    return found


def set_price(market: Market, price: str, seconds: float, **more: Any) -> str:
    return results(put_prices(market, {SYMBOL: price}, as_of=shown(after(seconds)), **more))[SYMBOL]


@pytest.fixture
def asset(market: Market) -> Iterator[str]:
    """An asset without stored candles, at 100 as of `START`."""
    market.list_new_asset(SYMBOL, "100.00000000", price_at=shown(START))
    yield SYMBOL
    remove(market)


@pytest.fixture
def unlisted(market: Market) -> Iterator[str]:
    """A symbol that is not listed, and has no candles."""
    yield SYMBOL
    remove(market)


def remove(market: Market) -> None:
    market.remove_asset(SYMBOL)
    table = market.tables.candles
    query = {"KeyConditionExpression": "symbol = :symbol", "ExpressionAttributeValues": {":symbol": {"S": SYMBOL}}}
    for page in market.dynamodb.get_paginator("query").paginate(TableName=table, **query):
        for item in page["Items"]:
            market.dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("symbol", "at")})


def test_listing_an_asset_opens_its_first_candle(market: Market, unlisted: str) -> None:
    listed = put_asset(market, unlisted, price="123.45")
    assert listed.status_code == 200, listed.text

    (found,) = candles(market)

    at = datetime.fromisoformat(listed.json()["price_at"])
    assert found == flat(at.replace(second=0, microsecond=0), "123.45")


@pytest.mark.usefixtures("asset")
def test_a_minute_has_its_first_highest_lowest_and_last_price(market: Market) -> None:
    for second, price in ((1, "110"), (2, "90.5"), (2.5, "0.0000000000000001"), (59.999999, "105")):
        assert set_price(market, price, second, allow_move=[SYMBOL]) == "set"

    (found,) = candles(market)
    assert found == candle(START, "100", "110", "0", "105") | {"low": "0.0000000000000001"}
    assert candles(market, interval="1m") == [found]


@pytest.mark.usefixtures("asset")
def test_a_price_of_the_minutes_end_belongs_to_the_next_minute(market: Market) -> None:
    set_price(market, "110", 59.999999)
    set_price(market, "90", 60)
    set_price(market, "95", 61)

    assert candles(market) == [candle(START, "100", "110", "100", "110"), candle(after(60), "90", "95", "90", "95")]


@pytest.mark.usefixtures("asset")
def test_a_minute_without_a_price_has_no_candle(market: Market) -> None:
    set_price(market, "110", 600)

    assert candles(market) == [flat(START, "100"), flat(after(600), "110")]


@pytest.mark.usefixtures("asset")
def test_a_confirmed_price_has_a_candle_and_one_that_is_not_set_has_none(market: Market) -> None:
    assert set_price(market, "100", 60) == "unchanged"
    assert set_price(market, "90", 30) == "older"
    assert set_price(market, "130", 120) == "held"

    assert candles(market) == [flat(START, "100"), flat(after(60), "100")]


@pytest.mark.usefixtures("asset")
def test_every_interval_is_made_of_the_same_prices(market: Market) -> None:
    for minute in range(1, 66, 3):
        set_price(market, str(100 + minute % 7), minute * 60)
    prices = [(0, 100), *((minute, 100 + minute % 7) for minute in range(1, 66, 3))]

    for interval, length in (("1m", 1), ("5m", 5), ("1h", 60)):
        expected = []
        for place, group in groupby(prices, key=lambda each: each[0] // length):
            quoted = [str(price) for _, price in group]
            expected.append(candle(after(place * length * 60), quoted[0], max(quoted), min(quoted), quoted[-1]))
        assert candles(market, interval=interval) == expected, interval
        assert candles(market, interval=interval, limit=2) == expected[-2:]
    days = candles(market, interval="1d")
    assert (days[0]["open"], days[-1]["close"]) == ("100.00000000", candles(market, limit=1)[0]["close"])
    assert {day["at"][10:] for day in days} == {"T00:00:00.000000Z"}


@pytest.mark.usefixtures("asset")
@pytest.mark.parametrize(("interval", "length_s"), [("1m", 60), ("5m", 300), ("1h", 3_600)])
def test_pages_go_back_from_before_which_is_exclusive(market: Market, interval: str, length_s: int) -> None:
    for step in range(1, 5):
        set_price(market, str(100 + step), step * length_s)
    whole = candles(market, interval=interval)
    assert [each["at"] for each in whole] == [shown(after(step * length_s)) for step in range(5)]

    newest = candles(market, interval=interval, limit=2)
    older = candles(market, interval=interval, limit=2, before=newest[0]["at"])
    oldest = candles(market, interval=interval, limit=2, before=older[0]["at"])

    assert oldest + older + newest == whole
    assert candles(market, interval=interval, before=oldest[0]["at"]) == []
    elsewhere = after(4 * length_s + 0.000001).astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    assert candles(market, interval=interval, before=elsewhere) == whole


def test_the_unit_of_account_has_no_candles(market: Market) -> None:
    assert candles(market, symbol="USD") == []


@pytest.mark.usefixtures("asset")
def test_the_symbols_case_does_not_matter(market: Market) -> None:
    assert candles(market, symbol=SYMBOL.lower()) == candles(market)


def test_an_unknown_symbol_is_not_found(market: Market) -> None:
    assert "NOSUCH" in refused(get_candles(market, "NOSUCH"), 404, "ERR_ASSET_NOT_FOUND")["message"]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        *(({"interval": interval}, ["interval"]) for interval in ("", "2m", "1M", "60", "1d ")),
        *(({"limit": limit}, ["limit"]) for limit in ("", "0", "301", "-1", "1.5", "ten", "\uff11", "9" * 5_000)),
        *(
            ({"before": before}, ["before"])
            for before in ("", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "1", "2026-02-30T00:00:00Z")
        ),
        ({"interval": "2m", "limit": "0", "before": "now"}, ["interval", "limit", "before"]),
        ({"interval": ["1m", "1h"]}, ["interval"]),
        ({"after": "2026-01-01T00:00:00Z"}, ["after"]),
    ],
)
def test_a_wrong_parameter_is_named(market: Market, query: dict[str, Any], fields: list[str]) -> None:
    assert wrong_fields(get_candles(market, "BTC", **query)) == fields


def test_a_plus_that_the_url_made_a_space_is_explained(market: Market) -> None:
    response = market.get("/api/v1/trading/candles/BTC?before=2026-01-01T00:00:00+02:00")

    assert "%2B" in refused(response, 422, "ERR_VALIDATION")["details"][0]["message"]


@pytest.mark.parametrize("before", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1d"])
@pytest.mark.usefixtures("asset")
def test_any_time_may_be_asked_for(market: Market, interval: str, before: str) -> None:
    assert len(candles(market, interval=interval, before=before)) == (before > "2")


def test_a_symbol_that_is_none_is_named(market: Market) -> None:
    assert wrong_fields(get_candles(market, "BTC-USD")) == ["symbol"]


@pytest.mark.usefixtures("asset")
def test_writers_that_pass_the_hours_end_together_lose_no_price_and_misplace_none(market: Market) -> None:
    """Each writer sends its own prices in their order; together they go from 59:59.7 to 00:00.3, one price a few milliseconds."""
    writers, each = 4, 15

    def write(writer: int) -> list[tuple[datetime, int]]:
        """Returns the prices that were set."""
        was_set = []
        for turn in range(each):
            tick = turn * writers + writer
            at, price = after(3_599.7 + tick * 0.01), 100 + (tick * 37) % 60
            sent = put_prices(market, {SYMBOL: str(price)}, process=writer, as_of=shown(at), allow_move=[SYMBOL])
            if results(sent)[SYMBOL] in ("set", "unchanged"):
                was_set.append((at, price))
        return was_set

    with ThreadPoolExecutor(writers) as threads:
        was_set = sorted(tick for ticks in threads.map(write, range(writers)) for tick in ticks)

    ticks = [(START, 100), *was_set]
    for interval, length in (("1m", timedelta(minutes=1)), ("5m", timedelta(minutes=5)), ("1h", timedelta(hours=1))):
        expected = []
        for place, group in groupby(ticks, key=lambda tick: (tick[0] - START) // length):
            prices = [price for _, price in group]
            first, highest, lowest, last = (str(price) for price in (prices[0], max(prices), min(prices), prices[-1]))
            expected.append(candle(START + place * length, first, highest, lowest, last))
        assert candles(market, interval=interval) == expected, interval
    assert {at >= after(3_600) for at, _ in was_set} == {True, False}, "the writers passed the hour's end"
    assert len(was_set) >= each
    counted = market.engine.queries.charts.read(SYMBOL, Chart(Interval.HOUR), datetime.now(UTC), market.engine.deadline())
    assert counted is not None
    assert sum(hour.prices for hour in counted) == len(ticks), "each price counts once"

"""Candles as they are stored with prices: none is missing and none counted twice, whoever else sets prices, whatever is lost."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pynamodb.exceptions import CancellationReason

from chalicelib.contract.errors import AssetNotFound
from chalicelib.domain.candle import MAX_CANDLES, Candle, Chart, Interval
from chalicelib.engine import Engine, build
from chalicelib.runtime.world import World
from chalicelib.store.assets import AssetBusy, remove, set_price
from chalicelib.store.connection import Cancelled, Throttled, Unanswered
from chalicelib.store.tables import asset_key, candle_key, item_from_candle
from chalicelib.trading.listings import PriceResult
from tests.support.faults import WRITE, FaultyDatastore, VirtualTime, before, conflict, reply_lost, request_lost, throttled
from tests.support.market import Market, new_user_id
from tests.support.tables import with_tables_of_its_own
from tests.unit.domain.test_candle import Tick, by_hand, charts, shown, ticks

NOW = datetime(2026, 2, 21, 14, 1, 48, 11_301, UTC)
"""The time of `tests.unit.domain.test_candle`, to which its prices lead."""

START = datetime(2026, 2, 21, 12, 59, 30, tzinfo=UTC)
"""Half a minute before the end of an hour."""

SECOND = timedelta(seconds=1)
HOUR_END = START + 30 * SECOND


@pytest.fixture(scope="module")
def market(moto_market: Market) -> Market:
    return with_tables_of_its_own(moto_market)


@pytest.fixture
def datastore(market: Market) -> FaultyDatastore:
    return FaultyDatastore(market.datastore)


@pytest.fixture
def engine(market: Market, datastore: FaultyDatastore) -> Engine:
    """An engine at `NOW`, in which waiting takes no time."""
    world = replace(VirtualTime().world, now=lambda: NOW)
    return build(market.settings, datastore, world)


@pytest.fixture
def symbol(market: Market) -> str:
    """An asset of this test's own, at 100 as of `START`."""
    symbol = f"C{new_user_id() % 10**9}"
    listed(market.engine, symbol, START, 100)
    return symbol


def listed(engine: Engine, symbol: str, at: datetime, price: int) -> None:
    engine.listings.assets.apply(set_price(None, symbol, price, at), engine.deadline())


def set_to(engine: Engine, symbol: str, price: int, seconds: float) -> PriceResult:
    at = START + timedelta(seconds=seconds)
    return engine.listings.set_prices({symbol: price}, at, {symbol}, engine.deadline())[symbol]


def chart(engine: Engine, symbol: str, interval: Interval = Interval.MINUTE) -> list[Candle]:
    return engine.queries.candles(symbol, Chart(interval, MAX_CANDLES), engine.deadline())


def minutes(engine: Engine, symbol: str) -> list[tuple[str, int, int, int, int, int]]:
    return [(f"{candle.at:%H:%M}", *candle[1:]) for candle in chart(engine, symbol)]


def item(market: Market, table: str, key: dict[str, Any]) -> Any:
    return market.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")


# What is stored.


def test_a_price_of_the_same_minute_is_one_write_of_the_asset(engine: Engine, datastore: FaultyDatastore, symbol: str) -> None:
    assert set_to(engine, symbol, 120, 1) is PriceResult.SET
    assert datastore.calls == ["GetItem", "UpdateItem"]
    assert minutes(engine, symbol) == [("12:59", 100, 120, 100, 120, 2)]


def test_the_price_that_opens_a_minute_stores_the_one_before_in_the_same_transaction(
    engine: Engine, market: Market, datastore: FaultyDatastore, symbol: str
) -> None:
    set_to(engine, symbol, 90, 1)
    datastore.calls.clear()

    set_to(engine, symbol, 110, 30)

    assert datastore.calls == ["GetItem", WRITE]
    stored = item(market, market.tables.candles, candle_key(symbol, Interval.MINUTE, int(HOUR_END.timestamp()) - 60))
    prices = '["0.00000000000001","0.00000000000001","0.000000000000009","0.000000000000009",2]'
    assert stored == {
        "symbol": {"S": symbol},
        "at": {"S": "1m#2026-02-21T12:59:00.000000Z"},
        "candle": {"S": prices},
        "expires_at_s": {"N": str(int(HOUR_END.timestamp()) - 60 + 2 * 86_400)},
    }
    hour = item(market, market.tables.candles, candle_key(symbol, Interval.HOUR, int(HOUR_END.timestamp()) - 3_600))
    assert (hour["at"], hour["candle"]) == ({"S": "1h#2026-02-21T12:00:00.000000Z"}, stored["candle"])
    assert minutes(engine, symbol) == [("12:59", 100, 100, 90, 90, 2), ("13:00", 110, 110, 110, 110, 1)]


def test_what_is_not_a_price_touches_no_candle(engine: Engine, market: Market, symbol: str) -> None:
    before_it = item(market, market.tables.assets, asset_key(symbol))["candles"]

    engine.listings.put(symbol, None, {"fee_rate": 250}, NOW, engine.deadline())
    engine.listings.set_halted(symbol, engine.deadline(), halted=True)
    assert set_to(engine, symbol, 7, -1) is PriceResult.OLDER

    assert item(market, market.tables.assets, asset_key(symbol))["candles"] == before_it


def test_a_confirmed_price_opens_a_candle_as_well(engine: Engine, symbol: str) -> None:
    assert set_to(engine, symbol, 100, 31) is PriceResult.UNCHANGED
    assert [time for time, *_ in minutes(engine, symbol)] == ["12:59", "13:00"]


def test_an_operators_own_price_does_not_turn_the_clock_back(engine: Engine, market: Market, symbol: str) -> None:
    """A feed's clock may be ahead of the engine's by a few seconds, and a minute's end may lie between them."""
    set_to(engine, symbol, 110, 30)

    engine.listings.put(symbol, 111, {}, START, engine.deadline())

    assert item(market, market.tables.assets, asset_key(symbol))["price_at"] == {"S": "2026-02-21T13:00:00.000000Z"}
    assert minutes(engine, symbol)[1:] == [("13:00", 110, 111, 110, 111, 2)]


def test_an_asset_that_was_stored_without_candles_has_that_of_its_price(engine: Engine, market: Market, symbol: str) -> None:
    market.dynamodb.update_item(
        TableName=market.tables.assets, Key=asset_key(symbol), UpdateExpression="REMOVE candles"
    )  # as the seed lists assets

    assert minutes(engine, symbol) == [("12:59", 100, 100, 100, 100, 1)]
    set_to(engine, symbol, 120, 1)
    assert minutes(engine, symbol) == [("12:59", 100, 120, 100, 120, 2)]


def test_the_unit_of_account_has_no_candles_and_an_unknown_symbol_is_none(engine: Engine) -> None:
    assert chart(engine, "USD") == []
    with pytest.raises(AssetNotFound):
        chart(engine, "UNLISTED")


# Removed, and listed again.


def test_an_asset_that_is_listed_again_continues_its_candles(engine: Engine, symbol: str) -> None:
    set_to(engine, symbol, 120, 1)
    assets, seen = engine.listings.assets, engine.listings.assets.find(symbol, engine.deadline())
    assert seen is not None
    assets.apply(remove(seen), engine.deadline())

    listed(engine, symbol, START + 5 * SECOND, 80)

    assert minutes(engine, symbol) == [("12:59", 100, 120, 80, 80, 3)]
    set_to(engine, symbol, 90, 30)
    assert minutes(engine, symbol)[0] == ("12:59", 100, 120, 80, 80, 3)
    assert shown(chart(engine, symbol, Interval.DAY)) == [(START.replace(hour=0, minute=0, second=0), 100, 120, 80, 90)]


def test_an_asset_that_is_listed_again_later_begins_anew(engine: Engine, symbol: str) -> None:
    seen = engine.listings.assets.find(symbol, engine.deadline())
    assert seen is not None
    engine.listings.assets.apply(remove(seen), engine.deadline())

    listed(engine, symbol, START + 31 * SECOND, 80)

    assert minutes(engine, symbol) == [("12:59", 100, 100, 100, 100, 1), ("13:00", 80, 80, 80, 80, 1)]


# Two writers, and what a write can meet.

AFTER = 30
"""Seconds from `START` to the end of its minute and its hour."""

OVER = pytest.mark.parametrize("seconds", [1, AFTER], ids=["within the minute", "over the hour's end"])
WRITES = ("UpdateItem", WRITE)


@OVER
def test_of_two_writers_none_overwrites_the_others_candle(
    engine: Engine, market: Market, datastore: FaultyDatastore, symbol: str, seconds: int
) -> None:
    """Another process's price comes between the read and the write, and closes the candle."""
    for operation in WRITES:
        datastore.fail(operation, before(lambda: set_to(market.engine, symbol, 500, seconds)))

    assert set_to(engine, symbol, 120, seconds + 1) is PriceResult.SET

    expected = [("12:59", 100, 500, 100, 120, 3)]
    if seconds == AFTER:
        expected = [("12:59", 100, 100, 100, 100, 1), ("13:00", 500, 500, 120, 120, 2)]
    assert minutes(engine, symbol) == expected


@OVER
@pytest.mark.parametrize("fault", [reply_lost, request_lost, throttled, conflict], ids=lambda fault: fault.__name__)
def test_whatever_becomes_of_an_attempt_the_price_is_counted_once(
    engine: Engine, datastore: FaultyDatastore, symbol: str, seconds: int, fault: Any
) -> None:
    for operation in WRITES:
        datastore.fail(operation, fault, fault)

    assert set_to(engine, symbol, 120, seconds) is PriceResult.SET

    expected = [("12:59", 100, 120, 100, 120, 2)]
    if seconds == AFTER:
        expected = [("12:59", 100, 100, 100, 100, 1), ("13:00", 120, 120, 120, 120, 1)]
    assert minutes(engine, symbol) == expected
    assert [candle.prices for candle in chart(engine, symbol, Interval.DAY)] == [2]


def test_an_attempt_that_was_made_unseen_and_overtaken_is_not_made_again(
    engine: Engine, market: Market, datastore: FaultyDatastore, symbol: str
) -> None:
    """Our price was set, the answer lost, and another writer's later price came before our second attempt."""

    def lost_and_overtaken(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        send()
        set_to(market.engine, symbol, 70, 31)
        raise Unanswered("the reply was lost")

    datastore.fail(WRITE, lost_and_overtaken)

    assert set_to(engine, symbol, 120, AFTER) is PriceResult.OLDER
    assert minutes(engine, symbol)[1:] == [("13:00", 120, 120, 70, 70, 2)]


@pytest.mark.parametrize(
    ("codes", "raised"),
    [(["TransactionConflict", None], AssetBusy), ([None, "ThrottlingError"], Throttled), (["ValidationError"], Cancelled)],
)
def test_a_transaction_that_stays_cancelled_writes_nothing_and_says_why(
    engine: Engine, datastore: FaultyDatastore, symbol: str, codes: list[str | None], raised: type[Exception]
) -> None:
    def cancelled(_: Any) -> dict[str, Any]:
        raise Cancelled([None if code is None else CancellationReason(code) for code in codes])

    datastore.for_ever[WRITE] = cancelled
    assets = engine.listings.assets
    change = set_price(assets.find(symbol, engine.deadline()), symbol, 120, HOUR_END)

    with pytest.raises(raised):
        assets.apply(change, engine.deadline())

    assert minutes(engine, symbol) == [("12:59", 100, 100, 100, 100, 1)]


# For any prices.


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ticks, charts)
def test_for_any_prices_the_candles_that_are_read_are_what_the_prices_say(
    engine: Engine, prices: list[Tick], chart: Chart
) -> None:
    symbol = f"H{new_user_id() % 10**9}"
    (first_at, first), *later = prices
    listed(engine, symbol, first_at, first)
    accepted = [(first_at, first)]
    for at, price in later:
        if engine.listings.set_prices({symbol: price}, at, {symbol}, engine.deadline())[symbol] is not PriceResult.OLDER:
            accepted.append((at, price))

    for interval in Interval:
        wanted = chart._replace(interval=interval)
        assert shown(engine.queries.candles(symbol, wanted, engine.deadline())) == by_hand(accepted, wanted, NOW)


# The cost of reading.


def test_a_chart_is_two_requests_and_its_pages_are_read_on(engine: Engine, market: Market, datastore: FaultyDatastore) -> None:
    symbol = f"P{new_user_id() % 10**9}"
    listed(market.engine, symbol, NOW, 5)
    base = int(NOW.timestamp()) // 3_600 * 3_600
    for back in range(1, 60):
        candle = Candle(base - back * 3_600, 5, 5, 5, 5)
        market.dynamodb.put_item(TableName=market.tables.candles, Item=item_from_candle(symbol, Interval.HOUR, candle))
    datastore.calls.clear()

    whole = chart(engine, symbol, Interval.HOUR)
    assert (len(whole), datastore.calls) == (60, ["BatchGetItem", "Query"])

    def only_ten(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """DynamoDB ends a page at 1 MB."""
        page = send()
        page["Items"] = page["Items"][:10]
        page["LastEvaluatedKey"] = {name: page["Items"][-1][name] for name in ("symbol", "at")}
        return page

    datastore.fail("Query", *[only_ten] * 5)
    datastore.calls.clear()
    assert chart(engine, symbol, Interval.HOUR) == whole
    assert datastore.calls == ["BatchGetItem", *["Query"] * 6]


def test_no_more_is_read_than_a_chart_may_take(market: Market, symbol: str) -> None:
    limits: list[int] = []

    class Watching(FaultyDatastore):
        def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
            if operation == "Query":
                limits.append(request["Limit"])
            return super().call(operation, request)

    watched = build(market.settings, Watching(market.datastore), World(now=lambda: NOW))
    for interval in Interval:
        watched.queries.candles(symbol, Chart(interval, 300), watched.deadline())

    assert limits == [300, 1_500, 300, 7_200]

"""One run of the feed: what it sets, what it leaves, what it says, and what it may touch."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.contract.errors import DatastoreUnavailable
from chalicelib.domain.asset import Asset
from chalicelib.domain.money import price_text
from chalicelib.domain.timestamps import rfc3339
from chalicelib.market import feed as feeding
from chalicelib.market.feed import PriceFeed
from chalicelib.market.sources import read_sources
from chalicelib.runtime.world import World, utc_now
from chalicelib.store.assets import AssetList
from chalicelib.store.connection import Unanswered
from chalicelib.trading.listings import Listings
from harness.metered import Metered
from tests.support.log_lines import Lines, log_lines, metrics_of
from tests.support.market import Market
from tests.support.tables import with_tables_of_its_own
from tests.support.tickers import BINANCE, COINBASE, KRAKEN, Reply, Tickers, binance, coinbase, http, kraken, tickers

SOL = "/sol"
ANSWERS: Mapping[str, bytes | Reply] = {
    COINBASE: coinbase("50010"),
    KRAKEN: kraken("50030.00000"),
    BINANCE: binance("50020.00000000"),
    SOL: http('{"price": 101.5}'),
}


@pytest.fixture
def own(moto_market: Market) -> Market:
    """Seeded tables: BTC at 50000, ETH at 3000, SOL at 100."""
    return with_tables_of_its_own(moto_market)


@pytest.fixture
def lines() -> Iterator[Lines]:
    with log_lines() as found:
        yield found


@pytest.fixture
def server() -> Iterator[Tickers]:
    with tickers(ANSWERS) as running:
        yield running


def btc(server: Tickers, *paths: str) -> dict[str, Any]:
    return {"BTC": [server.source(path) for path in paths]}


def run(market: Market, sources: Mapping[str, Any], world: World | None = None) -> None:
    """Runs a feed once, as the function does."""
    prefix = market.settings.table_prefix
    PriceFeed(prefix, read_sources(json.dumps(sources)), market.engine.listings, world or World(), 1.0).run()


def asset(market: Market, symbol: str = "BTC") -> Asset:
    listing = market.engine.listings.assets.find(symbol, market.engine.deadline())
    assert listing is not None
    return listing.asset


def price(market: Market, symbol: str = "BTC") -> str:
    return price_text(asset(market, symbol).price)


def test_the_median_of_the_answers_becomes_the_price_as_of_the_start(own: Market, server: Tickers, lines: Lines) -> None:
    before = utc_now()

    run(own, {**btc(server, COINBASE, KRAKEN, BINANCE), "SOL": [server.source(SOL, "/price")]})

    assert (price(own), price(own, "SOL")) == ("50020.00000000", "101.50000000")
    assert asset(own).price_at == asset(own, "SOL").price_at
    assert rfc3339(before) <= asset(own).price_at <= rfc3339(before + timedelta(seconds=1))
    (line,) = lines.of("price_feed")
    assert line["results"] == {"BTC": "set", "SOL": "set"}
    assert line["prices"] == {"BTC": "50020.00000000", "SOL": "101.50000000"}
    host = "127.0.0.1"
    assert line["sources"]["BTC"] == [f"{host}{path.partition('?')[0]}" for path in (COINBASE, KRAKEN, BINANCE)]
    assert (line["held"], line["missing"], lines.of("price_problem")) == ([], [], [])


def test_of_two_answers_the_mean_is_set(own: Market, server: Tickers) -> None:
    run(own, btc(server, COINBASE, KRAKEN))

    assert price(own) == "50020.00000000"


def test_two_of_three_suffice_and_the_third_is_a_line(own: Market, server: Tickers, lines: Lines) -> None:
    server.answers[BINANCE] = http("", "429 Too Many Requests")

    run(own, btc(server, COINBASE, KRAKEN, BINANCE))

    assert price(own) == "50020.00000000"
    (problem,) = lines.of("price_problem")
    assert (problem["symbol"], problem["source"], problem["problem"]) == (
        "BTC",
        "127.0.0.1/api/v3/ticker/price",
        "The source answers 429",
    )


def test_one_answer_of_several_is_not_enough(own: Market, server: Tickers, lines: Lines) -> None:
    server.answers |= {BINANCE: http("<html>"), KRAKEN: http("", "500 Oops")}

    run(own, btc(server, COINBASE, KRAKEN, BINANCE))

    assert price(own) == "50000.00000000"
    *_, few = lines.of("price_problem")
    assert (few["problem"], few["answers"], few["needed"]) == ("Too few sources have a price", 1, 2)
    (line,) = lines.of("price_feed")
    assert (line["results"], line["missing"]) == ({}, ["BTC"])
    assert metrics_of(line)["PricesMissing"] == 1


def test_one_source_alone_is_taken_at_its_word_within_the_guard(own: Market, server: Tickers) -> None:
    run(own, btc(server, COINBASE))

    assert price(own) == "50010.00000000"


def test_a_symbol_without_an_answer_does_not_keep_the_others_from_theirs(own: Market, server: Tickers, lines: Lines) -> None:
    server.answers[COINBASE] = http("", "503 Unavailable")

    run(own, {**btc(server, COINBASE), "SOL": [server.source(SOL, "/price")]})

    assert (price(own), price(own, "SOL")) == ("50000.00000000", "101.50000000")
    assert lines.of("price_feed")[0]["missing"] == ["BTC"]


def test_a_move_beyond_the_guard_is_held_counted_and_said(own: Market, server: Tickers, lines: Lines) -> None:
    server.answers[COINBASE] = coinbase("5001")

    run(own, {**btc(server, COINBASE), "SOL": [server.source(SOL, "/price")]})

    assert price(own) == "50000.00000000"
    (line,), (problem,) = lines.of("price_feed"), lines.of("price_problem")
    assert (line["held"], metrics_of(line)["PricesHeld"]) == (["BTC"], 1)
    assert (problem["problem"], problem["price"]) == (
        "The price moves further than the asset's guard lets it",
        "5001.00000000",
    )


def test_a_symbol_that_is_not_listed_is_said_and_not_listed(own: Market, server: Tickers, lines: Lines) -> None:
    run(own, {"NEW": [server.source(SOL, "/price")]})

    assert own.engine.listings.assets.find("NEW", own.engine.deadline()) is None
    assert [line["problem"] for line in lines.of("price_problem")] == ["The symbol is not listed"]
    assert "PriceAge" not in metrics_of(lines.of("price_feed")[0])


def test_a_newer_price_of_an_operator_stays(own: Market, server: Tickers, lines: Lines) -> None:
    later = utc_now() + timedelta(seconds=4)
    own.engine.listings.set_prices({"BTC": asset(own).price + 1}, later, (), own.engine.deadline())

    run(own, btc(server, COINBASE))

    assert asset(own).price_at == rfc3339(later)
    assert lines.of("price_feed")[0]["results"] == {"BTC": "older"}


def test_a_run_counts_the_age_of_each_of_its_prices_and_of_the_oldest(own: Market, server: Tickers, lines: Lines) -> None:
    """What the feed does not set is somebody else's: an asset priced by hand would be an alarm for ever."""
    server.answers[COINBASE] = http("", "500 Oops")
    start = utc_now()
    own.engine.listings.set_prices({"BTC": asset(own).price}, start, (), own.engine.deadline())

    run(own, {**btc(server, COINBASE), "SOL": [server.source(SOL, "/price")]}, World(now=lambda: start + timedelta(seconds=90)))

    (line,) = lines.of("price_feed")
    ages = {age["Symbol"]: metrics_of(age)["PriceAge"] for age in lines.of("price_age")}
    assert ages == {"BTC": 90, "SOL": 0}
    assert (metrics_of(line)["PriceAge"], line["Stage"]) == (90, own.settings.table_prefix)


def test_sources_that_drip_or_never_answer_take_no_longer_than_their_time(
    own: Market, server: Tickers, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "SOURCE_S", 0.3)
    server.answers |= {f"/stuck{number}": Reply(b"HTTP/1.1 200", stays=True) for number in range(8)}
    server.answers["/drips"] = Reply(http('{"price": 1}'), drips=True)
    stuck = [server.source(path, "/price") for path in server.answers if path.startswith(("/stuck", "/drips"))]
    started_s = World().monotonic_s()

    run(own, {**btc(server, COINBASE, KRAKEN), "ETH": stuck})

    assert World().monotonic_s() - started_s < 1.5, "they are asked at the same time"
    assert price(own) == "50020.00000000"
    assert [line["problem"] for line in lines.of("price_problem")] == [
        *["The source does not answer in time"] * 9,
        "Too few sources have a price",
    ]


def test_sources_that_nobody_gets_round_to_are_late_too(
    own: Market, server: Tickers, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more hanging sources than threads, the rest is not asked any more when the run's time is up."""
    monkeypatch.setattr(feeding, "ALL_SOURCES_S", 0.4)
    monkeypatch.setattr(feeding, "MAX_AT_ONCE", 2)
    server.answers |= {f"/stuck{number}": Reply(b"", stays=True) for number in range(6)}
    stuck = [server.source(path, "/price") for path in server.answers if path.startswith("/stuck")]

    run(own, {"ETH": stuck, **btc(server, COINBASE)})

    assert lines.of("price_feed")[0]["missing"] == ["ETH", "BTC"]
    assert {line["problem"] for line in lines.of("price_problem")} == {
        "The source does not answer in time",
        "Too few sources have a price",
    }


def test_without_the_datastore_a_run_fails_as_a_whole(own: Market, server: Tickers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's errors have an alarm, and the next run is a minute away."""
    monkeypatch.setattr(feeding, "SETTING_S", 1.2)

    class Unreachable:
        def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
            del request
            raise Unanswered(operation)

    monkeypatch.setattr(own.engine.listings.assets, "_datastore", Unreachable())
    with pytest.raises(DatastoreUnavailable):
        run(own, btc(server, COINBASE))


def test_a_price_is_older_than_its_answer_and_never_younger(own: Market, server: Tickers) -> None:
    """`price_at` is from before the first request, so that no order takes a price for fresher than it is."""
    moments = iter(datetime.fromisoformat(f"2026-11-25T12:00:{second:02}+00:00") + timedelta(days=365) for second in range(60))

    run(own, btc(server, COINBASE), World(now=lambda: next(moments)))

    assert asset(own).price_at == "2027-11-25T12:00:00.000000Z"


def test_a_run_costs_two_requests_for_each_symbol_and_one_for_the_ages(own: Market, server: Tickers) -> None:
    metered = Metered(own.datastore)
    listings = Listings(AssetList(metered, own.tables))
    sources = read_sources(json.dumps({**btc(server, COINBASE, KRAKEN), "SOL": [server.source(SOL, "/price")]}))

    PriceFeed(own.settings.table_prefix, sources, listings, World(), 1.0).run()

    assert metered.requests == 2 * 2 + 1

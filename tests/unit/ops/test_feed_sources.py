"""The feed's sources: a random walk, a CSV file, an exchange that ccxt reads."""

import builtins
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ops.failure import Failure
from ops.feed.exchange import Exchange
from ops.feed.price_replay import PriceReplay
from ops.feed.source import Source, SourceEnded, SourceUnavailable
from ops.feed.walk import RANGE, STEP_PPM, Walk

NOW = datetime(2026, 2, 21, 14, 0, 0, 500_000, tzinfo=UTC)
LISTED = {"BTC": "50000.00000000", "ETH": "3000.00000000", "SOL": "100.00000000"}


def polled(source: Source) -> list[tuple[str, str]]:
    return [(tick.symbol, tick.price) for tick in source.poll(NOW)]


# The walk.


def walk(steps: int, seed: int = 1, *symbols: str, listed: dict[str, str] = LISTED) -> list[list[tuple[str, str]]]:
    source = Walk(seed, symbols)
    source.start(listed)
    return [polled(source) for _ in range(steps)]


def test_the_same_seed_is_the_same_walk_and_another_seed_is_another() -> None:
    assert walk(50) == walk(50)
    assert walk(50, seed=2) != walk(50)


def test_a_walk_moves_all_assets_or_those_that_are_named() -> None:
    assert [symbol for symbol, _ in walk(1)[0]] == ["BTC", "ETH", "SOL"]
    assert [symbol for symbol, _ in walk(1, 1, "ETH")[0]] == ["ETH"]
    with pytest.raises(Failure, match="DOGE must be listed"):
        walk(1, 1, "DOGE", "ETH")
    with pytest.raises(Failure, match="lists no asset"):
        walk(1, listed={})


def test_a_walk_is_small_steps_within_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.feed.walk.RANGE", Decimal("0.002"))
    prices = [Decimal(dict(step)["BTC"]) for step in walk(3000)]

    assert max(abs(after - before) for before, after in pairwise(prices)) <= 50_000 * STEP_PPM / 10**6
    assert 49_900 <= min(prices) < 49_910
    assert 50_090 < max(prices) <= 50_100


def test_no_two_prices_of_a_walk_are_further_apart_than_the_guard_lets_them() -> None:
    """An engine that begins anew at the first prices must take the next one."""
    guard = Decimal("0.2")
    assert guard * (1 - RANGE) > 2 * RANGE


@pytest.mark.parametrize("price", ["0.0000000000000001", "0.00001528", "1000000000000.00000000", "0.1234567890123456"])
def test_a_walk_of_any_price_stays_a_price(price: str) -> None:
    for step in walk(1000, listed={"X": price}):
        (shown,) = dict(step).values()
        assert Decimal(shown) > 0
        assert len(shown.partition(".")[2]) <= 16
        assert "E" not in shown


# The file.


def replay(tmp_path: Path, text: str, *symbols: str, again: bool = False) -> PriceReplay:
    path = tmp_path / "prices.csv"
    path.write_text(text)
    source = PriceReplay(path, symbols, again=again)
    source.start({})
    return source


def test_a_step_of_a_file_ends_before_a_symbol_appears_again(tmp_path: Path) -> None:
    source = replay(tmp_path, "\ufeffat,symbol,price\n,btc, 50000.10\n,ETH,3000\n,BTC,50001\n,BTC,50002\n,ETH,3001\n")

    assert [polled(source) for _ in range(3)] == [
        [("BTC", "50000.10"), ("ETH", "3000")],
        [("BTC", "50001")],
        [("BTC", "50002"), ("ETH", "3001")],
    ]
    with pytest.raises(SourceEnded):
        source.poll(NOW)


def test_a_file_may_be_of_some_symbols_and_begin_again(tmp_path: Path) -> None:
    source = replay(tmp_path, "symbol,price\nBTC,1\nETH,2\nBTC,3\n", "BTC", again=True)

    assert [polled(source) for _ in range(4)] == [[("BTC", "1")], [("BTC", "3")], [("BTC", "1")], [("BTC", "3")]]


def test_a_line_without_a_price_is_left_to_the_board(tmp_path: Path) -> None:
    assert polled(replay(tmp_path, "symbol,price\nBTC\nETH,1\n")) == [("BTC", ""), ("ETH", "1")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("symbol,cost\nBTC,1\n", "price missing"),
        ("", "price and symbol missing"),
        ("symbol,price\n", "contains no prices"),
        ("symbol,price\nETH,1\n", "contains no prices of these symbols"),
        ('symbol,price\n"BTC,1\n', "cannot be read"),
    ],
)
def test_a_file_that_is_no_use_ends_the_feed(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Failure, match=says):
        replay(tmp_path, text, *(["BTC"] if "these" in says else []), again=True).poll(NOW)


def test_a_file_that_is_not_there_ends_the_feed(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="No such file"):
        PriceReplay(tmp_path / "none.csv", (), again=False).poll(NOW)


# The exchange: ccxt itself, and a server that answers as Kraken does.

PAIRS = {
    "XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD"},
    "XETHZUSD": {"altname": "ETHUSD", "wsname": "ETH/USD", "base": "XETH", "quote": "ZUSD"},
    "PEPEUSD": {"altname": "PEPEUSD", "wsname": "PEPE/USD", "base": "PEPE", "quote": "ZUSD"},
}
PAIR = {
    "aclass_base": "currency",
    "aclass_quote": "currency",
    "lot": "unit",
    "pair_decimals": 1,
    "lot_decimals": 8,
    "lot_multiplier": 1,
    "leverage_buy": [],
    "leverage_sell": [],
    "fees": [[0, 0.4]],
    "fees_maker": [[0, 0.25]],
    "ordermin": "0.0001",
    "status": "online",
}
"""A pair of Kraken's, with what ccxt reads of it."""


class Kraken:
    """A server that answers as Kraken does. `last`: each pair's last price, as JSON."""

    def __init__(self) -> None:
        self.last = {"XXBTZUSD": '"64250.10000"', "XETHZUSD": '"3001.2500"', "PEPEUSD": "0.0000123456789012"}
        self.status = 200
        kraken = self

        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1

            def do_GET(self) -> None:
                self.send_response(kraken.status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(kraken.answer(self.path).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, path: str) -> str:
        if self.status != 200:
            return "<html>503</html>"
        if "/AssetPairs" in path:
            return json.dumps({"error": [], "result": {name: {**PAIR, **pair} for name, pair in PAIRS.items()}})
        if "/Ticker" in path:
            tickers = (f'"{pair}": {{"c": [{last}, "0.1"]}}' for pair, last in self.last.items() if pair in path)
            return f'{{"error": [], "result": {{{", ".join(tickers)}}}}}'
        return json.dumps({"error": [], "result": {}})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def kraken() -> Iterator[Kraken]:
    server = Kraken()
    yield server
    server.close()


def exchange(kraken: Kraken, *symbols: str, quote: str = "USD") -> Exchange:
    source = Exchange("kraken", symbols, quote)
    ccxt: Any = source._exchange  # noqa: SLF001  (the exchange's address is no option of a feed)
    ccxt.urls["api"] = dict.fromkeys(ccxt.urls["api"], kraken.url)
    ccxt.enableRateLimit = False
    source.start({**LISTED, "PEPE": "0.00001"})
    return source


def test_an_exchange_has_the_listed_assets_that_it_trades_with_each_of_their_digits(kraken: Kraken) -> None:
    """ccxt's own numbers are floats. A JSON number of more digits than a float has is the same afterwards."""
    kraken.last["XETHZUSD"] = "3001.250000000000000123"

    assert polled(exchange(kraken)) == [
        ("BTC", "64250.10000"),
        ("ETH", "3001.250000000000000123"),
        ("PEPE", "0.0000123456789012"),
    ]


def test_a_number_with_an_exponent_is_written_out(kraken: Kraken) -> None:
    kraken.last["PEPEUSD"] = "1.234e-05"

    assert polled(exchange(kraken, "PEPE")) == [("PEPE", "0.00001234")]


def test_an_exchange_without_a_time_of_its_own_has_the_time_of_the_question(kraken: Kraken) -> None:
    assert {tick.at for tick in exchange(kraken).poll(NOW)} == {NOW}


@pytest.mark.parametrize(
    ("ticker", "at"),
    [
        ({"timestamp": 1771682395123}, datetime(2026, 2, 21, 13, 59, 55, tzinfo=UTC)),
        ({"timestamp": 1771682460000}, NOW),  # a minute ahead
        ({"timestamp": None}, NOW),
        ({"timestamp": "soon"}, NOW),
        ({}, NOW),
    ],
)
def test_an_exchange_with_a_time_of_its_own_is_believed_unless_it_is_ahead(
    kraken: Kraken, monkeypatch: pytest.MonkeyPatch, ticker: dict[str, Any], at: datetime
) -> None:
    source = exchange(kraken, "BTC")
    monkeypatch.setattr(source._exchange, "fetch_tickers", lambda markets: {m: {**ticker, "last": "1"} for m in markets})  # noqa: SLF001

    assert [tick.at for tick in source.poll(NOW)] == [at]


def no_price(kraken: Kraken) -> None:
    kraken.last["XXBTZUSD"] = "null"


def html(kraken: Kraken) -> None:
    kraken.status = 503


def not_there(kraken: Kraken) -> None:
    kraken.close()


@pytest.mark.parametrize("happens", [html, not_there])
def test_an_exchange_that_does_not_answer_is_asked_again(kraken: Kraken, happens: Callable[[Kraken], None]) -> None:
    source = exchange(kraken, "BTC")
    polled(source)
    happens(kraken)

    with pytest.raises(SourceUnavailable, match="does not answer"):
        source.poll(NOW)


def test_a_market_without_a_last_price_is_left_to_the_board(kraken: Kraken) -> None:
    no_price(kraken)

    assert polled(exchange(kraken, "BTC", "ETH")) == [("BTC", ""), ("ETH", "3001.2500")]


@pytest.mark.parametrize(("symbols", "quote"), [(("DOGE", "BTC"), "USD"), (("BTC",), "EUR"), ((), "EUR")])
def test_markets_that_an_exchange_does_not_have_end_the_feed(kraken: Kraken, symbols: tuple[str, ...], quote: str) -> None:
    with pytest.raises(Failure, match=r"kraken has no market .*--quote"):
        exchange(kraken, *symbols, quote=quote).poll(NOW)


def test_an_unknown_exchange_ends_the_feed() -> None:
    with pytest.raises(Failure, match="ccxt has no exchange 'kracken'"):
        Exchange("kracken", (), "USD")


def test_without_ccxt_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without_ccxt(name: str, *rest: Any) -> Any:
        if name == "ccxt":
            raise ModuleNotFoundError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_ccxt)

    with pytest.raises(Failure, match=r"pip install --constraint requirements-dev\.txt ccxt$"):
        Exchange("kraken", (), "USD")


def test_times_of_a_poll_do_not_go_back(kraken: Kraken) -> None:
    source = exchange(kraken, "BTC")

    assert [tick.at for now in (NOW, NOW + timedelta(seconds=1)) for tick in source.poll(now)] == [
        NOW,
        NOW + timedelta(seconds=1),
    ]

"""Prices of an exchange, through ccxt, which is installed by those who use it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from chalicelib.local.feed import INSTALL_CCXT
from ops.failure import Failure
from ops.feed.source import SourceUnavailable, Tick

# The exponent is bounded: the number is written out.
_NUMBER = re.compile(r"[0-9]{1,50}(?:\.[0-9]{1,50})?(?:[eE][+-]?[0-9]{1,2})?")


class Exchange:
    """The last trades' prices of an exchange's markets, each of which is one asset in the currency `quote`."""

    def __init__(self, name: str, symbols: Sequence[str], quote: str) -> None:
        self._exchange = _open(name)
        self._name = name
        self._wanted = symbols
        self._quote = quote
        self._symbols: tuple[str, ...] = ()
        self._markets: dict[str, str] = {}

    def start(self, listed: Mapping[str, str]) -> None:
        """See `Source`. Without symbols of the operator's choice, every listed asset that the exchange trades is wanted."""
        self._symbols = tuple(self._wanted or listed)

    def poll(self, now: datetime) -> Iterator[Tick]:
        """See `Source`. `at` is the exchange's time of the price where it has one, in whole seconds, and never after `now`."""
        try:
            if not self._markets:
                self._markets = self._known(self._exchange.load_markets())
            tickers = self._tickers(list(self._markets))
        except Failure:
            raise
        except Exception as error:  # noqa: BLE001  (ccxt reads a hundred exchanges' answers, and may stumble over any of them)
            raise SourceUnavailable(f"does not answer: {type(error).__name__}: {error}") from None
        return (
            Tick(symbol, _text(ticker.get("last")), _time(ticker.get("timestamp"), now))
            for market, symbol in self._markets.items()
            if (ticker := tickers.get(market)) is not None
        )

    def _known(self, traded: Mapping[str, Any]) -> dict[str, str]:
        """Returns the wanted symbols by the exchange's names of their markets.

        Raises:
            Failure: the exchange does not trade a symbol that was named, or none at all.
        """
        known = {f"{symbol}/{self._quote}": symbol for symbol in self._symbols if f"{symbol}/{self._quote}" in traded}
        missing = [symbol for symbol in self._wanted if symbol not in known.values()]
        if missing or not known:
            markets = ", ".join(f"{symbol}/{self._quote}" for symbol in missing or self._symbols)
            raise Failure(f"{self._name} has no market {markets}: --quote names another currency, --symbol other assets")
        return known

    def _tickers(self, markets: list[str]) -> Mapping[str, Mapping[str, Any]]:
        if self._exchange.has.get("fetchTickers"):
            tickers: Mapping[str, Mapping[str, Any]] = self._exchange.fetch_tickers(markets)
            return tickers
        return {market: self._exchange.fetch_ticker(market) for market in markets}


def _open(name: str) -> Any:
    try:
        import ccxt
    except ModuleNotFoundError:
        raise Failure(f"A feed from an exchange needs ccxt. Install it with: {INSTALL_CCXT}") from None
    if name not in ccxt.exchanges:
        raise Failure(f"ccxt has no exchange {name!r}: https://docs.ccxt.com lists them, kraken and coinbase for example")
    exchange = getattr(ccxt, name)()
    # ccxt makes floats, unless it is given another type; and so does its reader of JSON.
    exchange.number = str
    exchange.on_json_response = partial(json.loads, parse_float=str, parse_int=str)
    return exchange


def _text(price: Any) -> str:
    """Returns a price as plain decimal text, or what the exchange has instead."""
    text = "" if price is None else str(price)
    return format(Decimal(text), "f") if _NUMBER.fullmatch(text) else text


def _time(timestamp_ms: Any, now: datetime) -> datetime:
    """Returns the time of a price.

    The engine takes one time for all prices of a request: whole seconds let those of a moment travel together.
    """
    try:
        return min(datetime.fromtimestamp(int(timestamp_ms) // 1000, UTC), now)
    except (TypeError, ValueError, OverflowError, OSError):
        return now

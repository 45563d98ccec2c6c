"""The sources of prices, as a stage lists them.

    {"BTC": [{"url": "https://api.coinbase.com/v2/prices/BTC-USD/spot", "pointer": "/data/amount"}, …], …}

This module uses the standard library only: `make deploy` reads the list with it, too.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from chalicelib.config import is_loopback
from chalicelib.domain.asset import UNIT_OF_ACCOUNT

PACKAGED_AS = "price-sources.json"
"""The name of the list in the package, beside ``app.py``. `make deploy` takes it from ``.chalice/feeds/<stage>.json``."""

MAX_SYMBOLS = 100
MAX_SOURCES = 9
"""Sources of one symbol. Three outvote one wrong answer, five outvote two."""

_SYMBOL = re.compile(r"[A-Z0-9]{1,10}")
_URL = re.compile(r"https?://[\x21-\x7e]+")
_POINTER = re.compile(r"(/([^~/]|~[01])*)*")


class InvalidSources(ValueError):
    """A list of sources that cannot be used. The message names the place and the remedy, in one line."""


class Source(NamedTuple):
    """A document on the web with one price in USD. `pointer`: the price's place in it, a JSON Pointer (RFC 6901)."""

    url: str
    pointer: str

    @property
    def name(self) -> str:
        """The source in the log: host and path. A query may contain a key of the reader's."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}{parts.path}"


Sources = Mapping[str, tuple[Source, ...]]
"""The sources of each symbol."""


def read_sources(text: str) -> Sources:
    """Reads a list of sources.

    Raises:
        InvalidSources: see there.
    """
    try:
        given = json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise InvalidSources(f"is not JSON: {error}") from None
    if not isinstance(given, dict) or not 1 <= len(given) <= MAX_SYMBOLS:
        raise InvalidSources(f"must be an object of 1 to {MAX_SYMBOLS} symbols with their sources")
    return {symbol: _sources_of(symbol, listed) for symbol, listed in given.items()}


def _sources_of(symbol: str, listed: Any) -> tuple[Source, ...]:
    if not _SYMBOL.fullmatch(symbol):
        raise InvalidSources(f"{symbol!r} must be a symbol of 1 to 10 capital letters or digits")
    if symbol == UNIT_OF_ACCOUNT:
        raise InvalidSources(f"{symbol} is the unit of account: its price is 1, and no source sets it")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_SOURCES:
        raise InvalidSources(f"{symbol} must have a list of 1 to {MAX_SOURCES} sources")
    sources = tuple(_source(symbol, given) for given in listed)
    if len(set(sources)) < len(sources):
        raise InvalidSources(f"{symbol} lists a source twice: it would count as two answers")
    return sources


def _source(symbol: str, given: Any) -> Source:
    if not isinstance(given, dict) or given.keys() != {"url", "pointer"}:
        raise InvalidSources(f'{symbol}: a source is {{"url": …, "pointer": …}}')
    url, pointer = given["url"], given["pointer"]
    if not isinstance(url, str) or not _is_usable(url):
        raise InvalidSources(f"{symbol}: url must be https://host/path, without a user and a fragment, not {url!r}")
    if not isinstance(pointer, str) or not _POINTER.fullmatch(pointer):
        raise InvalidSources(f"{symbol}: pointer must be a JSON Pointer such as /data/amount (RFC 6901), not {pointer!r}")
    return Source(url, pointer)


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    # In the clear a price could be replaced on the way, except on this machine itself.
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    plain = bool(_URL.fullmatch(url)) and "@" not in parts.netloc and "#" not in url
    return safe and plain and bool(parts.hostname) and port != 0


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns an object, in which no name may appear twice: JSON leaves open which value counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name appears twice in an object")
    return found

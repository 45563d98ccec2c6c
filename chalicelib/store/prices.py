"""The price book: what the assets table says, as fresh as asked for.

Prices are read beside the transaction, never inside it: a condition on an asset's item would make all of its buyers collide.
"""

from collections.abc import Callable, Iterable
from typing import Any

from chalicelib.domain.pricing import Asset
from chalicelib.runtime.deadline import Patience
from chalicelib.store.connection import Datastore
from chalicelib.store.reads import read_items
from chalicelib.store.tables import Tables, asset_from, asset_key

MAX_REMEMBERED = 10_000
"""Symbols a process remembers, unknown ones included: anybody may ask for a symbol, so there must be an end."""


class PriceBook:
    """Assets by symbol, remembered in the process for `max_age_s`."""

    def __init__(self, datastore: Datastore, tables: Tables, max_age_s: float, monotonic_s: Callable[[], float]) -> None:
        self._datastore = datastore
        self._table = tables.assets
        self._max_age_s = max_age_s
        self._monotonic_s = monotonic_s
        self._remembered: dict[str, tuple[float, Asset | None]] = {}
        self._listed: tuple[float, list[Asset]] | None = None

    def assets(self, symbols: Iterable[str], patience: Patience) -> dict[str, Asset]:
        """The assets of these symbols, none older than the age; unknown symbols are left out.

        One request to the datastore for each 100 symbols that are not fresh, none where all are.

        Raises:
            Throttled, Unanswered: as `Datastore.call`. TimeUp: something was left to ask.
        """
        fresh_from = self._monotonic_s() - self._max_age_s
        found: dict[str, Asset | None] = {}
        stale: list[str] = []
        for symbol in symbols:
            entry = self._remembered.get(symbol)
            if entry is not None and entry[0] >= fresh_from:
                found[symbol] = entry[1]
            else:
                stale.append(symbol)
        if stale:
            found |= self._read(stale, patience)
        return {symbol: asset for symbol, asset in found.items() if asset is not None}

    def _read(self, symbols: list[str], patience: Patience) -> dict[str, Asset | None]:
        read_at_s = self._monotonic_s()  # before the read: an age is never understated
        read: dict[str, Asset | None] = dict.fromkeys(symbols)
        for item in read_items(self._datastore, self._table, [asset_key(symbol) for symbol in symbols], patience):
            asset = asset_from(item)
            read[asset.symbol] = asset
        if len(self._remembered) + len(read) > MAX_REMEMBERED:
            self._remembered.clear()
        for symbol, known in read.items():
            self._remembered[symbol] = (read_at_s, known)
        return read

    def all_assets(self, patience: Patience) -> list[Asset]:
        """Every asset, sorted by symbol, none older than the age.

        Raises:
            Throttled, Unanswered: as `Datastore.call`. TimeUp: something was left to ask.
        """
        read_at_s = self._monotonic_s()
        if self._listed is not None and self._listed[0] >= read_at_s - self._max_age_s:
            return self._listed[1]
        assets: list[Asset] = []
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        while True:
            with patience.call():
                page = self._datastore.call("Scan", dict(request))
            assets.extend(asset_from(item) for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        assets.sort(key=lambda asset: asset.symbol)
        self._listed = (read_at_s, assets)
        return assets

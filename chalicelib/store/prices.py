"""The price book: what the assets table says, as fresh as asked for.

Prices are read beside the transaction, never inside it: a condition on an asset's item would make all of its buyers collide.
"""

from collections.abc import Iterable
from typing import Any

from chalicelib.domain.asset import Asset
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import Moment, World
from chalicelib.store.connection import Datastore, Throttled, read_items
from chalicelib.store.tables import Tables, asset_from, asset_key

MAX_REMEMBERED = 10_000
"""Symbols a process remembers, unknown ones included: any client may ask for any symbol, so there must be an end."""


class PriceBook:
    """Assets by symbol, remembered in the process for `max_age_s`."""

    def __init__(self, datastore: Datastore, tables: Tables, max_age_s: float, world: World) -> None:
        self._datastore = datastore
        self._table = tables.assets
        self._max_age_s = max_age_s
        self._world = world
        self._remembered: dict[str, tuple[Moment, Asset | None]] = {}
        self._listed: tuple[Moment, list[Asset]] | None = None

    def assets(self, symbols: Iterable[str], deadline: Deadline) -> dict[str, Asset]:
        """Returns the assets of these symbols, no copy older than the age on return; unknown symbols are left out.

        Makes one request to the datastore for each 100 symbols that are not fresh, none where all are.

        Raises:
            Throttled: the read took longer than a copy may be old; or as `Datastore.call`. Unanswered: as `Datastore.call`.
            DeadlineExceeded: something was left to read.
        """
        found: dict[str, tuple[Moment, Asset | None]] = {}
        stale: list[str] = []
        for symbol in symbols:
            entry = self._remembered.get(symbol)
            if entry is not None and self._is_fresh(entry[0]):
                found[symbol] = entry
            else:
                stale.append(symbol)
        if stale:
            found |= self._read(stale, deadline)
            # While some were read, the others may have become too old; and so may these, where reading took long.
            if not all(self._is_fresh(read_at) for read_at, _ in found.values()):
                raise Throttled("reading the prices took longer than a copy may be old")
        return {symbol: asset for symbol, (_, asset) in found.items() if asset is not None}

    def _is_fresh(self, since: Moment) -> bool:
        return self._world.age_s(since) <= self._max_age_s

    def _read(self, symbols: list[str], deadline: Deadline) -> dict[str, tuple[Moment, Asset | None]]:
        read_at = self._world.moment()  # before the read: an age is never understated
        read: dict[str, tuple[Moment, Asset | None]] = dict.fromkeys(symbols, (read_at, None))
        for item in read_items(self._datastore, self._table, [asset_key(symbol) for symbol in symbols], deadline):
            asset = asset_from(item)
            read[asset.symbol] = (read_at, asset)
        if len(self._remembered) + len(read) > MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered.update(read)
        return read

    def all_assets(self, deadline: Deadline) -> list[Asset]:
        """Returns every asset, sorted by symbol: a list is used again up to the age, and a new one is as old as its read took.

        The list is for display. It decides nothing, so one that took long to read is better than none.

        Raises:
            Throttled, Unanswered: as `Datastore.call`. DeadlineExceeded: something was left to read.
        """
        if self._listed is not None and self._is_fresh(self._listed[0]):
            return self._listed[1]
        read_at = self._world.moment()
        assets: list[Asset] = []
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        while True:
            with deadline.call():
                page = self._datastore.call("Scan", dict(request))
            assets.extend(asset_from(item) for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        assets.sort(key=lambda asset: asset.symbol)
        self._listed = (read_at, assets)
        return assets

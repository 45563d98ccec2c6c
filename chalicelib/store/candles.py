"""Reading candles: an asset's item has the open ones, and a table has those that were closed.

`assets` stores them. The newest price is always in the asset's item, and a closed candle is stored together with the price that
closes it.
"""

from datetime import datetime
from typing import Any

from chalicelib.domain.candle import Candle, Chart, Interval
from chalicelib.runtime.deadline import Deadline
from chalicelib.store.connection import Datastore, read_items
from chalicelib.store.tables import Tables, asset_key, candle_from, candle_key, open_candles_from


class Candles:
    """The candles of assets."""

    def __init__(self, datastore: Datastore, tables: Tables) -> None:
        self._datastore = datastore
        self._tables = tables

    def read(self, symbol: str, chart: Chart, now: datetime, deadline: Deadline) -> list[Candle] | None:
        """Returns an asset's candles, oldest first; `None` where the symbol is not listed. The unit of account has none.

        Reads the asset, then the stored candles, each with strong consistency: a chart contains every price that was set before
        it was asked for. The most that a request reads is what 300 days are rolled up from: 7,200 hours of 140 to 210 bytes, in
        two pages at most (370 read units). A typical chart, 300 candles of a minute, is one page of 42 KB (11 read units).

        Raises:
            Throttled, Unanswered: as `Datastore.call`. DeadlineExceeded: something was left to read.
        """
        items = read_items(self._datastore, self._tables.assets, [asset_key(symbol)], deadline)
        if not items:
            return None
        open_candles = open_candles_from(items[0])
        if open_candles is None:
            return []
        stored = self.stored(symbol, chart.interval.stored, *chart.span_s(now), chart.most_stored, deadline)
        return chart.of(stored, open_candles, now)

    def stored(  # noqa: PLR0917  (a key, a span and a size)
        self, symbol: str, interval: Interval, first_s: int, last_s: int, most: int, deadline: Deadline
    ) -> list[Candle]:
        """Returns the newest stored candles that start from `first_s` to `last_s`, at most `most`, oldest first.

        Raises:
            Throttled, Unanswered: as `Datastore.call`. DeadlineExceeded: something was left to read.
        """
        if first_s > last_s:
            return []
        first, last = (candle_key(symbol, interval, at_s) for at_s in (first_s, last_s))
        request: dict[str, Any] = {
            "TableName": self._tables.candles,
            "ConsistentRead": True,
            "ScanIndexForward": False,
            "KeyConditionExpression": "symbol = :symbol AND #at BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#at": "at"},
            "ExpressionAttributeValues": {":symbol": first["symbol"], ":first": first["at"], ":last": last["at"]},
        }
        candles: list[Candle] = []
        while len(candles) < most:
            with deadline.call():
                page = self._datastore.call("Query", request | {"Limit": most - len(candles)})
            candles.extend(candle_from(item) for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return candles[::-1]

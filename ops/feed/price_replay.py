"""Prices from a CSV file, one step after another.

The file has the columns ``symbol`` and ``price``; others are ignored. A step ends before a symbol appears again.
"""

import csv
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from ops.failure import Failure
from ops.feed.source import SourceEnded, Tick

COLUMNS = frozenset({"symbol", "price"})
Step = dict[str, str]
"""Prices by symbol."""


class PriceReplay:
    """The steps of a file. It is read as far as it was replayed, so that it may be long."""

    def __init__(self, path: Path, symbols: Collection[str], *, again: bool) -> None:
        self._path = path
        self._symbols = symbols
        self._again = again
        self._steps = self._read()

    def start(self, listed: Mapping[str, str]) -> None:
        """See `Source`. A file needs nothing from the engine."""

    def poll(self, now: datetime) -> Iterator[Tick]:
        """See `Source`. `at` is the time of the replay."""
        try:
            step = next(self._steps, None)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise Failure(f"{self._path} cannot be read: {error}") from None
        if step is None:
            raise SourceEnded
        return (Tick(symbol, price, now) for symbol, price in step.items())

    def _read(self) -> Iterator[Step]:
        while True:
            step: Step = {}
            empty = True
            for symbol, price in self._rows():
                if symbol in step:
                    yield step
                    step = {}
                step[symbol] = price
                empty = False
            if empty:
                raise Failure(f"{self._path} contains no prices{' of these symbols' if self._symbols else ''}")
            yield step
            if not self._again:
                return

    def _rows(self) -> Iterator[tuple[str, str]]:
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = COLUMNS - set(reader.fieldnames or ())
            if missing:
                raise Failure(f"The first line of {self._path} names its columns: {' and '.join(sorted(missing))} missing")
            for row in reader:
                symbol = (row["symbol"] or "").strip().upper()
                if not self._symbols or symbol in self._symbols:
                    yield symbol, (row["price"] or "").strip()

"""Prices in a file: CSV with the columns ``symbol`` and ``price``, or JSON: ``{"BTC": "50000"}``, or a list of objects.

The whole file is read and checked before a first price is written.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chalicelib.contract.fields import InvalidValue, JsonNumber
from ops.failure import Failure
from ops.values import read_price, read_symbol

MAX_FAULTS_SHOWN = 20


def read(path: Path) -> dict[str, int]:
    """Returns prices in units of 10⁻¹⁶ USD by symbol, in the sequence of the file.

    Raises:
        Failure: the file is invalid. The message names every invalid line, up to a limit.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        match path.suffix.lower():
            case ".csv":
                rows = list(_csv_rows(text))
            case ".json":
                rows = list(_json_rows(text))
            case _:
                raise Failure(f"{path} is neither .csv nor .json")
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise Failure(f"{path} cannot be read: {error}") from None
    prices: dict[str, int] = {}
    faults: list[str] = []
    for place, symbol_text, price_text in rows:
        try:
            symbol = read_symbol(symbol_text)
        except InvalidValue as invalid:
            faults.append(f"{place}: symbol {symbol_text!r} {invalid}")
            continue
        try:
            price = read_price(price_text)
        except InvalidValue as invalid:
            faults.append(f"{place}: price {price_text!r} {invalid}")
            continue
        if symbol in prices:
            faults.append(f"{place}: {symbol} appears twice in the file")
        prices[symbol] = price
    if faults:
        more = len(faults) - MAX_FAULTS_SHOWN
        shown = faults[:MAX_FAULTS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise Failure("\n  ".join([f"{path} was not loaded:", *shown]))
    if not prices:
        raise Failure(f"{path} contains no prices")
    return prices


Row = tuple[str, Any, Any]
"""A place in the file, a symbol and a price, neither checked yet."""


def _csv_rows(text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = {"symbol", "price"} - set(reader.fieldnames or ())
    if missing:
        raise Failure(f"The first line of a CSV file names its columns: {' and '.join(sorted(missing))} missing")
    for row in reader:
        price = row["price"]
        yield f"line {reader.line_num}", row["symbol"], price.strip() if price else price


def _json_rows(text: str) -> Iterator[Row]:
    # Objects stay lists of pairs: a name that appears twice must not vanish.
    parsed = json.loads(text, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=str, object_pairs_hook=_Pairs)
    if isinstance(parsed, _Pairs):
        for symbol, price in parsed:
            yield repr(symbol), symbol, price
    elif isinstance(parsed, list) and all(isinstance(entry, _Pairs) for entry in parsed):
        for index, entry in enumerate(parsed, start=1):
            fields = dict(entry)
            if len(fields) != len(entry):
                raise Failure(f"Entry {index} of the list names a field twice")
            yield f"entry {index}", fields.get("symbol"), fields.get("price")
    else:
        raise Failure('JSON prices are {"BTC": "50000"} or [{"symbol": "BTC", "price": "50000"}]')


class _Pairs(list[tuple[str, Any]]):
    """A JSON object."""

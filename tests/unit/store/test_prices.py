"""The price book: no copy is older than it may be, by whichever clock shows more."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.runtime.world import World
from chalicelib.store import prices
from chalicelib.store.connection import Item, Throttled, Unanswered
from chalicelib.store.prices import PriceBook
from chalicelib.store.tables import Tables

MAX_AGE_S = 1.0


@dataclass
class Clocks:
    """A monotonic and a wall clock that a test sets."""

    monotonic_s: float = 1_000.0
    wall: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def world(self) -> World:
        return World(monotonic_s=lambda: self.monotonic_s, now=lambda: self.wall)

    def advance(self, seconds: float) -> None:
        self.advance_wall(seconds)
        self.monotonic_s += seconds

    def advance_wall(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)


@dataclass
class AssetsTable:
    """The assets table: `prices` by symbol. `reading`: what happens while a call is under way."""

    prices: dict[str, str] = field(default_factory=lambda: {"BTC": "50000", "ETH": "3000", "USD": "1"})
    calls: list[list[str]] = field(default_factory=list)
    reading: Callable[[], object] = lambda: None
    page_size: int = 100

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "Scan":
            return self._scan(request)
        assert operation == "BatchGetItem"
        ((table, wanted),) = request["RequestItems"].items()
        assert (table, wanted["ConsistentRead"]) == ("hft-x-assets", True)
        symbols = [key["symbol"]["S"] for key in wanted["Keys"]]
        self.calls.append(symbols)
        self.reading()
        return {"Responses": {table: [self._item(symbol) for symbol in symbols if symbol in self.prices]}, "UnprocessedKeys": {}}

    def _scan(self, request: dict[str, Any]) -> dict[str, Any]:
        assert (request["TableName"], request["ConsistentRead"]) == ("hft-x-assets", True)
        self.calls.append(["scan"])
        self.reading()
        symbols = sorted(self.prices, reverse=True)
        start = symbols.index(request["ExclusiveStartKey"]["symbol"]["S"]) + 1 if "ExclusiveStartKey" in request else 0
        page = symbols[start : start + self.page_size]
        left = {"LastEvaluatedKey": {"symbol": {"S": page[-1]}}} if start + self.page_size < len(symbols) else {}
        return {"Items": [self._item(symbol) for symbol in page]} | left

    def _item(self, symbol: str) -> Item:
        return {"symbol": {"S": symbol}, "price_usd": {"S": self.prices[symbol]}, "price_at": {"S": "2026-01-01T00:00:00Z"}}


@dataclass
class Book:
    """A price book under test."""

    clocks: Clocks
    table: AssetsTable
    prices: PriceBook

    def deadline(self, budget_s: float = 20) -> Deadline:
        return Deadline(self.clocks.world(), budget_s, call_worst_s=3)

    def price(self, symbol: str) -> int | None:
        found = self.prices.assets([symbol], self.deadline()).get(symbol)
        return None if found is None else found.price // 10**16

    def listed(self) -> list[str]:
        return [asset.symbol for asset in self.prices.all_assets(self.deadline())]


@pytest.fixture
def book() -> Book:
    clocks, table = Clocks(), AssetsTable()
    return Book(clocks, table, PriceBook(table, Tables.of("hft-x"), MAX_AGE_S, clocks.world()))


def test_a_copy_is_used_up_to_its_age_and_not_after(book: Book) -> None:
    assert book.price("BTC") == 50_000
    book.table.prices["BTC"] = "60000"

    book.clocks.advance(MAX_AGE_S)
    assert book.price("BTC") == 50_000
    book.clocks.advance(0.001)
    assert book.price("BTC") == 60_000
    assert book.table.calls == [["BTC"], ["BTC"]]


def test_a_copy_ages_by_the_wall_clock_where_the_monotonic_one_stands_still(book: Book) -> None:
    """A frozen Lambda's monotonic clock may stand still for hours."""
    book.price("BTC")
    book.table.prices["BTC"] = "60000"

    book.clocks.advance_wall(MAX_AGE_S + 0.001)

    assert book.price("BTC") == 60_000


def test_a_copy_ages_by_the_monotonic_clock_where_the_wall_clock_stands_still(book: Book) -> None:
    book.price("BTC")
    book.table.prices["BTC"] = "60000"

    book.clocks.monotonic_s += MAX_AGE_S + 0.001

    assert book.price("BTC") == 60_000


def test_a_wall_clock_that_was_set_back_makes_every_copy_too_old(book: Book) -> None:
    """The age is unknown then; the monotonic clock may have stood still at the same time."""
    book.price("BTC")
    book.table.prices["BTC"] = "60000"

    book.clocks.advance_wall(-0.001)

    assert book.price("BTC") == 60_000


def test_what_took_longer_to_read_than_a_copy_may_be_old_is_not_used(book: Book) -> None:
    book.table.reading = lambda: book.clocks.advance(MAX_AGE_S + 0.001)

    with pytest.raises(Throttled, match="took longer than a copy may be old"):
        book.price("BTC")

    book.table.reading = lambda: None
    assert book.price("BTC") == 50_000
    assert len(book.table.calls) == 2, "the late copy was not kept"


def test_an_age_counts_from_before_the_read(book: Book) -> None:
    """The price may have been read, and changed, as soon as the request was sent."""
    book.table.reading = lambda: book.clocks.advance(0.6)
    book.price("BTC")
    book.table.reading = lambda: None
    book.table.prices["BTC"] = "60000"

    book.clocks.advance(0.4)
    assert book.price("BTC") == 50_000
    book.clocks.advance(0.001)
    assert book.price("BTC") == 60_000


def test_a_copy_that_grew_too_old_while_another_was_read_is_not_used(book: Book) -> None:
    book.price("BTC")
    book.clocks.advance(0.8)
    book.table.reading = lambda: book.clocks.advance(0.3)

    with pytest.raises(Throttled):
        book.prices.assets(["BTC", "ETH"], book.deadline())


def test_only_what_is_not_fresh_is_read(book: Book) -> None:
    book.prices.assets(["BTC", "USD"], book.deadline())
    book.clocks.advance(0.6)

    assert set(book.prices.assets(["BTC", "ETH", "USD"], book.deadline())) == {"BTC", "ETH", "USD"}
    book.clocks.advance(0.6)
    assert set(book.prices.assets(["BTC", "ETH", "USD"], book.deadline())) == {"BTC", "ETH", "USD"}

    assert book.table.calls == [["BTC", "USD"], ["ETH"], ["BTC", "USD"]]


def test_an_unknown_symbol_is_left_out_and_remembered_as_unknown(book: Book) -> None:
    assert book.price("NOPE") is None
    book.table.prices["NOPE"] = "1"

    assert book.price("NOPE") is None
    book.clocks.advance(MAX_AGE_S + 0.001)
    assert book.price("NOPE") == 1
    assert book.table.calls == [["NOPE"], ["NOPE"]]


def test_what_is_remembered_has_an_end(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any client may ask for any symbol."""
    monkeypatch.setattr(prices, "MAX_REMEMBERED", 3)
    for symbol in ("A", "B", "C"):
        book.price(symbol)
    assert book.price("BTC") == 50_000

    book.table.calls.clear()
    for symbol in ("A", "BTC"):
        book.price(symbol)
    assert book.table.calls == [["A"]]


def test_more_symbols_than_one_request_takes_are_read_in_several(book: Book) -> None:
    symbols = [f"S{number}" for number in range(150)]
    book.table.prices = dict.fromkeys(symbols, "1")

    assert len(book.prices.assets(symbols, book.deadline())) == 150
    assert [len(call) for call in book.table.calls] == [100, 50]


@pytest.mark.parametrize("fault", [Throttled("busy"), Unanswered("silence")])
def test_a_fault_is_passed_on_and_nothing_is_remembered(book: Book, fault: Exception) -> None:
    def fail() -> None:
        raise fault

    book.table.reading = fail
    with pytest.raises(type(fault)):
        book.price("BTC")

    book.table.reading = lambda: None
    assert book.price("BTC") == 50_000


def test_nothing_is_read_past_the_deadline_and_what_is_fresh_is_still_used(book: Book) -> None:
    book.price("BTC")

    assert set(book.prices.assets(["BTC"], book.deadline(budget_s=1))) == {"BTC"}
    with pytest.raises(DeadlineExceeded):
        book.prices.assets(["BTC", "ETH"], book.deadline(budget_s=1))
    assert book.table.calls == [["BTC"]]


# The list of assets.


def test_the_list_is_whole_and_sorted_however_many_pages_it_takes(book: Book) -> None:
    book.table.page_size = 2

    assert book.listed() == ["BTC", "ETH", "USD"]
    assert book.table.calls == [["scan"], ["scan"]]


def test_the_list_is_used_up_to_its_age_by_whichever_clock_shows_more(book: Book) -> None:
    book.listed()
    book.table.prices["SOL"] = "100"

    book.clocks.advance(MAX_AGE_S)
    assert "SOL" not in book.listed()
    book.clocks.advance_wall(0.001)
    assert "SOL" in book.listed()

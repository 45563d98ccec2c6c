"""Changes to the list of assets: each is made on the version that was read, whatever happens on the way."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.domain.asset import Asset
from chalicelib.domain.money import PRICE_PER_USD
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import World
from chalicelib.store.assets import (
    AssetBusy,
    AssetList,
    Change,
    ImmutableAsset,
    Listing,
    StaleAsset,
    remove,
    set_halted,
    set_price,
)
from chalicelib.store.connection import Datastore, Throttled, Unanswered
from chalicelib.store.tables import asset_key, number
from tests.support.market import Market, new_user_id
from tests.support.tables import with_tables_of_its_own

AT = datetime(2026, 2, 21, 14, 1, 48, 11_301, UTC)
AT_TEXT = "2026-02-21T14:01:48.011301Z"
USD = PRICE_PER_USD

Call = Callable[[str, dict[str, Any]], dict[str, Any]]


class Fake:
    """A datastore whose writes do something else. Reads reach the real one."""

    def __init__(self, inner: Datastore, write: Call) -> None:
        self._inner = inner
        self._write = write

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return (self._inner.call if operation in ("GetItem", "Query", "Scan") else self._write)(operation, request)


@dataclass
class Desk:
    """An operator's desk: the assets table of one market, on a clock that only waiting moves."""

    market: Market
    now_s: float = 0.0

    def deadline(self) -> Deadline:
        def sleep_s(seconds: float) -> None:
            self.now_s += max(seconds, 0.001)

        return Deadline(World(monotonic_s=lambda: self.now_s, sleep_s=sleep_s, random=lambda: 1.0), 20.0, 3.0)

    def assets(self, write: Call | None = None) -> AssetList:
        datastore = self.market.datastore
        return AssetList(datastore if write is None else Fake(datastore, write), self.market.tables)

    def find(self, symbol: str) -> Listing | None:
        return self.assets().find(symbol, self.deadline())

    def listed(self, symbol: str) -> Listing:
        found = self.find(symbol)
        assert found is not None
        return found

    def apply(self, change: Change, write: Call | None = None) -> Change:
        return self.assets(write).apply(change, self.deadline())

    def reprice(self, symbol: str, price: int) -> None:
        """Changes a price, as somebody else would."""
        self.apply(set_price(self.find(symbol), symbol, price, AT, allow_move=True))

    def item(self, symbol: str) -> Any:
        return self.market.dynamodb.get_item(TableName=self.market.tables.assets, Key=asset_key(symbol)).get("Item")


@pytest.fixture(scope="module")
def market(moto_market: Market) -> Market:
    return with_tables_of_its_own(moto_market)


@pytest.fixture
def desk(market: Market) -> Desk:
    return Desk(market)


@pytest.fixture
def symbol(desk: Desk) -> str:
    """An asset of this test's own, at 100 USD."""
    symbol = f"T{new_user_id() % 10**9}"
    desk.apply(set_price(None, symbol, 100 * USD, AT))
    return symbol


def test_a_new_asset_is_stored_with_its_rules_as_text(desk: Desk, symbol: str) -> None:
    assert desk.item(symbol) == {
        "symbol": {"S": symbol},
        "price_usd": {"S": "100.00000000"},
        "price_at": {"S": AT_TEXT},
        "halted": {"BOOL": False},
        "min_quantity": {"S": "0.00000001"},
        "quantity_step": {"S": "0.00000001"},
        "min_notional_usd": {"S": "0.00000000"},
        "fee_bps": {"S": "0"},
        "max_move": {"S": "0.2"},
        "version": {"N": "1"},
        "candles": {
            "S": '{"1m":["2026-02-21T14:01:00.000000Z",["100.00000000","100.00000000","100.00000000","100.00000000",1]],'
            '"1h":["2026-02-21T14:00:00.000000Z",["100.00000000","100.00000000","100.00000000","100.00000000",1]]}'
        },
    }


def test_what_is_stored_is_what_is_read(desk: Desk, symbol: str) -> None:
    before = desk.listed(symbol)
    asset = Asset(
        symbol,
        price=1,
        price_at=AT_TEXT,
        halted=True,
        min_quantity_units=7,
        quantity_step_units=3,
        min_notional_usd_units=10**9,
        fee_rate=250,
    )

    desk.apply(Change(symbol, before, Listing(asset, 2, before.candles)))

    assert desk.find(symbol) == Listing(asset, 2, before.candles)
    assert desk.assets().all(desk.deadline())[symbol] == Listing(asset, 2, before.candles)


def test_the_list_is_sorted_by_symbol(desk: Desk) -> None:
    symbols = list(desk.assets().all(desk.deadline()))

    assert symbols == sorted(symbols)
    assert {"BTC", "ETH", "SOL", "USD"} <= set(symbols)


def test_a_price_keeps_the_rules_and_unknown_attributes(desk: Desk, symbol: str) -> None:
    desk.market.dynamodb.update_item(
        TableName=desk.market.tables.assets,
        Key=asset_key(symbol),
        UpdateExpression="SET tick = :one, fee_bps = :fee",
        ExpressionAttributeValues={":one": number(1), ":fee": {"S": "2.5"}},
    )

    desk.reprice(symbol, 5)

    assert desk.item(symbol)["tick"] == {"N": "1"}
    assert desk.listed(symbol).asset.fee_rate == 250


def test_the_same_price_again_moves_its_time_on(symbol: str, desk: Desk) -> None:
    before = desk.listed(symbol)

    change = desk.apply(set_price(before, symbol, before.asset.price, AT.replace(year=2027)))

    assert (change.name, desk.listed(symbol).asset.price_at) == ("confirmed", "2027-02-21T14:01:48.011301Z")


@pytest.mark.parametrize("change", ["price", "halt", "resume", "remove"])
def test_the_unit_of_account_stays_as_it_is(desk: Desk, change: str) -> None:
    usd = desk.listed("USD")
    changes = {
        "price": lambda: set_price(usd, "USD", 2 * USD, AT),
        "halt": lambda: set_halted(usd, halted=True),
        "resume": lambda: set_halted(usd, halted=False),
        "remove": lambda: remove(usd),
    }

    with pytest.raises(ImmutableAsset):
        changes[change]()


def test_the_unit_of_account_is_listed_at_1_and_stays_there() -> None:
    listed = set_price(None, "USD", USD, AT).after
    assert listed is not None

    again = set_price(listed, "USD", USD, AT.replace(year=2027))

    assert (again.name, again.after) == ("unchanged", listed)
    with pytest.raises(ImmutableAsset):
        set_price(None, "USD", USD + 1, AT)


# Two operators at one asset.


@pytest.mark.parametrize("change", ["price", "remove"])
def test_another_operators_change_is_not_overwritten(desk: Desk, symbol: str, change: str) -> None:
    seen = desk.listed(symbol)
    desk.reprice(symbol, 200 * USD)

    with pytest.raises(StaleAsset) as stale:
        desk.apply(set_price(seen, symbol, 1, AT, allow_move=True) if change == "price" else remove(seen))

    now = desk.listed(symbol)
    assert (stale.value.now, now.asset.price, now.version) == (now, 200 * USD, 2)


def test_an_asset_that_somebody_else_listed_is_not_overwritten(desk: Desk, symbol: str) -> None:
    with pytest.raises(StaleAsset):
        desk.apply(set_price(None, symbol, 1, AT))

    assert desk.listed(symbol).asset.price == 100 * USD


def test_an_asset_that_somebody_else_removed_does_not_come_back(desk: Desk, symbol: str) -> None:
    seen = desk.listed(symbol)
    desk.apply(remove(seen))

    with pytest.raises(StaleAsset) as stale:
        desk.apply(set_price(seen, symbol, 1, AT, allow_move=True))

    assert (stale.value.now, desk.item(symbol)) == (None, None)


def test_an_asset_that_was_listed_again_is_not_overwritten_by_a_change_from_before(desk: Desk, symbol: str) -> None:
    seen = desk.listed(symbol)
    desk.apply(remove(seen))
    desk.apply(set_price(None, symbol, 200 * USD, AT.replace(year=2027)))
    assert desk.listed(symbol).version == seen.version

    with pytest.raises(StaleAsset):
        desk.apply(set_price(seen, symbol, 1, AT, allow_move=True))

    assert desk.listed(symbol).asset.price == 200 * USD


def test_no_feed_of_prices_keeps_an_asset_from_being_halted(desk: Desk, symbol: str) -> None:
    seen = desk.listed(symbol)
    desk.reprice(symbol, 200 * USD)

    made = desk.assets().apply_halt(set_halted(seen, halted=True), desk.deadline())

    now = desk.listed(symbol)
    assert (made.after, now.asset.price, now.asset.halted, now.version) == (now, 200 * USD, True, 3)


def test_halting_does_not_bring_back_a_removed_asset(desk: Desk, symbol: str) -> None:
    seen = desk.listed(symbol)
    desk.apply(remove(seen))

    with pytest.raises(StaleAsset):
        desk.assets().apply_halt(set_halted(seen, halted=True), desk.deadline())

    assert desk.item(symbol) is None


# What a write can meet.


def conflict() -> ClientError:
    return ClientError({"Error": {"Code": "TransactionConflictException", "Message": ""}}, "UpdateItem")


@pytest.mark.parametrize("change", ["price", "remove"])
def test_a_write_whose_answer_was_lost_is_recognized(desk: Desk, symbol: str, change: str) -> None:
    answers_lost: list[str] = []

    def write(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = desk.market.datastore.call(operation, request)
        if not answers_lost:
            answers_lost.append(operation)
            raise Unanswered(operation)
        return answer

    seen = desk.listed(symbol)
    planned = set_price(seen, symbol, 5, AT, allow_move=True) if change == "price" else remove(seen)

    assert desk.apply(planned, write) == planned
    assert answers_lost
    assert desk.find(symbol) == planned.after


@pytest.mark.parametrize("error", [conflict(), Throttled("UpdateItem"), Unanswered("UpdateItem")])
def test_a_write_that_failed_is_sent_again(desk: Desk, symbol: str, error: Exception) -> None:
    errors = [error] * 3

    def write(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if errors:
            raise errors.pop()
        return desk.market.datastore.call(operation, request)

    desk.apply(set_price(desk.find(symbol), symbol, 5, AT, allow_move=True), write)

    assert desk.listed(symbol).asset.price == 5


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ([conflict()], AssetBusy),
        ([Throttled("UpdateItem")], Throttled),
        ([Unanswered("UpdateItem"), conflict(), Throttled("UpdateItem")], Unanswered),
    ],
)
def test_at_the_deadline_a_write_is_given_up(desk: Desk, symbol: str, errors: list[Exception], raised: type[Exception]) -> None:
    """One attempt without an answer leaves the outcome unknown, whatever the later ones met."""
    calls = iter([*errors, *[errors[-1]] * 1_000])

    def write(_operation: str, _request: dict[str, Any]) -> dict[str, Any]:
        raise next(calls)

    with pytest.raises(raised):
        desk.apply(set_price(desk.find(symbol), symbol, 5, AT, allow_move=True), write)

    assert desk.now_s <= 20.0


def test_nothing_is_written_where_nothing_changes(desk: Desk, symbol: str) -> None:
    def write(_operation: str, _request: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError

    seen = desk.listed(symbol)

    assert desk.apply(set_halted(seen, halted=False), write).name == "unchanged"


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (None, Asset("BTC", 1, "t"), "listed"),
        (Asset("BTC", 1, "t"), None, "removed"),
        (Asset("BTC", 1, "t"), Asset("BTC", 2, "t"), "priced"),
        (Asset("BTC", 1, "t"), Asset("BTC", 1, "u"), "confirmed"),
        (Asset("BTC", 1, "t"), Asset("BTC", 1, "u", fee_rate=250), "changed"),
        (Asset("BTC", 1, "t"), replace(Asset("BTC", 1, "t"), halted=True), "halted"),
        (replace(Asset("BTC", 1, "t"), halted=True), Asset("BTC", 1, "t"), "resumed"),
        (Asset("BTC", 1, "t"), Asset("BTC", 1, "t"), "unchanged"),
    ],
)
def test_a_change_has_a_name(before: Asset | None, after: Asset | None, name: str) -> None:
    listings = (None if asset is None else Listing(asset, 1) for asset in (before, after))

    assert Change("BTC", *listings).name == name

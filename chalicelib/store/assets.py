"""The list of assets, as an operator changes it: each change on condition that nobody else made one since it was read.

A price becomes part of the open candles in the asset's item, in the same write. One that closes a candle stores it as well:

    1. Update the asset    if its version and `price_at` are those that were read: its price, and candles opened with it
    2. Put the minute      that is over
    3. Put the hour        where that is over, too

All of it happens or nothing does, so the candles contain each price that was set exactly once, whoever else sets prices, and
whether an attempt was answered or not. Nobody else writes these candles, so their puts need no condition.

The API's role does not need this module where the stage has no operator's routes: it only reads assets (see `prices`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.domain.asset import UNIT_OF_ACCOUNT, Asset, fee_bps_text, is_too_large_a_move, max_move_text
from chalicelib.domain.candle import Interval, OpenCandles, closed
from chalicelib.domain.money import PRICE_PER_USD, price_text, text_from
from chalicelib.domain.timestamps import rfc3339
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.store.candles import Candles
from chalicelib.store.connection import CONFLICT_CODES, THROTTLED_CODES, Cancelled, Datastore, Item, Throttled, Unanswered
from chalicelib.store.tables import (
    OPEN_CANDLES,
    Tables,
    asset_from,
    asset_key,
    item_from_candle,
    number,
    open_candles_from,
    open_candles_text,
)


class ImmutableAsset(Exception):
    """A change to the unit of account that is not possible. Nothing was written."""

    def __init__(self) -> None:
        super().__init__(f"{UNIT_OF_ACCOUNT} is the unit of account: its price is 1, and it is always listed and never halted")


class HeldPrice(Exception):
    """A price that moves further than the asset's guard lets it. Nothing was written."""

    def __init__(self, asset: Asset, price: int) -> None:
        super().__init__(
            f"{asset.symbol} would move from {price_text(asset.price)} to {price_text(price)} USD, "
            f"by more than {max_move_text(asset.max_move)} of its price: allow the move by name if it is meant"
        )


class Listing(NamedTuple):
    """An asset as it is stored. `version` counts the changes of its item, from 1. `candles`: `None` for the unit of account."""

    asset: Asset
    version: int
    candles: OpenCandles | None = None


class Change(NamedTuple):
    """One asset before and after; `None` where it is not listed. Nothing is to be changed where both are the same."""

    symbol: str
    before: Listing | None
    after: Listing | None

    @property
    def name(self) -> str:
        """The change in one word."""
        if self.before is None:
            return "listed"
        if self.after is None:
            return "removed"
        before, after = self.before.asset, self.after.asset
        if before.price != after.price:
            return "priced"
        if before.halted != after.halted:
            return "halted" if after.halted else "resumed"
        if before == after:
            return "unchanged"
        return "confirmed" if replace(before, price_at=after.price_at) == after else "changed"


class StaleAsset(Exception):
    """A change to an asset that somebody else changed since it was read. It is as `now` says; nothing was written."""

    def __init__(self, change: Change, now: Listing | None) -> None:
        super().__init__(change.symbol)
        self.change = change
        self.now = now


class AssetBusy(Exception):
    """A change that met other transactions until its time was over. Nothing was written."""


def set_price(before: Listing | None, symbol: str, price: int, at: datetime, *, allow_move: bool = False) -> Change:
    """Sets a price, of an asset that is listed or not yet. The same price again is confirmed: `price_at` moves on.

    A price that replaces another is never from before it: `price_at` does not go back, even where `at` does.

    Raises:
        ImmutableAsset: it is not the price of the unit of account.
        HeldPrice: it moves too far, and `allow_move` does not say that this is meant.
    """
    if symbol == UNIT_OF_ACCOUNT:
        if price != PRICE_PER_USD:
            raise ImmutableAsset
        if before is not None:
            return Change(symbol, before, before)
    if before is None:
        candles = None if symbol == UNIT_OF_ACCOUNT else OpenCandles.opened(price, at)
        return Change(symbol, None, Listing(Asset(symbol, price, rfc3339(at)), version=1, candles=candles))
    if not allow_move and is_too_large_a_move(before.asset.price, price, before.asset.max_move):
        raise HeldPrice(before.asset, price)
    at = max(at, datetime.fromisoformat(before.asset.price_at))
    if (price, rfc3339(at)) == (before.asset.price, before.asset.price_at):
        return Change(symbol, before, before)
    assert before.candles is not None, "only the unit of account has none"
    asset = replace(before.asset, price=price, price_at=rfc3339(at))
    return Change(symbol, before, Listing(asset, before.version + 1, before.candles.then(price, at)))


def set_rules(before: Listing, rules: Mapping[str, int]) -> Change:
    """Sets trading rules, by the names of `Asset`'s fields; those that are absent stay."""
    after = replace(before.asset, **rules)  # type: ignore[arg-type]  # the names are those of integers
    if after == before.asset:
        return Change(after.symbol, before, before)
    return Change(after.symbol, before, before._replace(asset=after, version=before.version + 1))


def set_halted(before: Listing, *, halted: bool) -> Change:
    """Stops trading in an asset, or opens it again.

    Raises:
        ImmutableAsset: it is the unit of account.
    """
    asset = before.asset
    if asset.symbol == UNIT_OF_ACCOUNT:
        raise ImmutableAsset
    if asset.halted == halted:
        return Change(asset.symbol, before, before)
    halted_or_not = replace(asset, halted=halted)
    return Change(asset.symbol, before, before._replace(asset=halted_or_not, version=before.version + 1))


def remove(before: Listing) -> Change:
    """Takes an asset off the list. Accounts that hold it keep it.

    Raises:
        ImmutableAsset: it is the unit of account.
    """
    if before.asset.symbol == UNIT_OF_ACCOUNT:
        raise ImmutableAsset
    return Change(before.asset.symbol, before, None)


class AssetList:
    """The assets table, for reading and changing, and the candles that changes close."""

    def __init__(self, datastore: Datastore, tables: Tables) -> None:
        self._datastore = datastore
        self._table = tables.assets
        self._candles_table = tables.candles
        self._candles = Candles(datastore, tables)

    def all(self, deadline: Deadline) -> dict[str, Listing]:
        """Returns every listing by symbol, sorted by symbol.

        Raises:
            Throttled, Unanswered: as `Datastore.call`. DeadlineExceeded: something was left to read. UnsupportedForm: see there.
        """
        listings: list[Listing] = []
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        while True:
            with deadline.call():
                page = self._datastore.call("Scan", dict(request))
            listings.extend(_listing(item) for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return {listing.asset.symbol: listing for listing in sorted(listings, key=lambda listing: listing.asset.symbol)}

    def find(self, symbol: str, deadline: Deadline) -> Listing | None:
        """Returns one listing, `None` where the symbol is not listed.

        Raises:
            Throttled, Unanswered, DeadlineExceeded, UnsupportedForm: as `all`.
        """
        with deadline.call():
            found = self._datastore.call("GetItem", {"TableName": self._table, "Key": asset_key(symbol), "ConsistentRead": True})
        return _listing(found["Item"]) if "Item" in found else None

    def apply(self, change: Change, deadline: Deadline) -> Change:
        """Makes the change if the asset is still as it was `before`. Returns the change as it was made.

        A symbol that is listed again continues the candles that its removal stored.

        Raises:
            StaleAsset, AssetBusy: see there. Throttled: nothing was written. DeadlineExceeded: nothing was tried.
            Unanswered: the change may have been made.
        """
        if change.before == change.after:
            return change
        if change.before is None:
            change = self._continued(change, deadline)
        if not self._write(change.symbol, *self._request(change), deadline):
            now = self.find(change.symbol, deadline)
            # An attempt whose answer was lost may have been made: then it is what the next attempt's condition met.
            if now != change.after:
                raise StaleAsset(change, now)
        return change

    def apply_halt(self, change: Change, deadline: Deadline) -> Change:
        """Halts or resumes whatever the price has become meanwhile: no feed of prices may keep an asset from being halted.

        Returns the change as it was made.

        Raises:
            StaleAsset: the asset is no longer listed. Otherwise as `apply`.
        """
        assert change.after is not None, "what is halted stays listed"
        while True:
            try:
                return self.apply(change, deadline)
            except StaleAsset as stale:
                if stale.now is None:
                    raise
                change = set_halted(stale.now, halted=change.after.asset.halted)
                assert change.after is not None, "what is halted stays listed"

    def _continued(self, change: Change, deadline: Deadline) -> Change:
        assert change.after is not None, "what is not listed before is listed after"
        if change.after.candles is None:
            return change
        candles = []
        for interval, candle in zip((Interval.MINUTE, Interval.HOUR), change.after.candles, strict=True):
            stored = self._candles.stored(change.symbol, interval, candle.at_s, candle.at_s, 1, deadline)
            candles.append(stored[0].then(candle) if stored else candle)
        return change._replace(after=change.after._replace(candles=OpenCandles(*candles)))

    def _request(self, change: Change) -> tuple[str, dict[str, Any]]:
        operation, write = self._asset_action(change)
        before, after = (None if each is None else each.candles for each in (change.before, change.after))
        over = [] if before is None else closed(before, after)
        if not over:
            return f"{operation}Item", write
        puts = [
            {"Put": {"TableName": self._candles_table, "Item": item_from_candle(change.symbol, interval, candle)}}
            for interval, candle in over
        ]
        return "TransactWriteItems", {"TransactItems": [{operation: write}, *puts]}

    def _asset_action(self, change: Change) -> tuple[str, dict[str, Any]]:
        """Returns the write of the asset, as it is sent by itself and as it is part of a transaction."""
        action: dict[str, Any] = {"TableName": self._table, "Key": asset_key(change.symbol)}
        names: dict[str, str] = {}
        values: Item = {}
        if change.before is None:
            action["ConditionExpression"] = "attribute_not_exists(symbol)"
        else:
            # An asset that was removed and listed again counts from 1 again: its price is of another time.
            action["ConditionExpression"] = "#version = :seen AND #price_at = :seen_at"
            names |= {"#version": "version", "#price_at": "price_at"}
            values |= {":seen": number(change.before.version), ":seen_at": {"S": change.before.asset.price_at}}
        if change.after is None:
            operation = "Delete"
        else:
            # An update of what changes, not a put: attributes of other releases stay.
            operation = "Update"
            before = {} if change.before is None else _attributes(change.before)
            changed = {name: value for name, value in _attributes(change.after).items() if before.get(name) != value}
            action["UpdateExpression"] = "SET " + ", ".join(f"#{name} = :{name}" for name in changed)
            names |= {f"#{name}": name for name in changed}
            values |= {f":{name}": value for name, value in changed.items()}
        return operation, action | {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}

    def _write(self, symbol: str, operation: str, request: dict[str, Any], deadline: Deadline) -> bool:
        """Writes on a condition, again where that is safe, until there is an answer. Returns whether the condition held."""
        reason: Exception = DeadlineExceeded()
        while True:
            try:
                with deadline.call():
                    self._datastore.call(operation, request)
            except DeadlineExceeded:
                raise reason from None
            except Unanswered as unanswered:
                reason = unanswered
            except Throttled as throttled:
                reason = reason if isinstance(reason, Unanswered) else throttled
            except (Cancelled, ClientError) as error:
                codes = _codes(error)
                if codes & _CONDITION_FAILED:
                    return False
                if not codes & (CONFLICT_CODES | THROTTLED_CODES):
                    raise
                busy = AssetBusy(symbol) if codes & CONFLICT_CODES else Throttled(operation)
                reason = reason if isinstance(reason, Unanswered) else busy
            else:
                return True
            deadline.wait_throttled()


_CONDITION_FAILED = frozenset({"ConditionalCheckFailed", "ConditionalCheckFailedException"})
"""The names differ between an error of its own and a cancellation reason."""


def _codes(error: Cancelled | ClientError) -> set[str]:
    """Returns the codes of an error that DynamoDB answered a write with, or of each action that made it cancel a transaction."""
    if isinstance(error, Cancelled):
        return {reason.code for reason in error.reasons if reason is not None and reason.code is not None}
    return {error.response["Error"]["Code"]}


def _listing(item: Item) -> Listing:
    return Listing(asset_from(item), int(item["version"]["N"]), open_candles_from(item))


def _attributes(listing: Listing) -> Item:
    asset = listing.asset
    candles = {} if listing.candles is None else {OPEN_CANDLES: {"S": open_candles_text(listing.candles)}}
    return {
        "price_usd": {"S": price_text(asset.price)},
        "price_at": {"S": asset.price_at},
        "halted": {"BOOL": asset.halted},
        "min_quantity": {"S": text_from(asset.min_quantity_units)},
        "quantity_step": {"S": text_from(asset.quantity_step_units)},
        "min_notional_usd": {"S": text_from(asset.min_notional_usd_units)},
        "fee_bps": {"S": fee_bps_text(asset.fee_rate)},
        "max_move": {"S": max_move_text(asset.max_move)},
        "version": number(listing.version),
        **candles,
    }

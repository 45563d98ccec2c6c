"""The list of assets, as an operator changes it: each change on condition that nobody else made one since it was read.

The API's role does not need this module: it only reads assets (see `prices`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.domain.asset import UNIT_OF_ACCOUNT, Asset, fee_bps_text, is_too_large_a_move, max_move_text
from chalicelib.domain.money import PRICE_PER_USD, price_text, text_from
from chalicelib.domain.timestamps import rfc3339
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.store.connection import CONFLICT_CODES, Datastore, Item, Throttled, Unanswered
from chalicelib.store.tables import Tables, asset_from, asset_key, number


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
    """An asset as it is stored. `version` counts the changes of its item, from 1."""

    asset: Asset
    version: int


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
        return Change(symbol, None, Listing(Asset(symbol, price, rfc3339(at)), version=1))
    if not allow_move and is_too_large_a_move(before.asset.price, price, before.asset.max_move):
        raise HeldPrice(before.asset, price)
    return Change(symbol, before, Listing(replace(before.asset, price=price, price_at=rfc3339(at)), before.version + 1))


def set_rules(before: Listing, rules: Mapping[str, int]) -> Change:
    """Sets trading rules, by the names of `Asset`'s fields; those that are absent stay."""
    after = replace(before.asset, **rules)  # type: ignore[arg-type]  # the names are those of integers
    if after == before.asset:
        return Change(after.symbol, before, before)
    return Change(after.symbol, before, Listing(after, before.version + 1))


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
    return Change(asset.symbol, before, Listing(replace(asset, halted=halted), before.version + 1))


def remove(before: Listing) -> Change:
    """Takes an asset off the list. Accounts that hold it keep it.

    Raises:
        ImmutableAsset: it is the unit of account.
    """
    if before.asset.symbol == UNIT_OF_ACCOUNT:
        raise ImmutableAsset
    return Change(before.asset.symbol, before, None)


class AssetList:
    """The assets table, for reading and changing."""

    def __init__(self, datastore: Datastore, tables: Tables) -> None:
        self._datastore = datastore
        self._table = tables.assets

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
        """Makes the change if the asset is still as it was `before`. Returns the change.

        Raises:
            StaleAsset, AssetBusy: see there. Throttled: nothing was written. DeadlineExceeded: nothing was tried.
            Unanswered: the change may have been made.
        """
        if change.before == change.after:
            return change
        if not self._write(*self._request(change), deadline):
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

    def _request(self, change: Change) -> tuple[str, dict[str, Any]]:
        request: dict[str, Any] = {"TableName": self._table, "Key": asset_key(change.symbol)}
        names: dict[str, str] = {}
        values: Item = {}
        if change.before is None:
            request["ConditionExpression"] = "attribute_not_exists(symbol)"
        else:
            request["ConditionExpression"] = "#version = :seen"
            names["#version"] = "version"
            values[":seen"] = number(change.before.version)
        if change.after is None:
            operation = "DeleteItem"
        else:
            # An update of what changes, not a put: attributes of other releases stay.
            operation = "UpdateItem"
            before = {} if change.before is None else _attributes(change.before)
            changed = {name: value for name, value in _attributes(change.after).items() if before.get(name) != value}
            request["UpdateExpression"] = "SET " + ", ".join(f"#{name} = :{name}" for name in changed)
            names |= {f"#{name}": name for name in changed}
            values |= {f":{name}": value for name, value in changed.items()}
        return operation, request | {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}

    def _write(self, operation: str, request: dict[str, Any], deadline: Deadline) -> bool:
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
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "ConditionalCheckFailedException":
                    return False
                if code not in CONFLICT_CODES:
                    raise
                reason = reason if isinstance(reason, Unanswered) else AssetBusy(request["Key"]["symbol"]["S"])
            else:
                return True
            deadline.wait_throttled()


def _listing(item: Item) -> Listing:
    return Listing(asset_from(item), int(item["version"]["N"]))


def _attributes(listing: Listing) -> Item:
    asset = listing.asset
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
    }

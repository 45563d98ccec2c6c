"""The list of assets: what an operator changes, each change on condition that nobody else made one since it was read."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.domain.money import text_from
from chalicelib.domain.timestamps import rfc3339
from chalicelib.runtime.deadline import World
from chalicelib.store.connection import CONFLICT_CODES, Item
from chalicelib.store.tables import asset_key, number
from ops.failure import Failure

ATTEMPTS = 20
CONFLICT_WAIT_S = 0.1
"""A write that meets a transaction is answered with a conflict, and did nothing: it waits up to this long and is sent again."""


@dataclass(frozen=True, slots=True)
class Listing:
    """An asset as its item describes it. `version` counts the item's changes from 1."""

    symbol: str
    price_units: int
    halted: bool
    version: int
    updated_at: str


@dataclass(frozen=True, slots=True)
class Change:
    """One asset before and after; `None` where it is not listed. The same listing twice: there is nothing to change."""

    symbol: str
    before: Listing | None
    after: Listing | None

    @property
    def name(self) -> str:
        """What the change is, in a word."""
        match self.before, self.after:
            case None, _:
                return "listed"
            case _, None:
                return "removed"
            case Listing() as before, Listing() as after if before.price_units != after.price_units:
                return "priced"
            case Listing() as before, Listing() as after if before.halted != after.halted:
                return "halted" if after.halted else "resumed"
            case _:
                return "unchanged"


class ChangedMeanwhile(Failure):
    """The asset is no longer as it was read, but as it is `now`. Nothing was written."""

    def __init__(self, change: Change, now: Listing | None) -> None:
        was, is_now = _shown(change.before), _shown(now)
        super().__init__(f"{change.symbol} was changed by somebody else: it was {was}, it is {is_now}. Nothing was written")
        self.now = now


def set_price(before: Listing | None, symbol: str, price_units: int, at: datetime) -> Change:
    """A new price, for an asset that is listed or not yet."""
    if before is None:
        return Change(symbol, None, Listing(symbol, price_units, halted=False, version=1, updated_at=rfc3339(at)))
    if before.price_units == price_units:
        return Change(symbol, before, before)
    return Change(symbol, before, _next(replace(before, price_units=price_units), at))


def set_halted(before: Listing, at: datetime, *, halted: bool) -> Change:
    """Trading stopped, or open again."""
    if before.halted == halted:
        return Change(before.symbol, before, before)
    return Change(before.symbol, before, _next(replace(before, halted=halted), at))


def remove(before: Listing) -> Change:
    """The asset taken off the list. Who holds it keeps it."""
    return Change(before.symbol, before, None)


def _next(listing: Listing, at: datetime) -> Listing:
    return replace(listing, version=listing.version + 1, updated_at=rfc3339(at))


class AssetList:
    """The assets table, over a boto3 client."""

    def __init__(self, dynamodb: Any, table: str, world: World | None = None) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._world = world or World()

    def all(self) -> dict[str, Listing]:
        """Every listing by symbol, in the order of the symbols."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        listings = [_listing(item) for page in pages for item in page["Items"]]
        return {listing.symbol: listing for listing in sorted(listings, key=lambda listing: listing.symbol)}

    def find(self, symbol: str) -> Listing | None:
        """One listing, `None` where there is none."""
        found = self._dynamodb.get_item(TableName=self._table, Key=asset_key(symbol), ConsistentRead=True)
        return _listing(found["Item"]) if "Item" in found else None

    def apply(self, change: Change) -> Change:
        """Makes the change, if the asset is still as it was `before`. Returns it.

        Raises:
            ChangedMeanwhile: it is not.
        """
        if change.before == change.after:
            return change
        write, request = self._request(change)
        try:
            self._until_no_conflict(write, request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            now = self.find(change.symbol)
            # The SDK sends again what had no answer: then it is our own first attempt that stands in the way of the second.
            if now != change.after:
                raise ChangedMeanwhile(change, now) from None
        return change

    def apply_halt(self, change: Change) -> Change:
        """Halts or resumes, whatever the price has become meanwhile: no feed of prices may keep an asset from being halted.

        Returns the change as it was made.

        Raises:
            ChangedMeanwhile: the asset is no longer listed, or never stood still.
        """
        assert change.after is not None, "what is halted stays listed"
        for _ in range(ATTEMPTS - 1):
            try:
                return self.apply(change)
            except ChangedMeanwhile as meanwhile:
                if meanwhile.now is None:
                    raise
                change = set_halted(meanwhile.now, self._world.now(), halted=change.after.halted)
        return self.apply(change)

    def _request(self, change: Change) -> tuple[Callable[..., Any], dict[str, Any]]:
        request: dict[str, Any] = {"TableName": self._table, "Key": asset_key(change.symbol)}
        values: Item = {}
        if change.before is None:
            request["ConditionExpression"] = "attribute_not_exists(symbol)"
        else:
            request["ConditionExpression"] = "#version = :seen"
            request["ExpressionAttributeNames"] = {"#version": "version"}
            values[":seen"] = number(change.before.version)
        if change.after is None:
            return self._dynamodb.delete_item, request | {"ExpressionAttributeValues": values}
        # An update, not a put: attributes that this tool does not know stay.
        request["UpdateExpression"] = "SET #price = :price, #halted = :halted, #version = :version, #updated_at = :updated_at"
        request["ExpressionAttributeNames"] = {f"#{name}": name for name in ("price", "halted", "version", "updated_at")}
        values |= {
            ":price": number(change.after.price_units),
            ":halted": {"BOOL": change.after.halted},
            ":version": number(change.after.version),
            ":updated_at": {"S": change.after.updated_at},
        }
        return self._dynamodb.update_item, request | {"ExpressionAttributeValues": values}

    def _until_no_conflict(self, write: Callable[..., Any], request: dict[str, Any]) -> None:
        for _ in range(ATTEMPTS):
            try:
                write(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] not in CONFLICT_CODES:
                    raise
                self._world.sleep_s(self._world.random() * CONFLICT_WAIT_S)
            else:
                return
        raise Failure("The asset's item stayed busy with transactions. Nothing was written: try again")


def _listing(item: Item) -> Listing:
    return Listing(
        symbol=item["symbol"]["S"],
        price_units=int(item["price"]["N"]),
        halted=item.get("halted", {}).get("BOOL", False),
        version=int(item["version"]["N"]),
        updated_at=item.get("updated_at", {}).get("S", ""),
    )


def _shown(listing: Listing | None) -> str:
    if listing is None:
        return "not listed"
    halted = ", halted" if listing.halted else ""
    return f"{text_from(listing.price_units)} USD{halted} (version {listing.version}, {listing.updated_at})"

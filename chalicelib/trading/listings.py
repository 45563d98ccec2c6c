"""Changing the market: prices, listings, rules and halts, for operators and their feeds."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from enum import StrEnum

from chalicelib.contract.errors import AssetNotFound, DatastoreUnavailable
from chalicelib.domain.asset import UNIT_OF_ACCOUNT, Asset
from chalicelib.domain.timestamps import rfc3339
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.store.assets import (
    AssetBusy,
    AssetList,
    Change,
    HeldPrice,
    Listing,
    StaleAsset,
    set_halted,
    set_price,
    set_rules,
)
from chalicelib.store.connection import Throttled, Unanswered


class PriceResult(StrEnum):
    """The result of setting a price, in the contract's words."""

    SET = "set"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"
    OLDER = "older"
    HELD = "held"


class Listings:
    """Changes assets, each on condition that nobody else did since it was read."""

    def __init__(self, assets: AssetList) -> None:
        self.assets = assets

    def set_prices(
        self, prices: Mapping[str, int], as_of: datetime, allow_move: Collection[str], deadline: Deadline
    ) -> dict[str, PriceResult]:
        """Sets prices as of a time, each by itself: a newer one wins. Returns what became of each.

        Raises:
            DatastoreUnavailable: no answer in time; the same prices can be sent again.
        """
        return {
            symbol: self._set_price(symbol, price, as_of, deadline, allow_move=symbol in allow_move)
            for symbol, price in prices.items()
        }

    def _set_price(self, symbol: str, price: int, as_of: datetime, deadline: Deadline, *, allow_move: bool) -> PriceResult:
        result = PriceResult.UNKNOWN

        def change(before: Listing | None) -> Change | None:
            nonlocal result
            result = _judge(before, price, as_of)
            if before is None or result not in (PriceResult.SET, PriceResult.UNCHANGED):
                return None
            try:
                return set_price(before, symbol, price, as_of, allow_move=allow_move)
            except HeldPrice:
                result = PriceResult.HELD
                return None

        self._make(symbol, change, deadline)
        return result

    def put(self, symbol: str, price: int | None, rules: Mapping[str, int], at: datetime, deadline: Deadline) -> Asset:
        """Lists an asset, or changes its rules; a price of a listed asset moves within its guard. Returns the asset.

        Raises:
            AssetNotFound: it is not listed, and there is no price to list it at.
            HeldPrice, ImmutableAsset: see there.
            DatastoreUnavailable: no answer in time; the same can be asked again.
        """

        def change(before: Listing | None) -> Change:
            if before is None and price is None:
                raise AssetNotFound([symbol])
            priced = Change(symbol, before, before) if price is None else set_price(before, symbol, price, at)
            assert priced.after is not None, "a price leaves the asset listed"
            ruled = set_rules(priced.after, rules)
            assert ruled.after is not None, "rules leave the asset listed"
            version = 1 if before is None else before.version + 1
            after = ruled.after._replace(version=version)
            return Change(symbol, before, before if before is not None and after.asset == before.asset else after)

        return self._made(symbol, change, deadline)

    def set_halted(self, symbol: str, deadline: Deadline, *, halted: bool) -> Asset:
        """Stops trading in an asset, or opens it again. Returns the asset.

        Raises:
            AssetNotFound, ImmutableAsset: see there.
            DatastoreUnavailable: no answer in time; the same can be asked again.
        """

        def change(before: Listing | None) -> Change:
            if before is None:
                raise AssetNotFound([symbol])
            return set_halted(before, halted=halted)

        return self._made(symbol, change, deadline)

    def _made(self, symbol: str, change: Callable[[Listing | None], Change], deadline: Deadline) -> Asset:
        made = self._make(symbol, change, deadline)
        assert made is not None, "the change is always made"
        assert made.after is not None, "it leaves the asset listed"
        return made.after.asset

    def _make(self, symbol: str, change: Callable[[Listing | None], Change | None], deadline: Deadline) -> Change | None:
        """Decides on the asset as it is, and writes; decides again where somebody else was first."""
        try:
            while True:
                try:
                    wanted = change(self.assets.find(symbol, deadline))
                    return None if wanted is None else self.assets.apply(wanted, deadline)
                except StaleAsset:
                    continue
                except (Throttled, Unanswered, AssetBusy):
                    deadline.wait_throttled()
        except DeadlineExceeded:
            raise DatastoreUnavailable from None


def _judge(before: Listing | None, price: int, as_of: datetime) -> PriceResult:
    if before is None:
        return PriceResult.UNKNOWN
    same = before.asset.price == price
    if before.asset.symbol == UNIT_OF_ACCOUNT:
        return PriceResult.UNCHANGED
    # Both are in UTC with microseconds: text order is time. The same price of the same moment is a repetition.
    at = rfc3339(as_of)
    if at < before.asset.price_at or (at == before.asset.price_at and not same):
        return PriceResult.OLDER
    return PriceResult.UNCHANGED if same else PriceResult.SET

"""The tables: their names, and their items as the domain's types and back.

Items are written in DynamoDB's own notation: what a transaction does can be read off it, and building it costs the hot path
next to nothing. ``.chalice/resources.json`` defines the same tables for CloudFormation.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from chalicelib.domain.account import Account
from chalicelib.domain.asset import DEFAULT_MAX_MOVE, MOVE_DECIMALS, UNIT_OF_ACCOUNT, Asset
from chalicelib.domain.candle import EPOCH, SECOND, Candle, Interval, OpenCandles
from chalicelib.domain.money import price_from, price_text, units_from
from chalicelib.domain.position import Books
from chalicelib.domain.record import FORM, Record, UnsupportedForm, decision_from
from chalicelib.domain.timestamps import rfc3339
from chalicelib.store.connection import Item

MOVE_ON = "Version 2 does not carry data of 1.x over: give it tables of its own, with another HFT_TABLE_PREFIX"


INDEX = "by-sequence"
"""The index of records by user and sequence."""


class Tables(NamedTuple):
    """The names of a stage's tables."""

    assets: str
    accounts: str
    idempotency: str
    candles: str

    @classmethod
    def of(cls, prefix: str) -> "Tables":
        """Returns the tables of a stage: ``<prefix>-assets`` and so on."""
        return cls(f"{prefix}-assets", f"{prefix}-accounts", f"{prefix}-idempotency", f"{prefix}-candles")


def asset_key(symbol: str) -> Item:
    """Returns the key of an asset."""
    return {"symbol": {"S": symbol}}


def asset_from(item: Item) -> Asset:
    """Returns an asset as it is stored.

    Raises:
        UnsupportedForm: a 1.x release wrote it.
    """
    symbol = item["symbol"]["S"]
    if "price_usd" not in item:
        raise UnsupportedForm(f"The asset {symbol} was stored by version 1.x. {MOVE_ON}")
    return Asset(
        symbol=symbol,
        price=price_from(Decimal(item["price_usd"]["S"])),
        price_at=item["price_at"]["S"],
        halted=item.get("halted", {}).get("BOOL", False),
        min_quantity_units=_decimal(item, "min_quantity", default=1),
        quantity_step_units=_decimal(item, "quantity_step", default=1),
        min_notional_usd_units=_decimal(item, "min_notional_usd", default=0),
        fee_rate=_decimal(item, "fee_bps", default=0, decimals=2),
        max_move=_decimal(item, "max_move", default=DEFAULT_MAX_MOVE, decimals=MOVE_DECIMALS),
    )


OPEN_CANDLES = "candles"
"""The attribute of an asset with its open candles: one text, since nobody who reads prices for orders parses it."""


def open_candles_text(candles: OpenCandles) -> str:
    """Returns open candles as they are stored with their asset: ``{"1m":["2026-…Z",[open,high,low,close,prices]],"1h":[…]}``."""
    named = {Interval.MINUTE: candles.minute, Interval.HOUR: candles.hour}
    return _compact({interval: [rfc3339(candle.at), _figures(candle)] for interval, candle in named.items()})


def open_candles_from(item: Item) -> OpenCandles | None:
    """Returns the open candles of an asset; those of its price alone where it was stored without; none of the unit of account."""
    if item["symbol"]["S"] == UNIT_OF_ACCOUNT:
        return None
    if OPEN_CANDLES not in item:
        asset = asset_from(item)
        return OpenCandles.opened(asset.price, datetime.fromisoformat(asset.price_at))
    found = json.loads(item[OPEN_CANDLES]["S"])
    minute, hour = (_candle(*found[interval]) for interval in (Interval.MINUTE, Interval.HOUR))
    return OpenCandles(minute, hour)


def candle_key(symbol: str, interval: Interval, at_s: int) -> Item:
    """Returns the key of a stored candle. Candles of one interval are next to each other, in the order of their times."""
    return {"symbol": {"S": symbol}, "at": {"S": f"{interval}#{rfc3339(EPOCH + at_s * SECOND)}"}}


def item_from_candle(symbol: str, interval: Interval, candle: Candle) -> Item:
    """Returns a closed candle as it is stored: ``[open,high,low,close,prices]``. DynamoDB deletes it after `expires_at_s`.

    One text, since a chart may take 7,200 of them, and the SDK spends its time on attributes.
    """
    return {
        **candle_key(symbol, interval, candle.at_s),
        "candle": {"S": _compact(_figures(candle))},
        "expires_at_s": number(candle.at_s + interval.kept_s),
    }


def candle_from(item: Item) -> Candle:
    """Returns a candle as it is stored."""
    return _candle(item["at"]["S"].partition("#")[2], json.loads(item["candle"]["S"]))


def _figures(candle: Candle) -> list[str | int]:
    return [*map(price_text, (candle.open, candle.high, candle.low, candle.close)), candle.prices]


def _candle(at: str, figures: Sequence[Any]) -> Candle:
    *texts, prices = figures
    first, high, low, last = (price_from(Decimal(text)) for text in texts)
    return Candle((datetime.fromisoformat(at) - EPOCH) // SECOND, first, high, low, last, prices)


_compact = json.JSONEncoder(separators=(",", ":")).encode


def account_key(user_id: int) -> Item:
    """Returns the key of an account."""
    return {"user_id": number(user_id)}


def item_from_account(account: Account) -> Item:
    """Returns an account as it is stored."""
    books = account.books
    return {
        **account_key(account.user_id),
        "v": number(FORM),
        "balances": {"M": {symbol: number(units) for symbol, units in books.balances.items()}},
        # Text: a basis may have more digits than DynamoDB's numbers.
        "cost_basis": {"M": {symbol: {"S": str(units)} for symbol, units in books.cost_basis.items()}},
        "realized_pl": {"S": str(books.realized_pl_units)},
        "sequence": number(account.sequence),
        "head": {"B": account.head},
    }


def account_from(item: Item) -> Account:
    """Returns an account as it is stored.

    Raises:
        UnsupportedForm: a 1.x release, or a newer one, wrote it.
    """
    user_id = int(item["user_id"]["N"])
    if "v" not in item:
        raise UnsupportedForm(f"The account {user_id} was stored by version 1.x. {MOVE_ON}")
    if (form := int(item["v"]["N"])) != FORM:
        raise UnsupportedForm(f"The account {user_id} has form {form}; this release reads {FORM}. Run the release that wrote it")
    return Account(
        user_id=user_id,
        books=Books(
            balances={symbol: int(units["N"]) for symbol, units in item["balances"]["M"].items()},
            cost_basis={symbol: int(units["S"]) for symbol, units in item["cost_basis"]["M"].items()},
            realized_pl_units=int(item["realized_pl"]["S"]),
        ),
        sequence=int(item["sequence"]["N"]),
        head=item["head"]["B"],
    )


def record_key(user_id: int, key: str) -> Item:
    """Returns the key of a record."""
    return {"user_id": number(user_id), "idempotency_key": {"S": key}}


def item_from_record(record: Record) -> Item:
    """Returns a record as it is stored: mostly under 1 KB, so that a write of it costs one unit (two in a transaction)."""
    return {
        **record_key(record.user_id, record.key),
        "sequence": number(record.sequence),
        "head": {"B": record.head},
        "record": {"S": record.text},
    }


def record_from(item: Item) -> Record:
    """Returns a record as it was stored.

    Raises:
        UnsupportedForm: a 1.x release, or a newer one, wrote it.
    """
    user_id, key = int(item["user_id"]["N"]), item["idempotency_key"]["S"]
    if "record" not in item:
        raise UnsupportedForm(f"The record {key} of user {user_id} was stored by version 1.x. {MOVE_ON}")
    text = item["record"]["S"]
    return Record(user_id, key, int(item["sequence"]["N"]), item["head"]["B"], text, decision_from(text))


def number(value: int) -> dict[str, str]:
    """Returns a number as DynamoDB takes it: text, so that no float ever comes near it."""
    return {"N": str(value)}


def _decimal(item: Mapping[str, Any], name: str, *, default: int, decimals: int = 8) -> int:
    return units_from(Decimal(item[name]["S"]), decimals) if name in item else default

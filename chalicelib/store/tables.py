"""The three tables: their names, and their items as the domain's types and back.

Items are written in DynamoDB's own notation: what a transaction does can be read off it, and building it costs the hot path
next to nothing. ``.chalice/resources.json`` defines the same tables for CloudFormation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.account import Account, Movement, Record
from chalicelib.domain.pricing import Asset
from chalicelib.store.connection import Item


@dataclass(frozen=True, slots=True)
class Tables:
    """The names of a stage's tables."""

    assets: str
    accounts: str
    idempotency: str

    @classmethod
    def of(cls, prefix: str) -> "Tables":
        """The tables of a stage: ``<prefix>-assets`` and so on."""
        return cls(f"{prefix}-assets", f"{prefix}-accounts", f"{prefix}-idempotency")


def asset_key(symbol: str) -> Item:
    """The key of an asset."""
    return {"symbol": {"S": symbol}}


def asset_from(item: Item) -> Asset:
    """An asset as it is stored."""
    return Asset(
        symbol=item["symbol"]["S"],
        price_units=int(item["price"]["N"]),
        halted=item.get("halted", {}).get("BOOL", False),
    )


def account_key(user_id: int) -> Item:
    """The key of an account."""
    return {"user_id": number(user_id)}


def account_from(item: Item) -> Account:
    """An account as it is stored."""
    return Account(
        user_id=int(item["user_id"]["N"]),
        balances=_numbers(item["balances"]),
        sequence=int(item["sequence"]["N"]),
        head=item["head"]["B"],
    )


def record_key(user_id: int, key: str) -> Item:
    """The key of a record."""
    return {"user_id": number(user_id), "idempotency_key": {"S": key}}


def item_from_record(record: Record) -> Item:
    """A record as it is stored: under 1 KB, so that a write of it costs one unit (two in a transaction)."""
    item: Item = {
        **record_key(record.user_id, record.key),
        "fingerprint": {"S": record.fingerprint},
        "status": number(record.status),
        "reply": {"S": record.reply},
        "prices": number_map(record.prices),
        "created_at": {"S": record.created_at},
    }
    if record.movement is not None:
        item["sequence"] = number(record.movement.sequence)
        item["changes"] = number_map(record.movement.changes)
        item["head"] = {"B": record.movement.head}
    return item


def record_from(item: Item) -> Record:
    """A record as it was stored."""
    movement = None
    if "sequence" in item:
        movement = Movement(int(item["sequence"]["N"]), _numbers(item["changes"]), item["head"]["B"])
    return Record(
        user_id=int(item["user_id"]["N"]),
        key=item["idempotency_key"]["S"],
        fingerprint=item["fingerprint"]["S"],
        status=int(item["status"]["N"]),
        reply=item["reply"]["S"],
        prices=_numbers(item["prices"]),
        created_at=item["created_at"]["S"],
        movement=movement,
    )


def number(value: int) -> dict[str, str]:
    """A number as DynamoDB takes it: text, so that no float ever comes near it."""
    return {"N": str(value)}


def number_map(values: Mapping[str, int]) -> dict[str, Any]:
    """A map of numbers as DynamoDB takes it."""
    return {"M": {name: number(value) for name, value in values.items()}}


def _numbers(attribute: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(value["N"]) for name, value in attribute["M"].items()}

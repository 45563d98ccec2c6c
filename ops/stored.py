"""Accounts and records as they are stored, read strictly: what the engine does not write is a discrepancy.

Reads are strongly consistent and of the table, not of the index, which may lag.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from chalicelib.audit.discrepancy import Discrepancy, Kind
from chalicelib.audit.reader import FORM
from chalicelib.domain.account import Account
from chalicelib.domain.position import Books
from chalicelib.store.connection import Item
from chalicelib.store.tables import Tables, account_key, number
from ops.spill import StoredRecord, UserSet

MAX_SEQUENCE = 2**63 - 1

Advance = Callable[[int], None]
"""Takes how many more items were read."""

_ACCOUNT = {"user_id": "N", "v": "N", "balances": "M", "cost_basis": "M", "realized_pl": "S", "sequence": "N", "head": "B"}
_RECORD = {"user_id": "N", "idempotency_key": "S", "sequence": "N", "head": "B", "record": "S"}
_SYMBOL = re.compile(r"[A-Z0-9]{1,10}").fullmatch
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,59}").fullmatch


class Stored:
    """A stage's accounts and records, over a boto3 client."""

    def __init__(self, dynamodb: Any, tables: Tables) -> None:
        self._dynamodb = dynamodb
        self._tables = tables

    def account(self, user_id: int) -> Account | None:
        """Reads an account. Returns `None` where there is none.

        Raises:
            Discrepancy: the engine does not write such an item.
        """
        found = self._dynamodb.get_item(TableName=self._tables.accounts, Key=account_key(user_id), ConsistentRead=True)
        return _account(found["Item"]) if "Item" in found else None

    def records(self, user_id: int) -> Iterator[list[StoredRecord]]:
        """Yields an account's records in pages, sorted by key.

        Raises:
            Discrepancy: the engine does not write such an item.
        """
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._tables.idempotency,
            KeyConditionExpression="user_id = :user_id",
            ExpressionAttributeValues={":user_id": number(user_id)},
            ConsistentRead=True,
        )
        for page in pages:
            yield [_record(item) for item in page["Items"]]

    def users(self, advance: Advance) -> Iterator[int]:
        """Yields every user who has an account or a record, once. `advance` takes the count of accounts, then of records.

        The second part reads all records: an accounts table restored from an earlier time lacks those who came later.
        """
        with UserSet() as seen:
            for user_id in self._users(self._tables.accounts, lambda _: None):
                seen.add(user_id)
                yield user_id
                advance(1)
            for user_id in self._users(self._tables.idempotency, advance):
                if seen.add(user_id):
                    yield user_id

    def size(self) -> int:
        """Returns about how much `users` counts: DynamoDB counts items every six hours."""
        tables = (self._tables.accounts, self._tables.idempotency)
        return sum(self._dynamodb.describe_table(TableName=table)["Table"]["ItemCount"] for table in tables)

    def _users(self, table: str, advance: Advance) -> Iterator[int]:
        """Yields the users who have items in a table; each again for every page that holds some of theirs."""
        for page in self._dynamodb.get_paginator("scan").paginate(TableName=table, ProjectionExpression="user_id"):
            yield from {int(item["user_id"]["N"]): None for item in page["Items"]}
            advance(page["ScannedCount"])


def _record(item: Item) -> StoredRecord:
    """Reads a record's item; its text is read when it is replayed."""
    try:
        sequence = item["sequence"]["N"]
        record = StoredRecord(
            int(item["user_id"]["N"]), item["idempotency_key"]["S"], int(sequence), item["head"]["B"], item["record"]["S"]
        )
    except (KeyError, ValueError):
        _refuse_record(item)
    if len(item) != len(_RECORD) or not _INTEGER(sequence):
        _refuse_record(item)
    if record.sequence < 1:
        message = f"there is no record {record.sequence}: the first is 1"
        raise Discrepancy(Kind.SEQUENCE, message, sequence=record.sequence, key=record.key)
    return record


def _refuse_record(item: Item) -> NoReturn:
    key = item["idempotency_key"]["S"]
    if "record" not in item and "fingerprint" in item:
        raise Discrepancy(Kind.FORM, "the record was stored by version 1.x, which this audit does not read", key=key)
    raise Discrepancy(Kind.UNREADABLE, f"the record's item {_flaw(item, _RECORD)}", key=key)


def _account(item: Item) -> Account:
    """Reads an account's item."""
    if "v" not in item and "cost_basis" not in item:
        raise Discrepancy(Kind.FORM, "the account was stored by version 1.x, which this audit does not read")
    form = item.get("v", {}).get("N", "")
    if _INTEGER(form) and int(form) > FORM:
        message = f"the account has form {form}, written by a newer release; this audit reads form {FORM}"
        raise Discrepancy(Kind.FORM, message)
    try:
        account = Account(
            user_id=int(item["user_id"]["N"]),
            books=Books(
                balances=_units(item["balances"]["M"], "N"),
                cost_basis=_units(item["cost_basis"]["M"], "S"),
                realized_pl_units=_integer(item["realized_pl"]["S"]),
            ),
            sequence=_integer(item["sequence"]["N"]),
            head=item["head"]["B"],
        )
    except (KeyError, ValueError):
        raise Discrepancy(Kind.UNREADABLE, f"the account's item {_flaw(item, _ACCOUNT)}") from None
    if len(item) != len(_ACCOUNT) or form != str(FORM) or not 1 <= account.sequence <= MAX_SEQUENCE:
        raise Discrepancy(Kind.UNREADABLE, f"the account's item {_flaw(item, _ACCOUNT)}")
    return account


def _units(attribute: Mapping[str, Any], notation: str) -> dict[str, int]:
    units = {symbol: _integer(value[notation]) for symbol, value in attribute.items()}
    if not all(map(_SYMBOL, units)):
        raise ValueError(units)
    return units


def _integer(text: str) -> int:
    if not _INTEGER(text):
        raise ValueError(text)
    return int(text)


def _flaw(item: Item, attributes: Mapping[str, str]) -> str:
    """Describes what is wrong with an item that cannot be read."""
    if missing := attributes.keys() - item.keys():
        return f"lacks {', '.join(sorted(missing))}"
    if unknown := item.keys() - attributes.keys():
        return f"has unknown attributes: {', '.join(sorted(unknown))}"
    for name, notation in attributes.items():
        if notation not in item[name]:
            return f"has {name} of the type {', '.join(item[name])}, not {notation}"
    return "holds a number that the engine does not write"

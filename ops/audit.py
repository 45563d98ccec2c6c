"""Auditing a stage: each account held against its records. Read-only, and right on a live stage.

An account and its records are separate reads, and orders go on in between:

    read the account          it is at movement n
    read its records          1 … n, and perhaps some that were made since: those are left to the next audit
    read the account again    if there were any: it must have come as far

Whatever does not agree is looked at once more, from the start, before it is reported.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from chalicelib.domain.account import Account, Record
from chalicelib.audit.replay import Difference, Kind, account_behind, check_refusal, compare, replay
from chalicelib.runtime.deadline import World
from chalicelib.store.connection import Item
from chalicelib.store.tables import Tables, account_from, account_key, number, record_from
from ops.spill import History, UserSet

LOOK_AGAIN_S = 1.0
"""The wait before the second look: far longer than the parts of one transaction take to be seen by separate reads."""

Advance = Callable[[int], None]
"""Told how many more items were read."""

Stored = TypeVar("Stored", Account, Record)


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit of one account found: the first `difference`, if there is one."""

    user_id: int
    movements: int
    refusals: int
    difference: Difference | None


class Auditor:
    """Audits a stage's accounts, over a boto3 client."""

    def __init__(self, dynamodb: Any, tables: Tables, world: World | None = None) -> None:
        self._dynamodb = dynamodb
        self._tables = tables
        self._world = world or World()

    def audit(self, user_id: int, advance: Advance = lambda _: None) -> Audited:
        """Audits one account. `advance`: told of its records."""
        audited = self._look(user_id, advance)
        if audited.difference is None:
            return audited
        self._world.sleep_s(LOOK_AGAIN_S)
        return self._look(user_id, advance)

    def audit_all(self, advance: Advance = lambda _: None) -> Iterator[Audited]:
        """Audits every account, and every user whose records have none. `advance`: told of users and, after them, of records.

        The second part reads all records once more: an accounts table restored from an earlier time does not know those who
        came later, and would otherwise pass.
        """
        with UserSet() as audited:
            for user_id in self._users_with_an_account():
                audited.add(user_id)
                yield self.audit(user_id)
                advance(1)
            for user_id in self._users_with_movements(advance):
                if audited.add(user_id):
                    yield self.audit(user_id)

    def size(self) -> int:
        """About how much `audit_all` has to tell of: DynamoDB counts items every six hours."""
        tables = (self._tables.accounts, self._tables.idempotency)
        return sum(self._dynamodb.describe_table(TableName=table)["Table"]["ItemCount"] for table in tables)

    def _look(self, user_id: int, advance: Advance) -> Audited:
        sequence = refusals = 0
        try:
            account = self._account(user_id)
            sequence = newest = account.sequence
            with History() as history:
                for record in self._records(user_id, advance):
                    if record.movement is None:
                        check_refusal(record)
                        refusals += 1
                    elif record.movement.sequence > sequence:
                        newest = max(newest, record.movement.sequence)
                    else:
                        history.add(record)
                compare(replay(user_id, history.in_order()), account)
            if newest > sequence and (now := self._account(user_id).sequence) < newest:
                raise account_behind(now, newest)
        except Difference as difference:
            return Audited(user_id, sequence, refusals, difference)
        return Audited(user_id, sequence, refusals, None)

    def _account(self, user_id: int) -> Account:
        found = self._dynamodb.get_item(TableName=self._tables.accounts, Key=account_key(user_id), ConsistentRead=True)
        return _read(account_from, found["Item"], "the account's item") if "Item" in found else Account(user_id)

    def _records(self, user_id: int, advance: Advance) -> Iterator[Record]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._tables.idempotency,
            KeyConditionExpression="user_id = :user_id",
            ExpressionAttributeValues={":user_id": number(user_id)},
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                key = item["idempotency_key"]["S"]
                yield _read(record_from, item, "the record", key=key)
            advance(page["Count"])

    def _users_with_an_account(self) -> Iterator[int]:
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._tables.accounts, ProjectionExpression="user_id")
        for page in pages:
            for item in page["Items"]:
                yield int(item["user_id"]["N"])

    def _users_with_movements(self, advance: Advance) -> Iterator[int]:
        """Users who have movements; each again for every page that holds some of theirs."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._tables.idempotency,
            ProjectionExpression="user_id",
            FilterExpression="attribute_exists(#sequence)",
            ExpressionAttributeNames={"#sequence": "sequence"},
        )
        for page in pages:
            yield from {int(item["user_id"]["N"]) for item in page["Items"]}
            advance(page["ScannedCount"])


def _read(stored_from: Callable[[Item], Stored], item: Item, name: str, key: str | None = None) -> Stored:
    try:
        return stored_from(item)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Difference(Kind.UNREADABLE, f"{name} lacks what the engine writes: {error!r}", key=key) from None

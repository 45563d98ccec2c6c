"""The one transaction, and the two reads around it.

    1. Put each record    if its key is new
    2. Put the account    if its head is the one we decided on AND what is given does not overdraw it

All of it happens or nothing does. The first condition makes a key's outcome unique; the head makes the decisions' view of the
account exact, so the account is put whole, as decided. The third condition (no overdraft) follows from the first two and stands
in the database all the same: whatever bug this code may have, a balance never goes below zero.

    Lambda A: reads head 7 ─ decides ─ commits (head 7 → 8)
    Lambda B: reads head 7 ────────── decides ────────────── cancelled: the head is 8; gets the account back ─ decides again
    the client's duplicate of A's order: ─────────────────── cancelled: the key exists; gets the stored record back

Several decisions on one account are one transaction as well, each made on the account as the one before leaves it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chalicelib.domain.account import Account
from chalicelib.domain.record import Record
from chalicelib.runtime.deadline import Deadline
from chalicelib.store.connection import CONFLICT_CODES, THROTTLED_CODES, Cancelled, Datastore, Item, Throttled, read_items
from chalicelib.store.tables import (
    Tables,
    account_from,
    account_key,
    item_from_account,
    item_from_record,
    number,
    record_from,
    record_key,
)

MAX_ENTRIES = 99
"""A transaction takes 100 actions; one is the account's."""


class Unused(NamedTuple):
    """Stands for a key without an outcome: stores nothing; the transaction only checks that the key is unused."""

    key: str


Entry = Record | Unused


@dataclass(frozen=True, slots=True)
class Committed:
    """The records and the account are stored, together."""


class KeysTaken(NamedTuple):
    """Nothing happened: some keys have outcomes already. `records`: those, by key. `account`: the account, where it moved on.

    `complete`: the other keys were unused at that moment. Where another transaction was at some item, they may be taken as well.
    """

    records: Mapping[str, Record]
    account: Account | None
    complete: bool = True


class StaleAccount(NamedTuple):
    """Nothing happened: the account is no longer as seen, but like this."""

    account: Account


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing happened: another transaction was at one of the items at the same moment. It may hide a key that is taken."""


_IF_UNUSED = {
    "ConditionExpression": "attribute_not_exists(idempotency_key)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}

CommitResult = Committed | KeysTaken | StaleAccount | Conflict


class Ledger:
    """Accounts and records in DynamoDB."""

    def __init__(self, datastore: Datastore, tables: Tables) -> None:
        self._datastore = datastore
        self._tables = tables

    def read_account(self, user_id: int, deadline: Deadline) -> Account:
        """Reads the account as it is now (strongly consistent); it is empty where nothing was ever decided.

        Raises:
            Throttled, Unanswered: as `Datastore.call`. DeadlineExceeded: nothing was asked. UnsupportedForm: see there.
        """
        with deadline.call():
            found = self._datastore.call(
                "GetItem", {"TableName": self._tables.accounts, "Key": account_key(user_id), "ConsistentRead": True}
            )
        return account_from(found["Item"]) if "Item" in found else Account(user_id)

    def read_records(self, user_id: int, keys: Iterable[str], deadline: Deadline) -> dict[str, Record]:
        """Reads the outcomes stored under keys, by key, as far as there are any now (each strongly consistent by itself).

        Raises:
            Throttled, Unanswered: as `Datastore.call`. DeadlineExceeded: nothing was asked. UnsupportedForm: see there.
        """
        wanted = [record_key(user_id, key) for key in keys]
        records = map(record_from, read_items(self._datastore, self._tables.idempotency, wanted, deadline))
        return {record.key: record for record in records}

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, deadline: Deadline) -> CommitResult:
        """Stores decisions that were made on the account as `seen`, one after the other, and that leave it as `after`.

        Takes up to 99 entries. Where an entry is `Unused`, its key is only checked, at the moment at which all else is stored.
        Two reads would not do: DynamoDB shows what a transaction writes one item after the other, so a reader may see the
        account after a debit, and then the key from before it.

        Raises:
            Throttled: nothing happened.
            Unanswered: it may have happened, or may happen yet.
            DeadlineExceeded: nothing was sent.
        """
        actions = [self._put(entry) if isinstance(entry, Record) else self._check(entry, seen) for entry in entries]
        actions.append(self._account_action(seen, after))
        try:
            with deadline.call():
                self._datastore.call("TransactWriteItems", {"TransactItems": actions})
        except Cancelled as cancelled:
            return self._cancellation_result(cancelled, seen.user_id)
        return Committed()

    def _put(self, record: Record) -> dict[str, Any]:
        return {"Put": {"TableName": self._tables.idempotency, "Item": item_from_record(record), **_IF_UNUSED}}

    def _check(self, unused: Unused, seen: Account) -> dict[str, Any]:
        key = record_key(seen.user_id, unused.key)
        return {"ConditionCheck": {"TableName": self._tables.idempotency, "Key": key, **_IF_UNUSED}}

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        conditions = ["attribute_not_exists(#head)" if seen.sequence == 0 else "#head = :seen"]
        names = {"#head": "head"}
        values: Item = {} if seen.sequence == 0 else {":seen": {"B": seen.head}}
        for index, (symbol, units) in enumerate(seen.balances.items()):
            given_units = units - after.balances[symbol]
            if given_units > 0:
                # Short names: an expression takes 4 KB, and a batch of 99 may give 99 assets away.
                names |= {"#b": "balances", f"#s{index}": symbol}
                values[f":d{index}"] = number(given_units)
                conditions.append(f"#b.#s{index} >= :d{index}")
        action: dict[str, Any] = {
            "TableName": self._tables.accounts,
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if values:
            action["ExpressionAttributeValues"] = values
        if after.sequence == seen.sequence:
            return {"ConditionCheck": {**action, "Key": account_key(seen.user_id)}}
        return {"Put": {**action, "Item": item_from_account(after)}}

    def _cancellation_result(self, cancelled: Cancelled, user_id: int) -> CommitResult:
        """Reads the reasons, the keys' first: the replay of an order whose money is spent fails both conditions."""
        *of_keys, of_account = cancelled.reasons
        account = None
        if of_account is not None and of_account.code == "ConditionalCheckFailed":
            account = account_from(of_account.raw_item) if of_account.raw_item else Account(user_id)
        taken = {}
        for reason in of_keys:
            if reason is not None and reason.code == "ConditionalCheckFailed":
                assert reason.raw_item is not None, "the failed condition returns the item that was there"
                record = record_from(reason.raw_item)
                taken[record.key] = record
        codes = {reason.code for reason in cancelled.reasons if reason is not None}
        if taken:
            return KeysTaken(taken, account, complete=codes <= {"ConditionalCheckFailed"})
        if account is not None:
            return StaleAccount(account)
        if codes & CONFLICT_CODES:
            return Conflict()
        if codes & THROTTLED_CODES:
            raise Throttled(", ".join(sorted(codes))) from cancelled
        raise cancelled

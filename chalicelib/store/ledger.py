"""The one transaction, and the two reads around it.

    1. Put each record         if its key is new
    2. movements: Update the account   if its head is the one we decided on AND what is spent does not overdraw it
       refusals:  ConditionCheck       if its head is the one we decided on

All of it happens or nothing does. A put makes its key's outcome unique; the head makes the decisions' view of the account exact.
The third condition (no overdraft) follows from the first two and stands in the database all the same: whatever bug this code may
have, a balance never goes below zero.

    Lambda A: reads head 7 ─ decides ─ commits (head 7 → 8)
    Lambda B: reads head 7 ────────── decides ────────────── cancelled: the head is 8; gets the account back ─ decides again
    the client's duplicate of A's order: ─────────────────── cancelled: the key exists; gets the stored reply back

Several decisions on one account are one transaction as well, each made on the account as the one before leaves it: the account is
written once, and what an order costs nears the two write units of its record.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.account import Account, Record
from chalicelib.runtime.deadline import Patience
from chalicelib.store.connection import CONFLICT_CODES, THROTTLED_CODES, Cancelled, Datastore, Item, Throttled
from chalicelib.store.reads import read_items
from chalicelib.store.tables import (
    Tables,
    account_from,
    account_key,
    item_from_record,
    number,
    number_map,
    record_from,
    record_key,
)

MAX_ENTRIES = 99
"""A transaction takes 100 actions; one is the account's."""


@dataclass(frozen=True, slots=True)
class Unused:
    """In place of a record: nothing is stored under the key, but that it is unused is made sure of."""

    key: str


Entry = Record | Unused


@dataclass(frozen=True, slots=True)
class Committed:
    """The records and what they do to the account are stored, together."""


@dataclass(frozen=True, slots=True)
class KeysTaken:
    """Nothing happened: some keys have outcomes already. `records`: those, by key. `account`: the account, where it moved on."""

    records: Mapping[str, Record]
    account: Account | None


@dataclass(frozen=True, slots=True)
class AccountMoved:
    """Nothing happened: the account is no longer as seen, but like this."""

    account: Account


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing happened: another transaction was at one of the items at the same moment."""


_IF_UNUSED = {
    "ConditionExpression": "attribute_not_exists(idempotency_key)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}

CommitResult = Committed | KeysTaken | AccountMoved | Conflict


class Ledger:
    """Accounts and records in DynamoDB."""

    def __init__(self, datastore: Datastore, tables: Tables) -> None:
        self._datastore = datastore
        self._tables = tables

    def read_account(self, user_id: int, patience: Patience) -> Account:
        """The account as it is now (strongly consistent), empty where nobody funded it.

        Raises:
            Throttled, Unanswered: as `Datastore.call`. TimeUp: nothing was asked.
        """
        with patience.call():
            found = self._datastore.call(
                "GetItem", {"TableName": self._tables.accounts, "Key": account_key(user_id), "ConsistentRead": True}
            )
        return account_from(found["Item"]) if "Item" in found else Account(user_id)

    def read_records(self, user_id: int, keys: Iterable[str], patience: Patience) -> dict[str, Record]:
        """The outcomes stored under keys, by key, as far as there are any now (each strongly consistent by itself).

        Raises:
            Throttled, Unanswered: as `Datastore.call`. TimeUp: nothing was asked.
        """
        wanted = [record_key(user_id, key) for key in keys]
        records = map(record_from, read_items(self._datastore, self._tables.idempotency, wanted, patience))
        return {record.key: record for record in records}

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, patience: Patience) -> CommitResult:
        """Stores decisions that were made on the account as `seen`, one after the other, and that leave it as `after`.

        Up to 99 of them. Where an entry is `Unused`, its key is only looked at, at the moment at which all else is stored. Two
        reads would not do: DynamoDB shows what a transaction writes one item after the other, and so the account after a
        debit, and then the key from before it.

        Raises:
            Throttled: nothing happened.
            Unanswered: it may have happened, or may happen yet.
            TimeUp: nothing was sent.
        """
        actions = [self._put(entry) if isinstance(entry, Record) else self._check(entry, seen) for entry in entries]
        actions.append(self._account_action(seen, after))
        try:
            with patience.call():
                self._datastore.call("TransactWriteItems", {"TransactItems": actions})
        except Cancelled as cancelled:
            return self._why(cancelled, seen.user_id)
        return Committed()

    def _put(self, record: Record) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._tables.idempotency,
                "Item": item_from_record(record),
                **_IF_UNUSED,
            }
        }

    def _check(self, unused: Unused, seen: Account) -> dict[str, Any]:
        return {
            "ConditionCheck": {
                "TableName": self._tables.idempotency,
                "Key": record_key(seen.user_id, unused.key),
                **_IF_UNUSED,
            }
        }

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        names = {"#head": "head"}
        values: Item = {}
        if seen.sequence == 0:
            conditions = ["attribute_not_exists(#head)"]
        else:
            conditions = ["#head = :seen"]
            values[":seen"] = {"B": seen.head}
        action: dict[str, Any] = {
            "TableName": self._tables.accounts,
            "Key": account_key(seen.user_id),
            "ExpressionAttributeNames": names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        moved = after.sequence > seen.sequence
        if moved:
            names["#sequence"] = "sequence"
            values |= {":head": {"B": after.head}, ":sequence": number(after.sequence)}
            updates = ["#head = :head", "#sequence = :sequence"]
            if seen.sequence == 0:
                names["#b"] = "balances"
                updates.append("#b = :balances")
                values[":balances"] = number_map(after.balances)
            else:
                # None, where the orders of a batch undo each other. A name that no expression uses would be refused.
                changed = [symbol for symbol, units in after.balances.items() if seen.balances.get(symbol) != units]
                for index, symbol in enumerate(changed):
                    balance, debit_units = f"#b.#s{index}", seen.balance_units(symbol) - after.balances[symbol]
                    # Short names: an expression takes 4 KB, and a batch of 99 may concern 198 assets.
                    names |= {"#b": "balances", f"#s{index}": symbol}
                    # The new balance itself, which the head makes exact: not every engine adds with all of its 38 digits.
                    values[f":b{index}"] = number(after.balances[symbol])
                    updates.append(f"{balance} = :b{index}")
                    if debit_units > 0:
                        values[f":d{index}"] = number(debit_units)
                        conditions.append(f"{balance} >= :d{index}")
            action["UpdateExpression"] = "SET " + ", ".join(updates)
        action["ConditionExpression"] = " AND ".join(conditions)
        if values:
            action["ExpressionAttributeValues"] = values
        return {"Update" if moved else "ConditionCheck": action}

    def _why(self, cancelled: Cancelled, user_id: int) -> CommitResult:
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
        if taken:
            return KeysTaken(taken, account)
        if account is not None:
            return AccountMoved(account)
        codes = {reason.code for reason in cancelled.reasons if reason is not None}
        if codes & CONFLICT_CODES:
            return Conflict()
        if codes & THROTTLED_CODES:
            raise Throttled(", ".join(sorted(codes))) from cancelled
        raise cancelled

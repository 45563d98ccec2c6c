"""The one transaction, and the two reads around it.

    1. Put the record          if its key is new
    2. a movement: Update the account   if its head is the one we decided on AND no debit overdraws it
       a refusal:  ConditionCheck       if its head is the one we decided on

Both happen or neither does. The put makes the key's outcome unique; the head makes the decision's view of the account exact. The
third condition (no overdraft) follows from the first two and stands in the database all the same: whatever bug this code may
have, a balance never goes below zero.

    Lambda A: reads head 7 ─ decides ─ commits (head 7 → 8)
    Lambda B: reads head 7 ────────── decides ────────────── cancelled: the head is 8; gets the account back ─ decides again
    the client's duplicate of A's order: ─────────────────── cancelled: the key exists; gets the stored reply back
"""

from dataclasses import dataclass
from typing import Any

from chalicelib.domain.account import Account, Movement, Record
from chalicelib.patience import Patience
from chalicelib.store.connection import CONFLICT_CODES, THROTTLED_CODES, Cancelled, Datastore, Item, Throttled
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


@dataclass(frozen=True, slots=True)
class Committed:
    """The record and what it does to the account are stored, together."""


@dataclass(frozen=True, slots=True)
class KeyTaken:
    """The key has an outcome already: `record`. `account`: the account, where the answer brought it along."""

    record: Record
    account: Account | None


@dataclass(frozen=True, slots=True)
class AccountMoved:
    """Nothing happened: the account is no longer as seen, but like this."""

    account: Account


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing happened: another transaction was at one of the two items at the same moment."""


_IF_UNUSED = {
    "ConditionExpression": "attribute_not_exists(idempotency_key)",
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}

CommitResult = Committed | KeyTaken | AccountMoved | Conflict


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
        item = self._get(self._tables.accounts, account_key(user_id), patience)
        return account_from(item) if item else Account(user_id)

    def read_record(self, user_id: int, key: str, patience: Patience) -> Record | None:
        """The outcome stored under a key, if there is one now (strongly consistent).

        Raises:
            Throttled, Unanswered: as `Datastore.call`. TimeUp: nothing was asked.
        """
        item = self._get(self._tables.idempotency, record_key(user_id, key), patience)
        return record_from(item) if item else None

    def _get(self, table: str, key: Item, patience: Patience) -> Item | None:
        with patience.call():
            found = self._datastore.call("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
        item: Item | None = found.get("Item")
        return item

    def commit(self, record: Record, seen: Account, patience: Patience) -> CommitResult:
        """Stores a decision that was made on the account as `seen`.

        Raises:
            Throttled: nothing happened.
            Unanswered: it may have happened, or may happen yet.
            TimeUp: nothing was sent.
        """
        return self._transact([self._put(record), self._account_action(record.movement, seen)], seen.user_id, patience)

    def confirm_unused(self, key: str, seen: Account, patience: Patience) -> CommitResult:
        """Makes sure that a key is unused and its account as `seen`, at one moment; `Committed` says so. Nothing is stored.

        Two reads would not do: DynamoDB shows what a transaction writes one item after the other, and so the account after a
        debit, and then the key from before it.

        Raises:
            Throttled, Unanswered: as `Datastore.call`. TimeUp: nothing was asked.
        """
        unused = {
            "ConditionCheck": {
                "TableName": self._tables.idempotency,
                "Key": record_key(seen.user_id, key),
                **_IF_UNUSED,
            }
        }
        return self._transact([unused, self._account_action(None, seen)], seen.user_id, patience)

    def _transact(self, actions: list[dict[str, Any]], user_id: int, patience: Patience) -> CommitResult:
        try:
            with patience.call():
                self._datastore.call("TransactWriteItems", {"TransactItems": actions})
        except Cancelled as cancelled:
            return self._why(cancelled, user_id)
        return Committed()

    def _put(self, record: Record) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._tables.idempotency,
                "Item": item_from_record(record),
                **_IF_UNUSED,
            }
        }

    def _account_action(self, movement: Movement | None, seen: Account) -> dict[str, Any]:
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
        if movement is not None:
            names |= {"#sequence": "sequence", "#balances": "balances"}
            values |= {":head": {"B": movement.head}, ":sequence": number(movement.sequence)}
            updates = ["#head = :head", "#sequence = :sequence"]
            if seen.sequence == 0:
                updates.append("#balances = :balances")
                values[":balances"] = number_map(movement.changes)
            else:
                for index, (symbol, units) in enumerate(movement.changes.items()):
                    balance, after, debit = f"#balances.#s{index}", f":b{index}", f":d{index}"
                    names[f"#s{index}"] = symbol
                    # The new balance itself, which the head makes exact: not every engine adds with all of its 38 digits.
                    values[after] = number(seen.balance_units(symbol) + units)
                    updates.append(f"{balance} = {after}")
                    if units < 0:
                        values[debit] = number(-units)
                        conditions.append(f"{balance} >= {debit}")
            action["UpdateExpression"] = "SET " + ", ".join(updates)
        action["ConditionExpression"] = " AND ".join(conditions)
        if values:
            action["ExpressionAttributeValues"] = values
        return {"ConditionCheck" if movement is None else "Update": action}

    def _why(self, cancelled: Cancelled, user_id: int) -> CommitResult:
        """Reads the reasons, the key's first: the replay of an order whose money is spent fails both conditions."""
        of_record, of_account = cancelled.reasons
        account = None
        if of_account is not None and of_account.code == "ConditionalCheckFailed":
            account = account_from(of_account.raw_item) if of_account.raw_item else Account(user_id)
        if of_record is not None and of_record.code == "ConditionalCheckFailed":
            assert of_record.raw_item is not None, "the failed condition returns the item that was there"
            return KeyTaken(record_from(of_record.raw_item), account)
        if account is not None:
            return AccountMoved(account)
        codes = {reason.code for reason in cancelled.reasons if reason is not None}
        if codes & CONFLICT_CODES:
            return Conflict()
        if codes & THROTTLED_CODES:
            raise Throttled(", ".join(sorted(codes))) from cancelled
        raise cancelled

"""moto's DynamoDB with a journal: each write is on the disk before it is answered, and a new run continues from it."""

import gc
import os
import sys
from base64 import b64decode
from collections.abc import Iterator
from functools import wraps
from typing import Any, NoReturn

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.responses import DynamoHandler

from chalicelib.local import atomic_moto
from chalicelib.local.journal import Change, Journal, JournalUnusable

_READS = ("Get", "BatchGet", "TransactGet", "Query", "Scan", "Describe", "List")
"""The beginnings of the names of operations that write nothing."""

_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})
"""The operations whose writes the journal takes."""


def install(journal: Journal) -> None:
    """Writes each change that moto takes from now on to the journal, before it is answered.

    An operation that the journal does not support raises NotImplementedError, and writes nothing.
    """
    answer = DynamoHandler.call_action

    @wraps(answer)
    def call_action(self: DynamoHandler) -> Any:
        _, _, operation = self.headers["X-Amz-Target"].partition(".")
        if operation.startswith(_READS):
            return answer(self)
        if operation not in _WRITES:
            raise NotImplementedError(f"the journal of a local run does not support {operation}")
        with atomic_moto.one_at_a_time:  # so that the lines are in the sequence of the writes
            try:
                response = answer(self)
                changes = list(_changes(self, operation)) if _succeeded(response) else []
                if changes:
                    journal.append(changes)
            except BaseException as error:  # noqa: BLE001  (whatever it is, the line may be missing)
                _end(journal, error)
            return response

    DynamoHandler.call_action = call_action  # type: ignore[method-assign]


def _end(journal: Journal, error: BaseException) -> NoReturn:
    """Ends the process. A write that cannot be undone may be in memory and not in the journal, so nobody may see it."""
    reason = error.strerror if isinstance(error, OSError) else repr(error)
    try:
        print(f"A write may be missing from {journal.path}, so the run ends: {reason}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)


def load(journal: Journal, region: str, account_id: str) -> None:
    """Fills the tables from the journal.

    Raises:
        JournalUnusable: the journal is damaged, or belongs to other tables.
    """
    tables = dynamodb_backends[account_id][region].tables
    last: dict[tuple[str, str], tuple[dict[str, Any], bool]] = {}
    for name, item, there in journal.changes():
        table = tables.get(name)
        if table is None:
            raise JournalUnusable(f"{journal.path} belongs to other tables ({name}): give this run another directory")
        last[name, str([item[attribute] for attribute in table.table_key_attrs])] = item, there
    # Each item is made once, in its last form: every decision wrote the account's item again. None of the new objects is garbage.
    gc.disable()
    for (name, _), (item, there) in last.items():
        if there:
            table = tables[name]
            hash_key = DynamoType(item[table.hash_key_attr])
            if table.range_key_attr is None:
                table.items[hash_key] = _item(hash_key, None, item)  # type: ignore[assignment]  # so does moto itself
            else:
                range_key = DynamoType(item[table.range_key_attr])
                table.items[hash_key][range_key] = _item(hash_key, range_key, item)
    gc.enable()


def _item(hash_key: DynamoType, range_key: DynamoType | None, attributes: dict[str, Any]) -> Item:
    item = Item(hash_key, range_key, {})
    attrs = LimitedSizeDict()
    for name, value in attributes.items():
        # This skips moto's check of the item's size, which was made when the item was written, and is slow.
        dict.__setitem__(attrs, name, DynamoType({"B": b64decode(value["B"])} if "B" in value else value))
    item.attrs = attrs
    return item


def _succeeded(response: Any) -> bool:
    return bool(response[0] < 300)  # noqa: PLR2004  (HTTP's statuses of success)


def _changes(request: DynamoHandler, operation: str) -> Iterator[Change]:
    """Yields the items that a request wrote, as they are now."""
    backend = request.dynamodb_backend
    if operation == "TransactWriteItems":
        actions = [action for actions in request.body["TransactItems"] for action in actions.items()]
        writes = [body for kind, body in actions if kind != "ConditionCheck"]
    else:
        writes = [request.body]
    for body in writes:
        table = backend.get_table(body["TableName"])
        named = body.get("Item") or body["Key"]
        key = {name: named[name] for name in table.table_key_attrs}
        item = backend.get_item(table.name, key)
        yield table.name, key if item is None else item.to_json()["Attributes"], item is not None

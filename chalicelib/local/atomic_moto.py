"""moto's DynamoDB with atomic transactions: one request at a time, at a cost that does not grow with the tables.

By itself, moto loses acknowledged writes under concurrent threads, and copies each table of a transaction whole. This module
runs moto's transaction code on a scratch backend that holds only the transaction's items. If it succeeds, the resulting items
replace the real ones; if it fails, they are dropped.
"""

import copy
from collections import defaultdict
from functools import wraps
from threading import RLock
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

one_at_a_time = RLock()
_mark = "_hft_atomic"


def install() -> None:
    """Replaces the two methods of moto that are not atomic. A second call changes nothing."""
    if getattr(DynamoDBBackend, _mark, False):
        return
    whole_request = DynamoHandler.call_action
    moto_transaction = DynamoDBBackend.transact_write_items

    @wraps(whole_request)
    def call_action(self: DynamoHandler) -> Any:
        with one_at_a_time:
            return whole_request(self)

    @wraps(moto_transaction)
    def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        with one_at_a_time:
            touched = _touched_items(self, transact_items)
            scratch = _scratch(self, touched)
            moto_transaction(scratch, transact_items)
            for name, key in touched:
                _copy_item(scratch, self, name, key)

    DynamoHandler.call_action = call_action  # type: ignore[method-assign]
    DynamoDBBackend.transact_write_items = transact_write_items  # type: ignore[method-assign]
    setattr(DynamoDBBackend, _mark, True)


def _touched_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Returns table name and key of each action's item. moto itself refuses actions on unknown tables."""
    touched = []
    for action in transact_items:
        for body in action.values():
            table = backend.tables.get(body.get("TableName"))
            if table is not None:
                item = body.get("Item") or body.get("Key") or {}
                if all(name in item for name in table.table_key_attrs):
                    touched.append((table.name, {name: item[name] for name in table.table_key_attrs}))
    return touched


def _scratch(backend: DynamoDBBackend, touched: list[tuple[str, dict[str, Any]]]) -> DynamoDBBackend:
    scratch = DynamoDBBackend(backend.region_name, backend.account_id)
    for name, table in backend.tables.items():
        scratch.tables[name] = _empty_copy(table)
    for name, key in touched:
        _copy_item(backend, scratch, name, key)
    return scratch


def _empty_copy(table: Table) -> Table:
    empty = copy.copy(table)
    empty.items = defaultdict(dict)
    return empty


def _copy_item(source: DynamoDBBackend, target: DynamoDBBackend, name: str, key: dict[str, Any]) -> None:
    item: Any = source.get_item(name, key)
    table = target.tables[name]
    hash_key, range_key = target.get_keys_value(table, key)
    if item is None:
        table.delete_item(hash_key, range_key)
    elif range_key is None:
        table.items[hash_key] = copy.deepcopy(item)
    else:
        table.items[hash_key][range_key] = copy.deepcopy(item)

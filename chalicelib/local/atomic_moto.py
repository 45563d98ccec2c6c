"""moto's DynamoDB with atomic transactions: one request at a time, at a cost that does not grow with the tables.

By itself, moto loses acknowledged writes under concurrent threads, and copies each table of a transaction whole. This module
runs moto's transaction code on a scratch backend that holds only the transaction's items. If it succeeds, the resulting items
replace the real ones; if it fails, they are dropped.
"""

import copy
from collections import defaultdict
from functools import cache, wraps
from threading import RLock
from time import sleep
from typing import Any, NamedTuple

from moto.core import responses
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

one_at_a_time = RLock()

CONDITIONS_KEPT = 256
"""Parsed conditions that are kept. moto parses each one three times within a request, and a record's is always the same."""

_mark = "_hft_atomic"


def install() -> None:
    """Replaces the methods of moto that are not atomic, or repeat their work. A second call changes nothing."""
    if getattr(DynamoDBBackend, _mark, False):
        return
    setattr(DynamoDBBackend, _mark, True)
    _make_atomic()
    _give_way()
    _parse_conditions_once()
    # moto lists the methods of a class anew for each request.
    responses.method_names_from_class = cache(responses.method_names_from_class)  # type: ignore[attr-defined]


def _make_atomic() -> None:
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
            _take_over(scratch, touched)

    DynamoHandler.call_action = call_action  # type: ignore[method-assign]
    DynamoDBBackend.transact_write_items = transact_write_items  # type: ignore[method-assign]


def _give_way() -> None:
    """Lets other requests go on while one is on its way to moto, as they do while one is on its way to DynamoDB.

    moto itself never waits. Without this, orders that come together would each be committed alone.
    """
    whole_dispatch = DynamoHandler._dispatch  # noqa: SLF001  (moto's own code enters a handler there)

    @wraps(whole_dispatch)
    def dispatch(self: DynamoHandler, request: Any, *args: Any) -> Any:
        sleep(0)
        return whole_dispatch(self, request, *args)

    DynamoHandler._dispatch = dispatch  # type: ignore[assignment,method-assign]  # noqa: SLF001


def _parse_conditions_once() -> None:
    """Keeps parsed conditions, with their names and values. moto asks them about items, and does not change them."""
    whole_parse = ConditionExpressionParser.parse
    parsed: dict[tuple[str | None, str, str], tuple[Any, list[str], list[str]]] = {}

    @wraps(whole_parse)
    def parse(self: ConditionExpressionParser) -> Any:
        names, values = self.expression_attribute_names or {}, self.expression_attribute_values or {}
        key = self.condition_expression, str(names), str(values)
        if key not in parsed:
            condition = whole_parse(self)
            if len(parsed) == CONDITIONS_KEPT:
                parsed.clear()
            parsed[key] = condition, list(self.expr_attr_names_found), list(self.expr_attr_values_found)
            return condition
        condition, names_found, values_found = parsed[key]
        self.expr_attr_names_found.extend(names_found)
        self.expr_attr_values_found.extend(values_found)
        return condition

    ConditionExpressionParser.parse = parse  # type: ignore[method-assign]


class _Touched(NamedTuple):
    """An item that a transaction names. `action`: the name of what the transaction does to it."""

    action: str
    table: Table
    hash_key: DynamoType
    range_key: DynamoType | None


class _ScratchTable(Table):
    """A table of a transaction's items alone. A failed transaction drops it, so moto needs no copy of it to go back to."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_ScratchTable":
        return self


def _touched_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> list[_Touched]:
    """Returns the items of a transaction. moto itself refuses actions on unknown tables, and without a whole key."""
    touched = []
    for actions in transact_items:
        for action, body in actions.items():
            table = backend.tables.get(body.get("TableName"))
            item = body.get("Item") or body.get("Key") or {}
            if table is not None and all(name in item for name in table.table_key_attrs):
                touched.append(_Touched(action, table, *backend.get_keys_value(table, item)))
    return touched


def _scratch(backend: DynamoDBBackend, touched: list[_Touched]) -> DynamoDBBackend:
    """Returns a backend with the items of a transaction, and nothing else."""
    scratch = DynamoDBBackend(backend.region_name, backend.account_id)
    for name, table in backend.tables.items():
        empty = scratch.tables[name] = copy.copy(table)
        empty.__class__ = _ScratchTable  # type: ignore[type-abstract]  # as moto leaves its own Table
        empty.items = defaultdict(dict)
    for each in touched:
        item = _item(each.table, each)
        if item is not None:
            # An update changes the item itself; all else puts another in its place.
            _put(scratch.tables[each.table.name], each, copy.deepcopy(item) if each.action == "Update" else item)
    return scratch


def _take_over(scratch: DynamoDBBackend, touched: list[_Touched]) -> None:
    """Makes a scratch backend's items the real ones."""
    for each in touched:
        if each.action == "ConditionCheck":
            continue
        item = _item(scratch.tables[each.table.name], each)
        if item is None:
            each.table.delete_item(each.hash_key, each.range_key)
        else:
            _put(each.table, each, item)


def _item(table: Table, touched: _Touched) -> Item | None:
    found: Item | None = table.get_item(touched.hash_key, touched.range_key)
    return found


def _put(table: Table, touched: _Touched, item: Item) -> None:
    if touched.range_key is None:
        table.items[touched.hash_key] = item  # type: ignore[assignment]  # so does moto itself
    else:
        table.items[touched.hash_key][touched.range_key] = item

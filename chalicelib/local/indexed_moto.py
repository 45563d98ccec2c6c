"""moto's DynamoDB with queries whose cost grows neither with the table nor with an account's history.

By itself, moto sorts and searches all items of a table for each query. With this module, moto's query runs on a small table of
the items that may be in the answer. These are the items of one hash key between the query's bounds, and one more; a query with a
limit gets only a few more than the limit, from the beginning of its page. moto's own code still selects and sorts them, and
returns the beginning of the next page.

A `_Partition` holds the items of a hash key, and their order by the range key of each index, which it keeps as items are put.
"""

import copy
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial, wraps
from operator import itemgetter
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

_LOWEST, _HIGHEST = 0, -1
_BOUNDS: dict[str, tuple[int | None, int | None]] = {
    "": (None, None),
    "=": (_LOWEST, _HIGHEST),
    "<": (None, _HIGHEST),
    "<=": (None, _HIGHEST),
    ">": (_LOWEST, None),
    ">=": (_LOWEST, None),
    "BETWEEN": (_LOWEST, _HIGHEST),
}
"""The places of the lowest and the highest value among a comparison's values; `""` stands for no comparison."""

_mark = "_hft_indexed"


def install() -> None:
    """Replaces moto's query, for tables created later. A second call changes nothing."""
    if getattr(Table, _mark, False):
        return
    setattr(Table, _mark, True)
    whole_init, whole_query = Table.__init__, Table.query
    moto_update = DynamoDBBackend.update_item

    @wraps(whole_init)
    def init(self: Table, *args: Any, **kwargs: Any) -> None:
        whole_init(self, *args, **kwargs)
        if self.range_key_attr is not None:
            self.items = defaultdict(partial(_Partition, _indexed(self)))

    @wraps(whole_query)
    def query(self: Table, hash_key: DynamoType | None, *args: Any, **kwargs: Any) -> Any:
        return whole_query(_narrowed(self, hash_key, *args, **kwargs), hash_key, *args, **kwargs)

    @wraps(moto_update)
    def update_item(self: DynamoDBBackend, *args: Any, **kwargs: Any) -> Item:
        item = moto_update(self, *args, **kwargs)
        # The update changed the item itself, perhaps an attribute of an index.
        for table in self.tables.values():
            partition = table.items.get(item.hash_key)
            if isinstance(partition, _Partition):
                partition.forget_orders()
        return item

    Table.__init__ = init  # type: ignore[method-assign]
    Table.query = query  # type: ignore[method-assign]
    DynamoDBBackend.update_item = update_item  # type: ignore[method-assign]


class _Order:
    """Items sorted by the value of one attribute, then by range key. Items without the attribute are left out."""

    def __init__(self, attribute: str, items: Iterable[Item] = ()) -> None:
        self._attribute = attribute
        having = [(self._place(item), item) for item in items if attribute in item.attrs]
        having.sort(key=itemgetter(0))
        self._places = [place for place, _ in having]
        self._items = [item for _, item in having]

    def add(self, item: Item) -> None:
        """Adds an item. This takes longer than an instant only where it belongs before many others."""
        if self._attribute not in item.attrs:
            return
        place = self._place(item)
        if not self._places or place > self._places[-1]:
            self._places.append(place)
            self._items.append(item)
        else:
            index = bisect_left(self._places, place)
            self._places.insert(index, place)
            self._items.insert(index, item)

    def page(self, lowest: Any, highest: Any, limit: int | None, *, forward: bool) -> list[Item]:
        """Returns the items between two values, at most as many as a page takes, and one more after its end.

        All items that have the same value as where the page begins are among them.
        """
        start = 0 if lowest is None else self._first(lowest)
        end = len(self._items) if highest is None else self._past(highest)
        if forward:
            most = end if limit is None else (start if lowest is None else self._past(lowest)) + limit
            return self._items[start : min(end, most) + 1]
        least = start if limit is None else (end if highest is None else self._first(highest)) - limit
        return self._items[max(0, max(start, least) - 1) : end]

    def _place(self, item: Item) -> tuple[Any, DynamoType | None]:
        return item.attrs[self._attribute].cast_value, item.range_key

    def _first(self, value: Any) -> int:
        return bisect_left(self._places, value, key=itemgetter(0))

    def _past(self, value: Any) -> int:
        return bisect_right(self._places, value, key=itemgetter(0))


class _Partition(dict[DynamoType, Item]):
    """The items of one hash key, by range key. `indexed`: the attributes whose order is kept from the first item on."""

    def __init__(self, indexed: Iterable[str]) -> None:
        super().__init__()
        self._orders = {attribute: _Order(attribute) for attribute in indexed}

    def order(self, attribute: str) -> _Order:
        """Returns the items' order by an attribute."""
        if attribute not in self._orders:
            self._orders[attribute] = _Order(attribute, self.values())
        return self._orders[attribute]

    def forget_orders(self) -> None:
        """Drops every order, so that the next query makes it again."""
        self._orders.clear()

    def __setitem__(self, range_key: DynamoType, item: Item) -> None:
        if range_key in self:
            self.forget_orders()
        for order in self._orders.values():
            order.add(item)
        super().__setitem__(range_key, item)

    def __delitem__(self, range_key: DynamoType) -> None:
        self.forget_orders()
        super().__delitem__(range_key)

    def pop(self, *args: Any) -> Any:
        """Removes an item, and returns it."""
        self.forget_orders()
        return super().pop(*args)


def _indexed(table: Table) -> list[str]:
    """Returns the range keys of the indexes that have the table's own hash key."""
    keys = (_key_of(table, index.name) for index in table.all_indexes())
    return [range_key for hash_key, range_key in keys if hash_key == table.hash_key_attr and range_key is not None]


def _narrowed(  # noqa: PLR0917  (these are the parameters of moto's query)
    table: Table,
    hash_key: DynamoType | None,
    range_comparison: str | None,
    range_values: list[DynamoType],
    limit: int | None,
    start_key: dict[str, Any] | None,
    forward: bool,  # noqa: FBT001
    _projection: Any = None,
    index_name: str | None = None,
    *_: Any,
    hash_key_conditions: Sequence[Any] | None = None,
    range_key_conditions: Sequence[Any] | None = None,
    **filters: Any,
) -> Table:
    """Returns a table of the items that a query may return; the table itself where these could be any."""
    hash_attribute, range_attribute = _key_of(table, index_name)
    if hash_key is None or hash_attribute != table.hash_key_attr or len(hash_key_conditions or ()) > 1:
        return table
    narrowed = copy.copy(table)
    narrowed.items = defaultdict(dict)
    partition: Any = table.items.get(hash_key)
    if partition is None:
        return narrowed
    narrowed.items[hash_key] = partition
    comparison = (range_comparison or "").upper()
    if not isinstance(partition, _Partition) or range_attribute is None:
        return narrowed
    if filters or comparison not in _BOUNDS or len(range_key_conditions or ()) > 1:
        return narrowed
    lowest, highest = (None if at is None else range_values[at].cast_value for at in _BOUNDS[comparison])
    if start_key is not None:
        start = DynamoType(start_key[range_attribute]).cast_value
        if forward:
            lowest = start if lowest is None else max(lowest, start)
        else:
            highest = start if highest is None else min(highest, start)
    page = partition.order(range_attribute).page(lowest, highest, limit, forward=forward)
    narrowed.items[hash_key] = {item.range_key: item for item in page if item.range_key is not None}
    return narrowed


def _key_of(table: Table, index_name: str | None) -> tuple[str, str | None]:
    """Returns the names of the hash key and the range key of a table or of its index."""
    if index_name is None:
        return table.hash_key_attr, table.range_key_attr
    keys = {
        key["KeyType"]: key["AttributeName"] for index in table.all_indexes() if index.name == index_name for key in index.schema
    }
    return keys.get("HASH", ""), keys.get("RANGE")

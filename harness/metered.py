"""A datastore that counts its requests and their capacity units."""

from dataclasses import dataclass, field
from typing import Any

from chalicelib.store.connection import Datastore, Item

READS = frozenset({"BatchGetItem", "GetItem", "Query", "Scan"})
READ_UNIT_BYTES = 4096


@dataclass
class Metered:
    """A datastore over `inner`, with counts.

    `requests`: the calls so far. `read_units`: those of each read, worked out by DynamoDB's rule, since ministack does not. A
    read with a filter would cost more. `write_units`: those of each write that was made, an index's included, as they are
    stated. DynamoDB does not state those of a cancelled transaction.
    """

    inner: Datastore
    requests: int = 0
    read_units: list[float] = field(default_factory=list)
    write_units: list[float] = field(default_factory=list)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Makes one call (see `Datastore.call`), and counts it."""
        self.requests += 1
        if operation in READS:
            answer = self.inner.call(operation, request)
            self.read_units.append(_read_units(request, answer))
            return answer
        answer = self.inner.call(operation, request | {"ReturnConsumedCapacity": "TOTAL"})
        consumed = answer["ConsumedCapacity"]
        tables = consumed if isinstance(consumed, list) else [consumed]
        self.write_units.append(sum(table["CapacityUnits"] for table in tables))
        return answer


def _read_units(request: dict[str, Any], answer: dict[str, Any]) -> float:
    """Returns a read's units: one for each begun 4 KB, half of that for an eventually consistent one.

    A query and a scan round up the sum of their items, other reads each item by itself.
    """
    if "Items" in answer:
        sizes, consistent = [sum(map(_size, answer["Items"]))], request.get("ConsistentRead", False)
    elif "Responses" in answer:
        sizes = [_size(item) for items in answer["Responses"].values() for item in items]
        consistent = all(wanted.get("ConsistentRead", False) for wanted in request["RequestItems"].values())
    else:
        sizes, consistent = [_size(answer.get("Item", {}))], request.get("ConsistentRead", False)
    return sum(max(1, -(-size // READ_UNIT_BYTES)) for size in sizes) * (1 if consistent else 0.5)


def _size(item: Item) -> int:
    """Returns the bytes of an item, as DynamoDB's documentation counts them."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return (len(content) + 1) // 2 + 1
        case "B":
            return len(content)
        case "M":
            return 3 + len(content) + _size(content)
        case _:
            return 1

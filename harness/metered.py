"""A datastore that counts its requests and their write units."""

from dataclasses import dataclass, field
from typing import Any

from chalicelib.store.connection import Datastore

READS = frozenset({"BatchGetItem", "GetItem", "Query", "Scan"})


@dataclass
class Metered:
    """A datastore over `inner`, with counts.

    `requests`: the calls so far. `write_units`: those of each write that was made, an index's included. DynamoDB does not state
    those of a cancelled transaction.
    """

    inner: Datastore
    requests: int = 0
    write_units: list[float] = field(default_factory=list)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Makes one call (see `Datastore.call`), and counts it."""
        self.requests += 1
        if operation in READS:
            return self.inner.call(operation, request)
        answer = self.inner.call(operation, request | {"ReturnConsumedCapacity": "TOTAL"})
        consumed = answer["ConsumedCapacity"]
        tables = consumed if isinstance(consumed, list) else [consumed]
        self.write_units.append(sum(table["CapacityUnits"] for table in tables))
        return answer

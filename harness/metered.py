"""A datastore that counts its requests and their write units."""

from dataclasses import dataclass, field
from typing import Any

from chalicelib.store.connection import Datastore


@dataclass
class Metered:
    """A datastore over `inner`, with counts.

    `requests`: the calls so far. `write_units`: those of each committed transaction, its index's included. DynamoDB does not
    state those of a cancelled transaction.
    """

    inner: Datastore
    requests: int = 0
    write_units: list[float] = field(default_factory=list)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Makes one call (see `Datastore.call`), and counts it."""
        self.requests += 1
        if operation != "TransactWriteItems":
            return self.inner.call(operation, request)
        answer = self.inner.call(operation, request | {"ReturnConsumedCapacity": "TOTAL"})
        self.write_units.append(sum(table["CapacityUnits"] for table in answer["ConsumedCapacity"]))
        return answer

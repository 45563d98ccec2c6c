"""A datastore that counts its requests, and what DynamoDB charges for them."""

from dataclasses import dataclass, field
from typing import Any

from chalicelib.store.connection import Datastore


@dataclass
class Metered:
    """A datastore over `inner`.

    `requests`: calls so far. `write_units`: those of each committed transaction, its index's included; DynamoDB states none for
    a cancelled one.
    """

    inner: Datastore
    requests: int = 0
    write_units: list[float] = field(default_factory=list)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """See `Datastore.call`."""
        self.requests += 1
        if operation != "TransactWriteItems":
            return self.inner.call(operation, request)
        answer = self.inner.call(operation, request | {"ReturnConsumedCapacity": "TOTAL"})
        self.write_units.append(sum(table["CapacityUnits"] for table in answer["ConsumedCapacity"]))
        return answer

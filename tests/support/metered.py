"""A datastore that says what it was asked to do, and what that cost, as DynamoDB counts it."""

from dataclasses import dataclass, field
from typing import Any

from chalicelib.store.connection import Datastore


@dataclass
class Metered:
    """`requests`: calls made; `write_units`: those of each transaction that was made. One that is cancelled states none."""

    inner: Datastore
    requests: int = 0
    write_units: list[float] = field(default_factory=list)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.requests += 1
        if operation != "TransactWriteItems":
            return self.inner.call(operation, request)
        answer = self.inner.call(operation, request | {"ReturnConsumedCapacity": "TOTAL"})
        self.write_units.append(sum(table["CapacityUnits"] for table in answer["ConsumedCapacity"]))
        return answer

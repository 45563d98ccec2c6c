"""The permissions that the application uses, recorded at its calls to DynamoDB while the suites run."""

from collections.abc import Iterator
from typing import Any

from chalicelib.store.connection import DynamoDB

Permission = tuple[str, str]
"""An IAM action, and the table, or the ``table/index/name``, that it is used on."""

USED: set[Permission] = set()

# IAM has a permission for each action of a transaction, not for the transaction itself.
IN_A_TRANSACTION = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


class RecordingDynamoDB(DynamoDB):
    """A connection that adds the permissions of each call to `USED`."""

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Makes one call (see `Datastore.call`), and records its permissions."""
        USED.update(permissions(operation, request))
        return super().call(operation, request)


def permissions(operation: str, request: dict[str, Any]) -> Iterator[Permission]:
    """Yields the permissions that a call takes."""
    match request:
        case {"TransactItems": transaction}:
            for action in transaction:
                for kind, body in action.items():
                    yield f"dynamodb:{IN_A_TRANSACTION[kind]}", body["TableName"]
        case {"RequestItems": by_table}:
            for table in by_table:
                yield f"dynamodb:{operation}", table
        case {"TableName": table, "IndexName": index}:
            yield f"dynamodb:{operation}", f"{table}/index/{index}"
        case {"TableName": table}:
            yield f"dynamodb:{operation}", table
        case _:
            raise AssertionError(f"{operation}: which table?")

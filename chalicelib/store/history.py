"""Reading an account's records by their numbers, from an index that follows the table within milliseconds."""

from chalicelib.domain.record import Record
from chalicelib.runtime.deadline import Deadline
from chalicelib.store.connection import Datastore
from chalicelib.store.tables import INDEX, Tables, number, record_from


class History:
    """The index of records by sequence."""

    def __init__(self, datastore: Datastore, tables: Tables) -> None:
        self._datastore = datastore
        self._table = tables.idempotency

    def read(self, user_id: int, first: int, last: int, deadline: Deadline) -> list[Record]:
        """Reads the records from `first` to `last` that the index has by now: at most 100, in one request.

        DynamoDB cuts an answer off at 1 MB, which 100 records never reach: the longest has 1,438 bytes.

        Raises:
            Throttled, Unanswered: as `Datastore.call`. DeadlineExceeded: nothing was asked. UnsupportedForm: see there.
        """
        with deadline.call():
            found = self._datastore.call(
                "Query",
                {
                    "TableName": self._table,
                    "IndexName": INDEX,
                    "KeyConditionExpression": "user_id = :user_id AND #sequence BETWEEN :first AND :last",
                    "ExpressionAttributeNames": {"#sequence": "sequence"},
                    "ExpressionAttributeValues": {":user_id": number(user_id), ":first": number(first), ":last": number(last)},
                },
            )
        return [record_from(item) for item in found["Items"]]

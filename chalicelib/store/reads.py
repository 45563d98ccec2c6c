"""Reading several items of a table at once."""

from chalicelib.runtime.deadline import Patience
from chalicelib.store.connection import Datastore, Item, Throttled

MAX_KEYS = 100
"""BatchGetItem takes no more."""


def read_items(datastore: Datastore, table: str, keys: list[Item], patience: Patience) -> list[Item]:
    """The items of a table that are there under these keys, in no particular order; each strongly consistent by itself.

    One request for up to 100 keys.

    Raises:
        Throttled, Unanswered: as `Datastore.call`. TimeUp: something was left to ask.
    """
    items: list[Item] = []
    for start in range(0, len(keys), MAX_KEYS):
        wanted = {table: {"Keys": keys[start : start + MAX_KEYS], "ConsistentRead": True}}
        with patience.call():
            answer = datastore.call("BatchGetItem", {"RequestItems": wanted})
        if answer.get("UnprocessedKeys"):
            raise Throttled("BatchGetItem left keys unprocessed")
        items.extend(answer["Responses"].get(table, []))
    return items

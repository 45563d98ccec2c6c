"""What may be larger than memory, in temporary SQLite databases: an account's movements to be sorted, a set of users."""

import pickle
import sqlite3
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from chalicelib.domain.account import Record

SEQUENCE_WIDTH = 39
"""A DynamoDB number has up to 38 digits and a sign, more than SQLite's integers: as text of one length it sorts like a number."""


class _Spill:
    """A private database, on disk as far as it is large, and gone when closed."""

    TABLE: str

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")  # nothing is ever rolled back
        self._database.execute("PRAGMA temp_store = FILE")  # what sorting needs goes to disk too
        self._database.execute(self.TABLE)
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._database.close()


class History(_Spill):
    """Movements of one account, which DynamoDB gives in the order of their keys."""

    TABLE = "CREATE TABLE movement (sequence TEXT NOT NULL, key TEXT NOT NULL, record BLOB NOT NULL)"

    def add(self, record: Record) -> None:
        """Takes a movement."""
        assert record.movement is not None, "a refusal has no place in a history"
        sequence = f"{record.movement.sequence:0{SEQUENCE_WIDTH}d}"
        self._database.execute("INSERT INTO movement VALUES (?, ?, ?)", (sequence, record.key, pickle.dumps(record)))

    def in_order(self) -> Iterator[Record]:
        """The movements by sequence; what stands twice, by key."""
        for (pickled,) in self._database.execute("SELECT record FROM movement ORDER BY sequence, key"):
            yield pickle.loads(pickled)  # noqa: S301  (this process wrote it)


class UserSet(_Spill):
    """A set of user ids."""

    TABLE = "CREATE TABLE user (id TEXT PRIMARY KEY) WITHOUT ROWID"

    def add(self, user_id: int) -> bool:
        """Takes a user; returns whether it is new to the set."""
        return self._database.execute("INSERT OR IGNORE INTO user VALUES (?)", (str(user_id),)).rowcount > 0

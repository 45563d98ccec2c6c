"""Temporary SQLite databases for what may be larger than memory: an account's records to be sorted, a set of users."""

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple, Self


class StoredRecord(NamedTuple):
    """A record as it is stored, its text unread."""

    user_id: int
    key: str
    sequence: int
    head: bytes
    text: str


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
    """Records of one account, which DynamoDB returns in the order of their keys."""

    TABLE = "CREATE TABLE record (key TEXT, sequence INTEGER, head BLOB, text TEXT)"

    def __init__(self, user_id: int) -> None:
        super().__init__()
        self._user_id = user_id

    def add(self, records: Iterable[StoredRecord]) -> None:
        """Adds records, whose sequences are below 2⁶³."""
        self._database.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", (record[1:] for record in records))

    def in_order(self) -> Iterator[StoredRecord]:
        """Yields the records by sequence; those of one sequence by key."""
        rows = self._database.execute("SELECT key, sequence, head, text FROM record ORDER BY sequence, key")
        return (StoredRecord(self._user_id, *row) for row in rows)


class UserSet(_Spill):
    """A set of user ids."""

    TABLE = "CREATE TABLE user (id TEXT PRIMARY KEY) WITHOUT ROWID"

    def add(self, user_id: int) -> bool:
        """Adds a user. Returns whether it is new to the set."""
        return self._database.execute("INSERT OR IGNORE INTO user VALUES (?)", (str(user_id),)).rowcount > 0

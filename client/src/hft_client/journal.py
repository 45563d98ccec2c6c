"""A journal of intents: what is to be sent is on disk before it is sent, and its outcome after it is known.

A program that is killed at any moment finds in its journal every order of which it cannot know the outcome.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hft_client.errors import HftError, JournalError
from hft_client.instructions import ORDER, Batch, Instruction, LinkedBatch, SingleOrder, Transfer
from hft_client.orders import Order
from hft_client.results import Result, Verified

BUSY_TIMEOUT_S = 1.0
FORM = 1
"""The form of the tables. A journal of another form is not touched."""

_TABLES = """
CREATE TABLE engine (url TEXT NOT NULL);
CREATE TABLE intents (
    number INTEGER PRIMARY KEY,
    request INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    space TEXT NOT NULL,
    key TEXT NOT NULL,
    terms TEXT NOT NULL,
    linked INTEGER NOT NULL,
    written_at TEXT NOT NULL,
    outcome TEXT,
    status INTEGER,
    reply TEXT,
    settled_at TEXT,
    UNIQUE (user_id, space, key)
);
CREATE INDEX open_intents ON intents (number) WHERE outcome IS NULL;
CREATE TABLE heads (user_id INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, head TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Intent:
    """One order or transfer, as the journal holds it.

    `terms`: its fields. `outcome`: ``ORDER_FILLED``, ``ACCOUNT_FUNDED``, ``ACCOUNT_DEBITED`` or an error code; `None` while it is
    unknown. `reply`: the engine's body.
    """

    key: str
    user_id: int
    space: str
    terms: Mapping[str, str]
    written_at: datetime
    outcome: str | None
    status: int | None
    reply: Mapping[str, Any] | None


class Journal:
    """A journal in one SQLite file, for one engine and one process at a time. Its threads may share it.

    Every write is on disk before the method returns. `path`: the file, which is made where it is missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens the journal.

        Raises:
            JournalError: another process uses it, or it is not a journal of this form.
        """
        self.path = os.fspath(path)
        self._lock = threading.Lock()
        self._in_flight: set[tuple[int, str, str]] = set()
        self._database = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        self._database.row_factory = sqlite3.Row
        try:
            # The lock lasts as long as the process: two recoveries of one journal would void each other's orders.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            raise JournalError(
                f"The journal {self.path} cannot be used: {error}. One process at a time may have it open"
            ) from error

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._database.close()

    def bind(self, url: str) -> None:
        """Ties the journal to an engine: orders of one are never sent to another.

        Raises:
            JournalError: it is tied to another one.
        """
        with self._transaction() as database:
            row = database.execute("SELECT url FROM engine").fetchone()
            if row is None:
                database.execute("INSERT INTO engine VALUES (?)", (url,))
            elif row["url"] != url:
                raise JournalError(f"The journal {self.path} belongs to the engine at {row['url']}, not to {url}")

    def write(self, instruction: Instruction) -> None:
        """Writes intents before they are sent. An intent that is written already is in flight again.

        Raises:
            ValueError: a key is written already, for another order.
        """
        now = _now()
        with self._transaction() as database:
            request = database.execute("SELECT coalesce(max(request), 0) + 1 FROM intents").fetchone()[0]
            for key, terms in instruction.terms.items():
                name = (instruction.user_id, instruction.space, key)
                row = database.execute("SELECT terms FROM intents WHERE (user_id, space, key) = (?, ?, ?)", name).fetchone()
                if row is not None and json.loads(row["terms"]) != terms:
                    raise ValueError(f"The journal has another order under the key {key!r}: a key stands for one order for ever")
                database.execute(
                    "INSERT INTO intents (request, user_id, space, key, terms, linked, written_at) VALUES (?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET request = excluded.request, linked = excluded.linked, "
                    "outcome = NULL, status = NULL, reply = NULL, settled_at = NULL",
                    (request, *name, json.dumps(dict(terms)), instruction.is_linked, now),
                )
                self._in_flight.add(name)

    def settle(self, results: Sequence[Result], space: str) -> None:
        """Writes outcomes that are known."""
        now = _now()
        with self._transaction() as database:
            for result in results:
                if not result.is_known:
                    continue
                outcome, status, reply = _shown(result)
                database.execute(
                    "UPDATE intents SET outcome = ?, status = ?, reply = ?, settled_at = ? "
                    "WHERE (user_id, space, key) = (?, ?, ?)",
                    (outcome, status, reply, now, result.user_id, space, result.key),
                )

    def land(self, instruction: Instruction) -> None:
        """Takes intents out of flight: this process no longer sends them."""
        with self._lock:
            self._in_flight.difference_update((instruction.user_id, instruction.space, key) for key in instruction.terms)

    def open_instructions(self) -> list[Instruction]:
        """Returns what has no known outcome and is not in flight in this process, oldest first."""
        with self._lock:
            rows = [
                row
                for row in self._database.execute("SELECT * FROM intents WHERE outcome IS NULL ORDER BY number")
                if (row["user_id"], row["space"], row["key"]) not in self._in_flight
            ]
        requests: dict[int, list[sqlite3.Row]] = {}
        for row in rows:
            requests.setdefault(row["request"], []).append(row)
        return [_instruction(of_request) for of_request in requests.values()]

    def intents(self) -> Iterator[Intent]:
        """Yields every intent with its outcome, oldest first: for programs that keep books of their own."""
        with self._lock:
            rows = self._database.execute("SELECT * FROM intents ORDER BY number").fetchall()
        for row in rows:
            yield Intent(
                row["key"],
                row["user_id"],
                row["space"],
                json.loads(row["terms"]),
                datetime.fromisoformat(row["written_at"]),
                row["outcome"],
                row["status"],
                None if row["reply"] is None else json.loads(row["reply"]),
            )

    def forget(self, before: datetime) -> int:
        """Deletes the intents with known outcomes that were written before a time. Returns their number."""
        with self._transaction() as database:
            return database.execute("DELETE FROM intents WHERE outcome IS NOT NULL AND written_at < ?", (_text(before),)).rowcount

    def last_verified(self, user_id: int) -> Verified | None:
        """Returns what was verified last of an account's history."""
        with self._lock:
            row = self._database.execute("SELECT * FROM heads WHERE user_id = ?", (user_id,)).fetchone()
        return None if row is None else Verified(row["user_id"], row["sequence"], row["head"])

    def keep_verified(self, verified: Verified) -> None:
        """Keeps what was verified of an account's history."""
        with self._transaction() as database:
            database.execute("REPLACE INTO heads VALUES (?, ?, ?)", (verified.user_id, verified.sequence, verified.head))

    def _prepare(self) -> None:
        with self._transaction() as database:
            form = database.execute("PRAGMA user_version").fetchone()[0]
            if form not in (0, FORM):
                raise JournalError(f"The journal {self.path} is of form {form}, and this version reads form {FORM}")
            if form == 0:
                for statement in _TABLES.split(";\n"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {FORM}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _instruction(rows: Sequence[sqlite3.Row]) -> Instruction:
    first = rows[0]
    if first["space"] != ORDER:
        return Transfer(first["user_id"], first["key"], json.loads(first["terms"]))
    orders = [Order(json.loads(row["terms"]), row["key"]) for row in rows]
    if first["linked"]:
        return LinkedBatch(first["user_id"], orders)
    return SingleOrder(first["user_id"], orders[0]) if len(orders) == 1 else Batch(first["user_id"], orders)


def _shown(result: Result) -> tuple[str, int | None, str | None]:
    """Returns an outcome's name, status and body."""
    outcome = result.outcome
    raw = getattr(outcome, "raw", None)
    reply = None if raw is None else json.dumps(raw, default=str)
    if isinstance(outcome, HftError):
        return getattr(outcome, "code", type(outcome).__name__), getattr(outcome, "status", None), reply
    return str(outcome.raw["status"]), 200, reply


def _now() -> str:
    return _text(datetime.now(UTC))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")

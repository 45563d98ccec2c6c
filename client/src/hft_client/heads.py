"""The last verified sequence and head of each account: in memory, or in a small file. A journal keeps it, too."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol

from hft_client.results import Verified


class Heads(Protocol):
    """A place for what was verified."""

    def last_verified(self, user_id: int) -> Verified | None:
        """Returns what was verified last of an account's history."""

    def keep_verified(self, verified: Verified) -> None:
        """Keeps what was verified of an account's history."""


class MemoryHeads:
    """The heads that this process has verified."""

    def __init__(self) -> None:
        self._verified: dict[int, Verified] = {}

    def last_verified(self, user_id: int) -> Verified | None:
        """See `Heads`."""
        return self._verified.get(user_id)

    def keep_verified(self, verified: Verified) -> None:
        """See `Heads`."""
        self._verified[verified.user_id] = verified


class FileHeads:
    """A JSON file of what was verified at one engine. `path`: the file; its directory is made where it is missing."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def last_verified(self, user_id: int) -> Verified | None:
        """See `Heads`."""
        kept = self._read().get(str(user_id))
        return None if kept is None else Verified(user_id, kept["sequence"], kept["head"])

    def keep_verified(self, verified: Verified) -> None:
        """See `Heads`. The file is replaced whole."""
        self._write(self._read() | {str(verified.user_id): {"sequence": verified.sequence, "head": verified.head}})

    def forget(self, user_id: int) -> None:
        """Forgets what was verified of an account's history."""
        kept = self._read()
        if kept.pop(str(user_id), None) is not None:
            self._write(kept)

    def _write(self, kept: dict[str, dict[str, Any]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.path.parent, delete=False) as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self.path)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            kept: dict[str, dict[str, Any]] = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        return kept

"""The journal of a local run that keeps its state: each write is on the disk before it is answered.

A directory holds one file, `journal`, for one run at a time. The file's first line names its form; each other line is one write:

    CHECKSUM [[table, item], [table, key, null], …]

An item appears as it is after the write, in DynamoDB's own notation (binary as base64); a key with `null` is a deletion. The
lines, replayed in their sequence, restore the tables. The store takes a write first; then its line is written and flushed to the
disk, and only then the write is answered. A crash can therefore leave one torn line at the end, of an unanswered write: a line
without its newline is cut off.

A line that is whole but does not match its checksum is refused, the last one too. Its write may have been answered, and the disk
may have changed it since. A power failure can also leave such a line of an unanswered write, where the disk had the line's end
but not all before it. The two look the same, so a person decides.
"""

import fcntl
import json
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

HEADER = b'{"hft-journal":1}\n'
"""The first line of every journal: its form."""

Change = tuple[str, dict[str, Any], bool]
"""A table, an item (or a key), and whether the item is there."""

_compact = json.JSONEncoder(separators=(",", ":"), default=lambda binary: b64encode(binary).decode()).encode


class JournalUnusable(Exception):
    """A directory that cannot be used. The message gives the reason, in one line."""


class Journal:
    """The journal in a directory, which is locked while the journal is open."""

    def __init__(self, directory: Path) -> None:
        """Opens a directory's journal, or begins one.

        Raises:
            JournalUnusable: another run uses it, another version wrote it, or it cannot be written.
        """
        self.path = directory / "journal"
        self.cut_bytes = 0
        """The length of the torn line that was cut off."""
        try:
            missing = [each for each in (directory, *directory.parents) if not each.exists()]
            directory.mkdir(parents=True, exist_ok=True)
            for each in missing:
                _sync_directory(each.parent)
            self._file: BinaryIO = self.path.open("a+b")
        except OSError as error:
            raise JournalUnusable(f"{directory} cannot be used for data: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise JournalUnusable(f"{directory} is in use by another run") from None
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        first = self._file.readline(len(HEADER))
        if not HEADER.startswith(first):
            raise JournalUnusable(f"{self.path} is not a journal of this version: give the run another directory")
        if first != HEADER:  # an empty file, or one of a run that died at its beginning
            self._file.truncate(0)
            self._file.write(HEADER)
        # The last run may have been killed before the disk had all of it, and this one answers from what it reads.
        self._sync()
        _sync_directory(self.path.parent)

    def changes(self) -> Iterator[Change]:
        """Yields every change from the beginning. A torn line at the end is cut off.

        Raises:
            JournalUnusable: a whole line is damaged.
        """
        end = self._file.seek(len(HEADER))
        for line in self._file:
            if not line.endswith(b"\n"):
                self.cut_bytes = len(line)
                break
            checksum, _, content = line[:-1].partition(b" ")
            if checksum != _checksum(content):
                raise JournalUnusable(
                    f"{self.path} is damaged at byte {end}: a line does not match its checksum, and its write may have been "
                    f"acknowledged. Restore a copy of the file, or cut it to {end} bytes, which drops this and all later lines"
                )
            end += len(line)
            for table, item, *deleted in json.loads(content):
                yield table, item, not deleted
        if self.cut_bytes:
            self._file.truncate(end)
            self._sync()

    def append(self, changes: Iterable[Change]) -> None:
        """Writes one line, and returns when it is on the disk.

        Raises:
            OSError: the line may not be on the disk.
        """
        content = _compact([[table, item] if there else [table, item, None] for table, item, there in changes]).encode()
        self._file.write(b"%s %s\n" % (_checksum(content), content))
        self._sync()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Ends the use of the directory."""
        self._file.close()


def _sync_directory(directory: Path) -> None:
    """Writes a directory's own entries to the disk: without this, a power failure may lose a file that is there whole."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(text: bytes) -> bytes:
    return b"%08x" % crc32(text)

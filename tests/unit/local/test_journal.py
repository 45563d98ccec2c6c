"""The journal of a local run: what is written is there after any end, and what cannot be used is refused in a line."""

import os
from pathlib import Path

import pytest

from chalicelib.local.journal import HEADER, Change, Journal, JournalUnusable

PUT: Change = ("accounts", {"user_id": {"N": "1"}, "head": {"B": b"\x00\xff"}}, True)
READ: Change = ("accounts", {"user_id": {"N": "1"}, "head": {"B": "AP8="}}, True)
DELETED: Change = ("assets", {"symbol": {"S": "BTC"}}, False)


def written(directory: Path, *lines: list[Change]) -> Path:
    journal = Journal(directory)
    for changes in lines:
        journal.append(changes)
    journal.close()
    return journal.path


def read(directory: Path) -> tuple[list[Change], int]:
    """The changes in a journal, and how much of its end was cut off."""
    journal = Journal(directory)
    changes = list(journal.changes())
    journal.close()
    return changes, journal.cut_bytes


def test_what_was_written_is_read_in_its_order(tmp_path: Path) -> None:
    written(tmp_path / "new", [PUT, DELETED], [PUT])

    assert read(tmp_path / "new") == ([READ, DELETED, READ], 0)


def test_a_later_run_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    written(tmp_path, [PUT])
    written(tmp_path, [DELETED])

    assert read(tmp_path) == ([READ, DELETED], 0)


def test_a_last_line_torn_at_any_byte_is_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path, [PUT])
    kept = path.stat().st_size
    written(tmp_path, [DELETED])
    whole = path.read_bytes()

    for end in range(kept + 1, len(whole)):
        path.write_bytes(whole[:end])
        assert read(tmp_path) == ([READ], end - kept)
        assert path.stat().st_size == kept
    written(tmp_path, [DELETED])
    assert read(tmp_path) == ([READ, DELETED], 0)


@pytest.mark.parametrize("first", [b"", b'{"hft-jour', HEADER[:-1]])
def test_a_run_that_died_as_it_began_is_begun_anew(tmp_path: Path, first: bytes) -> None:
    (tmp_path / "journal").write_bytes(first)

    assert read(tmp_path) == ([], 0)
    assert (tmp_path / "journal").read_bytes() == HEADER


@pytest.mark.parametrize("later", [[], [[PUT]]])
def test_a_damaged_line_is_refused_and_left_as_it_is_though_it_is_the_last(tmp_path: Path, later: list[list[Change]]) -> None:
    """Its write may have been acknowledged."""
    kept = written(tmp_path, [PUT]).stat().st_size
    path = written(tmp_path, [DELETED], *later)
    path.write_bytes(damaged := path.read_bytes().replace(b"BTC", b"ETH"))

    with pytest.raises(JournalUnusable, match=f"is damaged at byte {kept}: .* cut it to {kept} bytes"):
        read(tmp_path)
    assert path.read_bytes() == damaged

    os.truncate(path, kept)
    assert read(tmp_path) == ([READ], 0)


def test_a_line_whose_end_alone_reached_the_disk_is_refused_like_damage(tmp_path: Path) -> None:
    path = written(tmp_path, [PUT] * 200)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(4096) + whole[8192:])

    with pytest.raises(JournalUnusable, match="is damaged at byte"):
        read(tmp_path)


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)

    with pytest.raises(JournalUnusable, match="is in use by another run"):
        Journal(tmp_path)
    journal.close()


@pytest.mark.parametrize(
    "content", ['{"hft-journal":2}\n', "[]\n", "a diary\n", "a diary without a line's end", '{"hft-journal":1} \n']
)
def test_a_file_that_is_not_a_journal_of_this_version_is_refused_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / "journal").write_text(content)

    with pytest.raises(JournalUnusable, match="is not a journal of this version"):
        Journal(tmp_path)
    assert (tmp_path / "journal").read_text() == content


def test_what_is_not_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(JournalUnusable, match="cannot be used for data"):
        Journal(tmp_path / "file")


# The disk.


class Disk:
    """The files and directories that were synced, as they were then."""

    def __init__(self) -> None:
        self.synced: list[os.stat_result] = []

    def fsync(self, descriptor: int) -> None:
        self.synced.append(os.fstat(descriptor))

    def has(self, path: Path) -> bool:
        """Returns whether a path was synced as it is now."""
        now = path.stat()
        return any(os.path.samestat(each, now) and each.st_size == now.st_size for each in self.synced)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    return disk


def test_a_line_is_on_the_disk_before_append_returns(tmp_path: Path, disk: Disk) -> None:
    journal = Journal(tmp_path)
    for _ in range(2):
        disk.synced.clear()
        journal.append([PUT])
        assert disk.has(journal.path)
    journal.close()


def test_a_new_journal_and_every_new_directory_are_on_the_disk(tmp_path: Path, disk: Disk) -> None:
    Journal(tmp_path / "a" / "b").close()

    for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "journal"):
        assert disk.has(path), path


def test_what_a_run_reads_is_on_the_disk_though_the_last_one_was_killed_before_it_was(tmp_path: Path, disk: Disk) -> None:
    path = written(tmp_path, [PUT])
    disk.synced.clear()

    Journal(tmp_path).close()

    assert disk.has(path)
    assert disk.has(tmp_path)


def test_a_torn_line_is_off_the_disk_before_another_is_written(tmp_path: Path, disk: Disk) -> None:
    path = written(tmp_path, [PUT], [DELETED])
    os.truncate(path, path.stat().st_size - 1)
    disk.synced.clear()

    read(tmp_path)

    assert disk.has(path)

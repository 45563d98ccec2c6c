"""moto with a journal: a write is in both, in the same sequence, or the run ends."""

import os
from collections.abc import Callable, Iterable, Iterator
from errno import ENOSPC
from pathlib import Path
from threading import Event, Thread, get_ident
from typing import Any, NoReturn
from unittest.mock import patch

import boto3
import pytest
from moto.dynamodb.responses import DynamoHandler

from chalicelib.local import durable_moto
from chalicelib.local.journal import Change, Journal
from tests.support.market import Market, new_user_id

OVERTAKE_S = 0.2
"""The time that a second write has to get ahead of the first one's line."""


class TroubledJournal(Journal):
    """A journal that a test holds up, or makes fail."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def append(self, changes: Iterable[Change]) -> None:
        self.meanwhile()
        super().append(changes)


class Table:
    """A table of its own, with a client."""

    def __init__(self, market: Market) -> None:
        self.client: Any = boto3.client("dynamodb", region_name=market.settings.region)
        self.name = f"table-{new_user_id()}"
        self.client.create_table(
            TableName=self.name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def put(self, version: str) -> None:
        self.client.put_item(TableName=self.name, Item={"id": {"S": "x"}, "version": {"S": version}})

    def item(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.client.get_item(TableName=self.name, Key={"id": {"S": "x"}}).get("Item")
        return found


@pytest.fixture
def table(moto_market: Market) -> Iterator[Table]:
    table = Table(moto_market)
    yield table
    table.client.delete_table(TableName=table.name)


@pytest.fixture
def journal(table: Table, tmp_path: Path) -> Iterator[TroubledJournal]:
    """The journal of what is written to the table."""
    assert table
    journal = TroubledJournal(tmp_path)
    with patch.object(DynamoHandler, "call_action", DynamoHandler.call_action):
        durable_moto.install(journal)
        yield journal
    journal.close()


def test_lines_are_in_the_sequence_of_the_writes(table: Table, journal: TroubledJournal) -> None:
    """A replay ends with what memory ends with."""
    first_is_written, second_is_in_the_journal = Event(), Event()

    def second() -> None:
        assert first_is_written.wait(10)
        table.put("second")
        second_is_in_the_journal.set()

    def hold_up_the_first() -> None:
        if get_ident() != thread.ident:
            first_is_written.set()
            second_is_in_the_journal.wait(OVERTAKE_S)

    thread = Thread(target=second)
    thread.start()
    journal.meanwhile = hold_up_the_first
    table.put("first")
    thread.join()

    *_, (_, replayed, _) = journal.changes()
    assert replayed == table.item() == {"id": {"S": "x"}, "version": {"S": "second"}}


@pytest.mark.parametrize(
    ("operation", "request_of"),
    [
        ("batch_write_item", lambda name: {"RequestItems": {name: [{"PutRequest": {"Item": {"id": {"S": "x"}}}}]}}),
        ("execute_statement", lambda name: {"Statement": f"INSERT INTO \"{name}\" VALUE {{'id': 'x'}}"}),
        ("delete_table", lambda name: {"TableName": name}),
    ],
)
def test_an_operation_that_the_journal_does_not_support_writes_nothing(
    table: Table, journal: TroubledJournal, operation: str, request_of: Callable[[str], dict[str, Any]]
) -> None:
    with pytest.raises(NotImplementedError, match="the journal of a local run does not support"):
        getattr(table.client, operation)(**request_of(table.name))

    assert table.item() is None
    assert list(journal.changes()) == []


class Ended(BaseException):
    """The end of the process."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the end of the process an exception with its status."""

    def end(status: int) -> NoReturn:
        raise Ended(status)

    monkeypatch.setattr(os, "_exit", end)


def failing(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.usefixtures("ends")
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(ENOSPC, "No space left on device"), "No space left on device"),
        (ValueError("a bug"), "ValueError('a bug')"),
        (KeyboardInterrupt(), "KeyboardInterrupt()"),
    ],
)
def test_a_write_whose_line_fails_ends_the_run(
    table: Table, journal: TroubledJournal, capsys: pytest.CaptureFixture[str], error: BaseException, reason: str
) -> None:
    journal.meanwhile = failing(error)

    with pytest.raises(Ended, match="1"):
        table.put("unseen")
    assert capsys.readouterr().err == f"A write may be missing from {journal.path}, so the run ends: {reason}\n"


@pytest.mark.usefixtures("ends", "journal")
def test_an_error_of_moto_after_its_write_ends_the_run(table: Table) -> None:
    put_item, fail = DynamoHandler.put_item, failing(ValueError("a bug"))

    with patch.object(DynamoHandler, "put_item", lambda self: (put_item(self), fail())), pytest.raises(Ended):
        table.put("unseen")


@pytest.mark.usefixtures("ends")
def test_a_run_whose_output_is_closed_ends_as_well(table: Table, journal: TroubledJournal) -> None:
    journal.meanwhile = fail = failing(OSError())

    with patch("builtins.print", fail), pytest.raises(Ended):
        table.put("unseen")

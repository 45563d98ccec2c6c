"""Golden files: what was once stored is rendered the same by every version to come, byte for byte."""

import json
from hashlib import sha256

import pytest

from chalicelib.audit.reader import read
from chalicelib.domain.facts import OrderOutcome, TransferOutcome, VoidOutcome
from tests.golden.cases import CASES, FOLDER, Golden, anew

NAMES = sorted(file.stem for file in FOLDER.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_record_is_rendered_to_the_same_bytes(name: str) -> None:
    stored = Golden.stored(name)

    assert Golden.of(stored.record, json.loads(stored.record)["sequence"]) == stored


@pytest.mark.parametrize("name", CASES)
def test_the_same_decision_made_anew_is_written_down_the_same(name: str) -> None:
    assert anew(name) == Golden.stored(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_head_is_verified_with_nothing_but_the_text(name: str) -> None:
    stored = Golden.stored(name)

    assert sha256(stored.record.encode()).hexdigest() == stored.head


@pytest.mark.parametrize("name", NAMES)
def test_the_audit_reads_every_stored_record(name: str) -> None:
    record = Golden.stored(name).record

    entry, facts = read(record), json.loads(record)

    assert (entry.user_id, entry.sequence, entry.at) == (facts["user_id"], facts["sequence"], facts["at"])


def test_every_kind_and_outcome_has_its_files() -> None:
    outcomes = {json.loads(Golden.stored(name).record)["outcome"] for name in NAMES}

    assert {*OrderOutcome, *TransferOutcome, *VoidOutcome} <= outcomes


def test_every_file_has_its_case() -> None:
    assert sorted(CASES) == NAMES

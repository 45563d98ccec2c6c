"""Decisions as commands show them: one row each."""

from typing import Any

from chalicelib.domain.record import Record, instruction_of

COLUMNS = ("sequence", "at", "kind", "key", "instruction", "outcome")


def row(record: Record) -> dict[str, Any]:
    """Returns a decision's row."""
    decision = record.decision
    instruction = instruction_of(decision)
    _, _, key = record.key.partition("#")
    return {
        "sequence": record.sequence,
        "at": decision.at,
        "kind": type(instruction).__name__.lower(),
        "key": key,
        "instruction": instruction.fingerprint,
        "outcome": decision.outcome.value,
    }

"""Verification of an account's history, on this side alone.

    head = SHA-256(previous head ‖ record), the first over nothing

What was verified last is kept, and the history must still contain it: a chain that was computed anew does not.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hft_client.errors import BrokenChain, HistoryRewritten
from hft_client.results import Record, Verified


@dataclass(slots=True)
class Chain:
    """A chain that is followed record by record. `last`: what was verified before."""

    user_id: int
    last: Verified | None
    sequence: int = 0
    head: bytes = b""

    def start(self, sequence: int, head: str, *, at_one: bool = False) -> None:
        """Starts at what was verified before, or `at_one`. `sequence`, `head`: of the portfolio.

        Raises:
            HistoryRewritten: the account has come less far than was verified, or to the same place with another head.
        """
        if self.last is None or self.last.sequence == 0:
            return
        if sequence < self.last.sequence:
            raise HistoryRewritten(
                sequence + 1,
                f"The history ends at {sequence}, but it was verified up to {self.last.sequence} before: it was shortened",
            )
        if sequence == self.last.sequence:
            self._check_contained(sequence, head)
        if not at_one:
            self.sequence = self.last.sequence - 1

    def follow(self, record: Record) -> None:
        """Verifies the next record.

        Raises:
            HistoryRewritten: it stands where another one was verified before.
            BrokenChain: it does not belong to its place in the chain, or it is not what its text says.
        """
        place = self.sequence + 1
        is_last_verified = self.last is not None and place == self.last.sequence
        if is_last_verified:
            self._check_contained(place, record.head)
        self._check_text(record, place)
        # The first record read again is the one verified before: its head is known, and the head before it is not.
        if not (is_last_verified and not self.head and place > 1):
            head = hashlib.sha256(self.head + record.record.encode()).digest()
            if head.hex() != record.head:
                raise BrokenChain(place, f"The text of decision {place} does not belong to its place in the chain")
        self.sequence, self.head = place, bytes.fromhex(record.head)

    def end(self, sequence: int, head: str) -> Verified:
        """Ends the verification at the portfolio's head. Returns what was verified.

        Raises:
            BrokenChain: the chain ends elsewhere.
        """
        if self.sequence != sequence:
            raise BrokenChain(self.sequence + 1, f"Decision {self.sequence + 1} of {sequence} is missing")
        if self.head.hex() != head:
            raise BrokenChain(sequence, f"The chain ends in another head than the portfolio shows, at {sequence}")
        return Verified(self.user_id, sequence, head)

    def _check_contained(self, sequence: int, head: str) -> None:
        assert self.last is not None, "only what was verified before can be contained"
        if head != self.last.head:
            raise HistoryRewritten(
                sequence, f"The history no longer contains what was verified before, up to {sequence}: it was rewritten"
            )

    def _check_text(self, record: Record, place: int) -> None:
        untrue = _first_untrue(self.user_id, place, record)
        if untrue is not None:
            raise BrokenChain(place, f"Decision {place}: its {untrue} is not what its text in the chain says")


def _first_untrue(user_id: int, place: int, record: Record) -> str | None:
    """Returns the name of the first field that a record's text does not bear out."""
    try:
        facts: dict[str, Any] = json.loads(record.record)
        is_transfer = facts["kind"] == "transfer"
        pairs: Sequence[tuple[str, Any, Any]] = (
            ("user", user_id, facts["user_id"]),
            ("sequence", place, facts["sequence"]),
            ("sequence", record.sequence, facts["sequence"]),
            ("idempotency_key", record.idempotency_key, facts["key"]),
            ("kind", record.kind, facts["kind"]),
            ("outcome", record.outcome, facts["outcome"]),
            ("decided_at", record.raw["decided_at"], facts["at"]),
            ("order", record.order, facts.get("terms")),
            ("transfer", record.transfer, {name: facts[name] for name in ("symbol", "amount")} if is_transfer else None),
            ("balances", record.reply.get("balances"), facts.get("balances")),
            ("balance", record.reply.get("balance"), facts.get("balance")),
            ("reply", record.reply.get("error_code", record.reply.get("status")), facts["outcome"]),
        )
    except (KeyError, TypeError, ValueError):
        return "form"
    return next((name for name, shown, stored in pairs if shown != stored), None)

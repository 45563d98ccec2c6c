"""Instructions: what is to happen once per key, how it is decided, and its outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from chalicelib.contract.errors import EngineError, IdempotencyKeyReused, OrderDecided
from chalicelib.domain.account import Account
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Transfer, Void, Voided
from chalicelib.domain.record import Record, instruction_of
from chalicelib.domain.refusals import Undecided


class Instruction(Protocol):
    """Something that is to happen once: an order, a transfer."""

    @property
    def user_id(self) -> int:
        """The account's user."""
        ...

    @property
    def record_key(self) -> str:
        """The key under which its outcome is stored."""
        ...

    @property
    def fingerprint(self) -> str:
        """The instruction as text: a key stands for one."""
        ...


I_contra = TypeVar("I_contra", bound=Instruction, contravariant=True)


class Decider(Protocol[I_contra]):
    """Decides instructions of one kind. One for a process."""

    def symbols(self, instructions: Sequence[I_contra]) -> Iterable[str]:
        """Returns the symbols of the assets that the decisions need. Asked before each attempt."""
        ...

    def decide(self, instruction: I_contra, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        """Decides one instruction. Returns the account after the decision, and the record to be stored with it. Does no I/O.

        Raises:
            Undecided: nothing is to be stored.
        """
        ...


class LinkedDecider(Decider[I_contra], Protocol[I_contra]):
    """Decides instructions that are linked as well: all or nothing."""

    def decide_linked(
        self, instructions: Sequence[I_contra], account: Account, market: Mapping[str, Asset], by: str
    ) -> tuple[Account, Sequence[Record]]:
        """Decides several together. Returns the account after the decisions, and their records.

        Raises:
            Undecided: nothing is to be stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a key.

    `replayed`: an earlier request decided it. `attempts`: transactions that this request had taken part in by then; `conflicts`:
    how many of them were cancelled because others were at work on the same account. `together`: how many requests the last of
    them was for.
    """

    record: Record
    replayed: bool
    attempts: int = 0
    conflicts: int = 0
    together: int = 1


Refused = EngineError | Undecided
"""Returned instead of an outcome: the key is unused, belongs to another instruction, or could not be read in time."""


def require_same(instruction: Instruction, stored: Record) -> None:
    """Checks that a stored record is this instruction's outcome.

    Raises:
        IdempotencyKeyReused: the key stands for something else.
        OrderDecided: a void came too late.
    """
    if isinstance(instruction, Void):
        if not isinstance(stored.decision, Voided):
            raise OrderDecided(stored)
    elif not isinstance(stored.decision, Voided):  # a void is the outcome of its key, whatever the order
        decided = instruction_of(stored.decision).fingerprint
        if decided != instruction.fingerprint:
            kind = "transfer" if isinstance(instruction, Transfer) else "order"
            raise IdempotencyKeyReused(decided, instruction.fingerprint, kind)

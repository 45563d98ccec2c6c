"""Replaying an account's history: do its records, in order, make the account that is stored?

records 1 … n   each follows the one before (sequence, chain), leaves no balance below zero, and states what it did (reply)
the account     is where the last one leads: sequence, head, balances
"""

from collections.abc import Iterable
from enum import StrEnum

from chalicelib.audit import statement
from chalicelib.domain.account import Account, Movement, Record, next_head
from chalicelib.domain.money import text_from
from chalicelib.audit.statement import Misstated


class Kind(StrEnum):
    """What a difference is about."""

    SEQUENCE = "sequence"
    """A movement is missing or stands twice, or the account is not where its records end."""

    CHAIN = "chain"
    """A record, or the account's head, was altered after it was written."""

    BALANCES = "balances"
    """The account does not hold what its records give, or once held less than nothing."""

    REPLY = "reply"
    """What the client was told is not what was done, or not what the prices give."""

    UNREADABLE = "unreadable"
    """An item lacks what the engine writes."""


class Difference(Exception):
    """The first place where records and account do not agree. `sequence`, `key`: which record, where it is about one."""

    def __init__(self, kind: Kind, message: str, *, sequence: int | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.sequence = sequence
        self.key = key


def replay(user_id: int, movements: Iterable[Record]) -> Account:
    """The account that movements make, given in the order of their sequence. Refusals are not among them: see `check_refusal`.

    Two records are held at a time: a history may be longer than memory.

    Raises:
        Difference: the records are no history of this user's.
    """
    account = Account(user_id)
    previous_key = ""
    for record in movements:
        account = _follow(account, record, previous_key)
        previous_key = record.key
    return account


def compare(replayed: Account, stored: Account) -> None:
    """Holds the stored account against the one that its records make.

    Raises:
        Difference: they are not the same.
    """
    if replayed.sequence < stored.sequence:
        raise Difference(
            Kind.SEQUENCE,
            f"{_missing(replayed.sequence + 1, stored.sequence)}: the account is at {stored.sequence}. "
            "Were records deleted, or restored from an earlier time than the account?",
            sequence=replayed.sequence + 1,
        )
    if replayed.sequence > stored.sequence:
        raise account_behind(stored.sequence, replayed.sequence)
    if replayed.head != stored.head:
        raise Difference(Kind.CHAIN, f"the account's head is not the one that its last movement, {replayed.sequence}, left")
    for symbol in sorted({*replayed.balances, *stored.balances}):
        given, held = replayed.balances.get(symbol), stored.balances.get(symbol)
        if given != held:
            raise Difference(Kind.BALANCES, f"the account holds {_held(held)} {symbol}, its records give {_held(given)}")


def account_behind(account_sequence: int, record_sequence: int) -> Difference:
    """What is wrong where records go on beyond their account: both are always stored together."""
    return Difference(
        Kind.SEQUENCE,
        f"the account is at {account_sequence}, its records go on to {record_sequence}. "
        "Was the account deleted, or restored from an earlier time than its records?",
        sequence=account_sequence + 1,
    )


def check_refusal(record: Record) -> None:
    """Holds a record without a movement against itself.

    Raises:
        Difference: it is not a refusal that its prices justify.
    """
    try:
        statement.check_refusal(record)
    except Misstated as misstated:
        raise Difference(Kind.REPLY, str(misstated), key=record.key) from None


def _follow(account: Account, record: Record, previous_key: str) -> Account:
    movement = record.movement
    assert movement is not None, "a history is made of movements"

    def difference(kind: Kind, message: str) -> Difference:
        return Difference(kind, message, sequence=movement.sequence, key=record.key)

    if movement.sequence > account.sequence + 1:
        missing = _missing(account.sequence + 1, movement.sequence - 1)
        raise Difference(Kind.SEQUENCE, f"{missing}: {movement.sequence} comes next", sequence=account.sequence + 1)
    if movement.sequence < 1:
        raise difference(Kind.SEQUENCE, f"movement {movement.sequence} cannot be: the first is 1")
    if movement.sequence <= account.sequence:
        raise difference(Kind.SEQUENCE, f"movement {movement.sequence} stands twice: under {previous_key} and {record.key}")
    expected_head = next_head(account.head, record, movement.sequence, movement.changes)
    if record.user_id != account.user_id or movement.head != expected_head:
        raise difference(Kind.CHAIN, "the record is not as it was written, or not the one that followed the movement before")
    after = _after(account, movement)
    for symbol, units in after.balances.items():
        if units < 0:
            raise difference(Kind.BALANCES, f"it leaves {text_from(units)} {symbol}")
    try:
        statement.check_movement(record, movement, after)
    except Misstated as misstated:
        raise difference(Kind.REPLY, str(misstated)) from None
    return after


def _after(account: Account, movement: Movement) -> Account:
    balances = dict(account.balances)
    for symbol, units in movement.changes.items():
        balances[symbol] = balances.get(symbol, 0) + units
    return Account(account.user_id, balances, movement.sequence, movement.head)


def _missing(first: int, last: int) -> str:
    return f"movement {first} is missing" if first == last else f"movements {first} to {last} are missing"


def _held(units: int | None) -> str:
    return "no" if units is None else text_from(units)

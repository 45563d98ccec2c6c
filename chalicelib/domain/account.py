"""An account, the records that make its history, and the chain that ties them together.

A **record** is the stored outcome of one idempotency key. A record that moved money carries a **movement**: its place in the
account's sequence 1, 2, 3 …, the amounts, and a `head`, a hash over the previous head and the record. So the account's current
head stands for its whole history: a condition on it rules out every stale view, and replaying the records from the start must
arrive at exactly this head, these balances and this sequence.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from chalicelib.domain.money import MAX_STORED_UNITS

EMPTY_HEAD = b""

_compact = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Movement:
    """What a record did to its account. `changes`: signed units by symbol; `head`: the chain's value after it."""

    sequence: int
    changes: Mapping[str, int]
    head: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """The one outcome of one key: the reply as it was sent (`status`, `reply`: JSON text), and what decided it.

    `prices`: USD units by symbol at the decision, empty for a funding. `movement` is `None` for a refusal.
    """

    user_id: int
    key: str
    fingerprint: str
    status: int
    reply: str
    prices: Mapping[str, int]
    created_at: str
    movement: Movement | None = None

    def moving(self, movement: Movement) -> "Record":
        """The same record, with what it did to its account."""
        # By hand: every fill comes by here, and `dataclasses.replace` looks at each field first.
        return Record(self.user_id, self.key, self.fingerprint, self.status, self.reply, self.prices, self.created_at, movement)


@dataclass(frozen=True, slots=True)
class Account:
    """A user's balances, in units by symbol. An account that nobody funded has sequence 0 and an empty head."""

    user_id: int
    balances: Mapping[str, int] = field(default_factory=dict)
    sequence: int = 0
    head: bytes = EMPTY_HEAD

    def balance_units(self, symbol: str) -> int:
        """The balance in units; what was never held is 0."""
        return self.balances.get(symbol, 0)


def move(account: Account, record: Record, changes: Mapping[str, int]) -> tuple[Account, Record]:
    """Appends a record to an account's history.

    Returns the account after it, and the record with its movement. Every balance must stay at or above zero: the caller has
    decided that, and the datastore's condition holds it.
    """
    balances = dict(account.balances)
    for symbol, units in changes.items():
        balances[symbol] = balances.get(symbol, 0) + units
        assert 0 <= balances[symbol] <= MAX_STORED_UNITS, "a balance is neither overdrawn nor more than can be stored exactly"
    sequence = account.sequence + 1
    head = next_head(account.head, record, sequence, changes)
    return (
        Account(account.user_id, balances, sequence, head),
        record.moving(Movement(sequence, dict(changes), head)),
    )


def next_head(head: bytes, record: Record, sequence: int, changes: Mapping[str, int]) -> bytes:
    """The chain's next value: SHA-256 over the previous one and everything the record states."""
    stated = _compact(
        [
            record.user_id,
            sequence,
            record.key,
            record.fingerprint,
            record.status,
            record.reply,
            sorted(record.prices.items()),
            sorted(changes.items()),
            record.created_at,
        ]
    )
    return sha256(head + stated.encode()).digest()

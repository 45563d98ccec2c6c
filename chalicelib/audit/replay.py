"""Replay of an account's history: do its records, in order, make the account that is stored?

records 1 … n   each follows the one before (sequence, chain), is readable, and claims what its facts and the account give
the account     is where the last one leads: sequence, head, balances, cost basis, realized profit or loss
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Protocol

from chalicelib.audit.arithmetic import share, value_usd
from chalicelib.audit.claims import Misstated, check_fill, check_refusal, check_transfer
from chalicelib.audit.discrepancy import Discrepancy, Kind
from chalicelib.audit.linked import Batch
from chalicelib.audit.reader import USD, Entry, Fill, Malformed, Refusal, Transfer, read
from chalicelib.domain.account import Account
from chalicelib.domain.money import text_from

__all__ = ["Discrepancy", "Kind", "Replayed", "StoredRecord", "account_behind", "compare", "replay"]


class StoredRecord(Protocol):
    """A record as it is stored: the item's attributes, and its text unread."""

    @property
    def user_id(self) -> int:
        """The item's partition key."""
        ...

    @property
    def key(self) -> str:
        """The item's sort key."""
        ...

    @property
    def sequence(self) -> int:
        """The item's place in the history."""
        ...

    @property
    def head(self) -> bytes:
        """The item's link of the chain."""
        ...

    @property
    def text(self) -> str:
        """The decision."""
        ...


class Replayed:
    """The account that records make. Amounts are in units of 10⁻⁸.

    `cost_basis`: USD by symbol, none for USD nor for a zero balance. `net_deposits`: what was put in less what was taken out, in
    USD. `unmet_heads`: heads that somebody kept, of records beyond the last one.
    """

    def __init__(self, user_id: int, kept_heads: Mapping[int, bytes] | None = None) -> None:
        self.user_id = user_id
        self.sequence = 0
        self.head = b""
        self.balances: dict[str, int] = {}
        self.cost_basis: dict[str, int] = {}
        self.net_deposits = 0
        self.unmet_heads = dict(kept_heads or {})
        self._batch: Batch | None = None
        self._last_key = ""

    @property
    def realized_pl(self) -> int:
        """Realized profit or loss, from the books' identity: sum of bases − realized = net deposits."""
        return sum(self.cost_basis.values()) + self.balances.get(USD, 0) - self.net_deposits

    @property
    def open_batch(self) -> str | None:
        """The numbers of an all-or-nothing batch's records, where the last of them is still to come."""
        return None if self._batch is None else str(self._batch)

    def follow(self, record: StoredRecord) -> None:
        """Takes the next record.

        Raises:
            Discrepancy: it is not the next one, or not one that the engine writes.
        """
        sequence, key, text = record.sequence, record.key, record.text
        if sequence != self.sequence + 1:
            raise self._misplaced(sequence, key)
        try:
            head = sha256(self.head + text.encode("ascii")).digest()
        except UnicodeEncodeError:
            raise Discrepancy(Kind.UNREADABLE, "its text is not ASCII", sequence=sequence, key=key) from None
        if record.head != head:
            raise Discrepancy(
                Kind.CHAIN,
                f"record {sequence} is not as it was written, or not the one that followed the record before it",
                sequence=sequence,
                key=key,
            )
        try:
            self._apply(record)
        except Malformed as malformed:
            raise Discrepancy(malformed.kind, str(malformed), sequence=sequence, key=key) from None
        except Misstated as misstated:
            raise Discrepancy(Kind.RECORD, str(misstated), sequence=sequence, key=key) from None
        self.sequence, self.head, self._last_key = sequence, head, key
        if self.unmet_heads:
            self._check_kept_head(record)

    def _apply(self, record: StoredRecord) -> None:
        entry = read(record.text)
        if entry.user_id != record.user_id or entry.user_id != self.user_id:
            raise Misstated(f"it is a record of user {entry.user_id}")
        if entry.sequence != record.sequence:
            raise Misstated(f"its text says that it is record {entry.sequence}")
        if entry.record_key != record.key:
            raise Misstated(f"its text belongs under the key {entry.record_key}")
        linked = self._batch is not None or entry.linked is not None
        if linked:
            self._follow_batch(entry)
        decision = entry.decision
        match decision:
            case Fill():
                check_fill(decision, entry.at, self.balances)
                self._trade(decision)
            case Refusal() if not linked:
                check_refusal(decision, entry.at, self.balances)
            case Transfer():
                check_transfer(decision, self.balances)
                self._transfer(decision)

    def _follow_batch(self, entry: Entry) -> None:
        batch = self._batch or Batch(entry, self.balances)
        batch.check(entry)
        self._batch = None if entry.sequence == batch.last else batch

    def _trade(self, fill: Fill) -> None:
        """Takes a fill's changes into the books: both legs have one figure in USD."""
        order = fill.order
        if order.other == USD:
            value = abs(fill.other_change)
        elif order.symbol == USD:
            value = abs(fill.symbol_change)
        else:
            value = value_usd(abs(fill.other_change), order.other_price)
        if order.buys:
            self._take(order.other, -fill.other_change)
            self._add(order.symbol, fill.symbol_change, value)
        else:
            self._take(order.symbol, -fill.symbol_change)
            self._add(order.other, fill.other_change, value)

    def _transfer(self, transfer: Transfer) -> None:
        symbol, units = transfer.symbol, transfer.units
        if units < 0:
            self.net_deposits -= self._take(symbol, -units)
            return
        value = units if symbol == USD else 0 if transfer.price is None else value_usd(units, transfer.price)
        self.net_deposits += value
        self._add(symbol, units, value)

    def _add(self, symbol: str, units: int, value: int) -> None:
        self.balances[symbol] = self.balances.get(symbol, 0) + units
        if symbol != USD:
            self.cost_basis[symbol] = self.cost_basis.get(symbol, 0) + value

    def _take(self, symbol: str, units: int) -> int:
        """Takes an amount out of the books. Returns the basis that it takes along."""
        held = self.balances[symbol]
        self.balances[symbol] = held - units
        if symbol == USD:
            return units
        basis = self.cost_basis[symbol]
        taken = share(basis, units, held)
        if units == held:
            del self.cost_basis[symbol]
        else:
            self.cost_basis[symbol] = basis - taken
        return taken

    def _misplaced(self, sequence: int, key: str) -> Discrepancy:
        if sequence > self.sequence + 1:
            missing = _missing(self.sequence + 1, sequence - 1)
            return Discrepancy(Kind.SEQUENCE, f"{missing}: {sequence} comes next", sequence=self.sequence + 1)
        if sequence < 1:
            return Discrepancy(Kind.SEQUENCE, f"there is no record {sequence}: the first is 1", sequence=sequence, key=key)
        message = f"record {sequence} appears twice: under {self._last_key} and {key}"
        return Discrepancy(Kind.SEQUENCE, message, sequence=sequence, key=key)

    def _check_kept_head(self, record: StoredRecord) -> None:
        kept = self.unmet_heads.pop(record.sequence, None)
        if kept is not None and kept != self.head:
            raise Discrepancy(
                Kind.HEAD,
                f"the head after record {record.sequence} is {self.head.hex()}, but {kept.hex()} was kept: "
                f"a record from 1 to {record.sequence} was altered, and the chain computed anew",
                sequence=record.sequence,
                key=record.key,
            )


def replay(user_id: int, records: Iterable[StoredRecord], kept_heads: Mapping[int, bytes] | None = None) -> Replayed:
    """Replays a user's records, given in the order of their sequence. `kept_heads`: heads that somebody kept, by sequence.

    One record is held at a time: a history may be larger than memory.

    Raises:
        Discrepancy: the records are not a history of this user's.
    """
    replayed = Replayed(user_id, kept_heads)
    follow = replayed.follow
    for record in records:
        follow(record)
    return replayed


def compare(replayed: Replayed, stored: Account) -> None:
    """Compares the stored account with the one that its records make.

    Raises:
        Discrepancy: they are not the same.
    """
    if replayed.sequence < stored.sequence:
        raise Discrepancy(
            Kind.SEQUENCE,
            f"{_missing(replayed.sequence + 1, stored.sequence)}: the account is at {stored.sequence}. "
            "Were records deleted, or restored from an earlier time than the account?",
            sequence=replayed.sequence + 1,
        )
    if replayed.sequence > stored.sequence:
        raise account_behind(stored.sequence, replayed.sequence)
    if replayed.head != stored.head:
        raise Discrepancy(Kind.CHAIN, f"the account's head is not the one that its last record, {replayed.sequence}, left")
    if replayed.open_batch is not None:
        raise Discrepancy(
            Kind.SEQUENCE,
            f"the account and its records end at {replayed.sequence}, within the all-or-nothing batch of {replayed.open_batch}. "
            "Were both cut?",
            sequence=replayed.sequence + 1,
        )
    for sequence in replayed.unmet_heads:
        raise Discrepancy(
            Kind.HEAD,
            f"a head was kept of record {sequence}, but the account and its records end at {replayed.sequence}. "
            "Were both cut, or restored from an earlier time?",
            sequence=sequence,
        )
    _compare_books(replayed, stored)


def account_behind(account_sequence: int, record_sequence: int) -> Discrepancy:
    """Returns the finding where records go on beyond their account: both are always stored together."""
    return Discrepancy(
        Kind.SEQUENCE,
        f"the account is at {account_sequence}, its records go on to {record_sequence}. "
        "Was the account deleted, or restored from an earlier time than its records?",
        sequence=account_sequence + 1,
    )


def _compare_books(replayed: Replayed, stored: Account) -> None:
    books = stored.books
    for symbol in sorted({*replayed.balances, *books.balances}):
        given, held = replayed.balances.get(symbol), books.balances.get(symbol)
        if given != held:
            raise Discrepancy(Kind.BALANCES, f"the account holds {_shown(held)} {symbol}, its records give {_shown(given)}")
    for symbol in sorted({*replayed.cost_basis, *books.cost_basis}):
        given, held = replayed.cost_basis.get(symbol), books.cost_basis.get(symbol)
        if given != held:
            message = f"the account's cost basis of {symbol} is {_shown(held)} USD, its records give {_shown(given)}"
            raise Discrepancy(Kind.COST_BASIS, message)
    realized_pl = replayed.realized_pl
    if books.realized_pl_units != realized_pl:
        stated = text_from(books.realized_pl_units)
        message = f"the account's realized profit or loss is {stated} USD, its records give {text_from(realized_pl)}"
        raise Discrepancy(Kind.REALIZED_PL, message)


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"


def _shown(units: int | None) -> str:
    return "no" if units is None else text_from(units)

"""The leader of a group of requests at one account: it decides, commits, and reads from the answer what to do next.

See `exactly_once` for the outcomes, `account_slot` for who leads and who rides along.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from chalicelib.domain.account import Account
from chalicelib.domain.asset import Asset
from chalicelib.domain.record import Record, UnsupportedForm
from chalicelib.domain.refusals import Undecided
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.store.connection import Cancelled, Throttled, Unanswered
from chalicelib.store.ledger import (
    MAX_ENTRIES,
    CommitResult,
    Committed,
    Conflict,
    Entry,
    KeysTaken,
    Ledger,
    StaleAccount,
    Unused,
)
from chalicelib.store.prices import PriceBook
from chalicelib.trading.account_slot import AccountSlot
from chalicelib.trading.instruction import LinkedDecider
from chalicelib.trading.request import Item, Request


class Leader:
    """One request's work on one account, for itself and for those that wait meanwhile."""

    def __init__(self, ledger: Ledger, prices: PriceBook, slot: AccountSlot, request: Request, user_id: int) -> None:
        self.ledger = ledger
        self.prices = prices
        self.slot = slot
        self.request = request
        self.user_id = user_id

    @property
    def deadline(self) -> Deadline:
        """The time of the request that leads."""
        return self.request.deadline

    def lead(self) -> None:
        """Makes attempts until this request is settled, or its time is up."""
        slot = self.slot
        try:
            # Half of the time at most: a request that stood back for all of it could not even try.
            self._wait(min(slot.turns.before_order(), self.deadline.remaining_s() / 2))
            most = MAX_ENTRIES
            while not self.request.settled:
                group = slot.group(self.request, most)
                try:
                    self._attempt(group)
                except (Throttled, Unanswered):
                    for request in group:
                        request.out_of_reach = True
                    self.deadline.wait_throttled()
                except DeadlineExceeded:
                    raise
                except Exception as bug:
                    if len(group) == 1:
                        raise
                    slot.world.report(bug)
                    most = sum(request.size for request in group) // 2  # the request that causes it raises it, as a leader
                finally:
                    slot.end(group)
        except DeadlineExceeded:
            pass  # what is still pending is read once

    def _attempt(self, group: Sequence[Request]) -> None:
        slot = self.slot
        if slot.account is None or slot.turns.should_refresh():
            slot.account = self.ledger.read_account(self.user_id, self.deadline)
            slot.turns.refreshed()
        seen = slot.account
        market = self._market(group)  # after the account, which may take longer to read than a price may be old
        after, entries = self._decide(group, market, seen)
        if entries and slot.begin(group):
            started_s = slot.world.monotonic_s()
            answer = self._commit(group, entries, seen, after)
            wait_s = self._handle(group, answer, seen, after, started_s)
            slot.end(group)
            self._wait(wait_s)

    def _market(self, group: Sequence[Request]) -> Mapping[str, Asset]:
        """Returns all assets that the group's decisions need, read together: while some were read, others would grow too old."""
        wanted = (request.decider.symbols([item.instruction for item in request.pending]) for request in group)
        return self.prices.assets(dict.fromkeys(chain.from_iterable(wanted)), self.deadline)

    def _decide(self, group: Sequence[Request], market: Mapping[str, Asset], account: Account) -> tuple[Account, list[Entry]]:
        """Decides what is pending, one after the other.

        What cannot be decided on any account drops out: what is stored under its key is its outcome, if anything is.
        """
        entries: list[Entry] = []
        keys: set[str] = set()
        undecidable: list[tuple[Request, Undecided]] = []
        for request in group:
            mine = [item.instruction.record_key for item in request.pending]
            for item in request.pending:
                item.entry = item.refused = None
            if not keys.isdisjoint(mine):
                continue  # the first with one of these keys goes ahead; a batch waits whole, or its order would be lost
            decide = self._decide_linked if request.linked else self._decide_each
            account = decide(request, market, account, keys, undecidable)
            entries += [item.entry for item in request.pending if item.entry is not None]
        if undecidable:
            records = self._read(item for _, item in _items(group) if item.entry is None and item.refused is not None)
            for request, reason in undecidable:
                request.taken(records)
                for item in request.pending:
                    if item.refused is reason:
                        item.refuse(reason)
        return account, entries

    def _decide_each(
        self,
        request: Request,
        market: Mapping[str, Asset],
        account: Account,
        keys: set[str],
        undecidable: list[tuple[Request, Undecided]],
    ) -> Account:
        """Decides a request's items one after the other. Returns the account after them."""
        for item in request.pending:
            key = item.instruction.record_key
            try:
                account, item.entry = request.decider.decide(item.instruction, account, market, request.by)
            except Undecided as reason:
                item.refused = reason
                if not reason.needs_account:
                    undecidable.append((request, reason))
                    continue
                item.entry = Unused(key)
            keys.add(key)
        return account

    def _decide_linked(
        self, request: Request, market: Mapping[str, Asset], account: Account, keys: set[str], _: list[tuple[Request, Undecided]]
    ) -> Account:
        """Decides a request's items together. Returns the account after them."""
        instructions = [item.instruction for item in request.items]
        try:
            decider: LinkedDecider[Any] = request.decider  # type: ignore[assignment]  # only such requests are linked
            account, records = decider.decide_linked(instructions, account, market, request.by)
        except Undecided as reason:
            # Always confirmed by a transaction: a read of several keys may show half of what another transaction stores.
            for item in request.items:
                item.refused = reason
                item.entry = Unused(item.instruction.record_key)
        else:
            for item, record in zip(request.items, records, strict=True):
                item.entry = record
        keys.update(item.instruction.record_key for item in request.items)
        return account

    def _read(self, items: Iterator[Item]) -> Mapping[str, Record]:
        return self.ledger.read_records(self.user_id, dict.fromkeys(item.instruction.record_key for item in items), self.deadline)

    def _commit(self, group: Sequence[Request], entries: Sequence[Entry], seen: Account, after: Account) -> CommitResult:
        for request in group:
            request.attempts += 1
            request.together = len(group)
        try:
            answer = self.ledger.commit(entries, seen, after, self.deadline)
        except (Throttled, DeadlineExceeded, Cancelled, UnsupportedForm):
            raise  # nothing happened
        except BaseException:
            self._unanswered(group)
            raise
        for request in group:
            request.out_of_reach = False
        return answer

    def _unanswered(self, group: Sequence[Request]) -> None:
        for _, item in _items(group):
            if isinstance(item.entry, Record):
                item.unanswered.append(item.entry)
                self.slot.account = None

    def _handle(self, group: Sequence[Request], answer: CommitResult, seen: Account, after: Account, started_s: float) -> float:
        """Gives out what the answer decides. Returns how long to wait before the next attempt, in seconds."""
        slot = self.slot
        match answer:
            case Committed():
                slot.account = after
                slot.turns.committed(started_s, seen.sequence, after.sequence)
                self._committed(group)
                return 0.0
            case KeysTaken(records, account, complete):
                slot.account = account or slot.account
                for request in group:
                    request.taken(records)
                    if complete:
                        request.too_late(records)
                return 0.0 if complete else slot.turns.conflicted(brought=False)
            case StaleAccount(account):
                slot.account = account
                brought = True
            case Conflict():
                brought = False
        for request in group:
            request.conflicts += 1
        return slot.turns.conflicted(brought=brought)

    def _committed(self, group: Sequence[Request]) -> None:
        """Gives out what was stored, to those as well that had to let another with their key go ahead."""
        stored = {item.entry.key: item.entry for _, item in _items(group) if isinstance(item.entry, Record)}
        for request in group:
            request.committed()
            request.taken(stored)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.deadline.wait(seconds)


def _items(group: Sequence[Request]) -> Iterator[tuple[Request, Item]]:
    for request in group:
        for item in request.pending:
            yield request, item

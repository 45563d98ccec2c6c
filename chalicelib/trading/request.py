"""A request at an account: the instructions that one client sent together, and how far each has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chalicelib.contract.errors import DatastoreUnavailable, IdempotencyKeyReused, OrderDecided, OrdersDecided, in_batch
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import Undecided
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import TimedLock
from chalicelib.store.ledger import Entry
from chalicelib.trading.instruction import Decider, Instruction, Outcome, Refused, require_same


@dataclass(slots=True)
class Item:
    """One of the things that a request asks for, and how far it has come."""

    instruction: Instruction
    result: Outcome | Refused | None = None
    entry: Entry | None = None
    """The action of the attempt under way on its key; `None` where an earlier request of the attempt has the same key."""

    refused: Undecided | None = None
    """The reason why the attempt under way stores nothing under its key."""

    unanswered: list[Record] = field(default_factory=list)
    """Decisions that may have been stored, or may be yet."""

    def settled(self) -> Outcome | Refused:
        """Returns the result."""
        assert self.result is not None, "an execution ends when each has its result"
        return self.result

    def refuse(self, reason: Undecided) -> None:
        """Ends it: the key has no outcome, unless an attempt may yet give it one."""
        self.result = DatastoreUnavailable() if self.unanswered else reason


@dataclass(slots=True, eq=False)
class Request:
    """One client's request, on one account. `by`: the thread that serves it."""

    items: list[Item]
    decider: Decider  # type: ignore[type-arg]  # of whatever the request asks for
    deadline: Deadline
    by: str
    linked: bool = False
    attempts: int = 0
    conflicts: int = 0
    together: int = 1
    out_of_reach: bool = False
    """Set while the datastore, rather than the account, is what this request waits for."""

    turn: TimedLock | None = None
    """Released when its wait at the slot ends. This and the next three change under the slot's lock alone."""

    leads: bool = False
    in_transaction: bool = False
    left: bool = False

    @property
    def pending(self) -> list[Item]:
        """The items without a result."""
        return [item for item in self.items if item.result is None]

    @property
    def size(self) -> int:
        """The entries of a transaction that it takes."""
        return len(self.pending)

    @property
    def settled(self) -> bool:
        """True once nothing is left to do for it."""
        return not self.pending

    def departed(self) -> "Request":
        """Returns this request as it was when it left, without its leader: what was in a transaction may be stored."""
        items = []
        for item in self.items:
            sent = [item.entry] if self.in_transaction and isinstance(item.entry, Record) else []
            items.append(Item(item.instruction, item.result, unanswered=[*item.unanswered, *sent]))
        return replace(self, items=items)

    def committed(self) -> None:
        """Sets the results of the items that the transaction was for."""
        for item in self.pending:
            if item.refused is not None:
                item.refuse(item.refused)
            elif isinstance(item.entry, Record):
                item.result = self._outcome(item.entry, replayed=False)

    def taken(self, records: Mapping[str, Record]) -> None:
        """Sets the stored outcome as the result of each item whose key has one; of linked ones only where all have.

        Some of a linked request's records prove nothing: a read shows what a transaction stores one item after the other.
        """
        if self.linked and len(self._known(records)) < len(self.items):
            return
        for item in self.pending:
            stored = records.get(item.instruction.record_key)
            if stored is None:
                continue
            try:
                require_same(item.instruction, stored)
            except (IdempotencyKeyReused, OrderDecided) as error:
                item.result = in_batch(error, [self.items.index(item)]) if self.linked else error
            else:
                # What an attempt of ours stored without an answer reaching us is this request's own decision, not a replay.
                item.result = self._outcome(stored, replayed=stored not in item.unanswered)

    def too_late(self, records: Mapping[str, Record]) -> None:
        """Ends a linked request of which some keys have outcomes and others have none, both at one moment."""
        places = self._known(records)
        if self.linked and 0 < len(places) < len(self.items):
            for item in self.items:
                item.result = OrdersDecided(places)

    def _known(self, records: Mapping[str, Record]) -> list[int]:
        return [place for place, item in enumerate(self.items) if item.instruction.record_key in records]

    def _outcome(self, record: Record, *, replayed: bool) -> Outcome:
        return Outcome(record, replayed, self.attempts, self.conflicts, self.together)

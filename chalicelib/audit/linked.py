"""All-or-nothing batches: consecutive records of which either every one is a fill, or none is."""

from collections.abc import Mapping

from chalicelib.audit.claims import Misstated, changes_of, check_refusal
from chalicelib.audit.reader import Entry, Fill, LinkedRefusal, Refusal


class Batch:
    """An all-or-nothing batch whose records come one after the other. It holds none of them.

    Where it was refused, each order was decided on the account as the orders before would have left it: `_balances`.
    """

    def __init__(self, entry: Entry, balances: Mapping[str, int]) -> None:
        """`entry`: the first record's; `balances`: before it.

        Raises:
            Misstated: it is not the first of its batch.
        """
        assert entry.linked is not None, "a batch begins with a record that is linked"
        self.first, count = entry.linked
        self.last = self.first + count - 1
        if self.first != entry.sequence:
            raise Misstated(f"it says that it is one of the all-or-nothing batch of {self}, and the record before is not")
        self._linked = entry.linked
        self._at = entry.at
        self._filled = isinstance(entry.decision, Fill)
        self._balances = {} if self._filled else dict(balances)
        self._failed: int | None = None

    def __str__(self) -> str:
        """Returns the records' numbers."""
        return f"record {self.first}" if self.first == self.last else f"records {self.first} to {self.last}"

    def check(self, entry: Entry) -> None:
        """Checks that the next record is one of the batch, and where it was refused, the refusal. A fill is checked as any.

        Raises:
            Misstated: it does not agree with the others.
        """
        if entry.linked != self._linked:
            raise Misstated(f"it should be one of the all-or-nothing batch of {self}, and does not say so")
        if entry.at != self._at:
            raise Misstated(f"it was decided at {entry.at}, but its all-or-nothing batch of {self} at {self._at}")
        decision = entry.decision
        if isinstance(decision, Fill) != self._filled:
            filled, others = ("not filled", "was") if self._filled else ("filled", "was not")
            raise Misstated(f"it was {filled}, though what came before it in its all-or-nothing batch of {self} {others}")
        place = entry.sequence - self.first
        match decision:
            case Refusal():
                self._check_refusal(decision, place)
            case LinkedRefusal():
                self._check_linked_refusal(decision, place)

    def _check_refusal(self, refusal: Refusal, place: int) -> None:
        check_refusal(refusal, self._at, self._balances)
        if self._failed is None:
            self._failed = place
        if place < self._failed:
            raise Misstated(
                f"it failed for a reason of its own, but the records before it say that record {self.first + self._failed} "
                f"was the first that failed of its all-or-nothing batch of {self}"
            )

    def _check_linked_refusal(self, refusal: LinkedRefusal, place: int) -> None:
        failed = self.first + refusal.failed
        if refusal.failed == place or failed > self.last:
            raise Misstated(f"it was refused for record {failed}, which is not another order of its batch, {self}")
        # The first record names a later one, or has failed itself: from then on it is known which is meant.
        if self._failed is None:
            self._failed = refusal.failed
        if refusal.failed != self._failed:
            first_failed = self.first + self._failed
            raise Misstated(f"it was refused for record {failed}, but record {first_failed} was the first that failed")
        for symbol, change in changes_of(refusal.order, self._at, self._balances).items():
            self._balances[symbol] = self._balances.get(symbol, 0) + change

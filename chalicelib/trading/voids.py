"""Voiding: makes sure that a key never executes. Executed exactly once, like an order, and one of the two wins."""

from collections.abc import Iterable, Mapping, Sequence

from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Void, Voided
from chalicelib.domain.record import Record
from chalicelib.domain.timestamps import rfc3339
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import World
from chalicelib.trading.exactly_once import ExactlyOnce
from chalicelib.trading.instruction import Outcome


class VoidDecider:
    """Decides voids, which no rule refuses."""

    def __init__(self, world: World) -> None:
        self.world = world

    def symbols(self, voids: Sequence[Void]) -> Iterable[str]:  # noqa: ARG002
        """See `Decider.symbols`. A void needs none."""
        return ()

    def decide(self, void: Void, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:  # noqa: ARG002
        """See `Decider.decide`."""
        return append(account, Voided(void, rfc3339(self.world.now())))


class Voids:
    """Voids keys. One for a process."""

    def __init__(self, exactly_once: ExactlyOnce, decider: VoidDecider) -> None:
        self.exactly_once = exactly_once
        self.decider = decider

    def make(self, void: Void, deadline: Deadline) -> Outcome:
        """Voids a key, or finds out that it was voided.

        Raises:
            OrderDecided: the key has another outcome, and keeps it.
            Contention, DatastoreUnavailable: asking again is safe.
        """
        return self.exactly_once.execute(void, self.decider, deadline)

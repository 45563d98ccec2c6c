"""Making transfers: executed like orders, but that a refusal is confirmed rather than stored."""

from collections.abc import Iterable, Mapping, Sequence

from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Transfer
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import UnknownAsset
from chalicelib.domain.transfer import transfer
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.world import World
from chalicelib.trading.exactly_once import ExactlyOnce
from chalicelib.trading.instruction import Outcome, require_same


class TransferDecider:
    """Decides transfers, at the last prices known."""

    def __init__(self, world: World) -> None:
        self.world = world

    def symbols(self, instructions: Sequence[Transfer]) -> Iterable[str]:
        """See `Decider.symbols`."""
        return (instruction.symbol for instruction in instructions)

    def decide(self, instruction: Transfer, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:  # noqa: ARG002
        """See `Decider.decide`."""
        if instruction.symbol not in market:
            raise UnknownAsset([instruction.symbol])
        return append(account, transfer(account, instruction, market[instruction.symbol], self.world.now()))


class Transfers:
    """Makes transfers. One for a process."""

    def __init__(self, exactly_once: ExactlyOnce, decider: TransferDecider) -> None:
        self.exactly_once = exactly_once
        self.decider = decider

    def make(self, instruction: Transfer, deadline: Deadline) -> Outcome:
        """Makes a transfer, or finds out that it was made: exactly once per key, however often it is asked.

        Raises:
            TransferRejected, UnknownAsset, IdempotencyKeyReused: nothing happened, now or before.
            Contention, DatastoreUnavailable: asking again with the same key is safe.
        """
        return self.exactly_once.execute(instruction, self.decider, deadline)

    def preview(self, instruction: Transfer, deadline: Deadline) -> Outcome:
        """Returns what `make` would answer now; nothing is written.

        Raises:
            TransferRejected, UnknownAsset, IdempotencyKeyReused: it would be rejected.
            Throttled, Unanswered, DeadlineExceeded: something could not be read.
        """
        key = instruction.record_key
        stored = self.exactly_once.ledger.read_records(instruction.user_id, [key], deadline).get(key)
        if stored is None:
            account = self.exactly_once.ledger.read_account(instruction.user_id, deadline)
            market = self.exactly_once.prices.assets([instruction.symbol], deadline)
            _, record = self.decider.decide(instruction, account, market, by="")
            return Outcome(record, replayed=False)
        require_same(instruction, stored)
        return Outcome(stored, replayed=True)

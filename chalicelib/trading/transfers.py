"""Making a transfer: settled like an order, but that a refusal is confirmed rather than stored."""

from collections.abc import Sequence
from functools import partial

from chalicelib.domain.account import Account, Record
from chalicelib.domain.transfer import Transfer, TransferRefused, transfer
from chalicelib.engine import Engine
from chalicelib.contract.errors import IdempotencyKeyReused
from chalicelib.trading.exactly_once import Decide, Outcome, require_same


def transfer_once(engine: Engine, wanted: Transfer) -> Outcome:
    """Makes the transfer, or finds out that it was made: exactly once per key, however often it is asked.

    Raises:
        TransferRefused: nothing happened, now or before.
        Contention, DatastoreUnavailable: asking again with the same key is safe.
    """

    def decider(_: Sequence[Transfer]) -> list[Decide]:
        return [partial(_transfer_now, engine, wanted)]

    try:
        return engine.settler.settle(wanted, decider, engine.patience())
    except IdempotencyKeyReused as reused:
        raise _refused(wanted, reused) from None


def preview(engine: Engine, wanted: Transfer) -> Outcome:
    """What `transfer_once` would answer now; nothing is written.

    Raises:
        TransferRefused: it would refuse.
    """
    patience = engine.patience()
    stored = engine.ledger.read_records(wanted.user_id, [wanted.record_key], patience).get(wanted.record_key)
    if stored is None:
        _, record = _transfer_now(engine, wanted, engine.ledger.read_account(wanted.user_id, patience))
        return Outcome(record, replayed=False)
    try:
        require_same(wanted, stored)
    except IdempotencyKeyReused as reused:
        raise _refused(wanted, reused) from None
    return Outcome(stored, replayed=True)


def _transfer_now(engine: Engine, wanted: Transfer, account: Account) -> tuple[Account, Record]:
    return transfer(account, wanted, engine.world.now())


def _refused(wanted: Transfer, reused: IdempotencyKeyReused) -> TransferRefused:
    return TransferRefused(f"the key {wanted.key!r} was used: it stands for {reused.stored}, not for {wanted.fingerprint}")

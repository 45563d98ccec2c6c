"""Making a transfer: decide, commit, and read from the answer what to do next, as `execution` does it for orders.

It differs in one point: a refusal is not stored. So the key is looked up before anything is refused: the debit that was made
yesterday is done, however little the account holds today.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain.account import Account, Record
from chalicelib.domain.funding import Transfer, TransferRefused, transfer
from chalicelib.engine import Engine
from chalicelib.errors import Contention, DatastoreUnavailable
from chalicelib.patience import Patience, TimeUp
from chalicelib.store.connection import Throttled, Unanswered
from chalicelib.store.ledger import AccountMoved, Committed, Conflict, KeyTaken


@dataclass(frozen=True, slots=True)
class Transferred:
    """The record of a transfer. `replayed`: it was made before, by another call."""

    record: Record
    replayed: bool


def transfer_once(engine: Engine, wanted: Transfer) -> Transferred:  # noqa: C901  (its branches are the table in `execution`)
    """Makes the transfer, or finds out that it was made: exactly once per key, however often it is asked.

    Raises:
        TransferRefused: nothing happened, now or before.
        Contention, DatastoreUnavailable: asking again with the same key is safe.
    """
    patience = engine.patience()
    account: Account | None = None
    sent: Record | None = None
    unanswered: list[Record] = []  # what may have been stored, or may be yet
    out_of_reach = False  # whether the datastore, rather than the account, is what we wait for
    try:
        while True:
            try:
                sent = None
                if account is None:
                    account = engine.ledger.read_account(wanted.user_id, patience)
                try:
                    _, record = transfer(account, wanted, engine.world.now())
                except TransferRefused as refusal:
                    return _made_before(engine, wanted, patience, unanswered, otherwise=refusal)
                sent = record
                answer = engine.ledger.commit(record, account, patience)
            except Throttled:
                out_of_reach = True
                patience.wait_throttled()
                continue
            except Unanswered:
                out_of_reach = True
                if sent is not None:
                    unanswered.append(sent)
                    account = None
                patience.wait_throttled()
                continue
            out_of_reach = False
            match answer:
                case Committed():
                    return Transferred(record, replayed=False)
                case KeyTaken(stored):
                    return outcome(wanted, stored, unanswered)
                case AccountMoved(moved):
                    account = moved
                case Conflict():
                    patience.wait_busy()
    except TimeUp:
        raise (DatastoreUnavailable if unanswered or out_of_reach else Contention) from None


def _made_before(
    engine: Engine, wanted: Transfer, patience: Patience, unanswered: list[Record], otherwise: TransferRefused
) -> Transferred:
    """The outcome that the key has already, for a transfer that cannot be made now."""
    stored = engine.ledger.read_record(wanted.user_id, wanted.record_key, patience)
    if stored is not None:
        return outcome(wanted, stored, unanswered)
    if unanswered:
        raise DatastoreUnavailable
    raise otherwise


def outcome(wanted: Transfer, stored: Record, unanswered: Sequence[Record] = ()) -> Transferred:
    """What a stored record means for a transfer under its key. `unanswered`: this call's own attempts.

    Raises:
        TransferRefused: the key stands for another transfer.
    """
    if stored.fingerprint != wanted.fingerprint:
        raise TransferRefused(
            f"the key {wanted.key!r} was used: it stands for {stored.fingerprint}, not for {wanted.fingerprint}"
        )
    return Transferred(stored, replayed=stored not in unanswered)

"""Accounts, as an operator sees and changes them: through the engine's ledger, in the account's chain, like a fill."""

from chalicelib.domain.account import Account
from chalicelib.domain.funding import Transfer, transfer
from chalicelib.engine import Engine
from chalicelib.funding import Transferred, outcome


def read(engine: Engine, user_id: int) -> Account:
    """The account as it is now."""
    return engine.ledger.read_account(user_id, engine.patience())


def preview(engine: Engine, wanted: Transfer) -> Transferred:
    """What `transfer_once` would answer now; nothing is written.

    Raises:
        TransferRefused: it would refuse.
    """
    patience = engine.patience()
    stored = engine.ledger.read_record(wanted.user_id, wanted.record_key, patience)
    if stored is not None:
        return outcome(wanted, stored)
    account = engine.ledger.read_account(wanted.user_id, patience)
    _, record = transfer(account, wanted, engine.world.now())
    return Transferred(record, replayed=False)

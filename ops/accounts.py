"""Accounts, as an operator sees and changes them: through the engine's ledger, in the account's chain, like a fill."""

from chalicelib.domain.account import Account
from chalicelib.engine import Engine


def read(engine: Engine, user_id: int) -> Account:
    """The account as it is now."""
    return engine.ledger.read_account(user_id, engine.patience())

"""Money that enters or leaves from outside the market: the movements that open every account, and that only an operator makes."""

import json
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.account import Account, Record, move
from chalicelib.domain.money import text_from
from chalicelib.domain.timestamps import rfc3339
from chalicelib.contract.errors import Undecided

MAX_FUNDED_UNITS = 10**37
"""Where fundings end: at a tenth of what the datastore holds exactly. A fill adds 10²³ units at most: there is room for them."""


class TransferRefused(Undecided):
    """A transfer that may not be made; the message says why. Nothing was decided, and its key stays unused."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A funding (`units` above zero) or a debit (below), made once per `key`."""

    user_id: int
    key: str
    symbol: str
    units: int

    @property
    def fingerprint(self) -> str:
        """What the key stands for, as text to be read: ``FUND 1.00000000 BTC``."""
        return f"{'FUND' if self.units > 0 else 'DEBIT'} {text_from(abs(self.units))} {self.symbol}"

    @property
    def record_key(self) -> str:
        """Where the transfer's record is stored. No order's key can take its place: those begin with ``order#``.

        A funding and a debit under one key meet here, on purpose: one of the two was a slip.
        """
        return f"funding#{self.key}"


def transfer(account: Account, wanted: Transfer, at: datetime) -> tuple[Account, Record]:
    """Credits or debits the account. Returns the account after it, and the record to be stored with it.

    Raises:
        TransferRefused: the account would hold less than nothing, or come near to more than the datastore holds exactly.
    """
    assert wanted.units != 0, "a transfer moves money"
    held = account.balance_units(wanted.symbol)
    after = held + wanted.units
    if after < 0:
        raise TransferRefused(f"a debit of {text_from(-wanted.units)} {wanted.symbol} overdraws the balance of {text_from(held)}")
    if after > max(held, MAX_FUNDED_UNITS):  # fills may have gone beyond the end, and a debit from there is welcome
        most = text_from(MAX_FUNDED_UNITS)
        raise TransferRefused(f"the balance would be {text_from(after)} {wanted.symbol}; fundings end at {most}")
    reply = {
        "status": "ACCOUNT_FUNDED" if wanted.units > 0 else "ACCOUNT_DEBITED",
        "symbol": wanted.symbol,
        "amount": text_from(abs(wanted.units)),
    }
    record = Record(
        user_id=account.user_id,
        key=wanted.record_key,
        fingerprint=wanted.fingerprint,
        status=200,
        reply=json.dumps(reply),
        prices={},
        created_at=rfc3339(at),
    )
    return move(account, record, {wanted.symbol: wanted.units})

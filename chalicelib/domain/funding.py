"""Money that comes from outside the market: the movement that opens every account."""

import json
from datetime import datetime

from chalicelib.domain.account import Account, Record, move
from chalicelib.domain.money import text_from
from chalicelib.domain.time import rfc3339


def funding_key(key: str) -> str:
    """Where a funding's record is stored. No order's key can take its place: those begin with ``order#``."""
    return f"funding#{key}"


def fund(account: Account, key: str, symbol: str, units: int, at: datetime) -> tuple[Account, Record]:
    """Credits `units` of `symbol`, once per `key`. Returns the account after it, and the record."""
    assert units > 0, "a funding adds money"
    amount = text_from(units)
    reply = {"status": "ACCOUNT_FUNDED", "symbol": symbol, "amount": amount}
    record = Record(
        user_id=account.user_id,
        key=funding_key(key),
        fingerprint=f"FUND {amount} {symbol}",
        status=200,
        reply=json.dumps(reply),
        prices={},
        created_at=rfc3339(at),
    )
    return move(account, record, {symbol: units})

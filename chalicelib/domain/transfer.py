"""Money that enters or leaves from outside the market: what opens every account, and what only an operator moves."""

from datetime import datetime

from chalicelib.domain.account import Account
from chalicelib.domain.asset import UNIT_OF_ACCOUNT, Asset
from chalicelib.domain.facts import Price, Transfer, Transferred
from chalicelib.domain.money import MAX_BALANCE_UNITS, text_from
from chalicelib.domain.refusals import TransferRejected
from chalicelib.domain.timestamps import rfc3339


def transfer(account: Account, instruction: Transfer, asset: Asset | None, at: datetime) -> Transferred:
    """Decides a transfer. `asset`: the last that is known of it; its price makes a funding's basis.

    Raises:
        TransferRejected: the balance would be negative, or beyond what an account may hold.
    """
    assert instruction.units != 0, "a transfer moves money"
    symbol, units = instruction.symbol, instruction.units
    held_units = account.balance_units(symbol)
    after_units = held_units + units
    if after_units < 0:
        message = f"a debit of {text_from(-units)} {symbol} overdraws the balance of {text_from(held_units)}"
        raise TransferRejected(message, overdraws=True)
    if units > 0 and after_units > MAX_BALANCE_UNITS:
        most = text_from(MAX_BALANCE_UNITS)
        raise TransferRejected(f"the balance would be {text_from(after_units)} {symbol}; an account holds at most {most}")
    has_basis = units > 0 and symbol != UNIT_OF_ACCOUNT and asset is not None
    price = Price(asset.price, asset.price_at) if has_basis and asset is not None else None
    return Transferred(instruction, rfc3339(at), after_units, price)

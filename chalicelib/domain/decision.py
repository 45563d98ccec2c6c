"""What an order does to an account at given prices: the rule book, without any I/O."""

import json
from datetime import datetime

from chalicelib.domain.account import Account, Record, move
from chalicelib.domain.money import text_from
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import Quote
from chalicelib.domain.timestamps import rfc3339
from chalicelib.contract.errors import InsufficientFunds


def decide(order: Order, account: Account, quote: Quote, at: datetime, thread: str) -> tuple[Account, Record]:
    """Fills the order, or refuses it for lack of funds.

    Returns the account as the decision leaves it (the same one after a refusal), and the record to be stored: it holds the reply
    as it will be sent, now and on every replay. Nothing has happened until the ledger has committed both.
    """
    cost_units = quote.cost_units(order.quantity_units)
    balance_units = account.balance_units(order.pay_with)
    filled = balance_units >= cost_units
    decided_at = rfc3339(at)
    if filled:
        status = 200
        reply = json.dumps(
            {
                "status": "ORDER_FILLED",
                "symbol": order.symbol,
                "quantity_filled": order.quantity_text,
                "execution_price": text_from(quote.execution_price_units()),
                "total_cost": text_from(cost_units),
                "paid_with": order.pay_with,
                "remaining_balance": text_from(balance_units - cost_units),
                "executed_at": decided_at,
                "executed_by_thread": thread,
                "sequence": account.sequence + 1,
            }
        )
    else:
        refusal = InsufficientFunds(text_from(cost_units), text_from(balance_units), order.pay_with)
        status, reply = refusal.status, refusal.body(at)
    record = Record(
        user_id=order.user_id,
        key=order.record_key,
        fingerprint=order.fingerprint,
        status=status,
        reply=reply,
        prices=quote.prices(),
        created_at=decided_at,
    )
    if not filled:
        return account, record
    return move(account, record, {order.symbol: order.quantity_units, order.pay_with: -cost_units})

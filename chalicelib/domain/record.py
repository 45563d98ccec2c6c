"""A decision as it is stored: one compact text, written once, and its link in the account's chain.

    head = SHA-256(previous head ‖ text), the first over nothing

So an account's head stands for its whole history, and whoever has the texts can verify it. The text is JSON in ASCII and says
each thing once: the reply is rendered from it. Amounts and prices are the decimal strings that clients see.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any

from chalicelib.domain.asset import fee_bps_text
from chalicelib.domain.facts import (
    Circumstances,
    Decision,
    Fill,
    OrderOutcome,
    Price,
    Refusal,
    Transfer,
    TransferOutcome,
    Transferred,
    Void,
    Voided,
)
from chalicelib.domain.money import price_from, price_text, text_from, units_from
from chalicelib.domain.order import ALL, Amount, Order, Side

FORM = 2
"""The form of accounts and records that this release reads and writes."""

EMPTY_HEAD = b""

_compact = json.JSONEncoder(separators=(",", ":")).encode


class UnsupportedForm(Exception):
    """Something stored is of a form that this release does not read; the message says of which, and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One link of an account's chain. `key`: where it is stored; `text`: exactly what is stored; `decision`: what it means."""

    user_id: int
    key: str
    sequence: int
    head: bytes
    text: str
    decision: Decision = field(compare=False, repr=False)


def next_head(head: bytes, text: str) -> bytes:
    """Returns the chain's next value."""
    return sha256(head + text.encode("ascii")).digest()


def instruction_of(decision: Decision) -> Order | Transfer | Void:
    """Returns what a decision decided."""
    match decision:
        case Transferred():
            return decision.transfer
        case Voided():
            return decision.void
        case Fill() | Refusal():
            return decision.order


def text_of(decision: Decision, sequence: int) -> str:
    """Writes a decision down. `sequence`: its place in the account's history, from 1."""
    match decision:
        case Transferred():
            return _compact(_transfer_facts(decision, sequence))
        case Voided():
            return _compact(_void_facts(decision, sequence))
        case Fill() | Refusal():
            return _compact(_order_facts(decision, sequence))


def _order_facts(decision: Fill | Refusal, sequence: int) -> dict[str, object]:
    order, given = decision.order, decision.circumstances
    facts: dict[str, object] = {
        "v": FORM,
        "user_id": order.user_id,
        "sequence": sequence,
        "key": order.idempotency_key,
        "kind": "order",
        "outcome": decision.outcome.value,
        "terms": _terms(order),
        "by": given.by,
        "prices": _price_facts(given.prices),
    }
    if given.fee_rate:
        facts["fee_bps"] = fee_bps_text(given.fee_rate)
    if given.step_units is not None:
        facts["step"] = text_from(given.step_units)
    if given.linked is not None:
        facts["linked"] = [*given.linked]
    if isinstance(decision, Fill):
        facts["changes"] = {symbol: text_from(units) for symbol, units in decision.changes.items()}
        facts["balances"] = {symbol: text_from(units) for symbol, units in decision.balances.items()}
        if decision.fee_units:
            facts["fee"] = text_from(decision.fee_units)
    else:
        facts |= _refusal_facts(decision)
    facts["at"] = decision.at
    return facts


def _refusal_facts(decision: Refusal) -> dict[str, object]:
    facts: dict[str, object] = {}
    if decision.needed_units is not None:
        facts["needed"] = text_from(decision.needed_units)
    if decision.held_units is not None:
        facts["held"] = text_from(decision.held_units)
    if decision.unfunded:
        facts["unfunded"] = True
    if decision.failed is not None:
        facts["failed"] = decision.failed
    return facts


def _terms(order: Order) -> dict[str, object]:
    terms: dict[str, object] = {
        "side": order.side.value,
        "symbol": order.symbol,
        "pay_with" if order.side is Side.BUY else "receive": order.other,
        "quantity" if order.notional is None else "notional": order.amount.text,
    }
    if order.limit_price is not None:
        terms["limit_price"] = price_text(order.limit_price)
    if order.expires_at is not None:
        terms["expires_at"] = order.expires_at
    return terms


def _transfer_facts(made: Transferred, sequence: int) -> dict[str, object]:
    transfer = made.transfer
    facts: dict[str, object] = {
        "v": FORM,
        "user_id": transfer.user_id,
        "sequence": sequence,
        "key": transfer.key,
        "kind": "transfer",
        "outcome": made.outcome.value,
        "symbol": transfer.symbol,
        "amount": text_from(abs(transfer.units)),
        "balance": text_from(made.balance_units),
    }
    if made.price is not None:
        facts["prices"] = _price_facts({transfer.symbol: made.price})
    facts["at"] = made.at
    return facts


def _void_facts(voided: Voided, sequence: int) -> dict[str, object]:
    return {
        "v": FORM,
        "user_id": voided.void.user_id,
        "sequence": sequence,
        "key": voided.void.idempotency_key,
        "kind": "void",
        "outcome": voided.outcome.value,
        "at": voided.at,
    }


def _price_facts(prices: Mapping[str, Price]) -> dict[str, list[str]]:
    return {symbol: [price_text(price.value), price.at] for symbol, price in prices.items()}


def decision_from(text: str) -> Decision:
    """Reads a decision back: `text_of` of it is the same text.

    Raises:
        UnsupportedForm: a newer release wrote it.
    """
    facts: dict[str, Any] = json.loads(text)
    if facts["v"] != FORM:
        raise UnsupportedForm(f"A record has form {facts['v']}; this release reads form {FORM}. Run the release that wrote it")
    match facts["kind"]:
        case "order":
            return _order_decision(facts)
        case "transfer":
            return _transferred(facts)
        case "void":
            return Voided(Void(facts["user_id"], facts["key"]), facts["at"])
        case kind:
            raise UnsupportedForm(f"A record is of the kind {kind!r}, which this release does not read")


def _order_decision(facts: Mapping[str, Any]) -> Fill | Refusal:
    order = _order(facts)
    fee_bps, step, linked = facts.get("fee_bps"), facts.get("step"), facts.get("linked")
    circumstances = Circumstances(
        at=facts["at"],
        by=facts["by"],
        prices=_prices(facts["prices"]),
        fee_rate=0 if fee_bps is None else units_from(Decimal(fee_bps), 2),
        step_units=None if step is None else _units(step),
        linked=None if linked is None else (linked[0], linked[1]),
    )
    outcome = OrderOutcome(facts["outcome"])
    if outcome is OrderOutcome.FILLED:
        changes = facts["changes"]
        return Fill(
            order,
            circumstances,
            quantity_units=abs(_units(changes[order.symbol])),
            other_units=abs(_units(changes[order.other])),
            fee_units=_units(facts.get("fee", "0")),
            balances={symbol: _units(amount) for symbol, amount in facts["balances"].items()},
        )
    needed, held = facts.get("needed"), facts.get("held")
    return Refusal(
        order,
        circumstances,
        outcome,
        needed_units=None if needed is None else _units(needed),
        held_units=None if held is None else _units(held),
        unfunded=facts.get("unfunded", False),
        failed=facts.get("failed"),
    )


def _order(facts: Mapping[str, Any]) -> Order:
    terms = facts["terms"]
    side = Side(terms["side"])
    quantity, notional, limit_price = terms.get("quantity"), terms.get("notional"), terms.get("limit_price")
    return Order(
        user_id=facts["user_id"],
        idempotency_key=facts["key"],
        symbol=terms["symbol"],
        other=terms["pay_with" if side is Side.BUY else "receive"],
        quantity=None if quantity is None else _amount(quantity),
        notional=None if notional is None else _amount(notional),
        side=side,
        limit_price=None if limit_price is None else price_from(Decimal(limit_price)),
        expires_at=terms.get("expires_at"),
    )


def _transferred(facts: Mapping[str, Any]) -> Transferred:
    symbol = facts["symbol"]
    sign = 1 if TransferOutcome(facts["outcome"]) is TransferOutcome.FUNDED else -1
    transfer = Transfer(facts["user_id"], facts["key"], symbol, sign * _units(facts["amount"]))
    price = _prices(facts["prices"])[symbol] if "prices" in facts else None
    return Transferred(transfer, facts["at"], _units(facts["balance"]), price)


def _prices(prices: Mapping[str, tuple[str, str]]) -> dict[str, Price]:
    return {symbol: Price(price_from(Decimal(price)), at) for symbol, (price, at) in prices.items()}


def _amount(text: str) -> Amount:
    return Amount(None if text == ALL else _units(text), text)


def _units(text: str) -> int:
    return units_from(Decimal(text))

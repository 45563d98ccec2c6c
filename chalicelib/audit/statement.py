"""Whether a record agrees with itself: what the client was told, what was moved, and what the prices give.

For audits. It shares no arithmetic with what decides orders: costs are checked as inequalities, so that a mistake of the rule
book's is not repeated by its auditor.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from chalicelib.domain.account import Account, Movement, Record
from chalicelib.domain.money import UNITS_PER_ONE, text_from

_AMOUNT = r"[0-9]+\.[0-9]{8}"
_SYMBOL = r"[A-Z0-9]{1,10}"
_BUY = re.compile(rf"BUY (?P<amount>{_AMOUNT}) (?P<symbol>{_SYMBOL}) WITH (?P<pay>{_SYMBOL})")
_TRANSFER = re.compile(rf"(?P<verb>FUND|DEBIT) (?P<amount>{_AMOUNT}) (?P<symbol>{_SYMBOL})")
_NEED = re.compile(rf"Need (?P<cost>{_AMOUNT}) (?P<pay>{_SYMBOL}) but only have (?P<held>{_AMOUNT}) (?P<held_in>{_SYMBOL})")
_QUANTITY = re.compile(r"(?P<whole>[0-9]+)(?:\.(?P<decimals>[0-9]{1,8}))?")


class Misstated(Exception):
    """A record states something that is not so; the message says what."""


def check_movement(record: Record, movement: Movement, after: Account) -> None:
    """Holds a record that moved money against itself, and its reply against the account `after` it.

    Raises:
        Misstated: they do not agree.
    """
    reply = _reply(record)
    _require(record.status == HTTPStatus.OK, f"it moved money with status {record.status}")
    if order := _BUY.fullmatch(record.fingerprint):
        _check_fill(record, order, movement, after, reply)
    elif transfer := _TRANSFER.fullmatch(record.fingerprint):
        _check_transfer(record, transfer, movement, reply)
    else:
        raise Misstated(f"{record.fingerprint!r} is nothing that moves money")


def check_refusal(record: Record) -> None:
    """Holds a record that moved nothing against itself: it is a refusal, and its prices justify it.

    What the account held at that moment stands in the refusal alone: a refusal has no place in the account's sequence.

    Raises:
        Misstated: it is not, or they do not.
    """
    reply = _reply(record)
    order = _BUY.fullmatch(record.fingerprint)
    if order is None or record.status != HTTPStatus.PAYMENT_REQUIRED:
        raise Misstated(f"it moved nothing, yet it is no refusal: {record.fingerprint!r} with status {record.status}")
    _require_key(record, "order#")
    _states(reply, status=record.status, error_code="ERR_LIQUIDITY", timestamp=record.created_at)
    need = _NEED.fullmatch(str(reply.get("message")))
    if need is None or not need["pay"] == need["held_in"] == order["pay"]:
        raise Misstated(f"its message is {reply.get('message')!r}, which does not refuse {record.fingerprint!r}")
    _check_cost(record.prices, order, _units(need["cost"]))
    _require(_units(need["held"]) < _units(need["cost"]), f"{need['held']} {need['pay']} covers a cost of {need['cost']}")


def _check_fill(record: Record, order: re.Match[str], movement: Movement, after: Account, reply: Mapping[str, Any]) -> None:
    symbol, pay, units = order["symbol"], order["pay"], _units(order["amount"])
    _require_key(record, "order#")
    cost_units = -movement.changes.get(pay, 0)
    _require_changes(movement, {symbol: units, pay: -cost_units})
    _check_cost(record.prices, order, cost_units)
    _states(
        reply,
        status="ORDER_FILLED",
        symbol=symbol,
        paid_with=pay,
        total_cost=text_from(cost_units),
        remaining_balance=text_from(after.balance_units(pay)),
        executed_at=record.created_at,
        sequence=movement.sequence,
    )
    quantity = _QUANTITY.fullmatch(str(reply.get("quantity_filled")))
    _require(
        quantity is not None and _units(f"{quantity['whole']}.{quantity['decimals'] or '':0<8}") == units,
        f"its reply says quantity_filled {reply.get('quantity_filled')!r}, the order was {order['amount']}",
    )
    shown = str(reply.get("execution_price"))
    _require(re.fullmatch(_AMOUNT, shown) is not None, f"its reply says execution_price {shown!r}")
    # Half up: the exact price lies at most half a unit above what is shown, and less than that below.
    twice_off = 2 * (_units(shown) * record.prices[pay] - record.prices[symbol] * UNITS_PER_ONE)
    _require(
        -record.prices[pay] < twice_off <= record.prices[pay],
        f"its reply says execution_price {shown}, which its prices do not give",
    )


def _check_transfer(record: Record, transfer: re.Match[str], movement: Movement, reply: Mapping[str, Any]) -> None:
    symbol, units = transfer["symbol"], _units(transfer["amount"])
    funded = transfer["verb"] == "FUND"
    _require_key(record, "funding#")
    _require_changes(movement, {symbol: units if funded else -units})
    _states(reply, status="ACCOUNT_FUNDED" if funded else "ACCOUNT_DEBITED", symbol=symbol, amount=transfer["amount"])


def _check_cost(prices: Mapping[str, int], order: re.Match[str], cost_units: int) -> None:
    """The least cost that is not in the buyer's favour: one unit less would be."""
    _require(prices.keys() == {order["symbol"], order["pay"]} and min(prices.values()) > 0, f"it holds the prices {dict(prices)}")
    value = _units(order["amount"]) * prices[order["symbol"]]
    pay_price = prices[order["pay"]]
    _require(
        (cost_units - 1) * pay_price < value <= cost_units * pay_price,
        f"it cost {text_from(cost_units)} {order['pay']}, which its quantity and prices do not give",
    )


def _reply(record: Record) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        reply = json.loads(record.reply)
        if isinstance(reply, dict):
            return reply
    raise Misstated("its reply is no JSON object")


def _states(reply: Mapping[str, Any], **expected: object) -> None:
    for name, value in expected.items():
        _require(reply.get(name) == value, f"its reply says {name} {reply.get(name)!r}, the record gives {value!r}")


def _require_key(record: Record, prefix: str) -> None:
    _require(record.key.startswith(prefix), f"{record.fingerprint!r} may not stand under the key {record.key!r}")


def _require_changes(movement: Movement, expected: Mapping[str, int]) -> None:
    _require(dict(movement.changes) == expected, f"it moved {dict(movement.changes)} units, what it stands for is {expected}")


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001
    if not holds:
        raise Misstated(otherwise)


def _units(amount: str) -> int:
    """Units in an amount with 8 decimals, as the engine writes all of them."""
    return int(amount.replace(".", ""))

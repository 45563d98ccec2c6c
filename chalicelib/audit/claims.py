"""Claims of a decision, held against its prices, its terms and the account as it was at that moment."""

from collections.abc import Mapping

from chalicelib.audit.arithmetic import (
    buy_rounds_badly,
    is_beyond,
    is_cost,
    is_fee,
    is_gross,
    largest_quantity,
    net_proceeds,
    sell_rounds_badly,
    total_cost,
)
from chalicelib.audit.reader import EXPIRED, LIQUIDITY, MAX_BALANCE_UNITS, Fill, Order, Refusal, Transfer
from chalicelib.domain.money import text_from

Balances = Mapping[str, int]

_FOR_ANOTHER = "it was refused for another order"


class Misstated(Exception):
    """A record claims something that does not hold; the message says what."""


def check_fill(fill: Fill, at: str, balances: Balances) -> None:
    """Checks a fill. `balances`: before it.

    Raises:
        Misstated: its terms, its prices or the account do not give what it claims.
    """
    order = fill.order
    symbol, other, prices, rate = order.symbol, order.other, (order.symbol_price, order.other_price), order.fee_rate
    if order.buys:
        quantity, total = fill.symbol_change, -fill.other_change
        cost = total - fill.fee
        if quantity <= 0 or not is_cost(cost, quantity, *prices):
            raise Misstated(f"it cost {text_from(cost)} {other} before its fee, which its quantity and prices do not give")
        if not is_fee(fill.fee, cost, rate):
            raise Misstated(f"its fee is {text_from(fill.fee)} {other}, which its cost and rate do not give")
        if buy_rounds_badly(total, quantity, *prices, rate):
            raise Misstated("rounding cost more than 1 % of its value: no order is filled so")
        _check_quantity(order, quantity, total, balances)
    else:
        quantity, net = -fill.symbol_change, fill.other_change
        if quantity <= 0 or not is_gross(net + fill.fee, quantity, *prices):
            gross = text_from(net + fill.fee)
            raise Misstated(f"it brought {gross} {other} before its fee, which its quantity and prices do not give")
        if not is_fee(fill.fee, net + fill.fee, rate):
            raise Misstated(f"its fee is {text_from(fill.fee)} {other}, which its proceeds and rate do not give")
        if sell_rounds_badly(net, quantity, *prices, rate):
            raise Misstated("rounding cost more than 1 % of its value: no order is filled so")
        _check_quantity(order, quantity, 0, balances)
    _check_open(order, at)
    if _limit_passed(order):
        raise Misstated("it was filled though the market was beyond its limit")
    _check_balance(symbol, fill.symbol_change, fill.symbol_balance, balances)
    _check_balance(other, fill.other_change, fill.other_balance, balances)


def check_refusal(refusal: Refusal, at: str, balances: Balances) -> None:
    """Checks a refusal. `balances`: at that moment.

    Raises:
        Misstated: there was no such reason to refuse the order.
    """
    order = refusal.order
    held = balances.get(order.given, 0)
    nothing = order.takes_all and held == 0
    if refusal.outcome == LIQUIDITY:
        _check_shortage(refusal, held, funded=bool(balances))
        if not nothing:
            _check_open(order, at)
            if _limit_passed(order):
                raise Misstated("it was refused for lack of funds, though the market was beyond its limit, which comes first")
        return
    if nothing:
        raise Misstated(f"it offers all of no {order.given}, which is refused for lack of funds before anything else")
    if refusal.outcome == EXPIRED:
        if order.expires_at is None or at <= order.expires_at:
            raise Misstated(f"it was refused as expired at {at}, but {_expiry(order)}")
        return
    _check_open(order, at)
    if not _limit_passed(order):
        raise Misstated("it was refused for its limit, though the market was not beyond it")


def changes_of(order: Order, at: str, balances: Balances) -> dict[str, int]:
    """Works out what an order that was refused for another one would have changed, by symbol. `balances`: before it.

    Raises:
        Misstated: it would not have been filled, so it had a reason of its own.
    """
    held = balances.get(order.given, 0)
    if order.takes_all and held == 0:
        raise Misstated(f"{_FOR_ANOTHER}, though it offers all of no {order.given}")
    _check_open(order, at)
    if _limit_passed(order):
        raise Misstated(f"{_FOR_ANOTHER}, though the market was beyond its own limit")
    prices, rate = (order.symbol_price, order.other_price), order.fee_rate
    if order.buys:
        if order.step is not None:
            quantity = largest_quantity(held if order.notional is None else order.notional, order.step, *prices, rate)
        else:
            assert order.quantity is not None, "a buy without a notional has a quantity"
            quantity = order.quantity
        gives, takes = total_cost(quantity, *prices, rate), quantity
        badly = quantity == 0 or buy_rounds_badly(gives, quantity, *prices, rate)
    else:
        gives = quantity = held if order.quantity is None else order.quantity
        takes = net_proceeds(quantity, *prices, rate)
        badly = sell_rounds_badly(takes, quantity, *prices, rate)
    if badly:
        raise Misstated("it is so small that it would not have been decided: rounding costs more than 1 % of its value")
    if gives > held:
        needed = text_from(gives)
        raise Misstated(f"{_FOR_ANOTHER}, though it needed {needed} {order.given} of its own, and {text_from(held)} were there")
    received = order.symbol if order.buys else order.other
    if balances.get(received, 0) + takes > MAX_BALANCE_UNITS:
        raise Misstated(f"it would not have been decided: it leaves more {received} than an account may hold")
    return {order.given: -gives, received: takes}


def check_transfer(transfer: Transfer, balances: Balances) -> None:
    """Checks a transfer. `balances`: before it.

    Raises:
        Misstated: the account does not give the balance that it claims.
    """
    _check_balance(transfer.symbol, transfer.units, transfer.balance, balances)


def _check_shortage(refusal: Refusal, held: int, *, funded: bool) -> None:
    order = refusal.order
    if refusal.held != held:
        claimed = text_from(refusal.held)
        raise Misstated(f"it says that the account held {claimed} {order.given}, its records give {text_from(held)}")
    if refusal.unfunded == funded:
        raise Misstated("it says that nobody funded the account" if funded else "it does not say that nobody funded the account")
    needed = refusal.needed
    if needed is None:
        if not order.takes_all or held:
            raise Misstated("it does not say what the order needed")
        return
    if order.takes_all and not held:
        raise Misstated(f"it needed {text_from(needed)} {order.given}, though it offers all of nothing")
    if needed <= held:
        raise Misstated(f"it needed {text_from(needed)} {order.given}, which the balance of {text_from(held)} covers")
    if not _gives(order, needed, held):
        raise Misstated(f"it needed {text_from(needed)} {order.given}, which its terms and prices do not give")


def _gives(order: Order, needed: int, held: int) -> bool:
    """Returns whether an order's terms and prices give the amount that a refusal says it needed."""
    if not order.buys:
        return needed == (held if order.quantity is None else order.quantity)
    prices = order.symbol_price, order.other_price
    if order.step is None:
        return order.quantity is not None and needed == total_cost(order.quantity, *prices, order.fee_rate)
    # The refusal does not name the quantity: it is the largest that costs what was needed.
    quantity = largest_quantity(needed, order.step, *prices, order.fee_rate)
    notional = held if order.notional is None else order.notional
    return (
        quantity > 0
        and total_cost(quantity, *prices, order.fee_rate) == needed <= notional
        and total_cost(quantity + order.step, *prices, order.fee_rate) > notional
    )


def _check_quantity(order: Order, quantity: int, total: int, balances: Balances) -> None:
    """Checks that a fill's quantity is the one that its terms ask for. `total`: a buy's cost with its fee."""
    if order.step is None:
        ordered = balances.get(order.symbol, 0) if order.quantity is None else order.quantity
        if quantity != ordered:
            raise Misstated(f"it is for {text_from(quantity)} {order.symbol}, the order was for {text_from(ordered)}")
        return
    notional = balances.get(order.other, 0) if order.notional is None else order.notional
    if total > notional:
        raise Misstated(f"it cost {text_from(total)} {order.other}, more than the {text_from(notional)} to be spent")
    if quantity % order.step:
        raise Misstated(f"it bought {text_from(quantity)} {order.symbol}, not a multiple of {text_from(order.step)}")
    if total_cost(quantity + order.step, order.symbol_price, order.other_price, order.fee_rate) <= notional:
        raise Misstated(f"it bought {text_from(quantity)} {order.symbol}, and {text_from(notional)} {order.other} buy more")


def _check_open(order: Order, at: str) -> None:
    # Both are in UTC with microseconds: text order is time.
    if order.expires_at is not None and at > order.expires_at:
        raise Misstated(f"it was decided at {at}, though {_expiry(order)}")


def _limit_passed(order: Order) -> bool:
    limit = order.limit_price
    return limit is not None and is_beyond(limit, order.symbol_price, order.other_price, buys=order.buys)


def _check_balance(symbol: str, change: int, claimed: int, balances: Balances) -> None:
    """Checks that a change leaves the balance that a record claims, which is never below zero nor too large."""
    after = balances.get(symbol, 0) + change
    if after < 0:
        raise Misstated(f"it leaves {text_from(after)} {symbol}")
    if after != claimed:
        raise Misstated(f"it says that {text_from(claimed)} {symbol} were left, its records give {text_from(after)}")
    if change > 0 and after > MAX_BALANCE_UNITS:
        raise Misstated(f"it leaves {text_from(after)} {symbol}, more than an account may hold")


def _expiry(order: Order) -> str:
    return "the order does not expire" if order.expires_at is None else f"the order expires at {order.expires_at}"

"""The rule book: what an order does to an account at given prices. Every rule is here, in the contract's order; no I/O.

Every rounding is against the client, each figure once: a buy's cost up, a sell's gross proceeds down, the fee up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.account import Account
from chalicelib.domain.asset import RATE_PER_ONE, UNIT_OF_ACCOUNT, Asset
from chalicelib.domain.facts import Circumstances, Fill, OrderOutcome, Price, Refusal
from chalicelib.domain.money import MAX_BALANCE_UNITS, PRICE_PER_USD, divide_up, text_from
from chalicelib.domain.order import Order, Side
from chalicelib.domain.refusals import BrokenRule, HaltedAsset, StalePrice, UnknownAsset
from chalicelib.domain.timestamps import rfc3339


@dataclass(frozen=True, slots=True)
class Trade:
    """An order's figures at given prices, in units: `other_units` is a buy's total cost or a sell's proceeds, after the fee."""

    symbol: Asset
    other: Asset
    fee_rate: int
    quantity_units: int
    other_units: int
    fee_units: int


def decide(  # noqa: PLR0917
    order: Order, account: Account, market: Mapping[str, Asset], at: datetime, by: str, price_stale_s: int | None = None
) -> Fill | Refusal:
    """Fills the order, or refuses it for good. Nothing has happened until the ledger has stored it.

    `price_stale_s`: the age in seconds above which a price decides nothing; `None` for no limit.

    Raises:
        UnknownAsset, HaltedAsset, StalePrice, BrokenRule: nothing is decided.
    """
    symbol, other = _tradable(order, market)
    if price_stale_s is not None:
        _check_age((symbol, other), at, price_stale_s)
    fee_rate = max(symbol.fee_rate, other.fee_rate)
    circumstances = Circumstances(
        at=rfc3339(at),
        by=by,
        prices={asset.symbol: Price(asset.price, asset.price_at) for asset in (symbol, other)},
        fee_rate=fee_rate,
        step_units=None if order.notional is None else symbol.quantity_step_units,
    )
    held_units = account.balance_units(order.given)
    unfunded = not account.balances

    if order.amount.units is None and held_units == 0:
        return Refusal(order, circumstances, OrderOutcome.LIQUIDITY, None, held_units, unfunded)
    trade = _trade(order, held_units, symbol, other, fee_rate)
    _check_rules(order, account, trade)
    if order.expires_at is not None and circumstances.at > order.expires_at:  # both in UTC with microseconds: text order is time
        return Refusal(order, circumstances, OrderOutcome.EXPIRED)
    if order.limit_price is not None and _beyond(order.limit_price, order.side, symbol.price, other.price):
        return Refusal(order, circumstances, OrderOutcome.PRICE_LIMIT)
    given_units = trade.other_units if order.side is Side.BUY else trade.quantity_units
    if given_units > held_units:
        return Refusal(order, circumstances, OrderOutcome.LIQUIDITY, given_units, held_units, unfunded)

    # After this point it must succeed.
    received_units = trade.quantity_units if order.side is Side.BUY else trade.other_units
    after = {order.given: held_units - given_units, order.received: account.balance_units(order.received) + received_units}
    return Fill(
        order,
        circumstances,
        quantity_units=trade.quantity_units,
        other_units=trade.other_units,
        fee_units=trade.fee_units,
        balances={order.symbol: after[order.symbol], order.other: after[order.other]},
    )


def _tradable(order: Order, market: Mapping[str, Asset]) -> tuple[Asset, Asset]:
    symbols = (order.symbol, order.other)
    unknown = [symbol for symbol in symbols if symbol not in market]
    if unknown:
        raise UnknownAsset(unknown)
    halted = [symbol for symbol in symbols if market[symbol].halted]
    if halted:
        raise HaltedAsset(halted)
    return market[order.symbol], market[order.other]


def _check_age(assets: Iterable[Asset], at: datetime, max_age_s: int) -> None:
    """Raises `StalePrice` where a price was set longer ago than it is taken. The unit of account is always at 1."""
    oldest = rfc3339(at - timedelta(seconds=max_age_s))  # in UTC with microseconds, as `price_at` is: text order is time
    stale = {asset.symbol: asset.price_at for asset in assets if asset.symbol != UNIT_OF_ACCOUNT and asset.price_at < oldest}
    if stale:
        raise StalePrice(stale, max_age_s)


def _trade(order: Order, held_units: int, symbol: Asset, other: Asset, fee_rate: int) -> Trade:
    """Works out an order's figures. ``"all"`` is the whole of `held_units`."""
    units = held_units if order.amount.units is None else order.amount.units
    if order.side is Side.SELL:
        gross_units = units * symbol.price // other.price
        fee_units = divide_up(gross_units * fee_rate, RATE_PER_ONE)
        return Trade(symbol, other, fee_rate, units, gross_units - fee_units, fee_units)
    if order.notional is not None:
        # The largest quantity on the step whose cost and fee the notional covers.
        before_fee_units = units * RATE_PER_ONE // (RATE_PER_ONE + fee_rate)
        units = before_fee_units * other.price // symbol.price
        units -= units % symbol.quantity_step_units
    cost_units = divide_up(units * symbol.price, other.price)
    fee_units = divide_up(cost_units * fee_rate, RATE_PER_ONE)
    return Trade(symbol, other, fee_rate, units, cost_units + fee_units, fee_units)


def _check_rules(order: Order, account: Account, trade: Trade) -> None:
    """Raises `BrokenRule` for the first trading rule that the order breaks."""
    symbol, units = trade.symbol, trade.quantity_units
    field = "quantity" if order.notional is None else "notional"
    of_balance = order.amount.units is None

    def broken(rule: str, message: str, *, needs_account: bool = of_balance) -> BrokenRule:
        return BrokenRule(field, rule, message, needs_account=needs_account)

    if order.notional is not None or not of_balance:
        step_units = symbol.quantity_step_units
        if units == 0:
            raise broken("quantity_step", f"buys less than one step of {text_from(step_units)} {symbol.symbol}")
        if units % step_units:
            raise broken("quantity_step", f"must be a multiple of {text_from(step_units)} {symbol.symbol}")
        if units < symbol.min_quantity_units:
            least = text_from(symbol.min_quantity_units)
            raise broken(
                "min_quantity", f"must be at least {least} {symbol.symbol}, not {text_from(units)}: {_suggestion(trade)}"
            )
        least_usd_units = max(symbol.min_notional_usd_units, trade.other.min_notional_usd_units)
        value = units * symbol.price
        if order.notional is not None:
            value = (account.balance_units(order.other) if of_balance else order.amount.units or 0) * trade.other.price
        if value < least_usd_units * PRICE_PER_USD:
            raise broken("min_notional_usd", f"must be worth at least {text_from(least_usd_units)} USD: {_suggestion(trade)}")
    if _rounds_badly(order.side, trade):
        raise broken("rounding", f"is so small that rounding would cost more than 1 % of its value: {_suggestion(trade)}")
    received_units = units if order.side is Side.BUY else trade.other_units
    if account.balance_units(order.received) + received_units > MAX_BALANCE_UNITS:
        most = text_from(MAX_BALANCE_UNITS)
        raise broken("size", f"would leave more than {most} {order.received} in the account", needs_account=True)


def _rounds_badly(side: Side, trade: Trade) -> bool:
    """Returns whether rounding, the fee's included, costs over 1 % of the exact value before fee, or a sale brings nothing."""
    exact = trade.quantity_units * trade.symbol.price
    moved = trade.other_units * trade.other.price * RATE_PER_ONE
    if side is Side.BUY:
        return 100 * (moved - exact * (RATE_PER_ONE + trade.fee_rate)) > exact * RATE_PER_ONE
    return trade.other_units == 0 or 100 * (exact * (RATE_PER_ONE - trade.fee_rate) - moved) > exact * RATE_PER_ONE


def _suggestion(trade: Trade) -> str:
    """Names a quantity from which on every one on the step passes the rules about size."""
    symbol, other = trade.symbol, trade.other
    least_usd_units = max(symbol.min_notional_usd_units, other.min_notional_usd_units)
    smallest = 100 if trade.fee_rate == 0 else 210
    units = max(
        symbol.min_quantity_units,
        divide_up(least_usd_units * PRICE_PER_USD, symbol.price),
        divide_up(smallest * other.price, symbol.price),
    )
    units = divide_up(units, symbol.quantity_step_units) * symbol.quantity_step_units
    return f"{text_from(units)} {symbol.symbol} or more is enough"


def _beyond(limit_price: int, side: Side, symbol_price: int, other_price: int) -> bool:
    """Returns whether the market's price is worse than the limit: compared exactly, before rounding and fee."""
    market, limit = symbol_price * PRICE_PER_USD, limit_price * other_price
    return market > limit if side is Side.BUY else market < limit

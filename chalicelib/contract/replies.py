"""Replies as JSON text. A decision's reply is rendered from its facts alone, so every replay has the same bytes."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from chalicelib.contract.errors import (
    EngineError,
    InsufficientFunds,
    LinkedOrderFailed,
    OrderExpired,
    OrderVoided,
    PriceLimitExceeded,
)
from chalicelib.domain.asset import Asset, fee_bps_text, max_move_text
from chalicelib.domain.candle import Candle
from chalicelib.domain.facts import Fill, OrderOutcome, Refusal, Transferred, Voided
from chalicelib.domain.history import Page
from chalicelib.domain.money import UNITS_PER_ONE, divide_half_up, price_text, quotient_text, text_from
from chalicelib.domain.order import Side
from chalicelib.domain.portfolio import Portfolio, Position
from chalicelib.domain.position import net_deposits_units
from chalicelib.domain.record import Record
from chalicelib.domain.timestamps import rfc3339

UNITS_PER_CENT = UNITS_PER_ONE // 100
SHARE_DECIMALS = 4
NOT_IN_A_PREVIEW = frozenset({"timestamp", "executed_at", "executed_by_thread", "sequence"})


def reply_of(record: Record) -> tuple[int, str]:
    """Returns a stored decision's reply: its status and its body."""
    match record.decision:
        case Fill() as fill:
            return HTTPStatus.OK.value, _fill_body(fill, record.sequence)
        case Transferred() as made:
            return HTTPStatus.OK.value, _transfer_body(made, record.sequence)
        case Voided() as voided:
            return HTTPStatus.OK.value, _void_body(voided, record.sequence)
        case Refusal() as refusal:
            error = _error(refusal)
            return error.status, error.body(refusal.at)


def _fill_body(fill: Fill, sequence: int) -> str:
    order, prices = fill.order, fill.circumstances.prices
    buys = order.side is Side.BUY
    echo = text_from(fill.quantity_units) if order.quantity is None or order.quantity.units is None else order.quantity.text
    return json.dumps(
        {
            "status": fill.outcome.value,
            "symbol": order.symbol,
            "quantity_filled": echo,
            "execution_price": quotient_text(prices[order.symbol].value, prices[order.other].value),
            "total_cost" if buys else "total_proceeds": text_from(fill.other_units),
            "paid_with" if buys else "received": order.other,
            "remaining_balance": text_from(fill.balances[order.given]),
            "executed_at": fill.at,
            "executed_by_thread": fill.circumstances.by,
            "side": order.side.value,
            "fee": text_from(fill.fee_units),
            "balances": {symbol: text_from(units) for symbol, units in fill.balances.items()},
            "sequence": sequence,
        }
    )


def _transfer_body(made: Transferred, sequence: int) -> str:
    return json.dumps(
        {
            "status": made.outcome.value,
            "symbol": made.transfer.symbol,
            "amount": text_from(abs(made.transfer.units)),
            "balance": text_from(made.balance_units),
            "sequence": sequence,
        }
    )


def _void_body(voided: Voided, sequence: int) -> str:
    return json.dumps(
        {
            "status": voided.outcome.value,
            "idempotency_key": voided.void.idempotency_key,
            "voided_at": voided.at,
            "sequence": sequence,
        }
    )


def order_reply_of(record: Record) -> tuple[int, str]:
    """Returns the reply to an order: that of its stored decision, or of the void that came before it."""
    if isinstance(record.decision, Voided):
        error = OrderVoided(record.decision.at)
        return error.status, error.body(record.decision.at)
    return reply_of(record)


def record_body(record: Record) -> dict[str, object]:
    """Returns a record as the history shows it: the facts, the reply made of them, the exact text and the chain's value."""
    status, reply = reply_of(record)
    facts = json.loads(record.text)
    shown: dict[str, object] = {"sequence": record.sequence, "idempotency_key": facts["key"], "kind": facts["kind"]}
    match record.decision:
        case Transferred():
            shown["transfer"] = {"symbol": facts["symbol"], "amount": facts["amount"]}
        case Fill() | Refusal():
            shown["order"] = facts["terms"]
        case Voided():
            pass
    return shown | {
        "outcome": facts["outcome"],
        "status": status,
        "decided_at": facts["at"],
        "reply": json.loads(reply),
        "record": record.text,
        "head": record.head.hex(),
    }


def history_body(page: Page) -> str:
    """Returns a page of an account's history as JSON text."""
    missing = {"missing": page.missing} if page.missing else {}
    return json.dumps(
        {"records": [record_body(record) for record in page.records], "next": page.next, "sequence": page.sequence, **missing}
    )


def preview_body(would: str, status: int, reply: str) -> str:
    """Returns what an order would be answered now, without what only an execution has."""
    shown = {name: value for name, value in json.loads(reply).items() if name not in NOT_IN_A_PREVIEW}
    return json.dumps({"would": would, "status": status, "reply": shown})


def _error(refusal: Refusal) -> EngineError:
    order = refusal.order
    match refusal.outcome:
        case OrderOutcome.LIQUIDITY:
            needed_units, held_units = refusal.needed_units, refusal.held_units
            assert held_units is not None, "a refusal for lack of funds contains the balance"
            needed = None if needed_units is None else text_from(needed_units)
            return InsufficientFunds(needed, text_from(held_units), order.given, unfunded=refusal.unfunded)
        case OrderOutcome.EXPIRED:
            assert order.expires_at is not None, "only an order with an expiry expires"
            return OrderExpired(order.expires_at)
        case OrderOutcome.PRICE_LIMIT:
            assert order.limit_price is not None, "only an order with a limit breaks it"
            prices = refusal.circumstances.prices
            price = quotient_text(prices[order.symbol].value, prices[order.other].value)
            return PriceLimitExceeded(price, price_text(order.limit_price), order.symbol, order.other)
        case OrderOutcome.LINKED:
            assert refusal.failed is not None, "a linked refusal names the order that failed"
            return LinkedOrderFailed(refusal.failed)
        case OrderOutcome.FILLED:
            raise AssertionError("a fill is not a refusal")


def portfolio_body(portfolio: Portfolio) -> str:
    """Returns a portfolio as JSON text. An unlisted asset has `null` for price, value, gain and share, never 0."""
    account, positions = portfolio.account, portfolio.positions
    return json.dumps(
        {
            "user_id": account.user_id,
            "total_valuation_usd": text_from(divide_half_up(portfolio.total_units, UNITS_PER_CENT), decimals=2),
            "holdings": {symbol: text_from(position.quantity_units) for symbol, position in positions.items()},
            "usd_values": {symbol: _optional(position.value_units) for symbol, position in positions.items()},
            "sequence": account.sequence,
            "head": account.head.hex(),
            "valued_at": rfc3339(portfolio.valued_at),
            "net_deposits_usd": text_from(net_deposits_units(account.books)),
            "positions": {symbol: _position(position, portfolio.total_units) for symbol, position in positions.items()},
            "realized_pl_usd": text_from(account.books.realized_pl_units),
        }
    )


def _position(position: Position, total_units: int) -> dict[str, str | None]:
    quantity_units, basis_units, value_units, asset = (
        position.quantity_units,
        position.cost_basis_units,
        position.value_units,
        position.asset,
    )
    share = None
    if value_units is not None and total_units:
        share = text_from(divide_half_up(value_units * 10**SHARE_DECIMALS, total_units), SHARE_DECIMALS)
    return {
        "quantity": text_from(quantity_units),
        "price": None if asset is None else price_text(asset.price),
        "price_at": None if asset is None else asset.price_at,
        "value_usd": _optional(value_units),
        "cost_basis_usd": text_from(basis_units),
        "average_price_usd": quotient_text(basis_units, quantity_units) if quantity_units else None,
        "unrealized_pl_usd": None if value_units is None else text_from(value_units - basis_units),
        "share": share,
    }


def _optional(units: int | None) -> str | None:
    return None if units is None else text_from(units)


def assets_body(assets: Sequence[Asset]) -> str:
    """Returns the list of assets as JSON text."""
    return json.dumps([_asset(asset) for asset in assets])


def asset_body(asset: Asset) -> str:
    """Returns one asset as an operator sees it, with its guard, as JSON text."""
    return json.dumps(_asset(asset) | {"max_move": max_move_text(asset.max_move)})


def candles_body(candles: Sequence[Candle]) -> str:
    """Returns a chart as JSON text."""
    return json.dumps(
        [
            {
                "at": rfc3339(candle.at),
                "open": price_text(candle.open),
                "high": price_text(candle.high),
                "low": price_text(candle.low),
                "close": price_text(candle.close),
            }
            for candle in candles
        ]
    )


def _asset(asset: Asset) -> dict[str, object]:
    return {
        "symbol": asset.symbol,
        "price": price_text(asset.price),
        "price_at": asset.price_at,
        "halted": asset.halted,
        "min_quantity": text_from(asset.min_quantity_units),
        "quantity_step": text_from(asset.quantity_step_units),
        "min_notional_usd": text_from(asset.min_notional_usd_units),
        "fee_bps": fee_bps_text(asset.fee_rate),
    }

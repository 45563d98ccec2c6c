"""Orders, assets and accounts as these tests write them: amounts and prices as text."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chalicelib.domain.account import Account
from chalicelib.domain.asset import Asset
from chalicelib.domain.money import price_from, units_from
from chalicelib.domain.order import ALL, Amount, Order, Side
from chalicelib.domain.position import Books

AT = datetime(2026, 1, 1, 12, 0, 0, 7, tzinfo=UTC)
AT_TEXT = "2026-01-01T12:00:00.000007Z"
BEFORE = "2026-01-01T12:00:00.000006Z"
AFTER = "2026-01-01T12:00:00.000008Z"
PRICE_AT = "2026-01-01T11:59:59.500000Z"


def units(text: str) -> int:
    return units_from(Decimal(text))


def amount(text: str) -> Amount:
    return Amount(None if text == ALL else units(text), text)


def asset(symbol: str, price_usd: str, **rules: Any) -> Asset:
    return Asset(symbol, price_from(Decimal(price_usd)), PRICE_AT, **rules)


def market(*assets: Asset) -> dict[str, Asset]:
    return {each.symbol: each for each in assets}


def account(**balances: str) -> Account:
    """An account with a history of three decisions. What its assets cost is left out."""
    return Account(7, Books({symbol: units(text) for symbol, text in balances.items()}, {}, 0), sequence=3, head=b"third")


def buy(quantity: str, symbol: str = "BTC", pay_with: str = "USD", **terms: Any) -> Order:
    return Order(7, "k", symbol, pay_with, quantity=amount(quantity), **_read(terms))


def spend(notional: str, symbol: str = "BTC", pay_with: str = "USD", **terms: Any) -> Order:
    """A buy by what it spends."""
    return Order(7, "k", symbol, pay_with, notional=amount(notional), **_read(terms))


def sell(quantity: str, symbol: str = "BTC", receive: str = "USD", **terms: Any) -> Order:
    return Order(7, "k", symbol, receive, quantity=amount(quantity), side=Side.SELL, **_read(terms))


def _read(terms: dict[str, Any]) -> dict[str, Any]:
    limit_price = terms.get("limit_price")
    return terms if limit_price is None else terms | {"limit_price": price_from(Decimal(limit_price))}


SEED = market(asset("BTC", "50000"), asset("ETH", "3000"), asset("SOL", "100"), asset("USD", "1"))

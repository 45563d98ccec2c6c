"""Both clients against an engine: orders, accounts, the market, the operator's part."""

from decimal import Decimal
from pathlib import Path

import pytest

from hft_client import (
    AssetHalted,
    AssetNotFound,
    Client,
    FileHeads,
    Fill,
    IdempotencyKeyReused,
    InsufficientFunds,
    LinkedOrderFailed,
    Order,
    OrderDecided,
    OrderExpired,
    OrderNotFound,
    OrderRuleBroken,
    OrderVoided,
    PriceLimitExceeded,
    TransferOverdraws,
    ValidationFailed,
)
from tests.client.conftest import MakeClient
from tests.support.market import Market, new_key


@pytest.fixture
def client(client_of: MakeClient, moto_market: Market) -> Client:
    return client_of(moto_market.new_user(USD="100000"))


def test_it_buys_a_quantity_spends_an_amount_and_sells_all(client: Client) -> None:
    bought = client.buy("BTC", Decimal("0.5"))
    spent = client.buy("BTC", spend=250)
    sold = client.sell("BTC", "all", limit_price="49000")

    assert (bought.side, bought.quantity_filled, bought.total_cost, bought.paid_with) == (
        "buy",
        Decimal("0.5"),
        Decimal(25_000),
        "USD",
    )
    assert (spent.quantity_filled, spent.total_cost, spent.replayed) == (Decimal("0.005"), Decimal(250), False)
    assert (sold.side, sold.total_proceeds, sold.received, sold.total_cost) == ("sell", Decimal(25_250), "USD", None)
    assert sold.balances == {"BTC": 0, "USD": 100_000}
    assert (bought.sequence, spent.sequence, sold.sequence) == (2, 3, 4)
    assert bought.executed_at.utcoffset() is not None


def test_the_same_key_is_the_same_fill(client: Client) -> None:
    order = Order.buy("ETH", "1")

    first, again = client.execute(order), client.execute(order)

    assert first == again
    assert (first.replayed, again.replayed) == (False, True)
    with pytest.raises(IdempotencyKeyReused):
        client.buy("ETH", "2", key=order.key)


def test_every_refusal_and_rejection_has_its_class(client: Client) -> None:
    client.void(voided := new_key())

    for error, order in [
        (InsufficientFunds, Order.buy("BTC", 500)),
        (PriceLimitExceeded, Order.buy("BTC", 1, limit_price=1)),
        (OrderExpired, Order.buy("BTC", 1, expires_at="2020-01-01T00:00:00Z")),
        (OrderVoided, Order.buy("BTC", 1, key=voided)),
        (AssetNotFound, Order.buy("NOPE", 1)),
        (OrderRuleBroken, Order.buy("BTC", "0.00000001", pay_with="ETH")),
        (ValidationFailed, Order.buy("BTC", "-1")),
    ]:
        with pytest.raises(error) as raised:
            client.execute(order)
        assert (raised.value.key, raised.value.status) == (order.key, error.expected_status)
        assert raised.value.request_id


def test_a_preview_is_a_fill_or_an_error_and_stores_nothing(client: Client) -> None:
    fills, refused, rejected = (client.preview(Order.buy(symbol, size)) for symbol, size in [("BTC", 1), ("BTC", 9), ("NOPE", 1)])

    assert fills.fill is not None
    assert (fills.would, fills.fill.total_cost, fills.error) == ("ORDER_FILLED", Decimal(50_000), None)
    assert (refused.fill, type(refused.error), type(rejected.error)) == (None, InsufficientFunds, AssetNotFound)
    assert client.portfolio().sequence == 1


def test_a_batch_has_a_result_for_each_order(client: Client) -> None:
    results = client.batch([Order.buy("ETH", 1), Order.buy("BTC", 500), Order.buy("NOPE", 1)])

    assert [type(result.outcome) for result in results] == [Fill, InsufficientFunds, AssetNotFound]
    assert results[0].get().sequence == 2


def test_all_or_nothing_fills_all_or_none(client: Client) -> None:
    refused = client.batch([Order.buy("ETH", 1), Order.buy("BTC", 500)], all_or_nothing=True)
    filled = client.batch(orders := [Order.buy("ETH", 1), Order.buy("BTC", 1)], all_or_nothing=True)
    again = client.batch(orders, all_or_nothing=True)

    assert [type(result.outcome) for result in refused] == [LinkedOrderFailed, InsufficientFunds]
    assert [result.get() for result in filled] == [result.get() for result in again]
    with pytest.raises(AssetNotFound):
        client.batch([Order.buy("ETH", 1), Order.buy("NOPE", 1)], all_or_nothing=True)
    with pytest.raises(OrderDecided):
        client.batch([orders[0], Order.buy("ETH", 1)], all_or_nothing=True)


def test_an_order_is_looked_up_or_voided(client: Client) -> None:
    fill = client.buy("BTC", "0.1")
    with pytest.raises(OrderNotFound):
        client.order("unused")
    voided = client.void('of all kinds: "quoted" & %2F/?')

    assert client.order(fill.key).fill == fill
    assert client.order(voided.idempotency_key).kind == "void"
    assert client.void(voided.idempotency_key) == voided
    with pytest.raises(OrderDecided) as raised:
        client.void(fill.key)
    assert raised.value.record is not None
    assert raised.value.record.fill == fill


def test_the_history_is_walked_both_ways_over_pages(client: Client) -> None:
    for _ in range(2):
        client.batch([Order.buy("ETH", "0.01") for _ in range(99)])

    newest, oldest = list(client.history()), list(client.history(after=0))

    assert [record.sequence for record in oldest] == list(range(1, 200))
    assert newest == oldest[::-1]
    assert [record.sequence for record in client.history(limit=101)] == list(range(199, 98, -1))
    assert [record.sequence for record in client.history(before=5, limit=2)] == [4, 3]
    assert list(client.history(after=199)) == []


def test_a_history_is_verified_and_the_next_time_from_there(client_of: MakeClient, moto_market: Market, tmp_path: Path) -> None:
    heads = FileHeads(tmp_path / "heads.json")
    client = client_of(moto_market.new_user(USD="100000"), heads=heads)
    client.batch([Order.buy("ETH", "0.01") for _ in range(99)])
    client.buy("ETH", 1)

    verified = client.verify()
    client.buy("ETH", 1)
    again = client.verify()

    assert (verified.sequence, again.sequence) == (101, 102)
    assert again.head == client.portfolio().head
    assert heads.last_verified(client.user_id) == again


def test_the_portfolio_is_exact(client: Client) -> None:
    client.buy("BTC", "0.3")

    portfolio = client.portfolio()

    assert portfolio.total_valuation_usd == portfolio.net_deposits_usd == 100_000
    assert portfolio.holdings == {"BTC": Decimal("0.3"), "USD": 85_000}
    btc = portfolio.positions["BTC"]
    assert (btc.cost_basis_usd, btc.average_price_usd, btc.unrealized_pl_usd, btc.share) == (
        Decimal(15_000),
        Decimal(50_000),
        Decimal(0),
        Decimal("0.15"),
    )


def test_the_market_is_read(client: Client) -> None:
    btc = next(asset for asset in client.assets() if asset.symbol == "BTC")

    assert (btc.price, btc.halted, btc.fee_bps, btc.max_move) == (Decimal(50_000), False, Decimal(0), None)
    assert [candle.close for candle in client.candles("BTC", limit=1)] == [50_000]
    with pytest.raises(AssetNotFound):
        client.candles("NOPE")


def test_the_operator_sets_prices_lists_assets_and_moves_money(client_of: MakeClient, moto_market: Market) -> None:
    operator, symbol = client_of(None), f"C{moto_market.new_user() % 10**8}"
    asset = operator.list_asset(symbol, "2", fee_bps="10", max_move="0.5")
    trader = operator.for_user(moto_market.new_user())

    assert (asset.price, asset.fee_bps, asset.max_move) == (Decimal(2), Decimal(10), Decimal("0.5"))
    assert operator.set_prices({symbol: "2.5", "NOPE": 1}, source="a test") == {symbol: "set", "NOPE": "unknown"}
    assert operator.set_prices({symbol: 9}) == {symbol: "held"}
    assert operator.set_rules(symbol, quantity_step="0.5").quantity_step == Decimal("0.5")
    funded = trader.transfer("USD", "10", key="deposit")
    assert (funded.status, funded.balance, funded.replayed) == ("ACCOUNT_FUNDED", Decimal(10), False)
    assert trader.transfer("USD", "10", key="deposit").replayed
    with pytest.raises(TransferOverdraws):
        trader.transfer("USD", "-11")
    assert operator.halt(symbol).halted
    with pytest.raises(AssetHalted):
        trader.buy(symbol, 1)
    assert not operator.resume(symbol).halted
    moto_market.outlast_copies()
    assert trader.buy(symbol, 1).fee == Decimal("0.0025")

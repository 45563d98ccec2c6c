"""The price of a decision, as an engine on a real socket counts it: 5 write units by itself, near 3 in a batch.

Two for the record's put, one for its entry in the index, two for the account's.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chalicelib.contract.errors import OrderDecided
from chalicelib.contract.replies import reply_of
from chalicelib.domain.candle import Chart
from chalicelib.domain.facts import Transfer, Void
from chalicelib.domain.history import Paging
from chalicelib.domain.money import units_from
from chalicelib.domain.order import Amount, Order, Side
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import TransferRejected
from chalicelib.engine import Engine, build
from chalicelib.store.assets import remove, set_price
from chalicelib.store.tables import asset_key
from chalicelib.trading.listings import PriceResult
from harness.metered import Metered
from tests.support.market import Market, new_key, new_user_id

HOUR = datetime(2026, 2, 21, 14, tzinfo=UTC)
"""The time at which the assets of these tests are listed."""

WriteUnits = Callable[..., list[float]]


@pytest.fixture
def metered(ministack_market: Market) -> Metered:
    return Metered(ministack_market.datastore)


@pytest.fixture
def engine(ministack_market: Market, metered: Metered) -> Engine:
    return build(ministack_market.settings, metered)


@pytest.fixture
def execute(engine: Engine, metered: Metered) -> WriteUnits:
    """Executes orders, one alone and several as a batch. Returns the write units of each transaction."""

    def execute(*orders: Order) -> list[float]:
        if len(orders) == 1:
            engine.executor.execute(*orders, engine.deadline())
        else:
            engine.executor.execute_batch(orders, engine.deadline())
        return metered.write_units

    return execute


def buy(user: int, quantity: str = "1.0", key: str | None = None, symbol: str = "BTC", pay_with: str = "USD") -> Order:
    return Order(user, key or new_key(), symbol, pay_with, amount(quantity))


def amount(text: str) -> Amount:
    return Amount(units_from(Decimal(text)), text)


ALL_OF_IT = Amount(None, "all")


def statuses(market: Market, user: int) -> list[int]:
    """Of a user's orders."""
    return [reply_of(record)[0] for record in orders(market, user)]


def orders(market: Market, user: int) -> list[Record]:
    return [record for record in market.records(user) if record.key.startswith("order#")]


def test_a_fill_costs_5_write_units(ministack_market: Market, execute: WriteUnits) -> None:
    user = ministack_market.new_user(USD="100000")

    assert execute(buy(user)) == [5]
    assert statuses(ministack_market, user) == [200]


def test_a_fill_with_all_there_is_to_an_order_costs_no_more(ministack_market: Market, execute: WriteUnits) -> None:
    ministack_market.list_asset("FEES", "3000", fee_bps="25.55", quantity_step="0.00000010")
    user = ministack_market.new_user(BTC="100")

    order = Order(
        user,
        "k" * 64,
        "FEES",
        "BTC",
        notional=amount("99.99999999"),
        limit_price=10**16,
        expires_at="2999-12-31T23:59:59.999999Z",
    )
    assert execute(order) == [5]
    assert statuses(ministack_market, user) == [200]


@pytest.mark.parametrize("change", [{}, {"limit_price": 1}, {"expires_at": "2020-01-01T00:00:00.000000Z"}])
def test_a_refusal_costs_5_write_units(ministack_market: Market, execute: WriteUnits, change: dict[str, object]) -> None:
    user = ministack_market.new_user(USD="1")

    assert execute(Order(user, new_key(), "BTC", "USD", amount("1"), **change)) == [5]  # type: ignore[arg-type]


def test_the_first_decision_of_an_account_costs_5_write_units(execute: WriteUnits) -> None:
    assert execute(buy(new_user_id())) == [5]


def test_a_transfer_costs_5_write_units(engine: Engine, metered: Metered) -> None:
    user = new_user_id()
    engine.transfers.make(Transfer(user, new_key(), "BTC", 10**8), engine.deadline())
    engine.transfers.make(Transfer(user, new_key(), "BTC", -1), engine.deadline())

    assert metered.write_units == [5, 5]


def test_a_replay_makes_one_request_and_writes_nothing(ministack_market: Market, engine: Engine, metered: Metered) -> None:
    user = ministack_market.new_user(USD="100000")
    order = buy(user)
    engine.executor.execute(order, engine.deadline())
    before = metered.requests

    assert engine.executor.execute(order, engine.deadline()).replayed
    assert (metered.requests - before, metered.write_units) == (1, [5])


FORMS: dict[str, dict[str, object]] = {
    "buy": {"quantity": amount("0.5")},
    "buy-notional": {"notional": amount("100")},
    "buy-for-all": {"notional": ALL_OF_IT},
    "buy-limit": {"quantity": amount("0.5"), "limit_price": 10**30},
    "buy-expiry": {"quantity": amount("0.5"), "expires_at": "2999-12-31T23:59:59.999999Z"},
    "sell": {"quantity": amount("0.5"), "side": Side.SELL},
    "sell-all": {"quantity": ALL_OF_IT, "side": Side.SELL},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_order_costs_5_write_units_and_1_request_once_account_and_prices_are_known(
    ministack_market: Market, metered: Metered, form: str
) -> None:
    user = ministack_market.new_user(USD="100000", BTC="1")
    engine = build(replace(ministack_market.settings, price_age_ms=60_000), metered)  # on a busy machine, too, they stay known
    engine.queries.portfolio(user, engine.deadline())
    engine.voids.make(Void(user, new_key()), engine.deadline())  # now the account is remembered
    before, written = metered.requests, len(metered.write_units)

    engine.executor.execute(Order(user, new_key(), "BTC", "USD", **FORMS[form]), engine.deadline())  # type: ignore[arg-type]

    assert (metered.requests - before, metered.write_units[written:]) == (1, [5])
    assert statuses(ministack_market, user)[-1] == 200


def test_a_void_costs_5_write_units_and_needs_no_prices(engine: Engine, metered: Metered) -> None:
    engine.voids.make(Void(new_user_id(), new_key()), engine.deadline())

    assert (metered.requests, metered.write_units) == (2, [5]), "the account is read, then the transaction"


def test_a_void_that_comes_too_late_stores_nothing(ministack_market: Market, engine: Engine, metered: Metered) -> None:
    user = ministack_market.new_user(USD="100000")
    order = buy(user)
    engine.executor.execute(order, engine.deadline())
    before = metered.requests

    with pytest.raises(OrderDecided):
        engine.voids.make(Void(user, order.idempotency_key), engine.deadline())

    assert (metered.requests - before, metered.write_units) == (1, [5])


def test_a_look_up_is_one_read(ministack_market: Market, engine: Engine, metered: Metered) -> None:
    user = ministack_market.new_user(USD="100000")
    order = buy(user)
    engine.executor.execute(order, engine.deadline())
    before = metered.requests

    engine.queries.order(user, order.idempotency_key, engine.deadline())

    assert metered.requests - before == 1


def test_a_preview_is_one_read_once_the_prices_are_known(ministack_market: Market, engine: Engine, metered: Metered) -> None:
    user = ministack_market.new_user(USD="100000")
    engine.executor.preview(buy(user), engine.deadline())
    before = metered.requests

    engine.executor.preview(buy(user), engine.deadline())

    assert (metered.requests - before, metered.write_units) == (1, [])


def test_a_page_costs_the_same_reads_however_long_the_history(
    ministack_market: Market, engine: Engine, metered: Metered, execute: WriteUnits
) -> None:
    user = ministack_market.new_user(USD="100000")

    def trade(decisions: int) -> None:
        for _ in range(decisions // 99):
            execute(*(buy(user, "0.0001") for _ in range(99)))

    def cost(paging: Paging) -> list[float]:
        before = len(metered.read_units)
        page = engine.queries.page(user, paging, engine.deadline())
        assert len(page.records) == 50
        assert metered.requests == len(metered.read_units) + len(metered.write_units)
        return metered.read_units[before:]

    trade(99)
    short = cost(Paging(limit=50))
    trade(2_970)
    long = [cost(paging) for paging in (Paging(limit=50), Paging(limit=50, before=1_500), Paging(limit=50, after=1_500))]

    assert short == [1, 4], "the account, and 50 records of about 600 bytes"
    assert long == [short] * 3


def test_a_linked_batch_costs_what_any_batch_costs(ministack_market: Market, engine: Engine, metered: Metered) -> None:
    user = ministack_market.new_user(USD="100000")

    engine.executor.execute_linked([buy(user, "0.01") for _ in range(99)], engine.deadline())
    engine.executor.execute_linked([buy(user, "1") for _ in range(99)], engine.deadline())

    assert metered.write_units == [299, 299]
    assert statuses(ministack_market, user).count(200) == 99, "the second is refused as a whole"


def test_a_rejected_transfer_stores_nothing(ministack_market: Market, engine: Engine) -> None:
    user = ministack_market.new_user(USD="1")

    with pytest.raises(TransferRejected):
        engine.transfers.make(Transfer(user, new_key(), "USD", -(10**9)), engine.deadline())

    assert [record.sequence for record in ministack_market.records(user)] == [1]


@pytest.mark.parametrize(("count", "write_units"), [(2, 8), (10, 32), (99, 299)])
def test_a_batch_costs_3_write_units_an_order_and_2_for_the_account(
    ministack_market: Market, execute: WriteUnits, count: int, write_units: float
) -> None:
    user = ministack_market.new_user(USD="100000")

    assert execute(*(buy(user, "0.01") for _ in range(count))) == [write_units]

    assert statuses(ministack_market, user) == [200] * count
    assert count < 99 or round(write_units / count, 2) == 3.02


def test_refusals_in_a_batch_cost_what_fills_cost(ministack_market: Market, execute: WriteUnits) -> None:
    user = ministack_market.new_user(USD="1")

    assert execute(*(buy(user) for _ in range(99))) == [299]

    assert statuses(ministack_market, user) == [402] * 99


def test_the_longest_records_cost_3_more(ministack_market: Market, execute: WriteUnits) -> None:
    """A second kilobyte: two for the record, one for the index."""
    market = ministack_market
    market.list_asset("SMALLPRICE", "0.0000000000000001")
    market.list_asset("SMALLCOINS", "0.0000000000000001", fee_bps="999.99")
    user = market.new_user(SMALLPRICE=f"{10**29 - 10**16}", SMALLCOINS=f"{10**29}")
    longest = Order(
        user,
        '"' * 128,
        "SMALLPRICE",
        "SMALLCOINS",
        notional=amount("1000000000000000.00000000"),
        limit_price=10**44,
        expires_at="2999-12-31T23:59:59.999999Z",
    )

    assert execute(longest) == [8]


def test_a_batch_may_concern_as_many_assets_as_99_orders_can_name(ministack_market: Market, execute: WriteUnits) -> None:
    """198: each order pays with an asset of its own. The account is put whole, and is many kilobytes long by then."""
    market = ministack_market
    for symbol in (f"{kind}{number:06}" for number in range(99) for kind in ("BUYS", "PAYS")):  # which nobody has a copy of yet
        item = {**asset_key(symbol), "price_usd": {"S": "1"}, "price_at": {"S": "2026-01-01T00:00:00.000000Z"}}
        market.dynamodb.put_item(TableName=market.tables.assets, Item=item)
    user = market.new_user(**{f"PAYS{number:06}": "1000" for number in range(99)})

    (write_units,) = execute(*(buy(user, "1", symbol=f"BUYS{number:06}", pay_with=f"PAYS{number:06}") for number in range(99)))

    assert statuses(market, user) == [200] * 99
    assert write_units / 99 <= 3.3


# Prices and candles.


@pytest.fixture
def priced(ministack_market: Market) -> Iterator[str]:
    """An asset that was listed at a whole hour."""
    assets, deadline = ministack_market.engine.listings.assets, ministack_market.engine.deadline()
    assets.apply(set_price(None, "PRICED", 10**18, HOUR), deadline)
    yield "PRICED"
    listing = assets.find("PRICED", deadline)
    assert listing is not None
    assets.apply(remove(listing), deadline)


@pytest.mark.parametrize(
    ("after_s", "write_units"),
    [(1, 1), (60, 4), (3_600, 6)],
    ids=["in the minute", "over its end", "over the hour's end"],
)
def test_a_price_costs_one_write_unit_and_a_few_more_where_it_closes_candles(
    engine: Engine, metered: Metered, priced: str, after_s: int, write_units: float
) -> None:
    """Two requests: a read of the asset, and a write."""
    result = engine.listings.set_prices({priced: 10**18 + 1}, HOUR + timedelta(seconds=after_s), (), engine.deadline())

    assert result == {priced: PriceResult.SET}
    assert (metered.requests, metered.write_units) == (2, [write_units])


def test_the_longest_candles_make_a_price_no_dearer(engine: Engine, metered: Metered, ministack_market: Market) -> None:
    """Prices of 28 digits: the asset's item stays under 1 KB, and so does each candle."""
    longest, symbol = 10**28 - 1, "LONGESTONE"
    rules = {"min_quantity_units": 10**23, "quantity_step_units": 10**23, "min_notional_usd_units": 10**20, "fee_rate": 99_999}
    assets, deadline = engine.listings.assets, engine.deadline()
    assets.apply(set_price(None, symbol, longest, HOUR), deadline)
    engine.listings.put(symbol, None, {**rules, "max_move": 10**8 - 1}, HOUR, deadline)
    metered.write_units.clear()

    for after_s in (1, 3_601, 3_602):
        engine.listings.set_prices({symbol: longest - after_s}, HOUR + timedelta(seconds=after_s), (), deadline)

    assert metered.write_units == [1, 6, 1]
    listing = assets.find(symbol, deadline)
    assert listing is not None
    ministack_market.engine.listings.assets.apply(remove(listing), deadline)


def test_a_chart_is_two_requests(engine: Engine, metered: Metered) -> None:
    engine.queries.candles("BTC", Chart(), engine.deadline())

    assert metered.requests == 2

"""What a fill costs DynamoDB, as an engine on a real socket counts it: 4 write units by itself, near 2 in a batch."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.account import Record
from chalicelib.domain.order import Order
from chalicelib.engine import build
from chalicelib.store.tables import item_from_record
from harness.metered import Metered
from tests.support.market import Market, new_key

Execute = Callable[..., list[float]]
"""Executes orders, one alone and several as a batch: the write units of each transaction."""


@pytest.fixture
def execute(ministack_market: Market) -> Execute:
    def execute(*orders: Order) -> list[float]:
        metered = Metered(ministack_market.datastore)
        engine = build(ministack_market.settings, metered)
        if len(orders) == 1:
            engine.executor.execute(*orders, engine.deadline())
        else:
            engine.executor.execute_batch(orders, engine.deadline())
        return metered.write_units

    return execute


def test_a_fill_costs_4_write_units(ministack_market: Market, execute: Execute) -> None:
    user = ministack_market.new_user(USD="100000")

    assert execute(Order(user, new_key(), "BTC", "USD", 10**8, "1.0")) == [4]


def test_a_refusal_costs_4_write_units(ministack_market: Market, execute: Execute) -> None:
    user = ministack_market.new_user(USD="1")

    assert execute(Order(user, new_key(), "BTC", "USD", 10**8, "1.0")) == [4]


def test_the_largest_fill_costs_no_more(ministack_market: Market, execute: Execute) -> None:
    """The longest key, symbols and amounts there can be, on an account of 40 assets."""
    market = ministack_market
    market.list_asset("LARGEPRICE", "1000000000000")
    market.list_asset("SMALLPRICE", "0.00000001")
    user = market.new_user(**{f"ASSET{n:05d}": "123456789.12345678" for n in range(38)}, LARGEPRICE="1" + "0" * 29)
    quantity = 10**15 * 10**8 - 1

    order = Order(user, "k" * 128, "SMALLPRICE", "LARGEPRICE", quantity, f"{10**15 - 1}.99999999")
    assert execute(order) == [4]

    (record,) = (record for record in market.records(user) if record.key == order.record_key)
    assert size_bytes(item_from_record(record)) <= 1024


def outcomes(market: Market, user: int) -> list[Record]:
    """The records of a user's orders."""
    return [record for record in market.records(user) if record.key.startswith("order#")]


@pytest.mark.parametrize(("orders", "write_units"), [(2, 6), (10, 22), (99, 200)])
def test_a_batch_costs_2_write_units_an_order_and_2_for_the_account(
    ministack_market: Market, execute: Execute, orders: int, write_units: float
) -> None:
    user = ministack_market.new_user(USD="100000")

    assert execute(*(Order(user, new_key(), "BTC", "USD", 10**6, "0.01") for _ in range(orders))) == [write_units]

    assert [record.status for record in outcomes(ministack_market, user)] == [200] * orders
    assert orders < 99 or write_units / orders <= 2.1


def test_refusals_in_a_batch_cost_what_fills_cost(ministack_market: Market, execute: Execute) -> None:
    user = ministack_market.new_user(USD="1")

    assert execute(*(Order(user, new_key(), "BTC", "USD", 10**8, "1.0") for _ in range(99))) == [200]

    assert [record.status for record in outcomes(ministack_market, user)] == [402] * 99


def test_a_batch_of_the_largest_fills_costs_no_more(ministack_market: Market, execute: Execute) -> None:
    """99 times the longest key, symbols and amounts there can be, on an account of 40 assets."""
    market = ministack_market
    market.list_asset("LARGEPRICE", "1000000000000")
    market.list_asset("SMALLPRICE", "0.00000001")
    user = market.new_user(**{f"ASSET{n:05d}": "123456789.12345678" for n in range(38)}, LARGEPRICE="1" + "0" * 29)
    quantity = 10**15 * 10**8 - 1

    assert execute(
        *(
            Order(user, f"{number:02}".rjust(128, "k"), "SMALLPRICE", "LARGEPRICE", quantity, f"{10**15 - 1}.99999999")
            for number in range(99)
        )
    ) == [200]

    records = outcomes(market, user)
    assert [record.status for record in records] == [200] * 99
    assert max(size_bytes(item_from_record(record)) for record in records) <= 1024


def test_a_batch_may_concern_as_many_assets_as_99_orders_can_name(ministack_market: Market, execute: Execute) -> None:
    """198: each order pays with an asset of its own. The account has outgrown 1 KB then; its records have not."""
    market = ministack_market
    for number in range(99):
        market.list_asset(f"BUYS{number:06}", "1")
        market.list_asset(f"PAYS{number:06}", "1")
    user = market.new_user(**{f"PAYS{number:06}": "1000" for number in range(99)})

    (write_units,) = execute(
        *(Order(user, new_key(), f"BUYS{number:06}", f"PAYS{number:06}", 10**8, "1") for number in range(99))
    )

    assert [record.status for record in outcomes(market, user)] == [200] * 99
    assert write_units / 99 <= 2.2


def size_bytes(item: dict[str, Any]) -> int:
    """An item's size by DynamoDB's published rules: names and strings in UTF-8, a number a byte per two digits and one more."""

    def of(value: dict[str, Any]) -> int:
        kind: str
        content: Any
        ((kind, content),) = value.items()
        match kind:
            case "S":
                return len(str(content).encode())
            case "B":
                return len(bytes(content))
            case "N":
                return (len(str(content).lstrip("-")) + 1) // 2 + 1 + str(content).startswith("-")
            case "M":
                return 3 + sum(1 + len(name.encode()) + of(inner) for name, inner in content.items())
            case _:
                raise AssertionError(f"no {kind} is stored")

    return sum(len(name.encode()) + of(value) for name, value in item.items())

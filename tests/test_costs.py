"""What a fill costs DynamoDB, as an engine on a real socket counts it: 4 write units, whatever the order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.domain.order import Order
from chalicelib.engine import build
from chalicelib.store.connection import Datastore
from chalicelib.store.tables import item_from_record
from tests.support.market import Market, new_key


@dataclass
class Metered:
    """A datastore that adds up the write units of the transactions it makes."""

    inner: Datastore
    write_units: list[float] = field(default_factory=list)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = self.inner.call(operation, request | {"ReturnConsumedCapacity": "TOTAL"})
        if operation == "TransactWriteItems":
            self.write_units.append(sum(table["CapacityUnits"] for table in answer["ConsumedCapacity"]))
        return answer


@pytest.fixture
def execute(ministack_market: Market) -> Callable[[Order], list[float]]:
    def execute(order: Order) -> list[float]:
        metered = Metered(ministack_market.datastore)
        engine = build(ministack_market.settings, metered)
        engine.executor.execute(order, engine.patience())
        return metered.write_units

    return execute


def test_a_fill_costs_4_write_units(ministack_market: Market, execute: Callable[[Order], list[float]]) -> None:
    user = ministack_market.new_user(USD="100000")

    assert execute(Order(user, new_key(), "BTC", "USD", 10**8, "1.0")) == [4]


def test_a_refusal_costs_4_write_units(ministack_market: Market, execute: Callable[[Order], list[float]]) -> None:
    user = ministack_market.new_user(USD="1")

    assert execute(Order(user, new_key(), "BTC", "USD", 10**8, "1.0")) == [4]


def test_the_largest_fill_costs_no_more(ministack_market: Market, execute: Callable[[Order], list[float]]) -> None:
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

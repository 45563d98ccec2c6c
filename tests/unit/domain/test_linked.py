"""Orders that are decided together: either every one of them fills, or none does."""

from dataclasses import replace

import pytest

from chalicelib.domain.account import Account
from chalicelib.domain.facts import Fill, OrderOutcome, Refusal
from chalicelib.domain.linked import append_linked
from chalicelib.domain.order import Order
from chalicelib.domain.record import Record, next_head
from chalicelib.domain.refusals import StalePrice, UndecidedTogether, UnknownAsset
from tests.unit.domain.builders import AT, BEFORE, SEED, account, buy, sell

HELD = account(USD="100000")
"""Enough for two BTC, after three decisions."""


def linked(*orders: Order, held: Account = HELD) -> tuple[Account, list[Record]]:
    keyed = [replace(order, idempotency_key=f"k{place}") for place, order in enumerate(orders)]
    return append_linked(held, keyed, SEED, AT, "thread")


def outcomes(records: list[Record]) -> list[str]:
    return [record.decision.outcome.value for record in records]


def test_all_fill_where_each_fills_on_the_account_as_the_one_before_leaves_it() -> None:
    after, records = linked(buy("2"), sell("2"), buy("1"))

    assert outcomes(records) == ["ORDER_FILLED"] * 3
    assert after.balances == account(BTC="1", USD="50000").balances


def test_none_fills_where_one_cannot_and_each_failing_one_has_its_own_reason() -> None:
    after, records = linked(buy("1"), buy("1.5"), sell("0.5"), buy("1", expires_at=BEFORE), buy("1", limit_price="1"))

    assert outcomes(records) == ["ERR_LINKED_ORDER", "ERR_LIQUIDITY", "ERR_LINKED_ORDER", "ERR_ORDER_EXPIRED", "ERR_PRICE_LIMIT"]
    failed = [record.decision.failed for record in records if isinstance(record.decision, Refusal)]
    assert failed == [1, None, 1, None, None], "the others name the place of the first that failed"
    assert after.balances == HELD.balances
    assert after.books == HELD.books


@pytest.mark.parametrize("orders", [[buy("1"), sell("1")], [buy("1"), buy("3")]])
def test_each_is_a_link_of_the_chain_that_says_with_which_it_is_linked(orders: list[Order]) -> None:
    after, records = linked(*orders)

    head = HELD.head
    for place, record in enumerate(records):
        head = next_head(head, record.text)
        assert (record.sequence, record.head, record.key) == (4 + place, head, f"order#k{place}")
        assert isinstance(record.decision, Fill | Refusal)
        assert record.decision.circumstances.linked == (4, 2)
    assert (after.sequence, after.head) == (5, head)


def test_where_some_cannot_be_decided_nothing_is() -> None:
    with pytest.raises(UndecidedTogether) as raised:
        linked(buy("1"), buy("1", "NOPE"), buy("3"), buy("1", "NEVER"))

    assert raised.value.places == [1, 3]
    assert isinstance(raised.value.reason, UnknownAsset)
    assert not raised.value.needs_account


def test_a_stale_price_leaves_all_of_them_undecided() -> None:
    orders = [replace(each, idempotency_key=f"k{place}") for place, each in enumerate([buy("1", "ETH"), buy("1"), buy("9")])]
    market = {**SEED, "BTC": replace(SEED["BTC"], price_at="2026-01-01T11:00:00.000000Z")}

    with pytest.raises(UndecidedTogether) as raised:
        append_linked(HELD, orders, market, AT, "thread", price_stale_s=60)

    assert raised.value.places == [1, 2]
    assert isinstance(raised.value.reason, StalePrice)


def test_one_order_by_itself_is_linked_with_none_but_itself() -> None:
    _, (record,) = linked(buy("3"))

    assert isinstance(record.decision, Refusal)
    assert record.decision.outcome is OrderOutcome.LIQUIDITY
    assert record.decision.circumstances.linked == (4, 1)

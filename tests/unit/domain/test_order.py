"""Orders: what makes two of them the same, and where they are stored."""

from dataclasses import replace

import pytest

from chalicelib.domain.facts import Transfer
from chalicelib.domain.money import PRICE_PER_USD
from chalicelib.domain.order import Amount, Order
from tests.unit.domain.builders import AFTER, AT_TEXT, amount, buy, sell, spend

LIMITED = buy("1", limit_price="50000", expires_at=AT_TEXT)


@pytest.mark.parametrize(
    ("order", "fingerprint"),
    [
        (buy("1.5"), "BUY 1.50000000 BTC WITH USD"),
        (spend("250"), "BUY BTC FOR 250.00000000 USD"),
        (spend("all"), "BUY BTC FOR all USD"),
        (sell("0.5", "ETH", "BTC"), "SELL 0.50000000 ETH FOR BTC"),
        (sell("all"), "SELL all BTC FOR USD"),
        (LIMITED, f"BUY 1.00000000 BTC WITH USD LIMIT 50000.00000000 UNTIL {AT_TEXT}"),
        (sell("1", limit_price="0.0000000000000001"), "SELL 1.00000000 BTC FOR USD LIMIT 0.0000000000000001"),
    ],
)
def test_a_fingerprint_is_the_order_as_text_to_be_read(order: Order, fingerprint: str) -> None:
    assert order.fingerprint == fingerprint


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("1.50", "1.5"), ("0.00000001", "0.00000001")])
def test_the_same_amount_in_another_spelling_is_the_same_order(one: str, other: str) -> None:
    assert buy(one).fingerprint == buy(other).fingerprint
    assert spend(one).fingerprint == spend(other).fingerprint
    assert sell(one).fingerprint == sell(other).fingerprint


DIFFERENT = [
    buy("1"),
    buy("1.00000001"),
    buy("1", "ETH"),
    buy("1", "BTC", "ETH"),
    buy("1", limit_price="50000"),
    buy("1", limit_price="50000.0000000000000001"),
    buy("1", expires_at=AT_TEXT),
    buy("1", expires_at=AFTER),
    LIMITED,
    spend("1"),
    spend("all"),
    sell("1"),
    sell("all"),
]


def test_orders_that_differ_in_any_value_have_different_fingerprints() -> None:
    assert len({order.fingerprint for order in DIFFERENT}) == len(DIFFERENT)


def test_a_fingerprint_says_nothing_of_user_and_key() -> None:
    """Both are where the outcome is stored."""
    assert replace(buy("1"), user_id=8, idempotency_key="l").fingerprint == buy("1").fingerprint


def test_orders_and_transfers_keys_are_name_spaces_of_their_own() -> None:
    order, transfer = replace(buy("1"), idempotency_key="transfer#k"), Transfer(7, "k", "USD", 1)

    assert (buy("1").record_key, order.record_key, transfer.record_key) == ("order#k", "order#transfer#k", "transfer#k")


def test_a_funding_and_a_debit_under_one_key_meet() -> None:
    funding, debit = Transfer(7, "k", "USD", 100_000_000), Transfer(7, "k", "USD", -100_000_000)

    assert funding.record_key == debit.record_key
    assert (funding.fingerprint, debit.fingerprint) == ("FUND 1.00000000 USD", "DEBIT 1.00000000 USD")


@pytest.mark.parametrize(
    ("order", "given", "received"), [(buy("1"), "USD", "BTC"), (spend("1"), "USD", "BTC"), (sell("1"), "BTC", "USD")]
)
def test_a_buy_gives_the_other_asset_and_a_sell_the_symbol(order: Order, given: str, received: str) -> None:
    assert (order.given, order.received) == (given, received)


def test_an_amount_is_shown_by_its_value_and_all_by_its_name() -> None:
    assert (amount("1.0").value_text, amount("all").value_text) == ("1.00000000", "all")
    assert buy("1.0").amount == Amount(100_000_000, "1.0")
    assert spend("all").amount == Amount(None, "all")


def test_an_order_of_no_amount_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        _ = Order(7, "k", "BTC", "USD").amount


def test_a_limit_counts_in_units_of_a_price() -> None:
    assert LIMITED.limit_price == 50_000 * PRICE_PER_USD

"""The decision: a fill or a refusal, and everything that its record says about it."""

import json
from datetime import datetime, timedelta, timezone

import pytest

from chalicelib.domain.account import Account
from chalicelib.domain.decision import decide
from chalicelib.domain.transfer import MAX_FUNDED_UNITS, Transfer, TransferRefused, transfer
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import Asset, Quote

AT = datetime(2026, 1, 1, 1, 0, 0, 7, timezone(timedelta(hours=1)))
ORDER = Order(7, "k", "BTC", "USD", 150_000_000, "1.5")
QUOTE = Quote(Asset("BTC", 300), Asset("USD", 100))


def test_a_fill_is_recorded_whole() -> None:
    account, record = decide(ORDER, Account(7, {"USD": 450_000_001}, sequence=3, head=b"third"), QUOTE, AT, "thread 1")

    assert (account.user_id, account.balances, account.sequence) == (7, {"USD": 1, "BTC": 150_000_000}, 4)
    assert record.movement is not None
    assert (record.movement.sequence, record.movement.changes) == (4, {"BTC": 150_000_000, "USD": -450_000_000})
    assert record.movement.head == account.head != b"third"
    assert (record.user_id, record.key, record.fingerprint) == (7, "order#k", "BUY 1.50000000 BTC WITH USD")
    assert (record.status, record.prices, record.created_at) == (200, {"BTC": 300, "USD": 100}, "2026-01-01T00:00:00.000007Z")
    assert json.loads(record.reply) == {
        "status": "ORDER_FILLED",
        "symbol": "BTC",
        "quantity_filled": "1.5",
        "execution_price": "3.00000000",
        "total_cost": "4.50000000",
        "paid_with": "USD",
        "remaining_balance": "0.00000001",
        "executed_at": "2026-01-01T00:00:00.000007Z",
        "executed_by_thread": "thread 1",
        "sequence": 4,
    }


def test_a_refusal_is_recorded_whole_and_changes_nothing() -> None:
    poor = Account(7, {"USD": 449_999_999}, sequence=3, head=b"third")

    account, record = decide(ORDER, poor, QUOTE, AT, "thread 1")

    assert account is poor
    assert record.movement is None
    assert (record.user_id, record.key, record.fingerprint) == (7, "order#k", "BUY 1.50000000 BTC WITH USD")
    assert (record.status, record.prices, record.created_at) == (402, {"BTC": 300, "USD": 100}, "2026-01-01T00:00:00.000007Z")
    assert json.loads(record.reply) == {
        "timestamp": "2026-01-01T00:00:00.000007Z",
        "status": 402,
        "error_code": "ERR_LIQUIDITY",
        "message": "Need 4.50000000 USD but only have 4.49999999 USD",
    }


@pytest.mark.parametrize(
    ("units", "status", "fingerprint"),
    [(5, "ACCOUNT_FUNDED", "FUND 0.00000005 BTC"), (-5, "ACCOUNT_DEBITED", "DEBIT 0.00000005 BTC")],
)
def test_a_transfer_is_recorded_whole(units: int, status: str, fingerprint: str) -> None:
    account, record = transfer(Account(7, {"BTC": 5}, sequence=3, head=b"third"), Transfer(7, "k", "BTC", units), AT)

    assert (account.user_id, account.balances, account.sequence) == (7, {"BTC": 5 + units}, 4)
    assert record.movement is not None
    assert (record.movement.sequence, record.movement.changes, record.movement.head) == (4, {"BTC": units}, account.head)
    assert (record.user_id, record.key, record.fingerprint) == (7, "funding#k", fingerprint)
    assert (record.status, record.prices, record.created_at) == (200, {}, "2026-01-01T00:00:00.000007Z")
    assert json.loads(record.reply) == {"status": status, "symbol": "BTC", "amount": "0.00000005"}


@pytest.mark.parametrize(
    ("held", "units", "says"),
    [
        (4, -5, "a debit of 0.00000005 BTC overdraws the balance of 0.00000004"),
        (MAX_FUNDED_UNITS - 4, 5, f"the balance would be 1{'0' * 29}.00000001 BTC; fundings end at 1{'0' * 29}.00000000"),
    ],
)
def test_a_transfer_that_may_not_be_made_says_why(held: int, units: int, says: str) -> None:
    with pytest.raises(TransferRefused) as raised:
        transfer(Account(7, {"BTC": held}), Transfer(7, "k", "BTC", units), AT)

    assert str(raised.value) == says


@pytest.mark.parametrize(("held", "units"), [(5, -5), (MAX_FUNDED_UNITS - 5, 5), (MAX_FUNDED_UNITS + 5, -1)])
def test_a_transfer_up_to_either_bound_is_made(held: int, units: int) -> None:
    account, _ = transfer(Account(7, {"BTC": held}), Transfer(7, "k", "BTC", units), AT)

    assert account.balances == {"BTC": held + units}


def test_a_transfer_of_nothing_is_none() -> None:
    with pytest.raises(AssertionError):
        transfer(Account(7), Transfer(7, "k", "BTC", 0), AT)

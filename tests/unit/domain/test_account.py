"""The chain: an account's history cannot lose, double, reorder or change a record unnoticed."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from chalicelib.domain.account import Account, Record, move, next_head
from chalicelib.domain.money import MAX_STORED_UNITS

RECORD = Record(
    user_id=1,
    key="order#k",
    fingerprint="BUY",
    status=200,
    reply="{}",
    prices={"BTC": 5, "USD": 1},
    created_at="2026-01-01T00:00:00Z",
)


def test_a_movement_takes_the_next_place_and_changes_the_balances() -> None:
    account = Account(1, {"USD": 100}, sequence=4, head=b"head")

    after, record = move(account, RECORD, {"USD": -60, "BTC": 2})

    assert (after.balances, after.sequence) == ({"USD": 40, "BTC": 2}, 5)
    assert record.movement is not None
    assert (record.movement.sequence, record.movement.changes) == (5, {"USD": -60, "BTC": 2})
    assert record.movement.head == after.head == next_head(b"head", RECORD, 5, {"BTC": 2, "USD": -60})


def test_a_movement_never_overdraws() -> None:
    with pytest.raises(AssertionError):
        move(Account(1, {"USD": 59}), RECORD, {"USD": -60})


def test_a_balance_grows_to_what_can_be_stored_exactly_and_not_beyond() -> None:
    almost = Account(1, {"USD": MAX_STORED_UNITS - 60})

    assert move(almost, RECORD, {"USD": 60})[0].balances == {"USD": MAX_STORED_UNITS}
    with pytest.raises(AssertionError):
        move(almost, RECORD, {"USD": 61})


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": 2},
        {"key": "order#l"},
        {"fingerprint": "buy"},
        {"status": 201},
        {"reply": "{ }"},
        {"prices": {"BTC": 5, "USD": 2}},
        {"created_at": "2026-01-01T00:00:01Z"},
    ],
)
def test_the_head_stands_for_everything_a_record_states(change: dict[str, Any]) -> None:
    changes = {"USD": -60}

    assert next_head(b"", replace(RECORD, **change), 1, changes) != next_head(b"", RECORD, 1, changes)


def test_the_head_stands_for_the_amounts_the_place_and_all_that_came_before() -> None:
    heads = {
        next_head(b"", RECORD, 1, {"USD": -60}),
        next_head(b"", RECORD, 1, {"USD": -61}),
        next_head(b"", RECORD, 1, {"EUR": -60}),
        next_head(b"", RECORD, 2, {"USD": -60}),
        next_head(b"x", RECORD, 1, {"USD": -60}),
    }
    assert len(heads) == 5


def test_a_head_is_made_the_way_that_all_stored_ones_were() -> None:
    """Another spelling of the same would break every account's chain."""
    stated = b'[1,5,"order#k","BUY",200,"{}",[["BTC",5],["USD",1]],[["BTC",2],["USD",-60]],"2026-01-01T00:00:00Z"]'

    assert next_head(b"before", RECORD, 5, {"USD": -60, "BTC": 2}) == sha256(b"before" + stated).digest()

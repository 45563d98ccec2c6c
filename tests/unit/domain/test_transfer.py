"""Transfers: up to what an account holds, and up to what it can hold."""

import pytest

from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Price, Transfer, TransferOutcome, Transferred
from chalicelib.domain.money import MAX_BALANCE_UNITS, text_from
from chalicelib.domain.refusals import TransferRejected
from chalicelib.domain.transfer import transfer
from tests.unit.domain.builders import AT, AT_TEXT, PRICE_AT, SEED, account, units

FULL = text_from(MAX_BALANCE_UNITS)


def moved(units: int, held: str = "0", symbol: str = "BTC", asset: Asset | None = None) -> Transferred:
    return transfer(account(**{symbol: held}), Transfer(7, "k", symbol, units), asset, AT)


@pytest.mark.parametrize(
    ("change", "balance", "outcome"),
    [(5, 10, TransferOutcome.FUNDED), (-5, 0, TransferOutcome.DEBITED), (-1, 4, TransferOutcome.DEBITED)],
)
def test_a_transfer_states_what_it_leaves(change: int, balance: int, outcome: TransferOutcome) -> None:
    made = moved(change, held="0.00000005")

    assert (made.transfer.units, made.balance_units, made.outcome, made.at) == (change, balance, outcome, AT_TEXT)


@pytest.mark.parametrize(
    ("held", "change", "message"),
    [
        ("0.00000004", "-0.00000005", "a debit of 0.00000005 BTC overdraws the balance of 0.00000004"),
        ("0", "-0.00000001", "a debit of 0.00000001 BTC overdraws the balance of 0.00000000"),
        (FULL, "0.00000001", f"the balance would be {FULL[:-1]}1 BTC; an account holds at most {FULL}"),
    ],
)
def test_a_transfer_that_may_not_be_made_says_why(held: str, change: str, message: str) -> None:
    with pytest.raises(TransferRejected) as raised:
        moved(units(change), held)

    assert str(raised.value) == message
    assert raised.value.needs_account, "it is confirmed against the account as it is"


@pytest.mark.parametrize(
    ("held", "change"),
    [("5", "-5"), (text_from(MAX_BALANCE_UNITS - 5), "0.00000005"), (text_from(MAX_BALANCE_UNITS + 5), "-0.00000001")],
)
def test_a_transfer_up_to_either_bound_is_made(held: str, change: str) -> None:
    assert moved(units(change), held).balance_units == units(held) + units(change)


def test_a_transfer_of_nothing_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        moved(0)


@pytest.mark.parametrize(
    ("change", "symbol", "asset", "price"),
    [
        (5, "BTC", SEED["BTC"], Price(SEED["BTC"].price, PRICE_AT)),
        (5, "BTC", None, None),
        (5, "USD", SEED["USD"], None),
        (-5, "BTC", SEED["BTC"], None),
    ],
)
def test_the_price_is_stated_where_it_makes_a_basis(change: int, symbol: str, asset: Asset | None, price: Price | None) -> None:
    assert moved(change, "1", symbol, asset).price == price

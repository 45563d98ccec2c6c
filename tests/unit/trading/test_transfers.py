"""Transfers: once per key, whatever becomes of the answers, and never beyond what an account holds or can hold."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from chalicelib.domain.account import Account
from chalicelib.audit.replay import compare, replay
from chalicelib.domain.transfer import MAX_FUNDED_UNITS, Transfer, TransferRefused, transfer
from chalicelib.engine import Engine, build
from chalicelib.contract.errors import Contention, DatastoreUnavailable
from chalicelib.trading.transfers import transfer_once
from chalicelib.trading.exactly_once import Outcome
from tests.support.faults import (
    WRITE,
    Fault,
    FaultyDatastore,
    VirtualTime,
    before,
    conflict,
    reply_lost,
    request_lost,
    throttled,
)
from tests.support.market import Market, new_key, new_user_id


@dataclass
class Desk:
    """An operator's engine, over a datastore that fails on demand, and the user it works on."""

    market: Market
    engine: Engine
    datastore: FaultyDatastore
    user: int

    def transfer(self, units: int, key: str | None = None, symbol: str = "USD") -> Outcome:
        return transfer_once(self.engine, Transfer(self.user, key or new_key(), symbol, units))

    def balance_units(self) -> int:
        """The balance, after an audit of what it came from."""
        account = self.market.account(self.user)
        movements = [record for record in self.market.records(self.user) if record.movement]
        movements.sort(key=lambda record: record.movement.sequence if record.movement else 0)
        compare(replay(self.user, movements), account)
        return account.balance_units("USD")


def hidden(_: Callable[[], dict[str, object]]) -> dict[str, object]:
    """A read of records that comes too early."""
    return {"Responses": {}}


@pytest.fixture
def desk(moto_market: Market) -> Desk:
    datastore = FaultyDatastore(moto_market.datastore)
    return Desk(moto_market, build(moto_market.settings, datastore, VirtualTime().world), datastore, new_user_id())


def test_a_funding_opens_an_account_and_a_debit_takes_from_it(desk: Desk) -> None:
    assert desk.transfer(100).replayed is False
    assert desk.transfer(-60).replayed is False

    assert desk.balance_units() == 40
    assert desk.market.account(desk.user).sequence == 2


def test_a_balance_can_be_debited_to_the_last_unit(desk: Desk) -> None:
    desk.transfer(100)

    desk.transfer(-100)

    assert desk.balance_units() == 0


def test_the_same_key_makes_it_once(desk: Desk) -> None:
    first = desk.transfer(100, key="once")

    again = desk.transfer(100, key="once")

    assert again == replace(first, replayed=True)
    assert desk.balance_units() == 100


def test_a_debit_that_was_made_is_done_however_little_is_left(desk: Desk) -> None:
    desk.transfer(100)
    desk.transfer(-100, key="all of it")

    assert desk.transfer(-100, key="all of it").replayed is True
    assert desk.balance_units() == 0


@pytest.mark.parametrize(("units", "symbol"), [(101, "USD"), (-100, "USD"), (100, "BTC"), (-1_000, "USD")])
def test_a_key_stands_for_one_transfer(desk: Desk, units: int, symbol: str) -> None:
    desk.transfer(100, key="k")

    with pytest.raises(TransferRefused, match=r"it stands for FUND 0\.00000100 USD, not for"):
        desk.transfer(units, key="k", symbol=symbol)

    assert desk.balance_units() == 100


@pytest.mark.parametrize("held", [0, 99])
def test_a_debit_never_overdraws_and_leaves_its_key_unused(desk: Desk, held: int) -> None:
    if held:
        desk.transfer(held)

    with pytest.raises(TransferRefused, match="overdraws"):
        desk.transfer(-100, key="k")

    desk.transfer(100, key="k")
    assert desk.balance_units() == held + 100


def test_fundings_end_before_the_datastore_can_no_longer_hold_the_balance_exactly(desk: Desk) -> None:
    desk.transfer(MAX_FUNDED_UNITS - 1)
    desk.transfer(1)

    with pytest.raises(TransferRefused, match="fundings end at"):
        desk.transfer(1)

    assert desk.balance_units() == MAX_FUNDED_UNITS


def test_what_fills_have_added_beyond_that_can_be_debited(desk: Desk) -> None:
    account = Account(desk.user, {"USD": MAX_FUNDED_UNITS + 2}, 1, b"head")

    after, _ = transfer(account, Transfer(desk.user, "k", "USD", -1), desk.engine.world.now())

    assert after.balance_units("USD") == MAX_FUNDED_UNITS + 1


def test_an_account_that_moves_meanwhile_is_decided_anew(desk: Desk) -> None:
    desk.transfer(100)
    desk.datastore.fail(WRITE, before(lambda: desk.market.fund(desk.user, "USD", "1")))

    desk.transfer(-100)

    assert desk.balance_units() == 100_000_000


def test_a_debit_whose_money_somebody_else_took_is_refused(desk: Desk) -> None:
    desk.transfer(100)
    theirs = Transfer(desk.user, new_key(), "USD", -1)
    desk.datastore.fail(WRITE, before(lambda: transfer_once(desk.market.engine, theirs)))

    with pytest.raises(TransferRefused, match="overdraws"):
        desk.transfer(-100)

    assert desk.balance_units() == 99


def test_a_debit_that_money_comes_in_for_meanwhile_is_not_refused(desk: Desk) -> None:
    desk.transfer(99)
    desk.datastore.fail(WRITE, before(lambda: desk.market.fund(desk.user, "USD", "1")))

    assert desk.transfer(-100).replayed is False

    assert desk.balance_units() == 99 + 100_000_000 - 100


def test_a_debit_is_not_refused_for_what_its_own_duplicate_took(desk: Desk) -> None:
    """The duplicate's debit shows already, its record not yet: DynamoDB writes the items of a transaction one after the other."""
    desk.transfer(100)
    twin = Transfer(desk.user, "twin", "USD", -100)
    made = transfer_once(desk.market.engine, twin)
    desk.datastore.fail(WRITE, conflict)  # for as long as the duplicate's transaction is under way
    desk.datastore.fail("BatchGetItem", hidden)

    assert transfer_once(desk.engine, twin) == Outcome(made.record, replayed=True, attempts=2, conflicts=1)


@pytest.mark.parametrize("fault", [request_lost, reply_lost, throttled, conflict])
def test_a_refusal_survives_a_fault(desk: Desk, fault: Fault) -> None:
    desk.transfer(99)
    desk.datastore.fail(WRITE, fault)

    with pytest.raises(TransferRefused, match="overdraws"):
        desk.transfer(-100)


@pytest.mark.parametrize("fault", [request_lost, reply_lost, throttled, conflict])
@pytest.mark.parametrize("units", [100, -100])
def test_a_fault_is_survived_and_the_transfer_made_once(desk: Desk, fault: Fault, units: int) -> None:
    desk.transfer(100)
    desk.datastore.fail(WRITE, fault)

    assert desk.transfer(units).replayed is False

    assert desk.balance_units() == 100 + units


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (request_lost, DatastoreUnavailable),
        (throttled, DatastoreUnavailable),
        (conflict, Contention),
    ],
)
def test_a_fault_that_lasts_is_told_and_the_same_key_finds_out(desk: Desk, fault: Fault, error: type[Exception]) -> None:
    desk.transfer(100)
    desk.datastore.for_ever[WRITE] = fault

    with pytest.raises(error):
        desk.transfer(-100, key="k")

    desk.datastore.for_ever.clear()
    desk.transfer(-100, key="k")
    assert desk.balance_units() == 0


def test_a_debit_whose_replies_are_all_lost_is_found_under_its_key(desk: Desk) -> None:
    desk.transfer(100)
    desk.datastore.for_ever[WRITE] = reply_lost

    assert desk.transfer(-100).replayed is False

    assert desk.balance_units() == 0


def test_after_a_lost_request_an_unused_key_proves_nothing(desk: Desk) -> None:
    """The request may arrive yet: that the balance no longer covers it is no answer."""
    desk.transfer(100)

    def lost_and_spent(_: Callable[[], dict[str, object]]) -> dict[str, object]:
        transfer_once(desk.market.engine, Transfer(desk.user, new_key(), "USD", -1))
        return request_lost(dict)

    desk.datastore.fail(WRITE, lost_and_spent)

    with pytest.raises(DatastoreUnavailable):
        desk.transfer(-100)

"""Transfers: once per key, whatever becomes of the answers, and never beyond what an account holds or can hold."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from chalicelib.contract.errors import Contention, DatastoreUnavailable, IdempotencyKeyReused
from chalicelib.domain.facts import Transfer, Transferred
from chalicelib.domain.money import MAX_BALANCE_UNITS, PRICE_PER_USD
from chalicelib.domain.record import Record, next_head
from chalicelib.domain.refusals import TransferRejected, UnknownAsset
from chalicelib.engine import Engine, build
from chalicelib.store.connection import Throttled
from chalicelib.trading.instruction import Outcome
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
    time: VirtualTime
    user: int

    def transfer(self, units: int, key: str | None = None, symbol: str = "USD") -> Outcome:
        return self.engine.transfers.make(Transfer(self.user, key or new_key(), symbol, units), self.engine.deadline())

    def preview(self, units: int, key: str, symbol: str = "USD") -> Outcome:
        return self.engine.transfers.preview(Transfer(self.user, key, symbol, units), self.engine.deadline())

    def others_transfer(self, units: int) -> Outcome:
        """A transfer by another process."""
        engine = self.market.engine
        return engine.transfers.make(Transfer(self.user, new_key(), "USD", units), engine.deadline())

    def records(self) -> list[Record]:
        return self.market.records(self.user)

    def balance_units(self) -> int:
        """The balance, which is what the records make it: numbered without a gap, one chain, no transfer doubled or lost."""
        account = self.market.account(self.user)
        head, balances = b"", dict.fromkeys(account.balances, 0)
        for number, record in enumerate(self.records(), start=1):
            head = next_head(head, record.text)
            assert (record.sequence, record.head) == (number, head)
            assert isinstance(record.decision, Transferred)
            balances[record.decision.transfer.symbol] += record.decision.transfer.units
        assert (account.head, account.balances) == (head, balances)
        return account.balance_units("USD")


def hidden(_: Callable[[], dict[str, object]]) -> dict[str, object]:
    """A read of records that comes too early."""
    return {"Responses": {}}


@pytest.fixture
def desk(moto_market: Market) -> Desk:
    datastore, time = FaultyDatastore(moto_market.datastore), VirtualTime()
    return Desk(moto_market, build(moto_market.settings, datastore, time.world), datastore, time, new_user_id())


def test_a_funding_opens_an_account_and_a_debit_takes_from_it(desk: Desk) -> None:
    assert desk.transfer(100).replayed is False
    assert desk.transfer(-60).replayed is False

    assert desk.balance_units() == 40
    assert desk.market.account(desk.user).sequence == 2


def test_a_funding_brings_its_value_at_the_last_price_known(desk: Desk) -> None:
    desk.transfer(200_000_000, symbol="ETH")

    (record,) = desk.records()
    assert isinstance(record.decision, Transferred)
    assert record.decision.price is not None
    assert record.decision.price.value == 3_000 * PRICE_PER_USD
    assert desk.market.account(desk.user).books.cost_basis == {"ETH": 6_000 * 10**8}


def test_a_halted_asset_can_still_be_transferred(desk: Desk) -> None:
    desk.market.list_asset("HALTED", "2", halted=True)

    desk.transfer(5, symbol="HALTED")
    desk.transfer(-5, symbol="HALTED")

    assert desk.market.account(desk.user).balances == {"HALTED": 0}


def test_an_asset_that_is_not_listed_is_not_moved(desk: Desk) -> None:
    with pytest.raises(UnknownAsset):
        desk.transfer(5, symbol="UNPRICED")

    assert desk.market.account(desk.user).sequence == 0


def test_a_transfer_that_was_made_is_replayed_although_its_asset_is_gone(desk: Desk) -> None:
    desk.market.list_asset("DEPARTED", "2")
    made = desk.transfer(5, key="k", symbol="DEPARTED")
    desk.market.remove_asset("DEPARTED")
    desk.time.elapsed_s += 2

    again = desk.transfer(5, key="k", symbol="DEPARTED")

    assert (again.record, again.replayed) == (made.record, True)


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

    with pytest.raises(IdempotencyKeyReused, match=r"another transfer: it stands for FUND 0\.00000100 USD, this is"):
        desk.transfer(units, key="k", symbol=symbol)

    assert desk.balance_units() == 100


@pytest.mark.parametrize("held", [0, 99])
def test_a_debit_never_overdraws_and_leaves_its_key_unused(desk: Desk, held: int) -> None:
    if held:
        desk.transfer(held)

    with pytest.raises(TransferRejected, match="overdraws"):
        desk.transfer(-100, key="k")

    desk.transfer(100, key="k")
    assert desk.balance_units() == held + 100


def test_fundings_end_at_the_largest_balance(desk: Desk) -> None:
    desk.transfer(MAX_BALANCE_UNITS - 1)
    desk.transfer(1)

    with pytest.raises(TransferRejected, match="holds at most"):
        desk.transfer(1)

    assert desk.balance_units() == MAX_BALANCE_UNITS


def test_an_account_that_moves_meanwhile_is_decided_anew(desk: Desk) -> None:
    desk.transfer(100)
    desk.datastore.fail(WRITE, before(lambda: desk.market.fund(desk.user, "USD", "1")))

    desk.transfer(-100)

    assert desk.balance_units() == 100_000_000


def test_a_debit_whose_money_somebody_else_took_is_refused(desk: Desk) -> None:
    desk.transfer(100)
    desk.datastore.fail(WRITE, before(lambda: desk.others_transfer(-1)))

    with pytest.raises(TransferRejected, match="overdraws"):
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
    made = desk.market.engine.transfers.make(twin, desk.market.engine.deadline())
    desk.datastore.fail(WRITE, conflict)  # for as long as the duplicate's transaction is under way
    desk.datastore.fail("BatchGetItem", hidden)

    again = desk.transfer(-100, key="twin")

    assert again == Outcome(made.record, replayed=True, attempts=2, conflicts=1)


@pytest.mark.parametrize("fault", [request_lost, reply_lost, throttled, conflict])
def test_a_refusal_survives_a_fault(desk: Desk, fault: Fault) -> None:
    desk.transfer(99)
    desk.datastore.fail(WRITE, fault)

    with pytest.raises(TransferRejected, match="overdraws"):
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
def test_a_fault_that_lasts_is_reported_and_the_same_key_finds_out(desk: Desk, fault: Fault, error: type[Exception]) -> None:
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
        desk.others_transfer(-1)
        return request_lost(dict)

    desk.datastore.fail(WRITE, lost_and_spent)

    with pytest.raises(DatastoreUnavailable):
        desk.transfer(-100)


def test_a_refused_debit_is_confirmed_without_storing_anything(desk: Desk) -> None:
    """One transaction of condition checks: the refusal is about one moment, and no link of the chain."""
    desk.transfer(99)
    desk.datastore.calls.clear()

    with pytest.raises(TransferRejected, match="overdraws"):
        desk.transfer(-100)

    assert desk.datastore.calls == [WRITE]
    assert [record.sequence for record in desk.records()] == [1]


# Previews.


def test_a_preview_is_what_the_transfer_would_be_and_stores_nothing(desk: Desk) -> None:
    desk.transfer(100)

    preview = desk.preview(-60, "k")

    assert not preview.replayed
    assert desk.balance_units() == 100
    made, previewed = desk.transfer(-60, "k").record.decision, preview.record.decision
    assert isinstance(made, Transferred)
    assert isinstance(previewed, Transferred)
    assert (previewed.transfer, previewed.balance_units) == (made.transfer, made.balance_units)


def test_a_preview_of_what_was_made_is_a_replay(desk: Desk) -> None:
    made = desk.transfer(100, "k")

    preview = desk.preview(100, "k")

    assert (preview.record, preview.replayed) == (made.record, True)


def test_a_preview_rejects_what_the_transfer_would(desk: Desk) -> None:
    desk.transfer(100, "k")

    with pytest.raises(TransferRejected, match="overdraws"):
        desk.preview(-101, "l")
    with pytest.raises(IdempotencyKeyReused, match=r"it stands for FUND 0\.00000100 USD, this is FUND 0\.00000101 USD"):
        desk.preview(101, "k")
    assert desk.balance_units() == 100


def test_a_preview_that_cannot_be_read_says_so(desk: Desk) -> None:
    desk.datastore.fail("GetItem", throttled)

    with pytest.raises(Throttled):
        desk.preview(100, "k")

"""The execution loop, outcome by outcome: what the answer to a commit means for the order, and what it cost to find out."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from chalicelib.contract.errors import Contention, DatastoreUnavailable, IdempotencyKeyReused
from chalicelib.contract.replies import reply_of
from chalicelib.domain.facts import Fill, Transfer
from chalicelib.domain.money import UNITS_PER_ONE, text_from
from chalicelib.domain.order import Amount, Order, Side
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import BrokenRule, HaltedAsset, UnknownAsset
from chalicelib.engine import REMAINDER_MS, Engine, build
from chalicelib.store.tables import Tables, asset_key
from chalicelib.trading.instruction import Outcome, Refused
from chalicelib.trading.turn_taking import TURN
from tests.support.faults import (
    WRITE,
    Fault,
    FaultyDatastore,
    VirtualTime,
    before,
    conflict,
    none,
    reply_lost,
    request_lost,
    throttled,
)
from tests.support.market import Market, new_key, new_user_id
from tests.support.turns import Turn


@dataclass
class Process:
    """One Lambda's engine: its own caches, over a datastore that fails on demand, in a time of its own."""

    engine: Engine
    datastore: FaultyDatastore
    time: VirtualTime

    def execute(self, order: Order) -> Outcome:
        return self.engine.executor.execute(order, self.engine.deadline())

    def execute_batch(self, *orders: Order) -> list[Outcome | Refused]:
        return self.engine.executor.execute_batch(orders, self.engine.deadline())


@pytest.fixture
def new_process(moto_market: Market) -> Callable[[], Process]:
    def new_process() -> Process:
        settings = replace(moto_market.settings, price_age_ms=1_000, connect_timeout_ms=1_000, read_timeout_ms=4_000)
        assert (settings.request_budget_ms, settings.call_worst_ms) == (20_000, 5_000)
        datastore, time = FaultyDatastore(moto_market.datastore), VirtualTime()
        return Process(build(settings, datastore, time.world), datastore, time)

    return new_process


@pytest.fixture
def process(new_process: Callable[[], Process]) -> Process:
    return new_process()


@pytest.fixture
def user(moto_market: Market) -> int:
    return moto_market.new_user(USD="100000")


def buy(user: int, quantity: int = 1, key: str | None = None, symbol: str = "BTC") -> Order:
    return Order(user, key or new_key(), symbol, "USD", Amount(quantity * UNITS_PER_ONE, str(quantity)))


def of(order: Order, units: int) -> Order:
    """The same order for another quantity."""
    return replace(order, quantity=Amount(units, text_from(units)))


def status(record: Record) -> int:
    return reply_of(record)[0]


def warm(process: Process, user: int) -> None:
    """Prices and account are known, and 0.0005 USD are spent."""
    process.execute(of(buy(user), 1))
    process.datastore.calls.clear()


def fills(market: Market, user: int) -> int:
    return sum(isinstance(record.decision, Fill) for record in market.records(user))


# What an order costs.


def test_a_warm_fill_is_one_request(process: Process, user: int) -> None:
    process.execute(buy(user))
    process.datastore.calls.clear()

    assert status(process.execute(buy(user)).record) == 200
    assert process.datastore.calls == [WRITE]


def test_a_warm_refusal_is_one_request(process: Process, user: int) -> None:
    process.execute(buy(user))
    process.datastore.calls.clear()

    assert status(process.execute(buy(user, 9)).record) == 402
    assert process.datastore.calls == [WRITE]


def test_a_warm_replay_is_one_request(process: Process, user: int) -> None:
    order = buy(user)
    first = process.execute(order)
    process.datastore.calls.clear()

    again = process.execute(order)

    assert (again.record, again.replayed) == (first.record, True)
    assert process.datastore.calls == [WRITE]


def test_a_cold_order_reads_account_and_prices_first(process: Process, user: int) -> None:
    process.execute(buy(user))

    assert process.datastore.calls == ["GetItem", "BatchGetItem", WRITE]


def test_a_warm_portfolio_is_one_request(process: Process, user: int) -> None:
    process.engine.queries.portfolio(user, process.engine.deadline())
    process.datastore.calls.clear()

    process.engine.queries.portfolio(user, process.engine.deadline())

    assert process.datastore.calls == ["GetItem"]


def test_a_price_is_used_until_its_age_and_not_after(process: Process, user: int) -> None:
    process.execute(buy(user, symbol="SOL"))
    process.datastore.calls.clear()

    process.time.elapsed_s = 1.0
    process.execute(buy(user, symbol="SOL"))
    assert process.datastore.calls == [WRITE]

    process.time.elapsed_s = 1.001
    process.execute(buy(user, symbol="SOL"))
    assert process.datastore.calls == [WRITE, "BatchGetItem", WRITE]


def test_prices_that_grew_too_old_while_the_account_was_read_are_read_again(
    process: Process, moto_market: Market, user: int
) -> None:
    warm(process, moto_market.new_user(USD="1"))

    def slow(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        process.time.elapsed_s += 1.5
        return send()

    process.datastore.fail("GetItem", slow)

    process.execute(buy(user))

    assert process.datastore.calls == ["GetItem", "BatchGetItem", WRITE]


def test_an_unknown_asset_costs_a_look_at_the_key(process: Process, user: int) -> None:
    for calls in (["GetItem", "BatchGetItem", "BatchGetItem"], ["BatchGetItem"]):
        process.datastore.calls.clear()
        with pytest.raises(UnknownAsset):
            process.execute(buy(user, symbol="NOPE"))
        assert process.datastore.calls == calls


def test_an_order_beside_a_transfer_reads_the_prices_of_both_together(process: Process, user: int) -> None:
    """One after the other, slow reads would let the first ones grow too old, again and again."""

    def slow(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        process.time.elapsed_s += 0.6
        return send()

    warm(process, user)
    process.time.elapsed_s += 2
    process.datastore.for_ever["BatchGetItem"] = slow
    slot_taken, go_on = Event(), Event()

    def held_back(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        slot_taken.set()
        assert go_on.wait(30)
        process.time.elapsed_s += 2
        return send()

    process.datastore.fail(WRITE, held_back)
    waits: SimpleQueue[Turn] = SimpleQueue()
    world = replace(process.time.world, new_lock=lambda: Turn(waits))
    engine = build(process.engine.settings, process.datastore, world)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(engine.executor.execute, buy(user), engine.deadline())
        assert slot_taken.wait(30)
        order = threads.submit(engine.executor.execute, of(buy(user), 1), engine.deadline())
        waits.get(timeout=30)
        transfer = threads.submit(engine.transfers.make, Transfer(user, new_key(), "SOL", 5), engine.deadline())
        waits.get(timeout=30)
        process.datastore.calls.clear()
        go_on.set()
        outcomes = [asked.result(30) for asked in (first, order, transfer)]

    assert [outcome.together for outcome in outcomes] == [1, 2, 2]
    assert process.datastore.calls == ["BatchGetItem", WRITE]


# What the answers mean, in their order of precedence.


def test_the_key_comes_before_the_account(new_process: Callable[[], Process], user: int) -> None:
    """Another process filled the order and spent the rest: both conditions fail, and the answer is the stored one."""
    one, other = new_process(), new_process()
    warm(one, user)
    order = buy(user)
    first = other.execute(order)
    other.execute(buy(user, 499, symbol="SOL"))

    again = one.execute(order)

    assert (again.record, again.replayed, again.attempts) == (first.record, True, 1)


def test_a_replay_brings_the_account_up_to_date(new_process: Callable[[], Process], user: int) -> None:
    one, other = new_process(), new_process()
    warm(one, user)
    order = buy(user)
    other.execute(order)
    one.execute(order)
    one.datastore.calls.clear()

    assert one.execute(buy(user)).attempts == 1
    assert one.datastore.calls == [WRITE]


def test_an_account_that_moved_on_is_decided_anew_on_what_came_back(new_process: Callable[[], Process], user: int) -> None:
    one, other = new_process(), new_process()
    warm(one, user)
    other.execute(buy(user))

    execution = one.execute(buy(user))

    assert (status(execution.record), execution.attempts) == (402, 2)  # too little is left for a second BTC
    assert one.datastore.calls == [WRITE, WRITE]
    assert one.time.waits_s == []


def test_a_refusal_by_a_stale_view_is_not_stored(new_process: Callable[[], Process], moto_market: Market, user: int) -> None:
    one = new_process()
    warm(one, user)
    moto_market.fund(user, "USD", "1000000")

    assert status(one.execute(buy(user, 10)).record) == 200


def test_transactions_that_meet_are_tried_again_after_a_wait(process: Process, user: int) -> None:
    warm(process, user)
    process.datastore.fail(WRITE, conflict, conflict)

    execution = process.execute(buy(user))

    assert (status(execution.record), execution.attempts) == (200, 3)
    assert len(process.time.waits_s) == 2
    assert all(0 < wait < 0.1 for wait in process.time.waits_s)


def test_an_account_that_stays_busy_to_the_deadline_is_contention(process: Process, moto_market: Market, user: int) -> None:
    warm(process, user)
    process.datastore.for_ever[WRITE] = conflict

    with pytest.raises(Contention):
        process.execute(buy(user))

    assert fills(moto_market, user) == 1
    assert process.time.elapsed_s <= 20


def test_a_throttled_order_waits_longer_each_time(process: Process, user: int) -> None:
    warm(process, user)
    process.datastore.fail(WRITE, throttled, throttled, throttled)

    assert status(process.execute(buy(user)).record) == 200
    assert process.time.waits_s == sorted(process.time.waits_s)
    assert process.time.waits_s[-1] > process.time.waits_s[0]


def test_a_throttled_transaction_leaves_nothing_in_doubt(process: Process, moto_market: Market, user: int) -> None:
    """It was answered: nothing happened, and the account is as it was seen."""
    warm(process, user)
    process.datastore.fail(WRITE, throttled)
    process.execute(crumb(user))
    assert process.datastore.calls == [WRITE, WRITE]

    def delisted(_: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        process.time.elapsed_s += 2
        moto_market.remove_asset("DELISTED")
        return throttled(dict)

    moto_market.list_asset("DELISTED", "1")
    process.datastore.fail(WRITE, delisted)
    with pytest.raises(UnknownAsset):
        process.execute(buy(user, symbol="DELISTED"))


def test_a_transaction_that_was_never_sent_leaves_nothing_in_doubt(process: Process, user: int) -> None:
    """Reading the prices took the time that it would have had."""
    warm(process, user)
    process.time.elapsed_s = 2

    def slow(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        process.time.elapsed_s += 0.9
        return send()

    process.datastore.fail("BatchGetItem", slow)
    hurried = process.engine.deadline(remaining_ms=REMAINDER_MS + 2 * process.engine.settings.call_worst_ms + 500)

    with pytest.raises(Contention):
        process.engine.executor.execute(buy(user), hurried)
    assert process.datastore.calls == ["BatchGetItem", "BatchGetItem"]


@pytest.mark.parametrize("operation", ["BatchGetItem", "GetItem", WRITE])
@pytest.mark.parametrize("fault", [throttled, request_lost])
def test_a_datastore_out_of_reach_to_the_deadline_is_unavailable(
    process: Process, user: int, operation: str, fault: Fault
) -> None:
    process.datastore.for_ever[operation] = fault

    with pytest.raises(DatastoreUnavailable):
        process.execute(buy(user))

    an_attempt_and_a_read_s = 5 + 5
    assert 20 - an_attempt_and_a_read_s - 2.1 <= process.time.elapsed_s <= 20


def test_a_reply_that_was_lost_is_found_under_the_key(process: Process, moto_market: Market, user: int) -> None:
    warm(process, user)
    process.datastore.fail(WRITE, reply_lost)

    execution = process.execute(buy(user))

    assert status(execution.record) == 200
    assert not execution.replayed, "this request decided it"
    assert fills(moto_market, user) == 2


def test_a_request_that_was_lost_is_sent_again(process: Process, moto_market: Market, user: int) -> None:
    warm(process, user)
    process.datastore.fail(WRITE, request_lost)

    execution = process.execute(buy(user))

    assert (status(execution.record), execution.replayed) == (200, False)
    assert fills(moto_market, user) == 2


def test_a_lost_reply_is_distinguished_from_another_requests_decision(new_process: Callable[[], Process], user: int) -> None:
    one, other = new_process(), new_process()
    other.time.elapsed_s = 0.5
    order = buy(user)
    one.datastore.fail(WRITE, request_lost, before(lambda: other.execute(order)))

    assert one.execute(order).replayed


@pytest.mark.parametrize("what_happens", ["removed", "halted", "stale"])
def test_after_a_silence_only_what_is_stored_is_an_answer(
    process: Process, moto_market: Market, user: int, what_happens: str
) -> None:
    """The asset goes while an attempt is unanswered: "not found", "halted" or "stale" would claim that nothing happened."""
    process.engine.executor.decider.price_stale_s = 60
    moto_market.list_asset("LEAVES", "1")

    def silence(_: object) -> dict[str, object]:
        process.time.elapsed_s += 2
        if what_happens == "halted":
            moto_market.list_asset("LEAVES", "1", halted=True)
        elif what_happens == "stale":
            moto_market.dynamodb.update_item(
                TableName=moto_market.tables.assets,
                Key=asset_key("LEAVES"),
                UpdateExpression="SET price_at = :long_ago",
                ExpressionAttributeValues={":long_ago": {"S": "2025-12-31T23:58:00.000000Z"}},
            )
        else:
            moto_market.remove_asset("LEAVES")
        return request_lost(dict)

    process.datastore.fail(WRITE, silence)

    with pytest.raises(DatastoreUnavailable):
        process.execute(buy(user, symbol="LEAVES"))


def test_after_a_silence_what_is_stored_is_the_answer_although_the_asset_is_gone(
    process: Process, moto_market: Market, user: int
) -> None:
    moto_market.list_asset("LEFT", "1")

    def filled_in_silence(send: Callable[[], dict[str, object]]) -> dict[str, object]:
        send()
        process.time.elapsed_s += 2
        moto_market.remove_asset("LEFT")
        return request_lost(dict)

    process.datastore.fail(WRITE, filled_in_silence)

    execution = process.execute(buy(user, symbol="LEFT"))

    assert (status(execution.record), execution.replayed) == (200, False)


def test_contention_after_a_silence_is_not_called_contention(process: Process, user: int) -> None:
    warm(process, user)
    process.datastore.fail(WRITE, request_lost)
    process.datastore.for_ever[WRITE] = conflict

    with pytest.raises(DatastoreUnavailable):
        process.execute(buy(user))


# A busy account says nothing about a key: the time ends early enough for one read of it.


def test_a_conflict_that_hides_a_taken_key_ends_in_the_keys_outcome(process: Process, moto_market: Market, user: int) -> None:
    order = buy(user)
    first = process.execute(order)
    process.datastore.for_ever[WRITE] = conflict

    again = process.execute(order)

    assert (again.record, again.replayed) == (first.record, True)
    assert again.conflicts > 0
    assert fills(moto_market, user) == 1


def test_what_an_attempt_stored_without_an_answer_is_found_however_busy_the_account(
    process: Process, moto_market: Market, user: int
) -> None:
    warm(process, user)
    process.datastore.fail(WRITE, reply_lost)
    process.datastore.for_ever[WRITE] = conflict

    execution = process.execute(buy(user))

    assert (status(execution.record), execution.replayed) == (200, False), "this request decided it"
    assert fills(moto_market, user) == 2


def test_a_hidden_key_that_stands_for_another_order_is_reused(process: Process, user: int) -> None:
    order = buy(user)
    process.execute(order)
    process.datastore.for_ever[WRITE] = conflict

    with pytest.raises(IdempotencyKeyReused):
        process.execute(buy(user, 2, key=order.idempotency_key))


@pytest.mark.parametrize("fault", [throttled, request_lost])
def test_where_the_last_read_fails_the_outcome_is_unknown(process: Process, user: int, fault: Fault) -> None:
    """Contention would claim that nothing was decided."""
    records = Tables.of(process.engine.settings.table_prefix).idempotency  # only reads of records fail; prices are had

    def fails_for_records(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        answer = send()
        return fault(send) if records in answer["Responses"] else answer

    warm(process, user)
    process.datastore.for_ever = {WRITE: conflict, "BatchGetItem": fails_for_records}

    with pytest.raises(DatastoreUnavailable):
        process.execute(buy(user))
    assert process.datastore.calls[-1] == "BatchGetItem"


def test_the_last_attempt_ends_early_enough_for_the_read(process: Process, user: int) -> None:
    """Each call takes its worst case: the time that is left for the read is never used for another attempt."""
    started: list[tuple[str, float]] = []

    def slow(name: str, fault: Fault) -> Fault:
        def call(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
            started.append((name, process.time.elapsed_s))
            process.time.elapsed_s += 5
            return fault(send)

        return call

    warm(process, user)
    process.datastore.for_ever = {WRITE: slow(WRITE, conflict), "BatchGetItem": slow("BatchGetItem", none)}
    process.time.elapsed_s = 0

    with pytest.raises((Contention, DatastoreUnavailable)):
        process.execute(buy(user))

    assert started[0] == (WRITE, 0)
    assert [at for _, at in started[:-1] if at > 20 - 2 * 5] == []
    assert started[-1][0] == "BatchGetItem"
    assert started[-1][1] <= 20 - 5
    assert process.time.elapsed_s <= 20


# Keys.


def test_a_key_that_stands_for_another_order_says_which_and_for_which_it_came(process: Process, user: int) -> None:
    order = buy(user)
    process.execute(order)

    with pytest.raises(IdempotencyKeyReused, match=r"for BUY 1\.00000000 BTC WITH USD, this is BUY 2\.00000000 SOL WITH USD$"):
        process.execute(buy(user, 2, key=order.idempotency_key, symbol="SOL"))


@pytest.mark.parametrize("other", [{"quantity": 2}, {"symbol": "NOPE"}, {"quantity": 10**6}])
def test_a_used_key_wins_over_what_is_wrong_with_the_other_order(process: Process, user: int, other: dict[str, Any]) -> None:
    order = buy(user)
    process.execute(order)

    with pytest.raises(IdempotencyKeyReused, match=r"BUY 1\.00000000 BTC WITH USD"):
        process.execute(buy(user, key=order.idempotency_key, **other))


def test_a_halted_asset_decides_nothing(process: Process, moto_market: Market, user: int) -> None:
    moto_market.list_asset("HALT", "1", halted=True)

    with pytest.raises(HaltedAsset):
        process.execute(buy(user, symbol="HALT"))

    assert fills(moto_market, user) == 0


def test_no_call_starts_that_might_outlast_the_deadline(process: Process, user: int) -> None:
    """Each silence takes a call's time-outs; what is left decides whether another call may start."""
    started: list[float] = []

    def silence(_: object) -> dict[str, object]:
        started.append(process.time.elapsed_s)
        process.time.elapsed_s += 3
        return request_lost(dict)

    process.datastore.for_ever = {"BatchGetItem": silence, "GetItem": silence, WRITE: silence}

    with pytest.raises(DatastoreUnavailable):
        process.execute(buy(user))

    assert len(started) > 1
    assert started[-1] <= 20 - 5
    assert process.time.elapsed_s <= 20


def test_a_lambda_that_has_less_time_left_stops_earlier(process: Process, user: int) -> None:
    process.datastore.for_ever[WRITE] = throttled

    with pytest.raises(DatastoreUnavailable):
        process.engine.executor.execute(buy(user), process.engine.deadline(remaining_ms=12_000))

    assert 0 < process.time.elapsed_s < 1.6


def test_a_bug_is_not_retried(process: Process, user: int) -> None:
    def misconfigured(_: object) -> dict[str, object]:
        raise LookupError("no such table")

    process.datastore.for_ever[WRITE] = misconfigured

    with pytest.raises(LookupError):
        process.execute(buy(user))

    assert process.datastore.calls.count(WRITE) == 1


# What an outcome says about how it came about.


def crumb(user: int) -> Order:
    """An order that any of these users can pay for, many times."""
    return of(buy(user), 1)


def test_an_account_that_moves_on_again_and_again_is_waited_for(new_process: Callable[[], Process], user: int) -> None:
    """The first time it is only this process that was behind; then others are at work on it."""
    one, other = new_process(), new_process()
    warm(one, user)
    others_turn = before(lambda: other.execute(crumb(user)))
    one.datastore.fail(WRITE, others_turn, others_turn, others_turn)

    outcome = one.execute(crumb(user))

    assert (status(outcome.record), outcome.attempts, outcome.conflicts) == (200, 4, 3)
    assert len(one.time.waits_s) == 2


def test_who_met_a_rival_leaves_it_the_account_after_a_turn_and_looks_when_it_comes_back(
    new_process: Callable[[], Process], user: int
) -> None:
    one, other = new_process(), new_process()
    warm(one, user)
    others_turn = before(lambda: other.execute(crumb(user)))
    one.datastore.fail(WRITE, others_turn, others_turn)
    one.execute(crumb(user))
    waits = len(one.time.waits_s)
    one.datastore.calls.clear()

    for _ in range(TURN - 1):
        one.execute(crumb(user))
    assert (one.datastore.calls, len(one.time.waits_s)) == ([WRITE] * (TURN - 1), waits)

    one.datastore.calls.clear()
    assert one.execute(crumb(user)).conflicts == 0
    assert (one.datastore.calls, len(one.time.waits_s)) == (["GetItem", WRITE], waits + 1)


def test_who_leaves_the_account_to_a_rival_keeps_half_of_its_time(new_process: Callable[[], Process], user: int) -> None:
    one, other = new_process(), new_process()
    warm(one, user)
    others_turn = before(lambda: other.execute(crumb(user)))
    one.datastore.fail(WRITE, others_turn, others_turn)
    for _ in range(TURN):
        one.execute(crumb(user))
    # What is left beyond the worst case of an attempt and of the read that may follow it: 10 ms.
    hurried = one.engine.deadline(remaining_ms=REMAINDER_MS + 2 * one.engine.settings.call_worst_ms + 10)

    assert status(one.engine.executor.execute(crumb(user), hurried).record) == 200

    assert one.time.waits_s[-1] == pytest.approx(0.01 / 2)


def test_every_kind_of_conflict_is_counted(new_process: Callable[[], Process], user: int) -> None:
    one, other = new_process(), new_process()
    warm(one, user)
    one.datastore.fail(WRITE, conflict, before(lambda: other.execute(crumb(user))), conflict)

    outcome = one.execute(crumb(user))

    assert (status(outcome.record), outcome.attempts, outcome.conflicts) == (200, 4, 3)


def test_a_replay_counts_what_it_took_to_find_out(process: Process, user: int) -> None:
    order = buy(user)
    process.execute(order)
    process.datastore.fail(WRITE, conflict, conflict)

    outcome = process.execute(order)

    assert (outcome.replayed, outcome.attempts, outcome.conflicts) == (True, 3, 2)


def test_an_outcome_that_was_read_counts_what_came_before(process: Process, moto_market: Market, user: int) -> None:
    moto_market.list_asset("GONE", "1")
    order = buy(user, symbol="GONE")

    def filled_in_silence(send: Callable[[], dict[str, object]]) -> dict[str, object]:
        send()
        process.time.elapsed_s += 2
        moto_market.remove_asset("GONE")
        return request_lost(dict)

    process.datastore.fail(WRITE, conflict, filled_in_silence)

    outcome = process.execute(order)

    assert (status(outcome.record), outcome.attempts, outcome.conflicts) == (200, 2, 1)


def test_a_fill_names_the_thread_that_decided_it_and_the_time_of_day_at_which_it_did(process: Process, user: int) -> None:
    process.time.elapsed_s = 1.5

    with ThreadPoolExecutor(1, thread_name_prefix="trader") as threads:
        outcome = threads.submit(process.execute, buy(user)).result()

    reply = json.loads(reply_of(outcome.record)[1])
    assert (reply["executed_by_thread"], reply["executed_at"]) == ("trader_0", "2026-01-01T00:00:01.500000Z")


# What must not be mixed up.


def test_what_is_remembered_of_one_account_is_not_anothers(process: Process, moto_market: Market, user: int) -> None:
    poor = moto_market.new_user(USD="1")
    warm(process, user)

    assert status(process.execute(buy(poor)).record) == 402
    assert status(process.execute(buy(user)).record) == 200


def test_a_read_without_an_answer_leaves_nothing_in_doubt(process: Process, user: int) -> None:
    process.datastore.fail("BatchGetItem", request_lost)

    with pytest.raises(UnknownAsset):
        process.execute(buy(user, symbol="NOPE"))


def test_contention_after_a_read_without_an_answer_is_contention(process: Process, user: int) -> None:
    process.datastore.fail("GetItem", request_lost)
    process.datastore.for_ever[WRITE] = conflict

    with pytest.raises(Contention):
        process.execute(buy(user))


@pytest.mark.parametrize(
    ("remaining_ms", "error", "calls"), [(7_000, Contention, ["BatchGetItem"]), (1, DatastoreUnavailable, [])]
)
def test_who_has_no_time_for_an_attempt_reads_its_key_if_there_is_time_for_that(
    process: Process, user: int, remaining_ms: int, error: type[Exception], calls: list[str]
) -> None:
    with pytest.raises(error):
        process.engine.executor.execute(buy(user), process.engine.deadline(remaining_ms=remaining_ms))

    assert process.datastore.calls == calls


# Batches.


def results_of(results: list[Outcome | Refused]) -> list[object]:
    """Status and whether it is a replay, or the kind of refusal."""
    return [(status(result.record), result.replayed) if isinstance(result, Outcome) else type(result) for result in results]


NEW, KNOWN = (200, False), (200, True)


def little(user: int) -> Order:
    """An order that can be filled many times over."""
    return of(buy(user), 1_000_000)


def test_a_warm_batch_of_new_orders_is_one_request(process: Process, moto_market: Market, user: int) -> None:
    warm(process, user)

    results = process.execute_batch(*(little(user) for _ in range(99)))

    assert results_of(results) == [NEW] * 99
    assert process.datastore.calls == [WRITE]
    assert fills(moto_market, user) == 1 + 99


def test_a_warm_batch_of_which_all_is_known_is_one_request(process: Process, user: int) -> None:
    orders = [little(user) for _ in range(99)]
    process.execute_batch(*orders)
    process.datastore.calls.clear()

    assert results_of(process.execute_batch(*orders)) == [KNOWN] * 99
    assert process.datastore.calls == [WRITE]


def test_a_warm_batch_of_which_some_is_known_is_two_requests(process: Process, user: int) -> None:
    known = [little(user) for _ in range(3)]
    process.execute_batch(*known)
    process.datastore.calls.clear()

    results = process.execute_batch(buy(user), known[2], buy(user, 9), known[0], of(known[1], 1))

    assert results_of(results) == [NEW, KNOWN, (402, False), KNOWN, IdempotencyKeyReused]
    assert process.datastore.calls == [WRITE, WRITE]


def test_a_cold_batch_is_three_requests(new_process: Callable[[], Process], user: int) -> None:
    process = new_process()

    process.execute_batch(*(buy(user, symbol=symbol) for symbol in ("BTC", "ETH", "SOL")))

    assert process.datastore.calls == ["GetItem", "BatchGetItem", WRITE]


def test_all_keys_of_unknown_assets_are_looked_at_in_one_request(process: Process, user: int) -> None:
    warm(process, user)
    orders = [buy(user, symbol="NOPE"), buy(user), buy(user, symbol="NOPE")]
    for calls in (["BatchGetItem", "BatchGetItem", WRITE], ["BatchGetItem", WRITE]):
        process.datastore.calls.clear()
        assert results_of(process.execute_batch(*orders))[::2] == [UnknownAsset, UnknownAsset]
        assert process.datastore.calls == calls


def test_each_order_of_a_batch_is_decided_on_the_account_as_the_one_before_leaves_it(process: Process, user: int) -> None:
    usd = replace(buy(user, 50_000), symbol="USD", other="BTC")

    results = process.execute_batch(buy(user, 2), buy(user), usd, buy(user))

    assert results_of(results) == [NEW, (402, False), NEW, NEW]


def test_a_batch_that_comes_too_late_is_decided_again_without_what_is_known_by_then(
    process: Process, new_process: Callable[[], Process], user: int
) -> None:
    """Another process is quicker with one of its orders, and then with another, in the other order."""
    warm(process, user)
    first, second, third = (little(user) for _ in range(3))
    other = new_process()
    process.datastore.fail(
        WRITE,
        before(lambda: other.execute(third)),
        before(lambda: other.execute(first)),
    )

    assert results_of(process.execute_batch(first, second, third)) == [KNOWN, NEW, KNOWN]
    assert process.datastore.calls == [WRITE, WRITE, WRITE]


def test_a_batch_whose_reply_was_lost_is_found_under_its_keys(process: Process, moto_market: Market, user: int) -> None:
    warm(process, user)
    known = little(user)
    process.execute(known)
    process.datastore.calls.clear()
    process.datastore.fail(WRITE, none, reply_lost)

    results = process.execute_batch(little(user), known, buy(user, 9), little(user))

    assert results_of(results) == [NEW, KNOWN, (402, False), NEW]
    assert process.datastore.calls == [WRITE, WRITE, "GetItem", WRITE]
    assert fills(moto_market, user) == 4


def test_a_batch_that_was_lost_is_sent_again(process: Process, moto_market: Market, user: int) -> None:
    warm(process, user)
    process.datastore.fail(WRITE, request_lost)

    assert results_of(process.execute_batch(little(user), little(user))) == [NEW, NEW]
    assert fills(moto_market, user) == 3


def test_an_order_of_a_batch_that_may_have_been_executed_is_not_called_undecidable(
    process: Process, moto_market: Market, user: int
) -> None:
    """Its asset is halted while the batch's fate is unknown. The others need not wait for it."""
    moto_market.list_asset("HALTING", "1")
    warm(process, user)
    process.engine.exactly_once.prices.assets(["HALTING"], process.engine.deadline())

    def halted_meanwhile(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        moto_market.list_asset("HALTING", "1", halted=True)
        process.time.elapsed_s += 2
        return request_lost(send)

    process.datastore.fail(WRITE, halted_meanwhile)

    assert results_of(process.execute_batch(buy(user, symbol="HALTING"), buy(user))) == [DatastoreUnavailable, NEW]


@pytest.mark.parametrize(("fault", "refusal"), [(conflict, Contention), (throttled, DatastoreUnavailable)])
def test_at_the_deadline_every_order_that_has_no_outcome_is_refused_with_the_reason(
    process: Process, user: int, fault: Fault, refusal: type[Exception]
) -> None:
    warm(process, user)
    known = little(user)
    process.execute(known)
    process.datastore.fail(WRITE, none)
    process.datastore.for_ever[WRITE] = fault

    assert results_of(process.execute_batch(buy(user), known, buy(user))) == [refusal, KNOWN, refusal]


def test_a_linked_batch_of_which_a_read_shows_a_part_has_an_unknown_outcome(process: Process, user: int) -> None:
    """A read shows what another's transaction stores one item after the other: the rest may be stored by now."""
    warm(process, user)
    shown, not_yet = little(user), little(user)
    process.execute(shown)
    process.datastore.for_ever[WRITE] = conflict

    with pytest.raises(DatastoreUnavailable):
        process.engine.executor.execute_linked([shown, not_yet], process.engine.deadline())


def test_a_batch_of_nothing_asks_for_nothing(process: Process) -> None:
    assert process.execute_batch() == []
    assert process.datastore.calls == []


def test_at_the_deadline_what_a_busy_account_hid_of_a_batch_is_found(process: Process, user: int) -> None:
    warm(process, user)
    known = little(user)
    process.execute(known)
    process.datastore.for_ever[WRITE] = conflict

    assert results_of(process.execute_batch(little(user), known, little(user))) == [Contention, KNOWN, Contention]


# Every kind of order.


def sell_all(user: int, key: str | None = None) -> Order:
    return Order(user, key or new_key(), "BTC", "USD", quantity=Amount(None, "all"), side=Side.SELL)


def spend(user: int, notional: str = "all") -> Order:
    amount = Amount(None if notional == "all" else int(notional) * UNITS_PER_ONE, notional)
    return Order(user, new_key(), "BTC", "USD", notional=amount)


def test_every_kind_of_order_is_decided_once_and_replayed(process: Process, moto_market: Market, user: int) -> None:
    limited = replace(buy(user), limit_price=10**16)
    expired = replace(buy(user), expires_at="2025-12-31T23:59:59.999999Z")
    orders = [buy(user), spend(user, "250"), sell_all(user), spend(user), limited, expired, spend(user)]

    first = [process.execute(order) for order in orders]
    again = [process.execute(order) for order in orders]

    assert [status(outcome.record) for outcome in first] == [200, 200, 200, 200, 412, 410, 402]
    assert [outcome.record for outcome in again] == [outcome.record for outcome in first]
    assert {outcome.replayed for outcome in again} == {True}
    assert [record.sequence for record in moto_market.records(user)] == list(range(1, 2 + len(orders)))


def test_a_refusal_is_replayed_although_it_would_fill_by_now(process: Process, moto_market: Market, user: int) -> None:
    dear = buy(user, 3)
    assert status(process.execute(dear).record) == 402
    moto_market.fund(user, "USD", "1000000")

    again = process.execute(dear)

    assert (status(again.record), again.replayed) == (402, True)
    assert fills(moto_market, user) == 0


def test_the_first_refusal_of_an_account_that_nobody_funded_is_its_first_record(process: Process, moto_market: Market) -> None:
    user = new_user_id()

    outcome = process.execute(buy(user))

    assert (status(outcome.record), outcome.record.sequence) == (402, 1)
    account = moto_market.account(user)
    assert (account.sequence, account.head, account.balances) == (1, outcome.record.head, {})
    moto_market.fund(user, "USD", "60000")
    assert status(process.execute(buy(user)).record) == 200


def test_an_order_that_breaks_a_rule_decides_nothing_and_leaves_its_key(process: Process, moto_market: Market, user: int) -> None:
    order = Order(user, new_key(), "SOL", "BTC", Amount(1, "0.00000001"))

    with pytest.raises(BrokenRule):
        process.execute(order)

    assert [record.sequence for record in moto_market.records(user)] == [1]
    assert status(process.execute(buy(user, key=order.idempotency_key)).record) == 200


def test_a_rule_that_depends_on_the_balance_is_confirmed_and_stores_nothing(
    process: Process, moto_market: Market, user: int
) -> None:
    moto_market.fund(user, "SOL", "0.00000001")
    all_of_it = Order(user, new_key(), "SOL", "BTC", quantity=Amount(None, "all"), side=Side.SELL)
    warm(process, user)
    process.engine.exactly_once.prices.assets(["SOL"], process.engine.deadline())
    process.datastore.calls.clear()

    with pytest.raises(BrokenRule):
        process.execute(all_of_it)

    assert process.datastore.calls == [WRITE]
    assert moto_market.account(user).sequence == 3


def test_a_rule_that_a_stale_view_breaks_is_decided_anew(
    new_process: Callable[[], Process], moto_market: Market, user: int
) -> None:
    one = new_process()
    moto_market.fund(user, "BTC", "0.00000001")
    one.execute(of(buy(user, symbol="SOL"), 1))
    all_of_it = Order(user, new_key(), "BTC", "ETH", quantity=Amount(None, "all"), side=Side.SELL)
    with pytest.raises(BrokenRule):
        one.execute(all_of_it)
    moto_market.fund(user, "BTC", "1")

    outcome = one.execute(all_of_it)

    assert (status(outcome.record), outcome.attempts) == (200, 2)
    assert moto_market.account(user).balance_units("BTC") == 0

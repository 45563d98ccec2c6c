"""All-or-nothing batches race their own orders and themselves, over real threads and processes: all fill, or none does."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from tests.support.audit import assert_audit
from tests.support.market import Market, batched
from tests.support.races import RACES, HeadStart, Received, Sent, head_start, race

USERS = 9
"""No divisor of the kinds of races, so that each user has races of every kind."""
THREADS = 16
ALONE = 1
"""The place of the order that is sent by itself as well."""


class Race(NamedTuple):
    """A linked batch and its rival: one of its orders by itself, or the whole batch again. `fills`: its last order can fill."""

    user: int
    orders: list[dict[str, Any]]
    fills: bool
    against_itself: bool
    batch: Received
    rival: Received


def test_a_linked_batch_that_races_its_own_orders_or_itself_fills_whole_or_not_at_all(
    market: Market, record_testsuite_property: Callable[[str, object], None]
) -> None:
    users = [market.new_user(USD="100000") for _ in range(USERS)]

    def run(number: int) -> Race:
        user, fills, against_itself = users[number % USERS], number // 4 % 2 == 0, number // 8 % 2 == 0
        orders = [batched(quantity="0.001"), batched(quantity="0.002"), batched(quantity="0.003" if fills else "9")]
        batch = Sent(
            "/api/v1/trading/execute/batch", {"user_id": user, "all_or_nothing": True, "orders": orders}, process=number // 2
        )
        alone = {name: value for name, value in orders[ALONE].items() if name != "idempotency_key"}
        rival = Sent("/api/v1/trading/execute", {"user_id": user, **alone}, batch.process + 1, orders[ALONE]["idempotency_key"])
        if against_itself:
            rival = batch._replace(process=batch.process + 1)
        contenders = (rival, batch) if number % 2 else (batch, rival)
        responses = race(market, *contenders, head_start(number // 16))
        return Race(user, orders, fills, against_itself, *(reversed(responses) if number % 2 else responses))

    with ThreadPoolExecutor(THREADS) as threads:
        races = list(threads.map(run, range(RACES)))

    wins: Counter[tuple[HeadStart, str]] = Counter()
    decided: Counter[int] = Counter()
    for number, each in enumerate(races):
        batch_won = _check_batch_against_itself(each) if each.against_itself else _check_batch_against_its_order(each)
        batch_first, lead = number % 2 == 0, head_start(number // 16)
        assert lead is not HeadStart.ANSWER or batch_won == batch_first
        winner = "the batch" if batch_won else "itself again" if each.against_itself else "its order"
        wins[lead, f"{winner}, sent {'first' if batch_won == batch_first else 'second'}"] += 1
        decided[each.user] += len(each.orders) if batch_won or each.against_itself else 1
    for lead in HeadStart:
        record_testsuite_property(
            f"linked races with a head start of {lead}", {who: n for (of, who), n in wins.items() if of is lead}
        )
    decided_in_advance = {who.partition(",")[0] for lead, who in wins if lead is HeadStart.ANSWER}
    assert decided_in_advance == {"the batch", "itself again", "its order"}
    for user in users:
        assert market.portfolio(user)["sequence"] == 1 + decided[user], "each key has one outcome, or none"
        assert_audit(market, user)


def _check_batch_against_itself(each: Race) -> bool:
    """Returns whether the batch decided what the same batch replayed."""
    results, again = _results(each.batch, each), _results(each.rival, each)
    assert [(result["status"], result["body"]) for result in results] == [(other["status"], other["body"]) for other in again]
    replayed = {result["replayed"] for result in results}
    assert len(replayed) == 1
    assert {result["replayed"] for result in again} == {not won for won in replayed}
    return replayed == {False}


def _check_batch_against_its_order(each: Race) -> bool:
    """Returns whether the batch decided before its order was executed by itself."""
    if each.batch.status != 200:
        assert (each.batch.status, each.batch.body["error_code"]) == (409, "ERR_ORDER_DECIDED")
        assert f"orders[{ALONE}]" in each.batch.body["message"]
        assert (each.rival.status, each.rival.replayed) == (200, False)
        return False
    result = _results(each.batch, each)[ALONE]
    assert (each.rival.status, each.rival.body, each.rival.replayed) == (result["status"], result["body"], True)
    return True


def _results(received: Received, each: Race) -> list[dict[str, Any]]:
    assert received.status == 200, received.body
    results: list[dict[str, Any]] = received.body["results"]
    assert [result["status"] for result in results] == ([200] * 3 if each.fills else [424, 424, 402])
    return results

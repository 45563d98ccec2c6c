"""Voids race orders for the same key, over real threads and processes: one wins, and both clients learn which."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.support.audit import assert_audit
from tests.support.market import Market, new_key, order
from tests.support.races import RACES, HeadStart, Received, Sent, head_start, race

USERS = 9
"""No divisor of the kinds of races, so that each user has races of every kind."""
THREADS = 16


def test_a_void_and_an_order_with_one_key_have_one_winner(
    market: Market, record_testsuite_property: Callable[[str, object], None]
) -> None:
    users = [market.new_user(USD="100000") for _ in range(USERS)]

    def run(number: int) -> tuple[Received, Received]:
        """Returns the responses to an order and to a void with its key. Each goes first in every second race."""
        user, key, lead = users[number % USERS], new_key(), head_start(number // 4)
        execute = Sent("/api/v1/trading/execute", order(user, quantity="0.001"), number // 2, key)
        void = Sent(f"/api/v1/trading/orders/{user}/void", {"idempotency_key": key}, number // 2 + 1)
        if number % 2:
            voided, executed = race(market, void, execute, lead)
        else:
            executed, voided = race(market, execute, void, lead)
        return executed, voided

    with ThreadPoolExecutor(THREADS) as threads:
        responses = list(threads.map(run, range(RACES)))

    wins: Counter[tuple[HeadStart, str]] = Counter()
    for number, (executed, voided) in enumerate(responses):
        filled = executed.status == 200
        if filled:
            assert (voided.status, voided.body["error_code"]) == (409, "ERR_ORDER_DECIDED")
            assert voided.body["order"]["reply"] == executed.body
        else:
            assert (executed.status, executed.body["error_code"], executed.replayed) == (410, "ERR_ORDER_VOIDED", True)
            assert (voided.status, voided.body["status"]) == (200, "ORDER_VOIDED")
        order_first = number % 2 == 0
        winner = f"the {'order' if filled else 'void'}, sent {'first' if filled == order_first else 'second'}"
        wins[head_start(number // 4), winner] += 1
    for lead in HeadStart:
        record_testsuite_property(
            f"void races with a head start of {lead}", {who: n for (of, who), n in wins.items() if of is lead}
        )
    decided_in_advance = {who for lead, who in wins if lead is HeadStart.ANSWER}
    assert decided_in_advance == {"the order, sent first", "the void, sent first"}
    for place, user in enumerate(users):
        assert market.portfolio(user)["sequence"] == 1 + len(range(place, RACES, USERS))
        assert_audit(market, user)

"""Voids race orders for the same key, over real threads and processes: one wins, and both clients learn which."""

from concurrent.futures import ThreadPoolExecutor

import requests

from tests.support.audit import assert_audit
from tests.support.market import TIMEOUT_S, Market, new_key, order

RACES = 500
"""A thousand over both engines."""
USERS = 10
THREADS = 16


def void(market: Market, user: int, key: str, process: int) -> requests.Response:
    """Voids a key at one of the processes."""
    url = f"{market.urls[process % len(market.urls)]}/api/v1/trading/orders/{user}/void"
    return requests.post(url, json={"idempotency_key": key}, headers=market.headers, timeout=TIMEOUT_S)


def test_a_void_and_an_order_with_one_key_have_one_winner(market: Market) -> None:
    users = [market.new_user(USD="100000") for _ in range(USERS)]
    races = [(users[number % USERS], new_key()) for number in range(RACES)]

    with ThreadPoolExecutor(THREADS) as threads:
        pairs = []
        for number, (user, key) in enumerate(races):
            sends = [
                lambda u=user, k=key, n=number: market.post(order(u, quantity="0.001"), k, n),
                lambda u=user, k=key, n=number: void(market, u, k, n + 1),
            ]
            first = number // 2 % 2
            futures = {which: threads.submit(sends[which]) for which in (first, 1 - first)}
            pairs.append((futures[0], futures[1]))
        replies = [(executed.result(), voided.result()) for executed, voided in pairs]

    for executed, voided in replies:
        if executed.status_code == 200:
            assert (voided.status_code, voided.json()["error_code"]) == (409, "ERR_ORDER_DECIDED")
            assert voided.json()["order"]["reply"] == executed.json()
        else:
            assert (executed.status_code, executed.json()["error_code"]) == (410, "ERR_ORDER_VOIDED")
            assert (voided.status_code, voided.json()["status"]) == (200, "ORDER_VOIDED")
    for user in users:
        assert market.portfolio(user)["sequence"] == 1 + RACES // USERS
        assert_audit(market, user)

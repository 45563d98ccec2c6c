"""A check of a running engine: it sends orders over many connections, some of them twice, and looks for lost or doubled ones.

    python bench/acknowledged.py --orders 400 --connections 16 http://127.0.0.1:8000 [another process's URL …]
    python bench/acknowledged.py --batch 25 http://127.0.0.1:8000    in batches of 25; some orders are repeated in other batches

It needs only Python. Nothing else may trade for user 1 meanwhile. It exits with 1 on any difference.
"""

import argparse
import http.client
import json
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http import HTTPStatus
from itertools import cycle
from urllib.parse import urlsplit

USER = 1
"""The seed's user."""
TWICE = 5  # every fifth order
MAX_BATCH = 99
AGAIN = (HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE)
"""Statuses after which the same key is sent again: nothing was decided, or the outcome is unknown."""
TRIES = 20
SYMBOLS = {"BTC": "0.00012345", "ETH": "0.00123456", "SOL": "0.01234567"}

Order = tuple[str, str]
"""Key and symbol."""
Answer = tuple[str, int, str]
"""Key, status and body."""
Send = Callable[[http.client.HTTPConnection, int, list[Order]], list[Answer]]


def main() -> int:
    """Sends the orders, then compares every acknowledged fill with the portfolio. Returns the exit status."""
    options = _options()
    run = uuid.uuid4().hex[:8]
    try:
        before = _holdings(options.urls[0], USER)
    except OSError as error:
        sys.exit(f"No engine answers at {options.urls[0]}: {error.strerror or error}")
    orders = [(f"{run}-{n}", symbol) for n, symbol in zip(range(options.orders), cycle(SYMBOLS), strict=False)]
    again = orders[::TWICE]
    # In separate requests, since a batch takes no key twice.
    requests = [some[n : n + options.batch] for some in (orders, again) for n in range(0, len(some), options.batch)]
    loads = [
        (url, USER, requests[n :: options.connections])
        for n, url in zip(range(options.connections), cycle(options.urls), strict=False)
    ]
    send = _alone if options.batch == 1 else _as_a_batch

    started = time.perf_counter()
    replies: dict[str, list[tuple[int, str]]] = defaultdict(list)
    with ThreadPoolExecutor(options.connections) as threads:
        for answered in threads.map(lambda load: _trade(send, *load), loads):
            for key, status, body in answered:
                replies[key].append((status, body))
    seconds = time.perf_counter() - started

    wrong = [key for key, got in replies.items() if len(set(got)) != 1]
    expected = defaultdict(Decimal, before)
    filled = 0
    for got in replies.values():
        status, body = got[0]
        if status == HTTPStatus.OK:
            fill = json.loads(body)
            filled += 1
            expected[fill["symbol"]] += Decimal(fill["quantity_filled"])
            expected[fill["paid_with"]] -= Decimal(fill["total_cost"])
    after = _holdings(options.urls[0], USER)
    difference = {
        symbol: str(after.get(symbol, Decimal(0)) - amount)
        for symbol, amount in expected.items()
        if after.get(symbol, Decimal(0)) != amount
    }

    sent = len(orders) + len(again)
    print(
        f"{sent} orders in {len(requests)} requests, {len(orders)} keys, {options.connections} connections, "
        f"{sent / seconds:.0f} orders/s"
    )
    print(f"filled: {filled}   keys with more than one reply: {len(wrong)}   difference to the portfolio: {difference or 'none'}")
    return 1 if wrong or difference else 0


def _orders_a_request(text: str) -> int:
    orders = int(text)
    if not 1 <= orders <= MAX_BATCH:
        raise argparse.ArgumentTypeError(f"a batch takes 1 to {MAX_BATCH} orders")
    return orders


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="+", help="the engine's processes, all over one datastore")
    parser.add_argument("--orders", type=int, default=400)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--batch", type=_orders_a_request, default=1, metavar="N", help="orders a request: 1 to 99")
    return parser.parse_args()


def _trade(send: Send, url: str, user: int, requests: list[list[Order]]) -> list[Answer]:
    """Sends requests one after the other, and sends orders without an outcome again."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    answered = []
    for orders in requests:
        waiting = dict(orders)
        for _ in range(TRIES):
            decided = [each for each in send(connection, user, list(waiting.items())) if each[1] not in AGAIN]
            answered += decided
            for key, *_ in decided:
                del waiting[key]
            if not waiting:
                break
        else:
            sys.exit(f"{url} gave no outcome in {TRIES} tries: {', '.join(waiting)}")
    connection.close()
    return answered


def _alone(connection: http.client.HTTPConnection, user: int, orders: list[Order]) -> list[Answer]:
    ((key, symbol),) = orders
    body = json.dumps({"user_id": user, **_order(symbol)})
    connection.request("POST", "/api/v1/trading/execute", body, {"X-Idempotency-Key": key})
    response = connection.getresponse()
    return [(key, response.status, response.read().decode())]


def _as_a_batch(connection: http.client.HTTPConnection, user: int, orders: list[Order]) -> list[Answer]:
    body = {"user_id": user, "orders": [{"idempotency_key": key, **_order(symbol)} for key, symbol in orders]}
    connection.request("POST", "/api/v1/trading/execute/batch", json.dumps(body))
    results = json.loads(connection.getresponse().read())["results"]
    return [(result["idempotency_key"], result["status"], json.dumps(result["body"])) for result in results]


def _order(symbol: str) -> dict[str, str]:
    return {"symbol": symbol, "pay_with": "USD", "quantity": SYMBOLS[symbol]}


def _holdings(url: str, user: int) -> dict[str, Decimal]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("GET", f"/api/v1/trading/portfolio/{user}")
    holdings = json.loads(connection.getresponse().read())["holdings"]
    connection.close()
    return {symbol: Decimal(amount) for symbol, amount in holdings.items()}


if __name__ == "__main__":
    sys.exit(main())

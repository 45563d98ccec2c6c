"""Fires orders at a running engine from many connections, some of them twice, and looks for any that was lost or doubled.

    python bench/acknowledged.py --orders 400 --connections 16 http://127.0.0.1:8000 [another process's URL …]

Needs nothing but Python. The account (user 1 by default) must be left alone meanwhile. Exits 1 on any difference.
"""

import argparse
import http.client
import json
import sys
import time
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http import HTTPStatus
from itertools import cycle
from urllib.parse import urlsplit

TWICE = 5  # every fifth order
SYMBOLS = {"BTC": "0.00012345", "ETH": "0.00123456", "SOL": "0.01234567"}


def main() -> int:
    """Trades, then compares every acknowledged fill with the portfolio."""
    options = _options()
    run = uuid.uuid4().hex[:8]
    before = _holdings(options.urls[0], options.user)
    orders = [(f"{run}-{n}", symbol) for n, symbol in zip(range(options.orders), cycle(SYMBOLS), strict=False)]
    requests = orders + orders[::TWICE]
    loads = [
        (url, options.user, requests[n :: options.connections])
        for n, url in zip(range(options.connections), cycle(options.urls), strict=False)
    ]

    started = time.perf_counter()
    replies: dict[str, list[tuple[int, str]]] = defaultdict(list)
    with ThreadPoolExecutor(options.connections) as threads:
        for answered in threads.map(lambda load: _trade(*load), loads):
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
    after = _holdings(options.urls[0], options.user)
    difference = {
        symbol: str(after.get(symbol, Decimal(0)) - amount)
        for symbol, amount in expected.items()
        if after.get(symbol, Decimal(0)) != amount
    }

    rate = len(requests) / seconds
    print(f"{len(requests)} requests, {len(orders)} keys, {options.connections} connections, {rate:.0f} requests/s")
    print(f"filled: {filled}   keys with more than one reply: {len(wrong)}   difference to the portfolio: {difference or 'none'}")
    return 1 if wrong or difference else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="+", help="the engine's processes, all over one datastore")
    parser.add_argument("--orders", type=int, default=400)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--user", type=int, default=1)
    return parser.parse_args()


def _trade(url: str, user: int, orders: list[tuple[str, str]]) -> list[tuple[str, int, str]]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    answered = []
    for key, symbol in orders:
        body = json.dumps({"user_id": user, "symbol": symbol, "pay_with": "USD", "quantity": SYMBOLS[symbol]})
        connection.request("POST", "/api/v1/trading/execute", body, {"X-Idempotency-Key": key})
        response = connection.getresponse()
        answered.append((key, response.status, response.read().decode()))
    connection.close()
    return answered


def _holdings(url: str, user: int) -> dict[str, Decimal]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("GET", f"/api/v1/trading/portfolio/{user}")
    holdings = json.loads(connection.getresponse().read())["holdings"]
    connection.close()
    return {symbol: Decimal(amount) for symbol, amount in holdings.items()}


if __name__ == "__main__":
    sys.exit(main())

"""The orders of the loads: each under a key that no order of any run had before it."""

import uuid
from typing import Any

from bench.wire import post

USER = 1
"""Whom the seed gives 100,000 USD, here and in any engine of the same contract."""
EXECUTE = "/api/v1/trading/execute"
BATCH = "/api/v1/trading/execute/batch"
SYMBOL, PAY_WITH, QUANTITY, QUANTITY_UNITS = "SOL", "USD", "0.0001", 10_000
"""0.0001 SOL, for 0.01 USD: 100,000 USD last for ten million orders."""


def singles(url: str, count: int) -> list[bytes]:
    """That many requests for one order each."""
    run = uuid.uuid4().hex
    body = {"user_id": USER, **_order()}
    return [post(url + EXECUTE, body, {"X-Idempotency-Key": f"{run}-{number}"}) for number in range(count)]


def batches(url: str, count: int, size: int) -> list[bytes]:
    """That many requests for `size` orders each."""
    run = uuid.uuid4().hex
    return [
        post(
            url + BATCH,
            {"user_id": USER, "orders": [{"idempotency_key": f"{run}-{number}-{n}", **_order()} for n in range(size)]},
        )
        for number in range(count)
    ]


def _order() -> dict[str, Any]:
    return {"symbol": SYMBOL, "pay_with": PAY_WITH, "quantity": QUANTITY}

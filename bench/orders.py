"""The orders of the loads, each under a key that no earlier order of any run had."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from bench.wire import post

SEEDED_USER = 1
"""The user with 100,000 USD in the seed data of any engine of the same contract."""
EXECUTE = "/api/v1/trading/execute"
BATCH = "/api/v1/trading/execute/batch"
SYMBOL, PAY_WITH, QUANTITY, QUANTITY_UNITS = "SOL", "USD", "0.0001", 10_000
"""An order of 0.0001 SOL for 0.01 USD: 100,000 USD suffice for ten million orders."""
ORDER = {"symbol": SYMBOL, "pay_with": PAY_WITH, "quantity": QUANTITY}


@dataclass(frozen=True, slots=True)
class Singles:
    """An endless series of requests for one order each."""

    url: str
    user_id: int

    def __iter__(self) -> Iterator[bytes]:
        """Makes new keys each time."""
        run = uuid.uuid4().hex
        order = {"user_id": self.user_id, **ORDER}
        return (post(self.url + EXECUTE, order, {"X-Idempotency-Key": f"{run}-{number}"}) for number in count())


@dataclass(frozen=True, slots=True)
class Batches:
    """An endless series of requests for `size` orders each."""

    url: str
    user_id: int
    size: int

    def __iter__(self) -> Iterator[bytes]:
        """Makes new keys each time."""
        run = uuid.uuid4().hex
        for number in count():
            orders = [{"idempotency_key": f"{run}-{number}-{place}", **ORDER} for place in range(self.size)]
            yield post(self.url + BATCH, {"user_id": self.user_id, "orders": orders})

"""The orders of the loads: each under a key that no order of any run had before it."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from bench.wire import post

SEEDED_USER = 1
"""The user to whom the seed gives 100,000 USD, in any engine of the same contract."""
EXECUTE = "/api/v1/trading/execute"
BATCH = "/api/v1/trading/execute/batch"
SYMBOL, PAY_WITH, QUANTITY, QUANTITY_UNITS = "SOL", "USD", "0.0001", 10_000
"""0.0001 SOL, for 0.01 USD: 100,000 USD last for ten million orders."""
ORDER = {"symbol": SYMBOL, "pay_with": PAY_WITH, "quantity": QUANTITY}


@dataclass(frozen=True, slots=True)
class Singles:
    """Requests for one order each, without end."""

    url: str
    user_id: int

    def __iter__(self) -> Iterator[bytes]:
        """Makes new keys each time."""
        run = uuid.uuid4().hex
        order = {"user_id": self.user_id, **ORDER}
        return (post(self.url + EXECUTE, order, {"X-Idempotency-Key": f"{run}-{number}"}) for number in count())


@dataclass(frozen=True, slots=True)
class Batches:
    """Requests for `size` orders each, without end."""

    url: str
    user_id: int
    size: int

    def __iter__(self) -> Iterator[bytes]:
        """Makes new keys each time."""
        run = uuid.uuid4().hex
        for number in count():
            orders = [{"idempotency_key": f"{run}-{number}-{place}", **ORDER} for place in range(self.size)]
            yield post(self.url + BATCH, {"user_id": self.user_id, "orders": orders})

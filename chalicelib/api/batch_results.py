"""Results of a batch: one for each order that was sent, and the reply that contains them."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from chalicelib.contract.batch import Batch, InvalidOrder
from chalicelib.contract.errors import EngineError, error_of
from chalicelib.contract.replies import order_reply_of
from chalicelib.domain.order import Order
from chalicelib.domain.timestamps import rfc3339
from chalicelib.trading.instruction import Outcome, Refused


class Result(NamedTuple):
    """The result of one order: its outcome, or the error, and the reply. `order` is `None` where it could not be read."""

    idempotency_key: str | None
    order: Order | None
    outcome: Outcome | EngineError
    status: int
    body: str


def results(batch: Batch, outcomes: Sequence[Outcome | Refused], at: datetime) -> Iterator[Result]:
    """Yields the result of each order of a batch, in its sequence. `outcomes`: those of the orders that could be read."""
    remaining = iter(outcomes)
    for each in batch.sent:
        if isinstance(each, InvalidOrder):
            yield result_of(each.idempotency_key, None, each.error, at)
        else:
            yield result_of(each.idempotency_key, each, next(remaining), at)


def result_of(idempotency_key: str | None, order: Order | None, outcome: Outcome | Refused, at: datetime) -> Result:
    """Returns the result of an order that has this outcome."""
    if isinstance(outcome, Outcome):
        return Result(idempotency_key, order, outcome, *order_reply_of(outcome.record))
    error = outcome if isinstance(outcome, EngineError) else error_of(outcome)
    return Result(idempotency_key, order, error, error.status, error.body(rfc3339(at)))


def batch_body(results: Sequence[Result]) -> str:
    """Returns a batch's reply as JSON text. Each order's body is exactly the body that a single order would get."""
    return f'{{"results": [{", ".join(map(_result_body, results))}]}}'


def _result_body(result: Result) -> str:
    key = json.dumps(result.idempotency_key)
    replayed = "true" if isinstance(result.outcome, Outcome) and result.outcome.replayed else "false"
    return f'{{"idempotency_key": {key}, "status": {result.status}, "replayed": {replayed}, "body": {result.body}}}'

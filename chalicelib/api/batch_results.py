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
    """The result of one order: its outcome, or the error. `order` is `None` where it could not be read."""

    idempotency_key: str | None
    order: Order | None
    outcome: Outcome | EngineError


def results(batch: Batch, outcomes: Sequence[Outcome | Refused]) -> Iterator[Result]:
    """Yields the result of each order of a batch, in its sequence. `outcomes`: those of the orders that could be read."""
    remaining = iter(outcomes)
    for each in batch.sent:
        if isinstance(each, InvalidOrder):
            yield Result(each.idempotency_key, None, each.error)
        else:
            outcome = next(remaining)
            yield Result(each.idempotency_key, each, outcome if isinstance(outcome, Outcome | EngineError) else error_of(outcome))


def batch_body(results: Sequence[Result], at: datetime) -> str:
    """Returns a batch's reply as JSON text. Each order's body is exactly the body that a single order would get."""
    now = rfc3339(at)
    return f'{{"results": [{", ".join(_result_body(result, now) for result in results)}]}}'


def _result_body(result: Result, now: str) -> str:
    outcome = result.outcome
    if isinstance(outcome, Outcome):
        (status, body), replayed = order_reply_of(outcome.record), outcome.replayed
    else:
        status, replayed, body = outcome.status, False, outcome.body(now)
    key = json.dumps(result.idempotency_key)
    return f'{{"idempotency_key": {key}, "status": {status}, "replayed": {json.dumps(replayed)}, "body": {body}}}'

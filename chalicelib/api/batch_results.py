"""Results of a batch: what became of each order that was sent, and the reply made of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.contract.batch import Batch, InvalidOrder
from chalicelib.contract.errors import EngineError, error_of
from chalicelib.contract.replies import reply_of
from chalicelib.domain.order import Order
from chalicelib.domain.timestamps import rfc3339
from chalicelib.trading.exactly_once import Outcome, Refused


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one order: its outcome, or why it has none. `order` is `None` where none could be read."""

    idempotency_key: str | None
    order: Order | None
    outcome: Outcome | EngineError


def results(batch: Batch, outcomes: Sequence[Outcome | Refused]) -> Iterator[Result]:
    """Yields the result of each order that was sent, in its place. `outcomes`: of the orders that could be read."""
    remaining = iter(outcomes)
    for each in batch.sent:
        if isinstance(each, InvalidOrder):
            yield Result(each.idempotency_key, None, each.error)
        else:
            outcome = next(remaining)
            yield Result(each.idempotency_key, each, outcome if isinstance(outcome, Outcome | EngineError) else error_of(outcome))


def batch_body(results: Sequence[Result], at: datetime) -> str:
    """Returns a batch's reply as JSON text: each body to the letter what the single order would have got."""
    now = rfc3339(at)
    return f'{{"results": [{", ".join(_result_body(result, now) for result in results)}]}}'


def _result_body(result: Result, now: str) -> str:
    outcome = result.outcome
    if isinstance(outcome, Outcome):
        (status, body), replayed = reply_of(outcome.record), outcome.replayed
    else:
        status, replayed, body = outcome.status, False, outcome.body(now)
    key = json.dumps(result.idempotency_key)
    return f'{{"idempotency_key": {key}, "status": {status}, "replayed": {json.dumps(replayed)}, "body": {body}}}'

"""The metrics of orders, batches and refusals: an order's log line always agrees with its figures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from chalicelib.contract.errors import EngineError
from chalicelib.runtime.deadline import Deadline
from chalicelib.telemetry.emf import Directive, envelope, metrics
from chalicelib.trading.instruction import Outcome

_COUNT: Directive = (("Stage", "Outcome"), {"Orders": "Count"})
_EFFORT: Directive = (
    ("Stage",),
    {
        "Replays": "Count",
        "Attempts": "Count",
        "Conflicts": "Count",
        "DatastoreTime": "Milliseconds",
        "ColdStarts": "Count",
    },
)
_REFUSAL: Directive = (("Stage", "Outcome"), {"Refusals": "Count"})

# Each kind of line always has the same directives.
_OF_ORDER = metrics(_COUNT, _EFFORT)
_OF_BATCH = metrics(_EFFORT)
_OF_BATCH_RESULTS = metrics(_COUNT)
_OF_REFUSAL = metrics(_REFUSAL)


def of_order(stage: str, at: datetime, outcome: Outcome, deadline: Deadline, *, cold_start: bool) -> dict[str, Any]:
    """Returns the metrics of an order that has an outcome."""
    return {
        **envelope(_OF_ORDER, at),
        "Stage": stage,
        "Outcome": _name(outcome),
        "Orders": 1,
        **_effort([outcome], deadline, cold_start=cold_start),
    }


def of_batch(stage: str, at: datetime, outcomes: Sequence[Outcome], deadline: Deadline, *, cold_start: bool) -> dict[str, Any]:
    """Returns the effort of a batch. `outcomes`: those of its orders that have one."""
    return {**envelope(_OF_BATCH, at), "Stage": stage, **_effort(outcomes, deadline, cold_start=cold_start)}


def of_batch_results(stage: str, at: datetime, results: Sequence[Outcome | EngineError]) -> Iterator[dict[str, Any]]:
    """Yields the number of orders of a batch by outcome: one line each, since a line has only one `Outcome`."""
    decided = Counter(_name(result) for result in results if isinstance(result, Outcome))
    refused = Counter(result.code for result in results if isinstance(result, EngineError))
    for name, times in decided.items():
        yield {**envelope(_OF_BATCH_RESULTS, at), "Stage": stage, "Outcome": name, "Orders": times}
    for code, times in refused.items():
        yield of_refusal(stage, at, code, times)


def _name(outcome: Outcome) -> str:
    return outcome.record.decision.outcome.value


def _effort(outcomes: Sequence[Outcome], deadline: Deadline, *, cold_start: bool) -> dict[str, Any]:
    """Returns the effort. `Attempts`: transactions sent; `Conflicts`: those that met another. A batch shares its attempts."""
    return {
        "Replays": sum(outcome.replayed for outcome in outcomes),
        "Attempts": max((outcome.attempts for outcome in outcomes), default=0),
        "Conflicts": max((outcome.conflicts for outcome in outcomes), default=0),
        "DatastoreTime": round(deadline.datastore_s * 1000, 3),
        "ColdStarts": int(cold_start),
    }


def of_refusal(stage: str, at: datetime, error_code: str, times: int = 1) -> dict[str, Any]:
    """Returns the metrics of one request, or of `times` orders of a batch, that failed without a decision."""
    return {**envelope(_OF_REFUSAL, at), "Stage": stage, "Outcome": error_code, "Refusals": times}

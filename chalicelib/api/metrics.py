"""Metrics for CloudWatch in Embedded Metric Format, as fields of the log lines.

The format is a few keys in a JSON line (CloudWatch, "Specification: Embedded metric format"), so the standard library suffices.
The engine makes no call to CloudWatch, and an order's log line always agrees with its metrics.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.contract.errors import EngineError
from chalicelib.runtime.deadline import Deadline
from chalicelib.trading.instruction import Outcome

NAMESPACE = "HFTTradingEngine"

Directive = tuple[Sequence[str], Mapping[str, str]]
"""The dimensions of some metrics, and the unit of each metric by name."""

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
_HELD: Directive = (("Stage",), {"PricesHeld": "Count"})


def _metrics(*directives: Directive) -> list[dict[str, Any]]:
    return [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
        }
        for dimensions, units in directives
    ]


# Each kind of line always has the same directives.
_OF_ORDER = _metrics(_COUNT, _EFFORT)
_OF_BATCH = _metrics(_EFFORT)
_OF_BATCH_RESULTS = _metrics(_COUNT)
_OF_REFUSAL = _metrics(_REFUSAL)
_OF_HELD = _metrics(_HELD)


def of_order(stage: str, at: datetime, outcome: Outcome, deadline: Deadline, *, cold_start: bool) -> dict[str, Any]:
    """Returns the metrics of an order that has an outcome."""
    return {
        **_envelope(_OF_ORDER, at),
        "Stage": stage,
        "Outcome": _name(outcome),
        "Orders": 1,
        **_effort([outcome], deadline, cold_start=cold_start),
    }


def of_batch(stage: str, at: datetime, outcomes: Sequence[Outcome], deadline: Deadline, *, cold_start: bool) -> dict[str, Any]:
    """Returns the effort of a batch. `outcomes`: those of its orders that have one."""
    return {**_envelope(_OF_BATCH, at), "Stage": stage, **_effort(outcomes, deadline, cold_start=cold_start)}


def of_batch_results(stage: str, at: datetime, results: Sequence[Outcome | EngineError]) -> Iterator[dict[str, Any]]:
    """Yields the number of orders of a batch by outcome: one line each, since a line has only one `Outcome`."""
    decided = Counter(_name(result) for result in results if isinstance(result, Outcome))
    refused = Counter(result.code for result in results if isinstance(result, EngineError))
    for name, times in decided.items():
        yield {**_envelope(_OF_BATCH_RESULTS, at), "Stage": stage, "Outcome": name, "Orders": times}
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
    return {**_envelope(_OF_REFUSAL, at), "Stage": stage, "Outcome": error_code, "Refusals": times}


def of_held_prices(stage: str, at: datetime, times: int) -> dict[str, Any]:
    """Returns the metric of prices that were held, since they move further than their assets' guards let them."""
    return {**_envelope(_OF_HELD, at), "Stage": stage, "PricesHeld": times}


def _envelope(metrics: list[dict[str, Any]], at: datetime) -> dict[str, Any]:
    return {"_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": metrics}}

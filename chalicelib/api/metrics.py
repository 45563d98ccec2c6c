"""Figures that CloudWatch makes metrics of: Embedded Metric Format, in the log line that is written anyway.

The format is a few keys in a JSON line (CloudWatch, "Specification: Embedded metric format"), so it is written here with the
standard library: no call to CloudWatch, no import, and the line of an order and its figures cannot drift apart.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.contract.errors import EngineError
from chalicelib.runtime.deadline import Deadline
from chalicelib.trading.exactly_once import Outcome

NAMESPACE = "HFTTradingEngine"

Directive = tuple[Sequence[str], Mapping[str, str]]
"""The dimensions, and the unit of each metric that is told by them."""

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


def _metrics(*directives: Directive) -> list[dict[str, Any]]:
    return [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
        }
        for dimensions, units in directives
    ]


# What each line says of its metrics is always the same.
_OF_ORDER = _metrics(_COUNT, _EFFORT)
_OF_BATCH = _metrics(_EFFORT)
_OF_BATCH_RESULTS = _metrics(_COUNT)
_OF_REFUSAL = _metrics(_REFUSAL)


def of_order(stage: str, at: datetime, outcome: Outcome, deadline: Deadline, *, cold_start: bool) -> dict[str, Any]:
    """The figures of an order that has an outcome."""
    return {
        **_envelope(_OF_ORDER, at),
        "Stage": stage,
        "Outcome": _name(outcome),
        "Orders": 1,
        **_effort([outcome], deadline, cold_start=cold_start),
    }


def of_batch(stage: str, at: datetime, outcomes: Sequence[Outcome], deadline: Deadline, *, cold_start: bool) -> dict[str, Any]:
    """What a batch took. `outcomes`: of its orders that have one."""
    return {**_envelope(_OF_BATCH, at), "Stage": stage, **_effort(outcomes, deadline, cold_start=cold_start)}


def of_batch_results(stage: str, at: datetime, results: Sequence[Outcome | EngineError]) -> Iterator[dict[str, Any]]:
    """How many orders of a batch came to what: a line has room for one `Outcome`, so there is one for each."""
    decided = Counter(_name(result) for result in results if isinstance(result, Outcome))
    refused = Counter(result.code for result in results if isinstance(result, EngineError))
    for name, times in decided.items():
        yield {**_envelope(_OF_BATCH_RESULTS, at), "Stage": stage, "Outcome": name, "Orders": times}
    for code, times in refused.items():
        yield of_refusal(stage, at, code, times)


def _name(outcome: Outcome) -> str:
    return outcome.record.decision.outcome.value


def _effort(outcomes: Sequence[Outcome], deadline: Deadline, *, cold_start: bool) -> dict[str, Any]:
    """`Attempts`: transactions sent; `Conflicts`: those that met others' work. Those of a batch serve all of its orders."""
    return {
        "Replays": sum(outcome.replayed for outcome in outcomes),
        "Attempts": max((outcome.attempts for outcome in outcomes), default=0),
        "Conflicts": max((outcome.conflicts for outcome in outcomes), default=0),
        "DatastoreTime": round(deadline.datastore_s * 1000, 3),
        "ColdStarts": int(cold_start),
    }


def of_refusal(stage: str, at: datetime, error_code: str, times: int = 1) -> dict[str, Any]:
    """The figures of a request that was refused, or failed, without deciding anything; or of that many orders of a batch."""
    return {**_envelope(_OF_REFUSAL, at), "Stage": stage, "Outcome": error_code, "Refusals": times}


def _envelope(metrics: list[dict[str, Any]], at: datetime) -> dict[str, Any]:
    return {"_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": metrics}}

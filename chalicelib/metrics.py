"""Figures that CloudWatch makes metrics of: Embedded Metric Format, in the log line that is written anyway.

The format is a few keys in a JSON line (CloudWatch, "Specification: Embedded metric format"), so it is written here with the
standard library: no call to CloudWatch, no import, and the line of an order and its figures cannot drift apart.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.patience import Patience
from chalicelib.settlement import Outcome

NAMESPACE = "HFTTradingEngine"

Directive = tuple[Sequence[str], Mapping[str, str]]
"""The dimensions, and the unit of each metric that is told by them."""

_ORDER: Sequence[Directive] = (
    (("Stage", "Outcome"), {"Orders": "Count"}),
    (
        ("Stage",),
        {
            "Replays": "Count",
            "Attempts": "Count",
            "Conflicts": "Count",
            "DatastoreTime": "Milliseconds",
            "ColdStarts": "Count",
        },
    ),
)
_REFUSAL: Sequence[Directive] = ((("Stage", "Outcome"), {"Refusals": "Count"}),)


def of_order(stage: str, at: datetime, outcome: Outcome, patience: Patience, *, cold_start: bool) -> dict[str, Any]:
    """The figures of an order that has an outcome. `Attempts`: transactions sent; `Conflicts`: those that met others' work."""
    return {
        **_envelope(_ORDER, at),
        "Stage": stage,
        "Outcome": "ORDER_FILLED" if outcome.record.movement else "ERR_LIQUIDITY",
        "Orders": 1,
        "Replays": int(outcome.replayed),
        "Attempts": outcome.attempts,
        "Conflicts": outcome.conflicts,
        "DatastoreTime": round(patience.datastore_s * 1000, 3),
        "ColdStarts": int(cold_start),
    }


def of_refusal(stage: str, at: datetime, error_code: str) -> dict[str, Any]:
    """The figures of a request that was refused, or failed, without deciding anything."""
    return {**_envelope(_REFUSAL, at), "Stage": stage, "Outcome": error_code, "Refusals": 1}


def _envelope(directives: Sequence[Directive], at: datetime) -> dict[str, Any]:
    return {
        "_aws": {
            "Timestamp": int(at.timestamp() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [list(dimensions)],
                    "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
                }
                for dimensions, units in directives
            ],
        }
    }

"""Metrics for CloudWatch in Embedded Metric Format, as fields of the log lines.

The format is a few keys in a JSON line (CloudWatch, "Specification: Embedded metric format"), so the standard library suffices.
Nothing calls CloudWatch.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

NAMESPACE = "HFTTradingEngine"

Directive = tuple[Sequence[str], Mapping[str, str]]
"""The dimensions of some metrics, and the unit of each metric by name."""


def metrics(*directives: Directive) -> list[dict[str, Any]]:
    """Returns the definition of a line's metrics."""
    return [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
        }
        for dimensions, units in directives
    ]


def envelope(defined: list[dict[str, Any]], at: datetime) -> dict[str, Any]:
    """Returns the field that makes CloudWatch read a line's metrics."""
    return {"_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": defined}}


_HELD = metrics((("Stage",), {"PricesHeld": "Count"}))
_FEED: Directive = (("Stage",), {"PricesHeld": "Count", "PricesMissing": "Count"})
_OLDEST: Directive = (("Stage",), {"PriceAge": "Seconds"})
_OF_FEED = metrics(_FEED)
_OF_FEED_WITH_AGE = metrics(_FEED, _OLDEST)
_OF_SYMBOL = metrics((("Stage", "Symbol"), {"PriceAge": "Seconds"}))


def of_held_prices(stage: str, at: datetime, times: int) -> dict[str, Any]:
    """Returns the metric of prices that were held, since they move further than their assets' guards let them."""
    return {**envelope(_HELD, at), "Stage": stage, "PricesHeld": times}


def of_price_feed(stage: str, at: datetime, held: int, missing: int, oldest_s: float | None) -> dict[str, Any]:
    """Returns the metrics of one run of the price feed.

    `missing`: symbols for which too few sources had a price. `oldest_s`: the age of its oldest price; `None` where it has none.
    """
    figures = {"Stage": stage, "PricesHeld": held, "PricesMissing": missing}
    if oldest_s is None:
        return {**envelope(_OF_FEED, at), **figures}
    return {**envelope(_OF_FEED_WITH_AGE, at), **figures, "PriceAge": oldest_s}


def of_price_age(stage: str, at: datetime, symbol: str, age_s: float) -> dict[str, Any]:
    """Returns the metric of one price's age: a line has only one `Symbol`."""
    return {**envelope(_OF_SYMBOL, at), "Stage": stage, "Symbol": symbol, "PriceAge": age_s}

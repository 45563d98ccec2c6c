"""Percentiles of latencies."""

from collections.abc import Iterable


def percentile(values: Iterable[float], percent: float) -> float:
    """Returns the smallest of the values that `percent` of them do not exceed (nearest rank); 0 where there are none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]

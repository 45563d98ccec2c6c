"""Percentiles of latencies."""

from collections.abc import Iterable


def percentile(values: Iterable[float], percent: float) -> float:
    """Returns the smallest value that `percent` of the values do not exceed (nearest rank); 0 without values."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]

"""How much is tried: in the suite a fixed set of inputs, the same every time; with `make fuzz` many times as many, all new."""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ_TIMES", "0"))
"""How many times as many as in the suite; 0 in the suite itself."""


def inputs(count: int) -> settings:
    """The settings of a test that tries `count` inputs in the suite."""
    return settings(
        max_examples=count * max(1, TIMES),
        derandomize=TIMES == 0,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )

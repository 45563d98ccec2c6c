"""Many processes at one account: the whole engine over the simulated DynamoDB, where transactions that meet are cancelled."""

from functools import cache

import pytest

from harness.shares import Shares
from simulation.hot import Shift, trade


@cache
def shares(processes: int, seed: int) -> Shares[Shift]:
    return trade(processes, seconds=6, seed=seed)


@pytest.mark.parametrize("seed", [1, 2, 4])
@pytest.mark.parametrize("processes", [4, 8])
def test_several_processes_keep_most_of_ones_pace_and_each_has_its_share(processes: int, seed: int) -> None:
    together = shares(processes, seed)

    assert together.fills >= 0.7 * shares(1, seed).fills
    assert together.slowest_share >= 0.5
    assert sum(shift.others for shift in together.shifts) == 0, "nobody is refused because the account is busy"


def test_one_process_alone_fills_with_one_request_each() -> None:
    (shift,) = shares(1, 1).shifts

    assert shift.calls == shift.fills > 100

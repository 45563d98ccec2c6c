"""A request's time: no call starts whose worst case does not fit, and waits use up what remains, never more."""

from contextlib import suppress

import pytest

from chalicelib.runtime.deadline import THROTTLE_WAIT_MAX_S, THROTTLE_WAIT_S, Deadline, DeadlineExceeded
from tests.support.faults import VirtualTime


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def deadline(time: VirtualTime) -> Deadline:
    return Deadline(time.world, budget_s=20, call_worst_s=5)


def test_a_call_may_start_while_its_worst_case_fits(time: VirtualTime, deadline: Deadline) -> None:
    time.elapsed_s = 15
    with deadline.call():
        pass

    time.elapsed_s = 15.001
    with pytest.raises(DeadlineExceeded), deadline.call():
        pytest.fail("a call that might outlast the deadline was made")


def test_the_time_for_one_more_call_can_be_reserved(time: VirtualTime, deadline: Deadline) -> None:
    time.elapsed_s = 10.001
    with deadline.one_call_reserved():
        assert deadline.remaining_s() < 0
        with pytest.raises(DeadlineExceeded), deadline.call():
            pytest.fail("the reserved time was used")

    with deadline.call():
        pass


def test_what_was_reserved_is_free_again_after_an_error(time: VirtualTime, deadline: Deadline) -> None:
    with pytest.raises(ZeroDivisionError), deadline.one_call_reserved():
        raise ZeroDivisionError

    assert deadline.remaining_s() == 15 - time.elapsed_s


def test_a_wait_never_passes_the_last_moment_at_which_a_call_may_start(time: VirtualTime, deadline: Deadline) -> None:
    deadline.wait(3)
    assert time.elapsed_s == 3

    deadline.wait(100)
    assert time.elapsed_s == 15

    deadline.wait(100)
    deadline.wait(-1)
    assert time.waits_s == [3, 12, 0, 0]


def test_waits_for_a_throttled_datastore_double_up_to_their_longest(time: VirtualTime) -> None:
    deadline = Deadline(time.world, budget_s=1_000, call_worst_s=5)
    for _ in range(12):
        deadline.wait_throttled()

    jitter = 0.5
    assert time.waits_s[:3] == [jitter * 2 * THROTTLE_WAIT_S, jitter * 4 * THROTTLE_WAIT_S, jitter * 8 * THROTTLE_WAIT_S]
    assert time.waits_s[-1] == jitter * THROTTLE_WAIT_MAX_S
    assert time.waits_s == sorted(time.waits_s)


def test_the_time_spent_on_calls_is_added_up_failures_included(time: VirtualTime, deadline: Deadline) -> None:
    with deadline.call():
        time.elapsed_s += 2
    with suppress(ZeroDivisionError), deadline.call():
        time.elapsed_s += 3
        raise ZeroDivisionError
    deadline.wait(1)

    assert deadline.datastore_s == 5

"""Ages: by the clock that shows more, and unknown where a clock was set back."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.runtime.world import World, utc_now

WALL = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("monotonic_s", "wall_s", "age_s"),
    [
        (0, 0, 0),
        (5, 5, 5),
        (5, 4, 5),
        (4, 5, 5),
        (0, 3_600, 3_600),  # a frozen Lambda
        (3_600, 0, 3_600),
        (5, -0.001, float("inf")),  # set back: nothing is known
        (0, -3_600, float("inf")),
    ],
)
def test_an_age_is_what_the_clock_that_shows_more_says(monotonic_s: float, wall_s: float, age_s: float) -> None:
    before = World(monotonic_s=lambda: 100.0, now=lambda: WALL).moment()
    world = World(monotonic_s=lambda: 100.0 + monotonic_s, now=lambda: WALL + timedelta(seconds=wall_s))

    assert world.age_s(before) == pytest.approx(age_s)


def test_the_real_world_has_utc_and_locks_that_time_out() -> None:
    world = World()
    lock = world.new_lock()

    assert utc_now().tzinfo is UTC
    assert lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0)
    lock.release()
    assert lock.acquire(timeout=0)
    assert 0 <= world.age_s(world.moment()) < 60

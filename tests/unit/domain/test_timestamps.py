"""Times as the API shows them: UTC, whatever clock they were read from."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from chalicelib.domain.timestamps import rfc3339


@pytest.fixture
def _machine_east_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "EAST-05:30")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_machine_east_of_greenwich")
@pytest.mark.parametrize(("hour", "zone"), [(12, UTC), (13, timezone(timedelta(hours=1)))])
def test_a_time_is_shown_in_utc_whatever_the_machine_and_the_clock_say(hour: int, zone: timezone) -> None:
    assert rfc3339(datetime(2026, 1, 1, hour, 0, 0, 7, zone)) == "2026-01-01T12:00:00.000007Z"


def test_a_time_has_its_microseconds_even_where_they_are_none() -> None:
    assert rfc3339(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"

"""The function that the schedule starts, as Lambda calls it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.money import price_text
from chalicelib.market import schedule
from chalicelib.market.sources import InvalidSources
from tests.support.market import Market
from tests.support.tables import with_tables_of_its_own
from tests.support.tickers import COINBASE, coinbase, tickers

EVENT: dict[str, Any] = {
    "version": "0",
    "id": "event-1",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-11-25T12:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/price-feed"],
    "detail": {},
}


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The list of sources beside app.py, in a process that has not started yet."""
    path = tmp_path / "price-sources.json"
    monkeypatch.setattr(schedule, "PACKAGED_AS", str(path))
    schedule.feed.cache_clear()
    yield path
    schedule.feed.cache_clear()


def test_each_event_sets_the_prices_once(moto_market: Market, listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = with_tables_of_its_own(moto_market)
    monkeypatch.setenv("HFT_TABLE_PREFIX", own.settings.table_prefix)
    with tickers({COINBASE: coinbase("50010.5")}) as server:
        listed.write_text(json.dumps({"BTC": [server.source(COINBASE)]}))

        schedule.price_feed(EVENT, None)
        first = own.engine.listings.assets.find("BTC", own.engine.deadline())
        server.answers[COINBASE] = coinbase("50011")
        schedule.price_feed(EVENT, None)
        second = own.engine.listings.assets.find("BTC", own.engine.deadline())

        assert len(server.asked) == 2
    assert first is not None
    assert second is not None
    assert (price_text(first.asset.price), price_text(second.asset.price)) == ("50010.50000000", "50011.00000000")


@pytest.mark.parametrize(("content", "error"), [(None, FileNotFoundError), ("{}", InvalidSources)])
def test_a_function_without_its_sources_does_not_start(listed: Path, content: str | None, error: type[Exception]) -> None:
    if content is not None:
        listed.write_text(content)

    with pytest.raises(error):
        schedule.price_feed(EVENT, None)

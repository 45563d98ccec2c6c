"""The Lambda function that runs the feed once a minute, in a stage that turns it on.

The feed is a function of its own with a role of its own: it may write prices and nothing of accounts, and the engine's function
starts without it.
"""

import os
from functools import cache
from pathlib import Path

from chalice.app import Blueprint, CloudWatchEvent

from chalicelib.config import Settings
from chalicelib.market.feed import PriceFeed
from chalicelib.market.sources import PACKAGED_AS, read_sources
from chalicelib.runtime.world import World
from chalicelib.store.assets import AssetList
from chalicelib.store.connection import DynamoDB
from chalicelib.store.tables import Tables
from chalicelib.telemetry import log
from chalicelib.trading.listings import Listings

log.configure()
blueprint = Blueprint(__name__)


@cache
def feed() -> PriceFeed:
    """Returns the process's feed.

    Raises:
        OSError, InvalidSources, ValueError: the package has no list of sources, or a setting is wrong.
    """
    settings, world = Settings.from_environment(), World()
    listings = Listings(AssetList(DynamoDB(settings, world), Tables.of(settings.table_prefix)))
    sources = read_sources((Path(__file__).parents[2] / PACKAGED_AS).read_text())
    return PriceFeed(settings.table_prefix, sources, listings, world, settings.call_worst_ms / 1000)


@blueprint.schedule("rate(1 minute)")
def price_feed(_event: CloudWatchEvent) -> None:
    """Sets the prices once."""
    feed().run()


if os.environ.get("_HANDLER", "").startswith(f"{__name__}."):
    feed()  # in the init phase, which has a full CPU at any memory size

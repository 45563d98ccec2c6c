"""The place where a command works: a stage's tables, in the stage's region, with the operator's own credentials."""

import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from chalicelib.config import Settings, is_loopback
from chalicelib.engine import Engine, build
from chalicelib.local.datastore import stand_in_credentials
from chalicelib.store.assets import AssetList
from chalicelib.store.connection import DynamoDB
from chalicelib.store.tables import Tables
from ops.failure import Failure

CHALICE_CONFIG = Path(__file__).parents[1] / ".chalice" / "config.json"
"""The description of the stages. Deployments read a stage's region and its tables' prefix there too."""


@dataclass(frozen=True)
class Stage:
    """The tables that a command works on, and the clients for them."""

    settings: Settings

    @property
    def tables(self) -> Tables:
        """Returns the names of the tables."""
        return Tables.of(self.settings.table_prefix)

    @property
    def place(self) -> str:
        """Returns the tables and where they are: ``hft-prod-* in eu-west-1``."""
        endpoint = self.settings.datastore_endpoint
        return f"{self.settings.table_prefix}-* {f'at {endpoint}' if endpoint else f'in {self.settings.region}'}"

    @cached_property
    def dynamodb(self) -> Any:
        """Returns boto3's client, which tries again by itself: for reading, and for a repair's write."""
        return boto3.client(
            "dynamodb",
            region_name=self.settings.region,
            endpoint_url=self.settings.datastore_endpoint,
            config=Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 5}),
        )

    @cached_property
    def datastore(self) -> DynamoDB:
        """Returns the engine's connection."""
        return DynamoDB(self.settings)

    @cached_property
    def engine(self) -> Engine:
        """Returns an engine, which moves money in its one transaction."""
        return build(self.settings, self.datastore)

    @cached_property
    def assets(self) -> AssetList:
        """Returns the list of assets."""
        return AssetList(self.datastore, self.tables)


def reach(stage: str | None, prefix: str | None, region: str | None) -> Stage:
    """Returns the stage of that name, or the tables of that prefix. An endpoint comes from the environment, as for the engine.

    Raises:
        Failure: the stage is unknown, no region is given, or a setting is invalid.
    """
    described: dict[str, Any] = {}
    if stage is not None:
        stages = json.loads(CHALICE_CONFIG.read_text())["stages"]
        if stage not in stages:
            raise Failure(f"There is no stage {stage!r}: .chalice/config.json has {', '.join(sorted(stages))}")
        described = stages[stage]
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        raise Failure(str(error)) from None
    where = replace(
        settings,
        table_prefix=prefix or described["environment_variables"]["HFT_TABLE_PREFIX"],
        region=region or described.get("region") or _own_region(settings),
    )
    if where.datastore_endpoint is not None and is_loopback(where.datastore_endpoint):
        stand_in_credentials()
    return Stage(where)


def _own_region(settings: Settings) -> str:
    """Returns the region of the operator's own settings. On another endpoint than AWS's it is only a name."""
    region: str | None = os.environ.get("AWS_REGION") or boto3.Session().region_name
    if region is None and settings.datastore_endpoint is None:
        raise Failure("Which region? Add --region, or set AWS_REGION")
    return region or settings.region

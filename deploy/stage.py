"""A stage's settings, from ``.chalice/config.json``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chalice.config import Config

from deploy import DeployError


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as ``.chalice/config.json`` describes it. Settings beyond Chalice's are in its `overlay`."""

    project: Path
    name: str
    app_name: str
    region: str
    log_retention_days: int
    table_prefix: str
    token_jwks_url: str
    token_secret_arn: str
    """The source of the authorizer's keys: one of the two, or neither for a secret that the stack makes."""

    token_settings: Mapping[str, str]
    """The authorizer's other settings of tokens: ``HFT_TOKEN_ISSUER`` and so on."""

    operator_api: bool
    """True where the stage has the operator's routes, and so may write assets."""

    price_feed: bool
    """True where the stage has the function that sets prices once a minute."""

    @classmethod
    def load(cls, project: Path, name: str) -> "Stage":
        """Reads a stage's settings.

        Raises:
            DeployError: there is no such stage, or it lacks a setting.
        """
        content = json.loads((project / ".chalice" / "config.json").read_text())
        stages = content["stages"]
        if name not in stages:
            raise DeployError(f"There is no stage {name!r} in .chalice/config.json; the stages are {', '.join(sorted(stages))}")
        # Chalice itself decides which value applies: the function's, the stage's or the common one.
        engine, authorizer = (Config(name, function, config_from_disk=content) for function in ("api_handler", "authorizer"))
        needed = {
            "region": stages[name].get("region"),
            "log_retention_in_days": engine.log_retention_in_days,
            "HFT_TABLE_PREFIX": engine.environment_variables.get("HFT_TABLE_PREFIX"),
        }
        missing = [setting for setting, value in needed.items() if not value]
        if missing:
            raise DeployError(f"The stage {name!r} has no {' and no '.join(missing)} in .chalice/config.json")
        return cls(
            project=project,
            name=name,
            app_name=engine.app_name,
            region=needed["region"],
            log_retention_days=needed["log_retention_in_days"],
            table_prefix=needed["HFT_TABLE_PREFIX"],
            token_jwks_url=authorizer.environment_variables.get("HFT_TOKEN_JWKS_URL", ""),
            token_secret_arn=authorizer.environment_variables.get("HFT_TOKEN_SECRET_ARN", ""),
            token_settings={
                setting: value
                for setting, value in authorizer.environment_variables.items()
                if setting.startswith("HFT_TOKEN_") and setting not in ("HFT_TOKEN_JWKS_URL", "HFT_TOKEN_SECRET_ARN")
            },
            operator_api=engine.environment_variables.get("HFT_OPERATOR_API") == "on",
            price_feed=engine.environment_variables.get("HFT_PRICE_FEED") == "on",
        )

    @property
    def stack_name(self) -> str:
        """The name of its CloudFormation stack."""
        return f"{self.app_name}-{self.name}"

    @property
    def overlay(self) -> Path:
        """The file with this stage's differences from ``.chalice/resources.json``; it may be missing."""
        return self.project / ".chalice" / "stages" / f"{self.name}.json"

    @property
    def sources(self) -> Path:
        """The file that lists the sources of the stage's price feed; it may be missing where the feed is off."""
        return self.project / ".chalice" / "feeds" / f"{self.name}.json"

    @property
    def build_directory(self) -> Path:
        """The directory in which the stage is packaged."""
        return self.project / "build" / self.name

    def parameters(self) -> dict[str, str]:
        """Returns the template's parameters that follow from Chalice's settings. The overlay holds the others' values."""
        return {
            "ApiName": self.app_name,
            "TablePrefix": self.table_prefix,
            "LogRetentionDays": str(self.log_retention_days),
            "TokenJwksUrl": self.token_jwks_url,
            "TokenSecretArn": self.token_secret_arn,
            "OperatorApi": "on" if self.operator_api else "off",
            "TokenSecretAction": "ssm:GetParameter" if ":ssm:" in self.token_secret_arn else "secretsmanager:GetSecretValue",
        }

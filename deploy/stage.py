"""A stage's settings: ``.chalice/config.json``, and what follows from it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import Refused


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as ``.chalice/config.json`` describes it. What CloudFormation has to know beyond that stands in its `overlay`."""

    project: Path
    name: str
    app_name: str
    region: str
    log_retention_days: int
    environment: dict[str, str]

    @classmethod
    def load(cls, project: Path, name: str) -> "Stage":
        """Reads a stage's settings.

        Raises:
            Refused: there is no such stage, or it does not say where it is.
        """
        config: dict[str, Any] = json.loads((project / ".chalice" / "config.json").read_text())
        stages = config["stages"]
        if name not in stages:
            raise Refused(f"There is no stage {name!r} in .chalice/config.json, only {', '.join(sorted(stages))}: STAGE=…")
        settings = stages[name]
        environment = settings.get("environment_variables", {})
        needed = ("region", "log_retention_in_days", "HFT_TABLE_PREFIX")
        missing = [key for key in needed if not (settings | environment).get(key)]
        if missing:
            raise Refused(f"The stage {name!r} has no {' and no '.join(missing)} in .chalice/config.json")
        return cls(
            project=project,
            name=name,
            app_name=config["app_name"],
            region=settings["region"],
            log_retention_days=settings["log_retention_in_days"],
            environment=environment,
        )

    @property
    def stack_name(self) -> str:
        """Its CloudFormation stack."""
        return f"{self.app_name}-{self.name}"

    @property
    def overlay(self) -> Path:
        """What this stage has otherwise than ``.chalice/resources.json`` says. Where there is no such file, nothing."""
        return self.project / ".chalice" / "stages" / f"{self.name}.json"

    @property
    def build_directory(self) -> Path:
        """Where it is packaged."""
        return self.project / "build" / self.name

    @property
    def table_prefix(self) -> str:
        """What its tables' names begin with."""
        return self.environment["HFT_TABLE_PREFIX"]

    def parameters(self) -> dict[str, str]:
        """The template's parameters that follow from the settings of Chalice's. The others have their values in the overlay."""
        secret = self.environment.get("HFT_TOKEN_SECRET_ARN", "")
        return {
            "ApiName": self.app_name,
            "TablePrefix": self.table_prefix,
            "LogRetentionDays": str(self.log_retention_days),
            "TokenJwksUrl": self.environment.get("HFT_TOKEN_JWKS_URL", ""),
            "TokenSecretArn": secret,
            "TokenSecretAction": "ssm:GetParameter" if ":ssm:" in secret else "secretsmanager:GetSecretValue",
        }

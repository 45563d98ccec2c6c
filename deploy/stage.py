"""A stage's settings: ``.chalice/config.json``, and what follows from it."""

import json
from dataclasses import dataclass
from pathlib import Path

from chalice.config import Config

from deploy import DeployError


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as ``.chalice/config.json`` describes it. What CloudFormation has to know beyond that stands in its `overlay`."""

    project: Path
    name: str
    app_name: str
    region: str
    log_retention_days: int
    table_prefix: str
    token_jwks_url: str
    token_secret_arn: str
    """Whose tokens count, as the authorizer is told; both empty for a secret that the stack makes."""

    @classmethod
    def load(cls, project: Path, name: str) -> "Stage":
        """Reads a stage's settings.

        Raises:
            DeployError: there is no such stage, or it does not say what it must.
        """
        content = json.loads((project / ".chalice" / "config.json").read_text())
        stages = content["stages"]
        if name not in stages:
            raise DeployError(f"There is no stage {name!r} in .chalice/config.json, only {', '.join(sorted(stages))}: STAGE=…")
        # Chalice itself says which value counts where several do: a function's, a stage's, everybody's.
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

    def parameters(self) -> dict[str, str]:
        """The template's parameters that follow from the settings of Chalice's. The others have their values in the overlay."""
        return {
            "ApiName": self.app_name,
            "TablePrefix": self.table_prefix,
            "LogRetentionDays": str(self.log_retention_days),
            "TokenJwksUrl": self.token_jwks_url,
            "TokenSecretArn": self.token_secret_arn,
            "TokenSecretAction": "ssm:GetParameter" if ":ssm:" in self.token_secret_arn else "secretsmanager:GetSecretValue",
        }

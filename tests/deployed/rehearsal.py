"""A copy of the project and an emulator of AWS, to deploy to."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from chalicelib.config import Settings
from deploy.stack import Stack
from deploy.stage import Stage
from deploy.target import Target
from harness.processes import ROOT, environment

DEPLOY_TIMEOUT_S = 600
PRICE_AGE_MS = 200
"""The largest age of a price's copy in `dev`, where each function is a separate process on a machine with few cores."""


@dataclass
class Rehearsal:
    """The project to deploy, and the URL of the emulator of AWS."""

    project: Path
    emulator: str

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs ``python -m deploy …``, as `make deploy` and the others do in a virtual environment."""
        done = subprocess.run(
            [sys.executable, "-m", "deploy", *arguments],
            cwd=self.project,
            env=environment(AWS_ENDPOINT_URL=self.emulator),
            capture_output=True,
            text=True,
            timeout=DEPLOY_TIMEOUT_S,
            check=False,
        )
        print(*arguments, done.stdout, done.stderr, sep="\n")  # noqa: T201  (pytest shows it where a test fails)
        return done

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        return boto3.client(service, region_name="us-east-1", endpoint_url=self.emulator, **keys)

    def paste(self, lines: list[str]) -> str:
        """Runs lines in a shell, as somebody would who pastes them. Returns what they print; the first that fails ends them."""
        # The virtual environment stays as it is: these are tests, and it is theirs.
        make = f'make() {{ command make --directory {ROOT} -o setup-local "$@"; }}'
        done = subprocess.run(
            ["bash", "-euc", "\n".join([make, *lines])],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=DEPLOY_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stage(self, name: str) -> Stage:
        return Stage.load(self.project, name)

    def outputs(self, name: str) -> dict[str, str]:
        os.environ["AWS_ENDPOINT_URL"] = self.emulator
        try:
            return Stack(Target.of(self.stage(name)), self.stage(name).stack_name).outputs()
        finally:
            del os.environ["AWS_ENDPOINT_URL"]

    def url(self, name: str) -> str:
        return f"{self.emulator}/_aws/execute-api/{self.outputs(name)['RestAPIId']}/{name}"

    def settings(self, name: str) -> Settings:
        """Returns settings that reach a stage's tables from this process."""
        return Settings(table_prefix=self.stage(name).table_prefix, datastore_endpoint=self.emulator, price_age_ms=PRICE_AGE_MS)

    def apply_gateway_responses(self, name: str) -> None:
        """Adds the gateway responses, which AWS takes from the API's definition and the emulator ignores."""
        gateway, api = self.client("apigateway"), self.outputs(name)["RestAPIId"]
        template = self.client("cloudformation").get_template(StackName=self.stage(name).stack_name, TemplateStage="Processed")
        definition = template["TemplateBody"]["Resources"]["RestAPI"]["Properties"]["Body"]
        for kind, response in definition["x-amazon-apigateway-gateway-responses"].items():
            as_text = {**response, "statusCode": str(response["statusCode"])}
            gateway.put_gateway_response(restApiId=api, responseType=kind, **as_text)
        gateway.create_deployment(restApiId=api, stageName=name)

"""A stage's package: its template, and the archive of its functions' code."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy import DeployError
from deploy.archive import trim
from deploy.feed import source_files
from deploy.stage import Stage
from deploy.template import Template, compose

FUNCTION = "AWS::Serverless::Function"


@dataclass(frozen=True, slots=True)
class Package:
    """The parts of a deployment. The archive's name is its content's hash, so unchanged code is not deployed again."""

    template: Template
    archive: Path

    def with_code_at(self, bucket: str, key: str) -> Template:
        """Returns the template with its functions' code at this place in S3."""
        code = {"CodeUri": {"Bucket": bucket, "Key": key}}
        resources = {
            name: {**resource, "Properties": {**resource["Properties"], **code}} if resource["Type"] == FUNCTION else resource
            for name, resource in self.template["Resources"].items()
        }
        return {**self.template, "Resources": resources}


def package(stage: Stage) -> Package:
    """Packages a stage in its build directory.

    Raises:
        DeployError: Chalice failed, or the stage has a price feed without usable sources.
    """
    added = source_files(stage)
    directory = stage.build_directory
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    resources = directory / "resources.json"
    resources.write_text(json.dumps(compose(stage), indent=2))
    _chalice_package(stage, resources)
    trimmed = trim(directory / "deployment.zip", directory / "trimmed.zip", added)
    digest = hashlib.sha256(trimmed.read_bytes()).hexdigest()
    return Package(
        template=json.loads((directory / "sam.json").read_text()),
        archive=trimmed.replace(directory / f"{digest}.zip"),
    )


def _chalice_package(stage: Stage, resources: Path) -> None:
    """Runs ``chalice package`` in a separate process, since it imports the application.

    The application there sees the stage's settings and none of this shell's: they decide which routes exist.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HFT_")}
    chalice = [sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())"]
    options = ["--stage", stage.name, "--merge-template", str(resources), str(stage.build_directory)]
    done = subprocess.run(  # noqa: S603  (our own list of arguments, without a shell)
        [*chalice, "package", *options],
        cwd=stage.project,
        env=environment | {"AWS_DEFAULT_REGION": stage.region},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeployError(f"chalice package failed:\n{done.stdout}{done.stderr}".rstrip())

"""The package that `make deploy` would upload, unpacked as Lambda unpacks it."""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import stub
from bench.setting import Say
from deploy.package import package
from deploy.stage import Stage
from harness.project import copy_project

STAGE = "dev"


@contextmanager
def unpacked() -> Iterator[Path]:
    """Packages a copy of this working tree, and yields the directory of the unpacked package. pip fetches its requirements.

    Raises:
        deploy.DeployError: it could not be packaged.
    """
    with tempfile.TemporaryDirectory(prefix="bench-package-") as directory:
        root = Path(directory)
        project, task = root / "project", root / "task"
        project.mkdir()
        archive = package(Stage.load(copy_project(project), STAGE)).archive
        with zipfile.ZipFile(archive) as compressed:
            compressed.extractall(task)
        yield task


@contextmanager
def on_lambda(say: Say) -> Iterator[tuple[Path, str]]:
    """Yields the package as `unpacked` does, and the endpoint of a stub of DynamoDB for it.

    Raises:
        deploy.DeployError: it could not be packaged.
    """
    say("packaging")
    with unpacked() as task, stub.running() as endpoint:
        yield task, endpoint

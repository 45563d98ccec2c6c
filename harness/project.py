"""A copy of the project, for tests to change and package."""

import json
import shutil
from pathlib import Path
from typing import Any

from harness.processes import ROOT

PARTS = (".chalice", "app.py", "chalicelib", "deploy", "requirements.txt")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "deployments", "deployed")


def copy_project(to: Path, *, requirements: bool = True) -> Path:
    """Copies the deployed code and `deploy`. Without requirements, packaging takes a second and no network."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, to / part, ignore=NOT_COPIED)
        else:
            shutil.copy(ROOT / part, to / part)
    if not requirements:
        (to / "requirements.txt").write_text("")
    return to


def change_stage(project: Path, stage: str, **settings: Any) -> None:
    """Changes settings of a stage in ``.chalice/config.json``. Environment variables are merged, other settings replaced."""
    path = project / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    changed = config["stages"][stage]
    changed["environment_variables"] |= settings.pop("environment_variables", {})
    changed |= settings
    path.write_text(json.dumps(config))

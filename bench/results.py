"""The file of a run's figures, and what must be known with them: when, of which code, on what machine, with which packages."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.figures import Figure

PACKAGES = ("chalice", "botocore", "pynamodb", "moto", "ministack")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Under which figures came about. `commit`: of the working tree, with a `+` where files differ from it."""

    measured_at: str
    commit: str
    cores: int
    cpu: str
    system: str
    python: str
    packages: dict[str, str]
    rounds: int

    def line(self) -> str:
        """For below a chart."""
        return (
            f"{self.measured_at[:10]} · commit {self.commit} · {self.cores} cores, {self.cpu} · "
            f"Python {self.python} · bars: medians of {self.rounds} rounds; lines: lowest to highest"
        )


def circumstances(now: datetime, rounds: int) -> Circumstances:
    """Those of this run."""
    return Circumstances(
        measured_at=now.isoformat(timespec="seconds"),
        commit=_git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "--untracked-files=no") else ""),
        cores=os.cpu_count() or 1,
        cpu=_cpu(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES},
        rounds=rounds,
    )


def dump(under: Circumstances, figures: Sequence[Figure]) -> str:
    """All of it as JSON text."""
    content: dict[str, Any] = {**asdict(under), "figures": [asdict(figure) for figure in figures]}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def load(text: str) -> tuple[Circumstances, list[Figure]]:
    """What `dump` wrote."""
    content: dict[str, Any] = json.loads(text)
    figures = [Figure(**figure) for figure in content.pop("figures")]
    return Circumstances(**content), figures


def _git(*arguments: str) -> str:
    """What git says; empty where there is none, or no repository."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return ""


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()

"""The circumstances of a run: its date, commit, machine and packages."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from textwrap import fill

LINE = 110
"""The longest line of a document, in characters."""

PACKAGES = ("chalice", "botocore", "pynamodb", "moto", "ministack")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The circumstances of a run. `commit`: the working tree's, with a `+` where files differ from it."""

    measured_at: str
    commit: str
    cores: int
    cpu: str
    python: str
    packages: dict[str, str]
    rounds: int

    def line(self) -> str:
        """Returns the line below a chart."""
        return (
            f"{self.measured_at} · commit {self.commit} · {self.cores} cores, {self.cpu} · "
            f"Python {self.python} · bars: medians of {self.rounds} rounds; lines: lowest to highest"
        )

    def sentence(self) -> str:
        """Returns the sentence above a table, in lines of a document."""
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return fill(
            f"Medians of {self.rounds} rounds, with the lowest and the highest; {self.measured_at}, commit {self.commit}, "
            f"{self.cores} cores ({self.cpu}), Python {self.python}, {packages}.",
            LINE,
        )


def circumstances(now: datetime, rounds: int) -> Circumstances:
    """Returns the circumstances of this run."""
    return Circumstances(
        measured_at=now.date().isoformat(),
        commit=_git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "--untracked-files=no") else ""),
        cores=os.cpu_count() or 1,
        cpu=_cpu(),
        python=platform.python_version(),
        packages={name: version(name) for name in PACKAGES},
        rounds=rounds,
    )


def _git(*arguments: str) -> str:
    """Returns git's output; an empty text where git or the repository is missing."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return ""


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()

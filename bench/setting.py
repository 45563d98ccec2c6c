"""What a run of the measurements is asked to do, and where it leaves its logs."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Say = Callable[[str], None]
"""Told what is being done now, in a few words."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a run measures. `peer`: the URL of another engine of the same contract."""

    rounds: int
    peer: str | None
    logs: Path
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def log(self, name: str) -> Path:
        """A file for a process's output, another one each time."""
        return self.logs / f"{next(self._numbers):03d}-{name}.log"

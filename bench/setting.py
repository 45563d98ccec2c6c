"""The setting of a run: its rounds, its peer, and the place for its logs."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Say = Callable[[str], None]
"""A callback that shows the current step, in a few words."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The setting of a run. `peer`: the URL of another engine of the same contract."""

    rounds: int
    peer: str | None
    logs: Path
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def log(self, name: str) -> Path:
        """Returns a new file for a process's output."""
        return self.logs / f"{next(self._numbers):03d}-{name}.log"

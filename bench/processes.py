"""The processes that are measured: started on free loopback ports, and stopped."""

import os
from pathlib import Path

from tests.support import processes


def isolate() -> None:
    """Puts AWS accounts, endpoints and settings of whoever measures out of this process's reach, and of those it starts."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "HFT_"))]:
        del os.environ[name]
    os.environ.update(processes.environment(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local"))  # noqa: S106
    os.chdir(Path(processes.ROOT))

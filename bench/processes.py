"""The measurements' own processes, which cannot reach an AWS account and leave interrupts to their parent."""

import os
import signal
from contextlib import AbstractContextManager
from pathlib import Path

from harness.processes import ROOT, Server, chalice_local, environment


def isolate() -> None:
    """Removes AWS accounts, endpoints and settings from the environment of this process and its children."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "HFT_"))]:
        del os.environ[name]
    os.environ.update(environment(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local"))  # noqa: S106
    os.chdir(ROOT)


def leave_interrupts_to_parent() -> None:
    """Ignores Ctrl-C in this process, since the parent gets it too and cleans up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def engine(log: Path, datastore_url: str | None = None) -> AbstractContextManager[Server]:
    """Runs an engine as `make run` starts it, over a datastore, or over moto in its own process."""
    return chalice_local(log, **({"AWS_ENDPOINT_URL_DYNAMODB": datastore_url} if datastore_url else {}))

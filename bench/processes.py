"""The processes that are measured: started on free loopback ports, and stopped."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import processes

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_AFTER_NAME = 3
"""In /proc/PID/stat: the first field behind the process's name, which may itself hold blanks and brackets."""
_UTIME, _STIME = 14, 15


@dataclass(frozen=True, slots=True)
class Server:
    """A running one."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """The CPU time that it has used so far, all threads together."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[number - _AFTER_NAME]) for number in (_UTIME, _STIME)) / _TICKS_A_SECOND


def isolate() -> None:
    """Puts AWS accounts, endpoints and settings of whoever measures out of this process's reach, and of those it starts."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "HFT_"))]:
        del os.environ[name]
    os.environ.update(processes.environment(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local"))  # noqa: S106
    os.chdir(processes.ROOT)


def leave_interrupts_to_parent() -> None:
    """For processes of our own: Ctrl-C reaches all that a terminal started, and one of them is enough to clear up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def engine(log: Path, datastore: Server | None = None) -> Iterator[Server]:
    """An engine as `make run` starts it, over a datastore, or over moto in its own process."""
    port = processes.free_port()
    endpoint = {"AWS_ENDPOINT_URL_DYNAMODB": datastore.url} if datastore else {}
    command = [sys.executable, "-c", "from chalice.cli import main; main()", "local", "--no-autoreload", "--port", str(port)]
    with _server(command, port, "/health", log, **endpoint) as server:
        yield server


@contextmanager
def ministack(log: Path) -> Iterator[Server]:
    """A DynamoDB as a process of its own."""
    port = processes.free_port()
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "dynamodb", "LOG_LEVEL": "WARNING"}
    unneeded = {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    with _server([sys.executable, "-m", "ministack"], port, "/_ministack/health", log, **settings, **unneeded) as server:
        yield server


@contextmanager
def _server(command: list[str], port: int, ready: str, log: Path, **env: str) -> Iterator[Server]:
    url = f"http://127.0.0.1:{port}"
    with processes.running(command, url + ready, log, processes.environment(**env)) as process:
        yield Server(url, process.pid)

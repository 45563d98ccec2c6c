"""Servers on loopback: started on free ports, awaited, and stopped by their process ids."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

ROOT = Path(__file__).parents[1]
CHALICE = (sys.executable, "-m", "gevent.monkey", str(Path(sys.executable).with_name("chalice")))
"""The command line of Chalice as `make run` starts it."""

_INTERRUPTIBLE = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
POLL_S = 0.05
_NOT_FOR_CHILDREN = (
    "AWS_CHALICE_CLI_MODE",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
)

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_FIRST_AFTER_NAME = 3
"""The number of the first field after the process's name in /proc/PID/stat. The name may contain blanks and brackets."""
_UTIME, _STIME = 14, 15


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Returns the CPU time that all threads have used together. Linux only."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[number - _FIRST_AFTER_NAME]) for number in (_UTIME, _STIME)) / _TICKS_A_SECOND


def interruptible(*command: str) -> list[str]:
    """Returns a command that Ctrl-C reaches, even where this process runs in the background and ignores it."""
    return [sys.executable, "-c", _INTERRUPTIBLE, *command]


def free_port() -> int:
    """Returns a port on which nothing listens at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(**extra: str) -> dict[str, str]:
    """Returns this process's environment without the engine's settings and without access to an AWS account."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_CHILDREN and not name.startswith("HFT_")}
    return (
        kept
        | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        | extra
    )


@contextmanager
def running(
    command: list[str], ready_url: str, log: Path, env: Mapping[str, str], stop: signal.Signals = signal.SIGTERM
) -> Iterator[int]:
    """Runs a server from its first answer at `ready_url` to the end of the block, where it gets the signal `stop`.

    Yields its process id.

    Raises:
        AssertionError: it ended early, or did not answer in time; the message holds its output.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_it_answers(process, ready_url, log)
            yield process.pid
        finally:
            process.send_signal(stop)
            try:
                process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up_at = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise AssertionError(f"it ended with {process.returncode}:\n{log.read_text()}")
        try:
            requests.get(url, timeout=5)
        except requests.RequestException:
            time.sleep(POLL_S)
        else:
            return
    raise AssertionError(f"no answer from {url}:\n{log.read_text()}")


@contextmanager
def ministack(log: Path, services: str = "dynamodb") -> Iterator[Server]:
    """Runs a ministack with these services of AWS; all of them where `services` is empty."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        SERVICES=services,
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LOG_LEVEL="WARNING",
    )
    with running([sys.executable, "-m", "ministack"], f"{url}/_ministack/health", log, env) as pid:
        yield Server(url, pid)


@contextmanager
def chalice_local(log: Path, **env: str) -> Iterator[Server]:
    """Runs an engine as `make run` starts it, with these environment variables."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*CHALICE, "local", "--no-autoreload", "--port", str(port)]
    with running(command, f"{url}/health", log, environment(**env)) as pid:
        yield Server(url, pid)

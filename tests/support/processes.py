"""Processes that tests start on loopback, wait for, and stop by their own id."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60
_NOT_FOR_CHILDREN = (
    "AWS_CHALICE_CLI_MODE",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without what moto and the tests put into it, and with no AWS account in reach."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_CHILDREN and not name.startswith("HFT_")}
    return (
        kept
        | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        | extra
    )


@contextmanager
def running(command: list[str], ready_url: str, log: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from the moment it answers at `ready_url` to the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_it_answers(process, ready_url, log)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
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
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"no answer from {url}:\n{log.read_text()}")


@contextmanager
def ministack(log: Path, services: str = "dynamodb") -> Iterator[str]:
    """A ministack of its own on a free port; yields its URL."""
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
    with running([sys.executable, "-m", "ministack"], f"{url}/_ministack/health", log, env):
        yield url


@contextmanager
def chalice_local(log: Path, **env: str) -> Iterator[str]:
    """`chalice local` on a free port; yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", "from chalice.cli import main; main()", "local", "--no-autoreload", "--port", str(port)]
    with running(command, f"{url}/health", log, environment(**env)):
        yield url

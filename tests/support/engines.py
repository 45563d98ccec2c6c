"""Engine processes that tests kill: the real application on `chalice local`'s own server, quick to start again.

They are forked from a process that has done the imports. A start takes a fraction of a second, most of it for the engine's own
work: connecting, tables, seed.
"""

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from harness.processes import CHALICE, ROOT, environment, free_port

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["pytest", "boto3", "chalice.cli.factory", "chalice.local", "chalicelib.engine", "chalicelib.local.server", __name__]
)


def _serve(port: int, log: Path, env: Mapping[str, str]) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(env, AWS_CHALICE_CLI_MODE="true")

    import chalice.local
    from chalice.cli.factory import CLIFactory

    import app  # reads the environment, and installs our server

    config = CLIFactory(str(ROOT)).create_config_obj()
    chalice.local.create_local_server(app.app, config, "127.0.0.1", port).serve_forever()


class EngineProcess:
    """An engine's process, which can be killed and started again, always on the same port."""

    def __init__(self, log: Path, env: Mapping[str, str], port: int | None = None) -> None:
        self.port = port or free_port()
        self.log = log
        self._env = dict(env)
        self.start()

    def start(self) -> None:
        """Starts the process, and returns before it listens."""
        self._process = _FORKS.Process(target=_serve, args=(self.port, self.log, self._env), daemon=True)
        self._process.start()

    def kill(self) -> None:
        """Kills the process, between any two instructions."""
        self._process.kill()
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL, f"it had ended by itself:\n{self.log.read_text()}"


class LocalRun:
    """A run as `make run` starts it, under gevent, which can be killed and started again, always on the same port."""

    def __init__(self, log: Path, **env: str) -> None:
        self.port = free_port()
        command = [*CHALICE[:-1], str(ROOT / "tests/support/run_again.py"), "local", "--no-autoreload", "--port", str(self.port)]
        with log.open("wb") as output:
            self._runs = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(PYTHONPATH=str(ROOT), **env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                bufsize=1,
            )
        self.start()

    def start(self) -> None:
        """Starts the process, and returns before it listens."""
        assert self._runs.stdin
        self._runs.stdin.write("\n")
        self.pid = self._line()
        self._is_up = True

    def kill(self) -> None:
        """Kills the process, between any two instructions."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL, "it had ended by itself"

    def wait(self) -> int:
        """Waits for the process's end. Returns its status, negative for a signal."""
        status = self._line()
        self._is_up = False
        return os.waitstatus_to_exitcode(status)

    def _line(self) -> int:
        assert self._runs.stdout
        return int(self._runs.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._is_up:
                self.kill()
        finally:
            self._runs.communicate()

"""The feed as a process: beside an engine that comes and goes, and beside a local run, which it ends with."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from harness.processes import CHALICE, ROOT, chalice_local, environment, free_port, interruptible
from ops.cli import cli
from tests.support.engines import EngineProcess

TIMEOUT_S = 30
SECRET = "a secret of this test's own, long enough"
SCOPE = "hft/operator"

FEED = (sys.executable, "-m", "ops", "feed")
RUN = (*CHALICE, "local", "--no-autoreload")


@contextmanager
def watched(started: subprocess.Popen[Any]) -> Iterator[None]:
    """Kills a session's processes at the end of the block, or when it takes too long: whoever reads its output finds the end."""

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)

    timer = Timer(TIMEOUT_S, kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        kill()


@contextmanager
def process(*command: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A process whose output is read line by line."""
    env = environment(PYTHONUNBUFFERED="1", **env)
    with (
        subprocess.Popen(
            interruptible(*command),
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as started,
        watched(started),
    ):
        yield started


def line_with(text: str, started: subprocess.Popen[str]) -> str:
    """Returns the next line with a text in it."""
    assert started.stdout is not None
    read = []
    for line in started.stdout:
        read.append(line)
        if text in line:
            return line
    pytest.fail(f"no line has {text!r}:\n{''.join(read)}")


def rest_of(started: subprocess.Popen[str]) -> str:
    """Returns the output until nobody can write to it any more: until every process that shares it has ended."""
    assert started.stdout is not None
    return started.stdout.read()


@pytest.mark.parametrize(("end", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_when_it_is_asked_to(log: Path, end: signal.Signals, status: int) -> None:
    with chalice_local(log) as server, process(*FEED, "--source", "walk", "--url", server.url, "--every", "0.05") as feed:
        line_with("BTC set at ", feed)
        feed.send_signal(end)
        output = rest_of(feed)

        assert feed.wait(TIMEOUT_S) == status
        assert re.fullmatch(r"(\S+ (ETH|SOL) set at .*\n)*\S+ Feed walk → \S+: ends\. [0-9]+ sent, 0 held, .*\n", output), output
        assert '"source": "walk"' in log.read_text()


def test_on_a_terminal_it_is_a_table(log: Path) -> None:
    screen, terminal = os.openpty()
    with chalice_local(log) as server:
        command = [sys.executable, "-m", "ops", "feed", "--source", "walk", "--every", "0.05", "--url", server.url]
        env = environment(TERM="xterm", COLUMNS="100")
        with subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        ) as feed:
            os.close(terminal)
            shown = b""
            with watched(feed):
                while not re.search(rb"BTC .*set", shown):
                    shown += os.read(screen, 65536)
                feed.terminate()
                assert feed.wait(TIMEOUT_S) == 0
    os.close(screen)
    shown = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown)
    assert re.search(rb"symbol +price +age +result +sent +held +failed", shown)
    assert b"Ctrl-C ends it" in shown


def test_it_begins_before_its_engine_and_outlives_it(log: Path) -> None:
    """An engine that begins anew has its first prices again, and takes the walk's."""
    port = free_port()
    with process(*FEED, "--source", "walk", "--every", "0.05", "--url", f"http://127.0.0.1:{port}") as feed:
        line_with("The engine does not answer: Connection refused", feed)
        engine = EngineProcess(log, environment(), port)
        line_with("The engine answers", feed)
        line_with("BTC set at ", feed)
        engine.kill()
        line_with("The engine does not answer: ", feed)
        engine.start()
        line_with("The engine answers", feed)
        feed.terminate()
        assert " 0 held" in rest_of(feed)
        assert feed.wait(TIMEOUT_S) == 0
        engine.kill()


def test_a_closed_engine_wants_an_operators_token(log: Path) -> None:
    settings = {"HFT_TOKEN_SECRET": SECRET, "HFT_TOKEN_OPERATOR_SCOPE": SCOPE, "HFT_OPERATOR_API": "on"}
    with chalice_local(log, **settings) as server:
        command = ("--source", "walk", "--url", server.url)
        lines = {}
        for name, token in (("none", ""), ("a trader's", signed("1")), ("an operator's", signed("--operator"))):
            with process(*FEED, *command, HFT_TOKEN=token) as feed:
                if name == "an operator's":
                    line_with("BTC set at ", feed)
                    continue
                lines[name] = line_with("error: ", feed)
                assert (feed.wait(TIMEOUT_S), rest_of(feed)) == (1, "")
    assert "answers 401: it wants a token in HFT_TOKEN" in lines["none"]
    assert "answers 403: the token in HFT_TOKEN is not an operator's" in lines["a trader's"]


def signed(*whom: str) -> str:
    """A token from the operator's command."""
    env = environment(HFT_TOKEN_SECRET=SECRET, HFT_TOKEN_OPERATOR_SCOPE=SCOPE)
    done = subprocess.run(
        [sys.executable, "-m", "ops", "token", *whom], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("source", ["", "wlak", "walk:1", "file:", "ccxt:", "kraken"])
def test_an_unknown_source_is_refused_in_one_line(source: str) -> None:
    ended = CliRunner().invoke(cli, ["feed", "--source", source])

    assert ended.exit_code == 1
    assert ended.stderr == f"error: There is no source {source!r}: walk, file:PATH or ccxt:EXCHANGE\n"


# Beside a local run.


@pytest.mark.parametrize(
    ("end", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_feed_beside_a_local_run_ends_with_it_however_it_ends(end: signal.Signals, status: int) -> None:
    with process(*RUN, "--port", str(free_port()), HFT_FEED="walk") as run:
        assert line_with("  Feed  ", run) == "  Feed        walk sets the prices once a second\n"
        line_with("BTC set at ", run)
        run.send_signal(end)

        output = rest_of(run)
        assert "Feed walk → http://127.0.0.1:" in output
        assert "Traceback" not in output
        assert run.wait(TIMEOUT_S) == status


def test_a_feed_from_a_file_sets_the_prices_of_a_local_run(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("symbol,price\nBTC,50123.45\nETH,0\nETH,3001\n")
    port = free_port()
    with process(*RUN, "--port", str(port), HFT_FEED=f"file:{tmp_path}/prices.csv") as run:
        line_with("ends. 2 sent, 0 held, 0 failed, 1 not sent", run)
        listed: list[dict[str, Any]] = requests.get(f"http://127.0.0.1:{port}/api/v1/trading/assets", timeout=30).json()

    assert [(asset["symbol"], asset["price"]) for asset in listed[:2]] == [("BTC", "50123.45000000"), ("ETH", "3001.00000000")]


def test_a_closed_run_has_a_feed_with_an_operators_token() -> None:
    settings = {"HFT_TOKEN_SECRET": SECRET, "HFT_TOKEN_OPERATOR_SCOPE": SCOPE, "HFT_OPERATOR_API": "on"}
    with process(*RUN, "--port", str(free_port()), HFT_FEED="walk", HFT_TOKEN=signed("--operator"), **settings) as run:
        line_with("BTC set at ", run)

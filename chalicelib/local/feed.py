"""A feed beside a local run: a process of its own, which ends with the run.

It is the operator's command, and reaches the engine as any operator does. Its standard input is a pipe that only the run holds
open: the system closes it however the run ends.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from chalicelib.config import Settings

STOP_TIMEOUT_S = 5

INSTALL_CCXT = ".venv/bin/pip install --constraint requirements-dev.txt ccxt"

_SOURCE = re.compile(r"walk|file:.+|ccxt:.+")


class FeedUnusable(Exception):
    """A feed that this run cannot have. The message names the reason and the remedy, in one line."""


def wanted(settings: Settings, *, is_open: bool) -> str | None:
    """Returns the source that HFT_FEED names, as `make run FEED=…` sets it, or `None`.

    Raises:
        FeedUnusable: see there.
    """
    source = os.environ.get("HFT_FEED") or None
    if source is None:
        return None
    if not _SOURCE.fullmatch(source):
        raise FeedUnusable(f"FEED must be walk, file:PATH or ccxt:EXCHANGE, not {source!r}")
    if not settings.on_this_machine:
        raise FeedUnusable("FEED is for a run whose datastore is on this machine. For another: python -m ops feed")
    if not is_open and not settings.operator_api:
        raise FeedUnusable("FEED needs the operator's API, which a closed run has with HFT_OPERATOR_API=on")
    if not is_open and not os.environ.get("HFT_TOKEN"):
        raise FeedUnusable(
            "FEED needs an operator's token in HFT_TOKEN, since this run is closed: make token OPERATOR=1 signs one"
        )
    kind, _, detail = source.partition(":")
    if kind == "file" and (not os.access(detail, os.R_OK) or Path(detail).is_dir()):
        raise FeedUnusable(f"FEED names a file that cannot be read: {detail}")
    if kind == "ccxt":
        _find_exchange(detail)
    return source


def _find_exchange(name: str) -> None:
    """Finds ccxt's module of an exchange. The feed's process alone imports ccxt, which is large."""
    ccxt = find_spec("ccxt")
    if ccxt is None:
        raise FeedUnusable(f"FEED=ccxt:{name} needs ccxt. Install it with: {INSTALL_CCXT}")
    modules = {module.stem for directory in ccxt.submodule_search_locations or () for module in Path(directory).glob("*.py")}
    if name not in modules - {"__init__"}:
        raise FeedUnusable(f"FEED names an exchange that ccxt does not know: {name!r}. kraken and coinbase are two that it knows")


@contextmanager
def running(source: str, url: str) -> Iterator[None]:
    """Runs the feed until the end of the block. It waits until the engine answers at `url`."""
    command = [sys.executable, "-m", "ops", "feed", "--source", source, "--url", url, "--plain", "--until-stdin-ends"]
    feed = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603  (the source is the operator's own choice)
    assert feed.stdin is not None, "it is a pipe"
    try:
        yield
    finally:
        feed.stdin.close()
        try:
            feed.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            feed.kill()
            feed.wait()

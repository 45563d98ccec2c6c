"""What the suites of faults share, and the figures that they end with."""

from collections.abc import Iterator

import pytest

from harness.proxy import Proxy, proxy

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the run: how much was tried, and what came of it."""
    return pytestconfig.stash.setdefault(_FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the figures, whatever the output's level: a test that passes says nothing about how much it tried."""
    for line in config.stash.get(_FIGURES, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def proxied(ministack_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A DynamoDB on a real socket, behind a proxy that breaks what it is told to."""
    with proxy(ministack_url, tmp_path_factory.mktemp("proxy") / "log") as running:
        yield running

"""The first lines of a local run name URLs that work, and warn of who can reach it."""

import shlex

import pytest

from chalicelib.config import Settings
from chalicelib.local.banner import banner, url_of


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("trader.lan", "http://trader.lan:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("fd00::2", "http://[fd00::2]:8000"),
    ],
)
def test_the_url_of_a_run_leads_to_it(host: str, url: str) -> None:
    assert url_of(host, 8000) == url


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_order_to_try_is_one_that_every_shell_leaves_as_it_is(host: str) -> None:
    """In zsh an unquoted bracket begins a pattern, and the command would not run."""
    url = f"{url_of(host, 8000)}/api/v1/trading/execute"
    (line,) = (line for line in banner(host, 8000, Settings(), "open", None, is_open=True).splitlines() if "curl" in line)

    assert url in shlex.split(line)
    assert f" {shlex.quote(url)} " in line


def has_warning(host: str) -> bool:
    return "WARNING" in banner(host, 8000, Settings(), "open", None, is_open=True)


def test_only_a_run_that_other_machines_reach_warns_of_them() -> None:
    assert all(map(has_warning, ["0.0.0.0", "::", "192.168.1.2", "fd00::2", "trader.lan"]))
    assert not any(map(has_warning, ["127.0.0.1", "localhost", "::1"]))

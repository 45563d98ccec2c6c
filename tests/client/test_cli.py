"""The command line ``hft``: what it prints for people and for programs, and how it ends."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hft_client.cli.commands import cli
from tests.support.faulty_http import FaultyProxy, faulty_proxy, page, reply_lost
from tests.support.market import Market, new_key

DONE, UNAVAILABLE, USAGE, REFUSED, REJECTED, UNKNOWN, NOT_VERIFIED = range(7)


ENGINES_LOG = re.compile(r'^(127\.0\.0\.1 - - \[|\{"time": ).*\n', re.MULTILINE)
"""What the engine of this process writes meanwhile."""


@dataclass
class Run:
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str
    exception: BaseException | None


@dataclass
class Trader:
    """Somebody at a terminal, with an account of their own."""

    market: Market
    url: str
    user: int
    home: Path

    def run(self, *command: str, **env: str | None) -> Run:
        settings = {"HFT_URL": self.url, "HFT_USER": str(self.user), "HFT_TOKEN": None, "HOME": str(self.home)}
        result = CliRunner().invoke(cli, command, env=settings | env)
        stdout, stderr = (ENGINES_LOG.sub("", text) for text in (result.stdout, result.stderr))
        return Run(result.exit_code, stdout, stderr, result.exception)

    def done(self, *command: str) -> str:
        result = self.run(*command)
        assert (result.exit_code, result.stderr) == (DONE, ""), result
        return result.stdout

    def json(self, *command: str) -> Any:
        return json.loads(self.done(*command, "--json"))

    def ends(self, code: int, *command: str, **env: str | None) -> str:
        """Returns the complaint of a command that ends with a code. No traceback, nothing on stdout."""
        result = self.run(*command, **env)
        assert (result.exit_code, result.stdout) == (code, ""), result
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return " ".join(result.stderr.replace("│", " ").split())


@pytest.fixture
def proxy(moto_market: Market) -> Iterator[FaultyProxy]:
    with faulty_proxy(moto_market.urls[0]) as running:
        yield running


@pytest.fixture
def trader(moto_market: Market, proxy: FaultyProxy, tmp_path: Path) -> Trader:
    return Trader(moto_market, proxy.url, moto_market.new_user(USD="100000"), tmp_path)


def test_buying_selling_and_spending(trader: Trader) -> None:
    bought = trader.done("buy", "0.5", "BTC", "--key", "first")

    assert bought.startswith("Bought 0.5 BTC for 25,000.00 USD, at 50,000.00 USD\nLeft: 75,000.00 USD. Key first, decision 2,")
    assert "executed earlier" in trader.done("buy", "0.5", "btc", "--key", "first")
    assert trader.done("buy", "BTC", "--spend", "250").startswith("Bought 0.005 BTC for 250.00 USD")
    assert trader.done("buy", "1", "ETH", "--pay-with", "BTC").startswith(
        "Bought 1 ETH for 0.06 BTC, at 0.06 BTC\nLeft: 0.445 BTC"
    )
    assert trader.done("sell", "all", "BTC", "--limit", "49500").startswith("Sold 0.445 BTC for 22,250.00 USD")
    assert trader.done("sell", "0.5", "ETH", "--receive", "SOL").startswith("Sold 0.5 ETH for 15 SOL, at 30 SOL")


def test_a_fill_for_a_program_is_the_engines_with_its_key(trader: Trader) -> None:
    fill = trader.json("buy", "0.5", "BTC", "--key", "k")

    assert (fill["status"], fill["total_cost"], fill["idempotency_key"], fill["replayed"]) == (
        "ORDER_FILLED",
        "25000.00000000",
        "k",
        False,
    )
    assert trader.json("buy", "0.5", "BTC", "--key", "k")["replayed"] is True


def test_a_refusal_a_rejection_and_a_wrong_command_line_end_apart(trader: Trader) -> None:
    assert "Refused, for good: Need 25000000.00000000 USD" in trader.ends(REFUSED, "buy", "500", "BTC")
    assert "Refused, for good: One BTC is at" in trader.ends(REFUSED, "buy", "1", "BTC", "--limit", "3")
    assert "Nothing was decided: Unknown asset: NOPE" in trader.ends(REJECTED, "buy", "1", "NOPE")
    assert "at most 8 decimals" in trader.ends(REJECTED, "buy", "0.123456789", "BTC")
    for command, hint in [
        (("buy", "BTC", "1"), "Write the quantity, then the symbol"),
        (("buy", "BTC"), "Write the quantity, then the symbol"),
        (("buy", "1", "BTC", "--spend", "2"), "not both"),
        (("sell", "BTC"), "Write the quantity, then the symbol"),
        (("buy", "1", "BTC", "--key", " k"), "printable ASCII"),
        (("prices", "NOPE"), "Not listed: NOPE"),
        (("buy", "1", "BTC", "--url", "ftp://x"), "is not the URL of an engine"),
        (("frobnicate",), "No such command"),
    ]:
        assert hint in trader.ends(USAGE, *command)


def test_a_refusal_for_a_program_says_that_it_is_stored(trader: Trader) -> None:
    result = trader.run("buy", "500", "BTC", "--key", "k", "--json")

    refused = json.loads(result.stdout)
    assert result.exit_code == refused["exit_code"] == REFUSED
    assert (refused["error"], refused["error_code"], refused["stored"], refused["key"]) == (
        "InsufficientFunds",
        "ERR_LIQUIDITY",
        True,
        "k",
    )


def test_an_unknown_outcome_ends_with_its_own_code_and_the_commands_that_settle_it(trader: Trader, proxy: FaultyProxy) -> None:
    proxy.choose = lambda: reply_lost
    key = new_key()

    said = trader.ends(UNKNOWN, "buy", "1", "ETH", "--key", key, "--timeout", "0.3")

    assert "may have been executed" in said
    assert f"hft order {key}" in said
    assert f"hft void {key}" in said
    proxy.choose = lambda: lambda forward: forward()
    assert trader.done("order", key).startswith("Bought 1 ETH for 3,000.00 USD")


def test_an_interrupted_order_names_its_key(trader: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hft_client.clients.Client.execute", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    assert "hft order k" in trader.ends(UNKNOWN, "buy", "1", "ETH", "--key", "k")


def test_an_engine_that_is_not_there_is_said_in_a_line(trader: Trader, proxy: FaultyProxy) -> None:
    nowhere = "http://127.0.0.1:1"

    assert "cannot be reached" in trader.ends(UNAVAILABLE, "portfolio", "--timeout", "0.2", HFT_URL=nowhere)
    assert "cannot be reached" in trader.ends(UNAVAILABLE, "buy", "1", "BTC", "--timeout", "0.2", HFT_URL=nowhere)
    proxy.fail(page(404))
    assert "is the URL right?" in trader.ends(REJECTED, "portfolio")


def test_a_token_needs_an_account(trader: Trader) -> None:
    assert "Which account is the token for?" in trader.ends(USAGE, "portfolio", HFT_TOKEN="t", HFT_USER=None)
    assert "Set HFT_TOKEN" in trader.ends(REJECTED, "portfolio", HFT_TOKEN="t")


def test_a_preview_shows_and_stores_nothing(trader: Trader) -> None:
    assert trader.done("preview", "buy", "1", "ETH").startswith("Would be: Bought 1 ETH for 3,000.00 USD")
    assert "Would be refused: Need" in trader.ends(REFUSED, "preview", "buy", "500", "BTC")
    assert trader.json("preview", "buy", "ETH", "--spend", "30")["reply"]["quantity_filled"] == "0.01000000"
    assert trader.json("portfolio")["sequence"] == 1


def test_an_order_is_looked_up_and_voided(trader: Trader) -> None:
    trader.done("buy", "1", "ETH", "--key", "k")

    assert trader.done("void", "never-sent").startswith("Voided at")
    assert trader.done("order", "never-sent").startswith("Voided: the key never-sent never executes")
    assert "This key has an outcome" in trader.ends(REJECTED, "void", "k")
    assert "Nothing is stored under this key" in trader.ends(REJECTED, "order", "unknown")
    assert trader.json("order", "k")["outcome"] == "ORDER_FILLED"


def test_the_portfolio_is_a_table(trader: Trader) -> None:
    trader.done("buy", "0.3", "BTC")

    lines = trader.done("portfolio").splitlines()

    assert lines[0].split() == ["asset", "quantity", "price", "value", "USD", "cost", "USD", "gain", "USD", "share"]
    assert lines[1].split() == ["BTC", "0.3", "50,000.00", "15,000.00", "15,000.00", "0.00", "15.0%"]
    assert lines[-1].startswith("Total 100,000.00 USD, deposits 100,000.00 USD, realized 0.00 USD.")


def test_the_history_is_a_table_of_every_decision(trader: Trader) -> None:
    trader.done("buy", "0.3", "BTC")
    trader.run("buy", "500", "BTC")
    trader.done("void", "k")

    newest = trader.done("history").splitlines()
    oldest = trader.done("history", "--oldest-first", "--limit", "2").splitlines()

    assert [line.split()[3] for line in newest[1:]] == ["Voided", "Refused", "Bought", "Deposit"]
    assert "+0.3 BTC, -15,000.00 USD" in newest[3]
    assert [line.split()[0] for line in oldest[1:]] == ["1", "2"]
    assert len(trader.done("history", "--all", "--json").splitlines()) == 4


def test_verification_is_kept_on_this_machine(trader: Trader, moto_market: Market) -> None:
    trader.done("buy", "0.3", "BTC")

    assert trader.done("verify") == "1 … 2 verified, the head matches\n"
    trader.done("buy", "0.3", "BTC")
    assert trader.json("verify")["sequence"] == 3
    (kept,) = trader.home.rglob("verified-*.json")
    kept.write_text(json.dumps({str(trader.user): {"sequence": 3, "head": "00" * 32}}))
    said = trader.ends(NOT_VERIFIED, "verify")
    assert "NOT VERIFIED, at decision 3" in said
    assert "was rewritten" in said
    assert trader.done("verify", "--forget") == "1 … 3 verified, the head matches\n"
    assert moto_market.portfolio(trader.user)["sequence"] == 3


def test_prices_and_candles_are_tables(trader: Trader) -> None:
    lines = trader.done("prices", "btc", "USD").splitlines()

    assert [line.split()[:2] for line in lines[1:]] == [["BTC", "50,000.00"], ["USD", "1.00"]]
    assert trader.json("prices", "BTC")[0]["price"] == "50000.00000000"
    assert trader.done("candles", "BTC", "--limit", "1").split()[:5] == ["time", "open", "high", "low", "close"]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_prices_are_watched_until_ctrl_c(
    trader: Trader, proxy: FaultyProxy, form: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([None, None, KeyboardInterrupt])

    def look(_: float) -> None:
        if (stop := next(looks)) is not None:
            raise stop

    monkeypatch.setattr("hft_client.cli.market.sleep", look)

    shown = trader.done("prices", "BTC", "--watch", *form)

    assert "50,000.00" in shown or shown.count('"price": "50000.00000000"') == 3
    assert len(proxy.requests) >= 3


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_it_completes_in_shells(trader: Trader, shell: str) -> None:
    assert "_HFT_COMPLETE" in trader.done("completion", shell)


def test_it_runs_as_a_module_and_says_its_version() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "hft_client", "--version"], capture_output=True, text=True, check=True, timeout=60
    )

    assert run.stdout == "hft, version 2.0.0\n"


def test_without_its_extra_it_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "rich_click.py").write_text("raise ModuleNotFoundError(name='rich_click')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}

    run = subprocess.run([sys.executable, "-m", "hft_client"], env=env, capture_output=True, text=True, check=False, timeout=60)

    assert (run.returncode, run.stderr) == (1, "The command line needs two more packages: pip install 'hft-client[cli]'\n")

"""The examples, run as programs against an engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.processes import ROOT
from tests.support.faulty_http import faulty_proxy, none, reply_lost
from tests.support.market import Market

EXAMPLES = ROOT / "examples"


def run(name: str, *arguments: str, where: Path, url: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    settings = {"HFT_URL": url} | ({} if user is None else {"HFT_USER": str(user)})
    env = {name: value for name, value in os.environ.items() if not name.startswith("HFT_")}
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        env=env | settings | {"PYTHONPATH": str(ROOT / "client" / "src")},
        cwd=where,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60


def test_the_dca_bot_buys_once_a_day_however_often_it_runs(moto_market: Market, tmp_path: Path) -> None:
    user = moto_market.new_user(USD="1000")

    first, again = (run("dca_bot.py", "BTC", "25", where=tmp_path, url=moto_market.urls[0], user=user) for _ in range(2))

    assert (first.stdout, first.stderr) == ("Bought 0.00050000 BTC for 25.00000000 USD, now\n", "")
    assert again.stdout == "Bought 0.00050000 BTC for 25.00000000 USD, earlier\n"
    assert str(moto_market.holdings(user)["USD"]) == "975.00000000"


def test_the_dca_bot_says_why_it_does_not_buy(moto_market: Market, tmp_path: Path) -> None:
    user = moto_market.new_user(USD="10")

    refused = run("dca_bot.py", "BTC", "25", where=tmp_path, url=moto_market.urls[0], user=user)

    assert refused.stdout == "Not today: Need 25.00000000 USD but only have 10.00000000 USD\n"


def test_the_settlement_books_each_payment_once_through_lost_replies(moto_market: Market, tmp_path: Path) -> None:
    first, second = moto_market.new_user(), moto_market.new_user()
    (tmp_path / "payments.csv").write_text(
        f"p1-{first},{first},USD,100.50\np2-{first},{second},BTC,0.5\np3-{first},{first},USD,-40\n"
    )
    lost = iter([True, False] * 3)

    with faulty_proxy(moto_market.urls[0]) as proxy:
        proxy.choose = lambda: reply_lost if next(lost, False) else none
        runs = [run("wallet_settlement.py", "payments.csv", where=tmp_path, url=proxy.url) for _ in range(2)]

    shown = (
        f"user {first}: 1 … 2 verified, 60.50000000 USD after the last payment\n"
        f"user {second}: 1 … 1 verified, 0.50000000 BTC after the last payment\n"
    )
    assert [(each.returncode, each.stdout, each.stderr) for each in runs] == [(0, shown, "")] * 2


def test_the_settlement_names_a_payment_that_it_cannot_book(moto_market: Market, tmp_path: Path) -> None:
    user = moto_market.new_user(USD="1")
    (tmp_path / "payments.csv").write_text(f"w-{user},{user},USD,-40\n")

    failed = run("wallet_settlement.py", "payments.csv", where=tmp_path, url=moto_market.urls[0])

    assert failed.returncode == 1
    assert failed.stdout.startswith(f"w-{user}: not booked: ")

"""The operator's command line: what each command writes, shows, refuses and ends with."""

import json
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from chalicelib.domain.facts import Void
from chalicelib.domain.money import PRICE_PER_USD, UNITS_PER_ONE, price_from
from chalicelib.domain.refusals import HaltedAsset
from chalicelib.runtime.deadline import Deadline
from chalicelib.store.assets import AssetList, Listing
from chalicelib.store.history import History
from chalicelib.store.tables import account_key, asset_key, number
from chalicelib.trading import queries
from harness.processes import ROOT, environment
from ops import stage as ops_stage
from ops.cli import cli
from ops.commands import accounts
from ops.failure import Failure, explain
from ops.stage import Stage, reach
from tests.support.market import Market, new_key, new_user_id
from tests.support.tables import buy, with_tables_of_its_own


@pytest.fixture(scope="module")
def market(moto_market: Market) -> Market:
    return with_tables_of_its_own(moto_market)


@dataclass
class Operator:
    """Somebody at the command line, in front of one market."""

    market: Market

    def run(self, *command: str | Path) -> Result:
        where = ["--prefix", self.market.settings.table_prefix, "--region", self.market.settings.region]
        return CliRunner().invoke(cli, [*map(str, command), *where])

    def json(self, *command: str | Path) -> Any:
        result = self.run(*command, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, *command: str | Path) -> str:
        """The one line that a command ends with."""
        result = self.run(*command)
        assert (result.exit_code, result.stdout) == (1, ""), result.output
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("error: ")
        return result.stderr

    def item(self, symbol: str) -> Any:
        found = self.market.dynamodb.get_item(TableName=self.market.tables.assets, Key=asset_key(symbol))
        return found.get("Item")


@pytest.fixture
def operator(market: Market, monkeypatch: pytest.MonkeyPatch) -> Operator:
    # Each command of a process of its own makes its clients anew, which takes longer than the rest of it: here they are shared.
    monkeypatch.setattr(Stage, "dynamodb", market.dynamodb)
    monkeypatch.setattr(ops_stage, "DynamoDB", lambda _: market.datastore)
    return Operator(market)


@pytest.fixture
def symbol(operator: Operator) -> str:
    """An asset of this test's own, at 100 USD."""
    symbol = f"T{new_user_id() % 10**9}"
    operator.json("assets", "set", symbol, "100", "--new")
    return symbol


# Assets.


def test_the_list_holds_every_asset_sorted(operator: Operator) -> None:
    rows = operator.json("assets", "list")

    assert [row["symbol"] for row in rows] == sorted(row["symbol"] for row in rows)
    btc = next(row for row in rows if row["symbol"] == "BTC")
    assert btc == {
        "symbol": "BTC",
        "price": "50000.00000000",
        "price_at": btc["price_at"],
        "halted": False,
        "version": 1,
        "min_quantity": "0.00000001",
        "quantity_step": "0.00000001",
        "min_notional_usd": "0.00000000",
        "fee_bps": "0",
        "max_move": "0.2",
    }


def test_the_list_is_a_table_for_people(operator: Operator) -> None:
    result = operator.run("assets", "list")

    assert result.exit_code == 0
    header, first, *_ = result.stdout.splitlines()
    assert header.split() == ["symbol", "price", "price", "at", "halted", "version"]
    assert (first.split()[:2], first.split()[-1]) == (["BTC", "50000.00000000"], "1")


def test_a_price_is_set_and_the_version_counts(operator: Operator, symbol: str) -> None:
    (row,) = operator.json("assets", "set", symbol.lower(), "0.0000000000000001", "--allow-move")

    assert row == {
        "symbol": symbol,
        "change": "priced",
        "before": "100.00000000",
        "after": "0.0000000000000001",
        "version": 2,
        "result": "written",
    }
    item = operator.item(symbol)
    assert (item["price_usd"], item["version"]) == ({"S": "0.0000000000000001"}, {"N": "2"})


def test_orders_are_decided_at_the_price_that_was_set(operator: Operator, symbol: str) -> None:
    operator.json("assets", "set", symbol, "999999999999.9999999999999999", "--allow-move")
    user = operator.market.new_user(USD="1000000000001")

    buy(operator.market, user, 1, symbol=symbol)

    shown = operator.json("accounts", "show", str(user))
    assert shown["balances"] == {"USD": "1.00000000", symbol: "1.00000000"}
    assert shown["cost_basis_usd"] == {"USD": "1.00000000", symbol: "1000000000000.00000000"}


def test_the_same_price_again_is_confirmed_as_of_now(operator: Operator, symbol: str) -> None:
    before = operator.item(symbol)

    (row,) = operator.json("assets", "set", symbol, "100.0")

    assert (row["change"], row["before"], row["after"], row["version"]) == ("confirmed", "100.00000000", "100.00000000", 2)
    assert operator.item(symbol)["price_at"]["S"] > before["price_at"]["S"]


def test_a_price_that_moves_too_far_is_held_unless_the_move_is_allowed(operator: Operator, symbol: str) -> None:
    line = operator.refused("assets", "set", symbol, "121")
    (row,) = operator.json("assets", "set", symbol, "121", "--allow-move")

    assert f"{symbol} would move from 100.00000000 to 121.00000000 USD, by more than 0.2 of its price" in line
    assert "--allow-move" in line
    assert (row["change"], row["after"], row["version"]) == ("priced", "121.00000000", 2)


@pytest.mark.parametrize("command", [("set", "USD", "1.01"), ("halt", "USD"), ("resume", "USD"), ("remove", "USD")])
def test_the_unit_of_account_cannot_be_changed(operator: Operator, command: tuple[str, ...]) -> None:
    before = operator.item("USD")

    assert "USD is the unit of account: its price is 1" in operator.refused("assets", *command)
    assert operator.item("USD") == before


def test_the_unit_of_account_may_be_set_to_what_it_is(operator: Operator) -> None:
    (row,) = operator.json("assets", "set", "USD", "1.00")

    assert (row["change"], row["result"], row["version"]) == ("unchanged", "nothing to do", 1)


def test_an_asset_is_not_listed_by_a_slip(operator: Operator) -> None:
    assert "Unknown asset: BTTC" in operator.refused("assets", "set", "BTTC", "1")
    assert operator.item("BTTC") is None


@pytest.mark.parametrize(
    "price",
    ["0", "0.00000000000000001", "1000000000000.0000000000000001", "1e3", "1,000", "NaN", "", "١", "1.", ".5", "9" * 5_000],
)
def test_a_price_is_decimal_text_within_bounds(operator: Operator, symbol: str, price: str) -> None:
    result = operator.run("assets", "set", symbol, price)

    assert result.exit_code == 2
    assert "must be" in result.stderr
    assert operator.item(symbol)["version"] == {"N": "1"}


def test_halting_stops_orders_and_resuming_lets_them_pass(operator: Operator, symbol: str) -> None:
    user = operator.market.new_user(USD="1000")

    (halted,) = operator.json("assets", "halt", symbol)
    with pytest.raises(HaltedAsset):
        buy(operator.market, user, 1, symbol=symbol)
    (resumed,) = operator.json("assets", "resume", symbol)
    buy(Market([], operator.market.settings), user, 1, symbol=symbol)  # another process, which has no copy of the price yet

    assert (halted["change"], halted["after"], halted["version"]) == ("halted", "halted", 2)
    assert (resumed["change"], resumed["after"], resumed["version"]) == ("resumed", "trading", 3)


def test_halting_what_is_halted_changes_nothing(operator: Operator, symbol: str) -> None:
    operator.json("assets", "halt", symbol)

    (row,) = operator.json("assets", "halt", symbol)

    assert (row["result"], row["version"]) == ("nothing to do", 2)


def test_a_new_price_leaves_an_asset_halted(operator: Operator, symbol: str) -> None:
    operator.json("assets", "halt", symbol)
    operator.json("assets", "set", symbol, "101")

    assert operator.item(symbol)["halted"] == {"BOOL": True}


def test_an_asset_is_removed(operator: Operator, symbol: str) -> None:
    (row,) = operator.json("assets", "remove", symbol)

    assert (row["change"], row["before"], row["after"]) == ("removed", "100.00000000", None)
    assert operator.item(symbol) is None


def test_several_assets_are_halted_and_resumed_at_once(operator: Operator, symbol: str) -> None:
    rows = operator.json("assets", "halt", symbol, "eth", symbol)
    assert [(row["symbol"], row["change"]) for row in rows] == [(symbol, "halted"), ("ETH", "halted")]

    rows = operator.json("assets", "resume", symbol, "ETH")
    assert [(row["symbol"], row["change"]) for row in rows] == [(symbol, "resumed"), ("ETH", "resumed")]


def test_halting_all_says_which_were_halted_before(moto_market: Market) -> None:
    operator = Operator(with_tables_of_its_own(moto_market))
    operator.json("assets", "halt", "ETH")

    rows = operator.json("assets", "halt", "--all")

    changes = {row["symbol"]: row["change"] for row in rows}
    assert changes == {"BTC": "halted", "ETH": "unchanged", "SOL": "halted"}
    assert {row["symbol"] for row in operator.json("assets", "list") if not row["halted"]} == {"USD"}


@pytest.mark.parametrize("arguments", [("halt",), ("halt", "BTC", "--all"), ("resume",), ("resume", "--all")])
def test_halting_must_say_what_and_resuming_names_each(operator: Operator, arguments: tuple[str, ...]) -> None:
    assert operator.run("assets", *arguments).exit_code == 2


@pytest.mark.parametrize("command", [("halt", "nope"), ("resume", "nope"), ("remove", "nope")])
def test_an_unknown_asset_is_named(operator: Operator, command: tuple[str, ...]) -> None:
    assert "Unknown asset: NOPE" in operator.refused("assets", *command)


def test_where_one_of_several_is_unknown_none_is_halted(operator: Operator, symbol: str) -> None:
    assert "Unknown assets: NOPE, NADA" in operator.refused("assets", "halt", symbol, "nope", "nada")
    assert operator.item(symbol)["version"] == {"N": "1"}


def test_a_change_can_be_tied_to_the_version_that_was_looked_at(operator: Operator, symbol: str) -> None:
    operator.json("assets", "set", symbol, "101", "--at-version", "1")

    for command in (("set", symbol, "102"), ("remove", symbol)):
        assert "is not at version 1" in operator.refused("assets", *command, "--at-version", "1")

    assert operator.item(symbol)["price_usd"] == {"S": "101.00000000"}


@pytest.mark.parametrize(
    "command",
    [("set", "{}", "101"), ("halt", "{}"), ("remove", "{}"), ("set", "DRY1", "7", "--new"), ("load", "{file}", "--new")],
)
def test_a_dry_run_shows_and_writes_nothing(operator: Operator, symbol: str, command: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({symbol: "101", "DRY2": "1"}))
    listed = operator.json("assets", "list")

    rows = operator.json("assets", *(part.format(symbol, file=file) for part in command), "--dry-run")

    assert {row["result"] for row in rows} == {"would be written"}
    assert operator.json("assets", "list") == listed


def client_error(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "UpdateItem")


# Loading prices.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prices.csv", "symbol,price,note\n{0},101.5,x\nload1,0.0000000000000001,\n"),
        ("prices.csv", "\ufeffprice,symbol\r\n101.5,{0}\r\n 0.0000000000000001 , load1\r\n"),
        ("prices.json", '{{"{0}": "101.5", "load1": 0.0000000000000001}}'),
        (
            "prices.json",
            '[{{"symbol": "{0}", "price": 101.5, "version": 9}}, {{"symbol": "load1", "price": "0.0000000000000001"}}]',
        ),
    ],
)
def test_prices_are_loaded_from_a_file(operator: Operator, symbol: str, tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text.format(symbol), encoding="utf-8")

    rows = operator.json("assets", "load", file, "--new")

    assert [(row["symbol"], row["after"], row["result"]) for row in rows] == [
        (symbol, "101.50000000", "written"),
        ("LOAD1", "0.0000000000000001", "written"),
    ]
    assert operator.item(symbol)["price_usd"] == {"S": "101.50000000"}
    operator.json("assets", "remove", "LOAD1")


def test_a_list_loads_as_it_was_written(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text(operator.run("assets", "list", "--json").stdout)

    rows = operator.json("assets", "load", file)

    assert {row["symbol"]: row["change"] for row in rows}.pop("USD") == "unchanged"
    assert {row["change"] for row in rows if row["symbol"] != "USD"} == {"confirmed"}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.csv", "symbol,price\nBTC,1\nETH,x\n", "line 3: price 'x' must be decimal text"),
        ("p.csv", "symbol,price\nBTC,1\nB C,1\n", "line 3: symbol 'B C' must be"),
        ("p.csv", "symbol,price\nBTC,1\nbtc,2\n", "line 3: BTC appears twice"),
        ("p.csv", "symbol,price\nBTC\n", "line 2: price None"),
        ("p.csv", "BTC,1\n", "price and symbol missing"),
        ("p.csv", "symbol,price\n", "contains no prices"),
        ("p.csv", "", "price and symbol missing"),
        ("p.csv", 'symbol,price\n"BTC,1\n', "cannot be read"),
        ("p.json", "{", "cannot be read"),
        ("p.json", "1", "JSON prices are"),
        ("p.json", "[1]", "JSON prices are"),
        ("p.json", '{"BTC": NaN}', "price 'NaN' must be"),
        ("p.json", '{"BTC": 1e3}', "price '1e3' must be"),
        ("p.json", '{"BTC": true}', "price True must be"),
        ("p.json", '{"BTC": 1, "BTC": 2}', "BTC appears twice"),
        ("p.json", '[{"symbol": "BTC", "price": 1, "price": 2}]', "names a field twice"),
        ("p.json", '{"BTC": 1, "USD": 1.01}', "USD is the unit of account"),
        ("p.txt", "BTC 1", "neither .csv nor .json"),
    ],
)
def test_of_a_file_that_makes_no_sense_nothing_is_written(
    operator: Operator, tmp_path: Path, name: str, text: str, says: str
) -> None:
    file = tmp_path / name
    file.write_text(text)

    result = operator.run("assets", "load", file)

    assert result.exit_code == 1
    assert says in result.stderr
    assert price_from(Decimal(operator.item("BTC")["price_usd"]["S"])) == 50_000 * PRICE_PER_USD


def test_every_line_that_is_wrong_is_named_up_to_a_bound(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("symbol,price\n" + "BTC,x\n" * 25)

    result = operator.run("assets", "load", file)

    assert result.stderr.count("line ") == 20
    assert "and 5 more" in result.stderr


def test_unknown_symbols_in_a_file_are_not_listed_by_a_slip(operator: Operator, symbol: str, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps({symbol: 1, "NOPE1": 1, "NOPE2": 1}))

    assert "Unknown assets: NOPE1, NOPE2" in operator.refused("assets", "load", file)
    assert operator.item(symbol)["version"] == {"N": "1"}


def test_a_load_reports_what_failed_and_does_the_rest(
    operator: Operator, symbol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps({symbol: 102, "ETH": 3_001}))
    all_at_first = AssetList.all

    def all_but_then_changed(self: AssetList, deadline: Deadline) -> dict[str, Listing]:
        listed = all_at_first(self, deadline)
        operator.json("assets", "set", symbol, "101")
        return listed

    monkeypatch.setattr(AssetList, "all", all_but_then_changed)

    result = operator.run("assets", "load", file, "--json")

    assert result.exit_code == 1
    assert f"error: {symbol} was changed by somebody else: it was 100.00000000 USD (version 1" in result.stderr
    assert "it is 101.00000000 USD (version 2" in result.stderr
    assert [row["result"] for row in json.loads(result.stdout)] == ["failed", "written"]
    assert operator.item("ETH")["price_usd"] == {"S": "3001.00000000"}


def test_a_load_holds_a_price_that_moves_too_far_and_sets_the_others(operator: Operator, symbol: str, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps({symbol: 121, "SOL": 101}))

    held = operator.run("assets", "load", file, "--json")
    allowed = operator.json("assets", "load", file, "--allow-move", symbol)

    assert (held.exit_code, held.stderr.count("\n")) == (1, 1)
    rows = json.loads(held.stdout)
    assert [(row["symbol"], row["change"], row["result"]) for row in rows] == [
        ("SOL", "priced", "written"),
        (symbol, "held", "not set"),
    ]
    assert [(row["symbol"], row["change"]) for row in allowed] == [(symbol, "priced"), ("SOL", "confirmed")]


def test_a_load_ends_with_a_count(operator: Operator, symbol: str, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(json.dumps({symbol: 101, "USD": 1}))

    result = operator.run("assets", "load", file)

    assert result.stdout.endswith(": 1 priced, 1 unchanged\n")


# Accounts.


@pytest.fixture
def user() -> str:
    return str(new_user_id())


def test_an_account_is_opened_funded_and_debited(operator: Operator, user: str) -> None:
    key = new_key()

    (opened,) = operator.json("accounts", "fund", user, "usd", "100.5", "--key", key)
    (debited,) = operator.json("accounts", "debit", user, "USD", "0.00000001", "--key", new_key())
    shown = operator.json("accounts", "show", user)

    assert opened == {
        "user_id": int(user),
        "transfer": "FUND 100.50000000 USD",
        "key": key,
        "sequence": 1,
        "at": opened["at"],
        "balance": "100.50000000",
        "result": "done",
    }
    assert (debited["transfer"], debited["sequence"], debited["balance"]) == ("DEBIT 0.00000001 USD", 2, "100.49999999")
    account = operator.market.engine.ledger.read_account(int(user), operator.market.engine.deadline())
    assert shown == {
        "user_id": int(user),
        "balances": {"USD": "100.49999999"},
        "cost_basis_usd": {"USD": "100.49999999"},
        "realized_pl_usd": "0.00000000",
        "net_deposits_usd": "100.49999999",
        "sequence": 2,
        "head": account.head.hex(),
    }
    assert operator.run("audit", user).exit_code == 0


def test_the_same_command_again_does_nothing_and_says_so(operator: Operator, user: str) -> None:
    command = ("accounts", "fund", user, "USD", "100", "--key", "k")
    operator.json(*command)

    (again,) = operator.json(*command)

    assert (again["result"], again["sequence"], again["balance"]) == ("done before", 1, "100.00000000")


def test_a_repeated_transfer_shows_the_balance_that_it_made(operator: Operator, user: str) -> None:
    command = ("accounts", "fund", user, "USD", "100", "--key", "k")
    operator.json(*command)
    operator.json("accounts", "debit", user, "USD", "100", "--key", "l")

    (again,) = operator.json(*command)

    assert (again["result"], again["balance"]) == ("done before", "100.00000000")


def test_a_key_stands_for_one_transfer(operator: Operator, user: str) -> None:
    operator.json("accounts", "fund", user, "USD", "100", "--key", "k")

    for command, amount in (("fund", "101"), ("debit", "100")):
        for dry_run in ((), ("--dry-run",)):
            line = operator.refused("accounts", command, user, "USD", amount, "--key", "k", *dry_run)
            assert "it stands for FUND 100.00000000 USD" in line


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_an_account_is_not_overdrawn(operator: Operator, user: str, dry_run: tuple[str, ...]) -> None:
    operator.json("accounts", "fund", user, "USD", "1", "--key", "k")

    line = operator.refused("accounts", "debit", user, "USD", "1.00000001", "--key", "l", *dry_run)

    assert line == "error: a debit of 1.00000001 USD overdraws the balance of 1.00000000\n"


def test_a_transfer_can_be_tried_dry(operator: Operator, user: str) -> None:
    operator.json("accounts", "fund", user, "USD", "10", "--key", "k")

    (row,) = operator.json("accounts", "debit", user, "USD", "4", "--key", "l", "--dry-run")

    assert (row["result"], row["sequence"], row["balance"]) == ("would be done", 2, "6.00000000")
    assert operator.json("accounts", "show", user)["balances"] == {"USD": "10.00000000"}


def test_what_was_done_is_said_by_a_dry_run_too(operator: Operator, user: str) -> None:
    operator.json("accounts", "fund", user, "USD", "10", "--key", "k")

    (row,) = operator.json("accounts", "fund", user, "USD", "10", "--key", "k", "--dry-run")

    assert (row["result"], row["sequence"]) == ("done before", 1)


def test_a_transfer_that_was_done_is_shown_although_its_asset_is_gone(operator: Operator, symbol: str, user: str) -> None:
    fund, debit = (
        ("accounts", "fund", user, symbol, "5", "--key", "in"),
        ("accounts", "debit", user, symbol, "1", "--key", "out"),
    )
    done = [operator.json(*fund), operator.json(*debit)]
    operator.json("assets", "remove", symbol)

    for command, (first,) in zip((fund, debit), done, strict=True):
        for dry_run in ((), ("--dry-run",)):
            assert operator.json(*command, *dry_run) == [{**first, "result": "done before"}]
    assert f"Unknown asset: {symbol}" in operator.refused("accounts", "debit", user, symbol, "1", "--key", "another")


@pytest.mark.parametrize("command", ["fund", "debit"])
def test_an_amount_below_zero_is_named_and_not_taken_for_an_option(operator: Operator, user: str, command: str) -> None:
    result = operator.run("accounts", command, user, "USD", "-5", "--key", new_key())

    assert result.exit_code == 2
    assert "-5 is less than 0" in result.stderr
    assert "accounts debit" in result.stderr


def test_an_account_of_refusals_alone_is_shown(operator: Operator, user: str) -> None:
    buy(operator.market, int(user), 1)

    assert operator.run("accounts", "show", user).stdout.splitlines()[0] == f"user {user}: nothing was ever held"


def test_an_account_is_not_funded_with_what_is_not_listed(operator: Operator, user: str) -> None:
    assert operator.refused("accounts", "fund", user, "USDD", "1", "--key", "k") == "error: Unknown asset: USDD\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("0", "USD", "1", "--key", "k"),
        ("x", "USD", "1", "--key", "k"),
        ("1", "U$D", "1", "--key", "k"),
        ("1", "USD", "0", "--key", "k"),
        ("1", "USD", "1.123456789", "--key", "k"),
        ("1", "USD", "1" + "0" * 30, "--key", "k"),
        ("1", "USD", "1", "--key", " "),
        ("1", "USD", "1", "--key", "é"),
        ("1", "USD", "1"),
    ],
)
def test_a_transfer_that_makes_no_sense_is_a_usage_error(operator: Operator, arguments: tuple[str, ...]) -> None:
    assert operator.run("accounts", "fund", *arguments).exit_code == 2


def test_an_account_is_shown_to_people(operator: Operator, user: str) -> None:
    assert operator.run("accounts", "show", user).stdout == f"user {user}: never funded\n"

    operator.json("accounts", "fund", user, "USD", "1", "--key", "k")

    lines = operator.run("accounts", "show", user).stdout.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["symbol", "balance", "cost", "basis", "usd"],
        ["USD", "1.00000000", "1.00000000"],
    ]
    assert lines[2] == f"user {user}: realized 0.00000000 USD, net deposits 1.00000000 USD"
    assert lines[3].startswith("decisions: 1, head ")


def test_every_account_is_listed(operator: Operator, user: str) -> None:
    operator.json("accounts", "fund", user, "USD", "100", "--key", "k")
    operator.json("accounts", "fund", user, "BTC", "0.001", "--key", "l")

    rows = [json.loads(line) for line in operator.run("accounts", "list", "--json").stdout.splitlines()]

    assert {
        "user_id": 1,
        "decisions": 1,
        "assets": 1,
        "realized_pl_usd": "0.00000000",
        "net_deposits_usd": "100000.00000000",
    } in rows
    (listed,) = [row for row in rows if row["user_id"] == int(user)]
    assert (listed["decisions"], listed["assets"], listed["net_deposits_usd"]) == (2, 2, "150.00000000")


def test_accounts_are_listed_for_people_by_user_up_to_a_bound(
    operator: Operator, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.json("accounts", "fund", user, "USD", "100", "--key", "k")

    header, *lines = operator.run("accounts", "list").stdout.splitlines()
    monkeypatch.setattr(accounts, "MAX_ROWS", 1)
    cut = operator.run("accounts", "list")

    assert header.split() == ["user", "id", "decisions", "assets", "realized", "pl", "usd", "net", "deposits", "usd"]
    users = [int(line.split()[0]) for line in lines]
    assert int(user) in users
    assert users == sorted(users)
    assert len(cut.stdout.splitlines()) == 2
    assert cut.stderr == "more accounts follow: --json lists all\n"


def test_an_account_of_another_release_is_not_listed(moto_market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    market = with_tables_of_its_own(moto_market)
    monkeypatch.setattr(Stage, "dynamodb", market.dynamodb)
    market.dynamodb.put_item(TableName=market.tables.accounts, Item={**account_key(5), "balances": {"M": {}}})

    assert "The account 5 was stored by version 1.x" in Operator(market).refused("accounts", "list")


@pytest.fixture
def trader(market: Market) -> str:
    """A user with four decisions: funded, a fill, a refusal, a void."""
    user = market.new_user(USD="100000")
    buy(market, user, 1, key="a")
    buy(market, user, 9, key="b")
    market.engine.voids.make(Void(user, "c"), market.engine.deadline())
    return str(user)


def test_a_history_is_paged_both_ways(operator: Operator, trader: str) -> None:
    newest = operator.json("accounts", "history", trader, "--limit", "3")
    rest = operator.json("accounts", "history", trader, "--before", "2")
    oldest = operator.json("accounts", "history", trader, "--after", "0", "--limit", "3")

    outcomes = [record["outcome"] for record in newest["records"]]
    assert outcomes == ["ORDER_VOIDED", "ERR_LIQUIDITY", "ORDER_FILLED"]
    assert (newest["next"], newest["sequence"]) == ("before=2", 4)
    assert [record["outcome"] for record in rest["records"]] == ["ACCOUNT_FUNDED"]
    assert rest["next"] is None
    assert [record["sequence"] for record in oldest["records"]] == [1, 2, 3]
    assert oldest["next"] == "after=3"
    stored = {record.sequence: record for record in operator.market.records(int(trader))}
    assert [record["record"] for record in oldest["records"]] == [stored[sequence].text for sequence in (1, 2, 3)]


def test_a_history_is_a_table_for_people(operator: Operator, trader: str) -> None:
    header, voided, *_, last = operator.run("accounts", "history", trader, "--limit", "2").stdout.splitlines()

    assert header.split() == ["sequence", "at", "kind", "key", "instruction", "outcome"]
    sequence, _, *rest = voided.split()
    assert (sequence, rest) == ("4", ["void", "c", "VOID", "ORDER_VOIDED"])
    assert last == "decisions: 4. Next page: --before 3"
    whole = operator.run("accounts", "history", trader).stdout.splitlines()
    assert whole[-1].split()[4:] == ["FUND", "100000.00000000", "USD", "ACCOUNT_FUNDED"]
    assert whole[3].split()[2:] == ["order", "a", "BUY", "1.00000000", "BTC", "WITH", "USD", "ORDER_FILLED"]


def test_a_history_names_what_the_index_does_not_show_yet(
    operator: Operator, trader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = History.read
    monkeypatch.setattr(queries, "INDEX_LAG_S", 0.0)
    monkeypatch.setattr(History, "read", lambda *arguments: [record for record in read(*arguments) if record.sequence != 3])

    result = operator.run("accounts", "history", trader)

    assert result.stderr == "not in the index yet: 3\n"
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["4", "2", "1"]


def test_a_user_without_decisions_has_no_history(operator: Operator, user: str) -> None:
    assert operator.run("accounts", "history", user).stdout == f"user {user}: no decisions\n"
    assert operator.json("accounts", "history", user) == {"records": [], "next": None, "sequence": 0}


@pytest.mark.parametrize(
    "arguments", [("--before", "2", "--after", "1"), ("--limit", "101"), ("--before", "0"), ("--after", "-1")]
)
def test_a_page_that_makes_no_sense_is_a_usage_error(operator: Operator, arguments: tuple[str, ...]) -> None:
    assert operator.run("accounts", "history", "1", *arguments).exit_code == 2


# Orders.


def test_an_order_is_shown_with_the_reply_that_its_client_gets(operator: Operator, trader: str) -> None:
    shown = operator.json("orders", "show", trader, "a")
    header, row, reply = operator.run("orders", "show", trader, "a").stdout.splitlines()

    assert (shown["outcome"], shown["sequence"], shown["status"]) == ("ORDER_FILLED", 2, 200)
    assert shown["order"] == {"side": "buy", "symbol": "BTC", "pay_with": "USD", "quantity": "1"}
    assert header.split()[0] == "sequence"
    assert row.split()[-1] == "ORDER_FILLED"
    status, _, body = reply.partition(" ")
    assert (status, json.loads(body)) == ("200", shown["reply"])


def test_an_order_that_is_not_stored_is_said_to_be_unknown(operator: Operator, trader: str) -> None:
    assert operator.refused("orders", "show", trader, "x") == (
        "error: Nothing is stored under this key now. To make sure that it never executes, void it\n"
    )


def test_a_voided_key_never_executes(operator: Operator, user: str) -> None:
    operator.json("accounts", "fund", user, "USD", "100000", "--key", "k")

    (dry,) = operator.json("orders", "void", user, "x", "--dry-run")
    (voided,) = operator.json("orders", "void", user, "x")
    buy(operator.market, int(user), 1, key="x")
    (again,) = operator.json("orders", "void", user, "x")
    (dry_again,) = operator.json("orders", "void", user, "x", "--dry-run")

    assert dry == {"user_id": int(user), "key": "x", "sequence": None, "at": None, "result": "would be done"}
    assert voided == {"user_id": int(user), "key": "x", "sequence": 2, "at": voided["at"], "result": "done"}
    assert again == dry_again == voided | {"result": "done before"}
    assert operator.json("accounts", "show", user)["balances"] == {"USD": "100000.00000000"}
    assert operator.json("orders", "show", user, "x")["outcome"] == "ORDER_VOIDED"


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_an_order_that_has_an_outcome_keeps_it(operator: Operator, trader: str, dry_run: tuple[str, ...]) -> None:
    assert operator.refused("orders", "void", trader, "a", *dry_run) == (
        "error: This key has an outcome, ORDER_FILLED, and can no longer be voided\n"
    )
    assert operator.json("orders", "show", trader, "a")["outcome"] == "ORDER_FILLED"


# Audits: what they find is in test_audit.py.


def test_an_audit_ends_well_where_nothing_is_wrong(operator: Operator, user: str) -> None:
    operator.json("accounts", "fund", user, "USD", "1", "--key", "k")

    result = operator.run("audit", user)

    assert result.exit_code == 0
    assert result.stdout == "accounts: 1, records: 1, discrepancies: none\n"


def test_an_audit_names_the_discrepancy_and_ends_with_3(moto_market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.audit.LOOK_AGAIN_S", 0)
    market = with_tables_of_its_own(moto_market)
    operator = Operator(market)
    user = market.new_user(USD="1")
    market.dynamodb.update_item(
        TableName=market.tables.accounts,
        Key=account_key(user),
        UpdateExpression="SET balances.USD = :two",
        ExpressionAttributeValues={":two": number(2 * UNITS_PER_ONE)},
    )

    one, everybody = operator.run("audit", str(user)), operator.run("audit", "--all", "--json")

    assert (one.exit_code, everybody.exit_code) == (3, 3)
    assert one.stdout.splitlines() == [
        f"user {user}: balances: the account holds 2.00000000 USD, its records give 1.00000000",
        "accounts: 1, records: 1, discrepancies: 1",
    ]
    found, summary = (json.loads(line) for line in everybody.stdout.splitlines())
    assert (found["user_id"], found["discrepancy"]) == (user, "balances")
    assert summary == {"accounts": 2, "records": 2, "discrepancies": 1}


@pytest.mark.parametrize("arguments", [(), ("1", "--all")])
def test_an_audit_is_of_one_user_or_of_all(operator: Operator, arguments: tuple[str, ...]) -> None:
    assert operator.run("audit", *arguments).exit_code == 2


# Where, and what can be in the way.


def test_a_stage_says_its_region_and_its_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"stages": {"qa": {"region": "eu-west-1", "environment_variables": {"HFT_TABLE_PREFIX": "hft-qa"}}}}')
    monkeypatch.setattr(ops_stage, "CHALICE_CONFIG", config)

    assert reach("qa", None, None).place == "hft-qa-* in eu-west-1"
    assert reach("qa", None, "eu-west-2").place == "hft-qa-* in eu-west-2"
    assert reach("qa", "other", None).place == "other-* in eu-west-1"
    with pytest.raises(Failure, match=r"no stage 'prod': .* has qa"):
        reach("prod", None, None)


def test_a_setting_that_is_invalid_is_a_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFT_DATASTORE", "foo")
    with pytest.raises(Failure, match="HFT_DATASTORE must be moto or aws, not 'foo'"):
        reach("dev", None, None)


def test_every_stage_of_this_project_can_be_reached() -> None:
    for stage in json.loads(ops_stage.CHALICE_CONFIG.read_text())["stages"]:
        assert reach(stage, None, None).settings.table_prefix


def test_an_endpoint_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:4566")

    assert reach(None, "hft-dev", None).place == "hft-dev-* at http://127.0.0.1:4566"


def test_without_a_region_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(Failure, match="--region"):
        reach(None, "hft-dev", None)


def test_a_command_must_say_where() -> None:
    result = CliRunner().invoke(cli, ["assets", "list"])

    assert result.exit_code == 2
    assert "Name a stage with --stage" in result.stderr


@pytest.mark.usefixtures("moto_market")
@pytest.mark.parametrize(
    "command",
    [
        ("assets", "list"),
        ("assets", "set", "BTC", "1"),
        ("accounts", "show", "1"),
        ("accounts", "list"),
        ("accounts", "history", "1"),
        ("orders", "show", "1", "k"),
        ("orders", "void", "1", "k"),
        ("accounts", "debit", "1", "USD", "1", "--key", "k"),
        ("audit", "1"),
        ("audit", "--all"),
    ],
)
def test_tables_that_are_missing_are_named(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*command, "--prefix", "nowhere", "--region", "us-east-1"])

    assert result.exit_code == 1
    assert result.stderr == (
        "error: There are no such tables: nowhere-* in us-east-1. Is the stage deployed there, in this account?\n"
    )


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (client_error("AccessDeniedException", "User: me is not authorized to perform: dynamodb:Scan"), "me is not authorized"),
        (client_error("ExpiredTokenException"), "sign in again"),
        (client_error("InternalServerError", "Try later"), "InternalServerError: Try later"),
    ],
)
def test_what_dynamodb_answers_is_explained_in_one_line(error: Exception, says: str) -> None:
    line = explain(error, "hft-prod-* in eu-west-1")

    assert says in line
    assert "\n" not in line


@pytest.mark.parametrize("command", [("assets", "list"), ("accounts", "debit", "1", "USD", "1", "--key", "k")])
def test_without_credentials_it_says_how_to_come_by_some(command: tuple[str, ...]) -> None:
    result = in_a_process(*command, "--stage", "dev")

    assert result.returncode == 1
    assert (result.stdout, result.stderr.count("\n")) == ("", 1)
    assert result.stderr.startswith("error: No AWS credentials.")


def test_where_nobody_answers_it_says_so() -> None:
    result = in_a_process("accounts", "show", "1", "--stage", "dev", AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:9")

    assert result.returncode == 1
    assert result.stderr.startswith("error: No answer from DynamoDB for hft-dev-* at http://127.0.0.1:9")


def test_on_an_engine_of_this_machine_no_credentials_are_needed(ministack_market: Market) -> None:
    endpoint = ministack_market.settings.datastore_endpoint
    assert endpoint is not None
    user = str(new_user_id())

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return in_a_process(*command, "--stage", "dev", "--json", AWS_ENDPOINT_URL_DYNAMODB=endpoint)

    assert json.loads(run("accounts", "fund", user, "USD", "5", "--key", "k").stdout)[0]["result"] == "done"
    assert ministack_market.portfolio(int(user))["holdings"] == {"USD": "5.00000000"}
    audit = run("audit", user)
    assert (audit.returncode, json.loads(audit.stdout)["records"]) == (0, 1)


def in_a_process(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops", *command], cwd=ROOT, env=environment(**env), capture_output=True, text=True, check=False
    )

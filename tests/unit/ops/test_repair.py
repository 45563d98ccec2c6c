"""Rolling accounts forward from their records: what follows from the records is written, what does not is refused by name."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chalicelib.store.tables import account_key, item_from_account, number
from ops import stage as ops_stage
from ops.cli import cli
from ops.repair import MovedOn, Repairer
from ops.stage import Stage
from tests.support.audit import assert_audit
from tests.support.market import Market, new_user_id
from tests.support.tables import with_tables_of_its_own
from tests.unit.ops.test_audit import Client, Tampering, altered_amount, new_linked_trader, new_trader, put_account

Run = Callable[..., Result]


@pytest.fixture(scope="module", params=["moto", "ministack"])
def market(request: pytest.FixtureRequest) -> Market:
    """Tables for these tests alone, which damage them, on each engine."""
    return with_tables_of_its_own(request.getfixturevalue(f"{request.param}_market"))


@pytest.fixture
def run(market: Market, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(Stage, "dynamodb", market.dynamodb)
    monkeypatch.setattr(ops_stage, "DynamoDB", lambda _: market.datastore)
    monkeypatch.setattr("ops.repair.LOOK_AGAIN_S", 0)
    where = ["--prefix", market.settings.table_prefix, "--region", market.settings.region]
    return lambda *arguments: CliRunner().invoke(cli, ["accounts", "repair", *where, *map(str, arguments)])


@pytest.fixture
def trader(market: Market) -> Tampering:
    """Somebody with the tables, at a user with six records."""
    return Tampering(market, new_trader(market))


def repaired(run: Run, user: int, *options: str) -> dict[str, Any]:
    result = run(user, *options, "--json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    return dict(row)


def refusal(run: Run, user: int) -> str:
    """The one line of a repair that is refused."""
    result = run(user)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert result.stderr.startswith(f"error: User {user}")
    assert result.stderr.count("\n") == 1
    return result.stderr


def put_back_account(trader: Tampering, sequence: int) -> None:
    """Puts an account back to what it was after a record, as a restore to an earlier second does, and leaves the records."""
    latest = trader.records()
    trader.put_back_to(sequence)
    for item in latest:
        trader.market.dynamodb.put_item(TableName=trader.market.tables.idempotency, Item=item)


# What follows from the records.


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_an_account_older_than_its_records_is_rolled_forward(market: Market, run: Run, trader: Tampering, sequence: int) -> None:
    before = trader.account()
    put_back_account(trader, sequence)

    row = repaired(run, trader.user)

    assert row == {"user_id": trader.user, "before": sequence, "after": 6, "result": "written"}
    assert trader.account() == before
    assert_audit(market, trader.user)


def test_a_missing_account_is_made_from_its_records(market: Market, run: Run, trader: Tampering) -> None:
    before = trader.account()
    trader.delete_account()

    row = repaired(run, trader.user)

    assert row == {"user_id": trader.user, "before": None, "after": 6, "result": "written"}
    assert trader.account() == before
    market.fund(trader.user, "USD", "1")
    assert_audit(market, trader.user)


def test_voids_and_batches_are_rolled_forward(market: Market, run: Run) -> None:
    trader = Tampering(market, new_linked_trader(market))
    before = trader.account()
    trader.delete_account()

    assert repaired(run, trader.user)["after"] == 7
    assert trader.account() == before


@pytest.mark.parametrize(
    ("name", "symbol", "value"),
    [("balances", "USD", number(1)), ("balances", "DOGE", number(5)), ("cost_basis", "ETH", {"S": "7"})],
)
def test_an_account_that_holds_something_else_gets_what_its_records_give(
    run: Run, trader: Tampering, name: str, symbol: str, value: dict[str, str]
) -> None:
    before = trader.account()
    trader.alter_in_account(name, symbol, value)

    assert repaired(run, trader.user)["result"] == "written"
    assert trader.account() == before


def test_an_account_that_is_right_is_left_alone(run: Run, trader: Tampering) -> None:
    assert repaired(run, trader.user) == {"user_id": trader.user, "before": 6, "after": 6, "result": "nothing to do"}


def test_a_dry_run_writes_nothing(run: Run, trader: Tampering) -> None:
    put_back_account(trader, 2)
    before = trader.account()

    row = repaired(run, trader.user, "--dry-run")

    assert row == {"user_id": trader.user, "before": 2, "after": 6, "result": "would be written"}
    assert trader.account() == before


# What does not.


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ((3,), "record 3 is missing: 4 comes next. Restore the idempotency table to another second"),
        ((2, 3, 4), "records 2 to 4 are missing: 5 comes next."),
        ((1,), "record 1 is missing: 2 comes next."),
        ((6,), "the account is at 6, and its record 6 is missing. Restore the idempotency table to a later second"),
        ((5, 6), "the account is at 6, and its records 5 to 6 are missing. Restore"),
        ((1, 2, 3, 4, 5, 6), "the account is at 6, and its records 1 to 6 are missing."),
    ],
)
def test_missing_records_are_named_and_nothing_is_written(
    run: Run, trader: Tampering, missing: tuple[int, ...], says: str
) -> None:
    trader.delete(*missing)
    before = trader.account()

    assert says in refusal(run, trader.user)
    assert trader.account() == before


def test_a_gap_is_named_where_the_account_is_older_too(run: Run, trader: Tampering) -> None:
    put_back_account(trader, 2)
    trader.delete(4)

    assert "record 4 is missing: 5 comes next." in refusal(run, trader.user)


def test_an_altered_record_is_named(run: Run, trader: Tampering) -> None:
    trader.alter_text(3, altered_amount)

    line = refusal(run, trader.user)

    assert "record 3 is not as it was written" in line
    assert "Restore the idempotency table to a second before that and copy the record from it" in line


def test_a_record_that_claims_what_was_not_so_is_named_though_its_link_is_right(run: Run, trader: Tampering) -> None:
    trader.delete(4, 5, 6)
    trader.alter_text_and_head(3, altered_amount)

    assert "(order#b)" in refusal(run, trader.user)


def test_a_chain_that_does_not_contain_the_account_is_refused(run: Run, trader: Tampering) -> None:
    put_back_account(trader, 3)
    trader.alter_account(head={"B": b"\x01" * 32})
    before = trader.account()

    assert "Records were altered and their chain computed anew, or the account was." in refusal(run, trader.user)
    assert trader.account() == before


def test_records_that_end_within_an_all_or_nothing_batch_are_refused(market: Market, run: Run) -> None:
    trader = Tampering(market, new_linked_trader(market))
    trader.delete(7)
    trader.delete_account()

    assert "within the all-or-nothing batch of records 5 to 7. Were both cut? Restore" in refusal(run, trader.user)


def test_an_account_that_the_engine_does_not_write_is_named(run: Run, trader: Tampering) -> None:
    trader.alter_account(head={"S": "no bytes"})

    line = refusal(run, trader.user)

    assert "the account's item has head of the type S, not B" in line
    assert "delete the account's item: then repair makes it anew" in line


def test_an_account_of_a_newer_release_is_left_to_that(run: Run, trader: Tampering) -> None:
    trader.alter_account(v=number(3))

    assert "written by a newer release" in refusal(run, trader.user)


def test_a_user_without_account_and_records_is_a_failure(run: Run) -> None:
    user = new_user_id()

    assert refusal(run, user) == f"error: User {user} has no account and no records\n"


@pytest.mark.parametrize("arguments", [(), ("1", "--all")])
def test_a_repair_is_of_one_user_or_of_all(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


# Meanwhile.


def test_an_account_that_moved_on_meanwhile_is_not_overwritten(market: Market, trader: Tampering) -> None:
    put_back_account(trader, 3)
    repairer = Repairer(market.dynamodb, market.tables)
    plan = repairer.plan(trader.user)
    assert plan is not None
    put_back_account(trader, 4)
    moved_on = trader.account()

    with pytest.raises(MovedOn, match="Nothing was written: try again"):
        repairer.write(plan)

    assert trader.account() == moved_on


def test_an_account_that_was_opened_meanwhile_is_not_overwritten(market: Market, trader: Tampering) -> None:
    opened = trader.account()
    trader.delete_account()
    repairer = Repairer(market.dynamodb, market.tables)
    plan = repairer.plan(trader.user)
    assert plan is not None
    put_account(market, opened)

    with pytest.raises(MovedOn):
        repairer.write(plan)


def test_orders_that_go_on_meanwhile_are_not_taken_for_an_account_behind_its_records(market: Market, trader: Tampering) -> None:
    trade = Client(market.dynamodb, query=lambda: market.fund(trader.user, "USD", "1"))

    plan = Repairer(trade, market.tables).plan(trader.user)

    assert plan is not None
    assert (plan.needed, plan.after.sequence) == (False, 7)


def test_an_account_that_is_opened_meanwhile_is_not_taken_for_a_missing_one(market: Market) -> None:
    user = new_user_id()

    plan = Repairer(Client(market.dynamodb, query=lambda: market.fund(user, "USD", "1")), market.tables).plan(user)

    assert plan is not None
    assert (plan.needed, plan.after.sequence) == (False, 1)


# All.


@pytest.fixture
def small_market(market: Market) -> Market:
    """Tables for one test, which looks at everybody in them."""
    return with_tables_of_its_own(market)


def test_after_a_restore_all_that_can_be_are_rolled_forward_and_the_others_are_named(small_market: Market, run: Run) -> None:
    """The accounts were restored to an earlier second than the records, one of whom has a gap."""
    older, missing, broken = (Tampering(small_market, new_trader(small_market)) for _ in range(3))
    expected = older.account()
    put_back_account(older, 2)
    missing.delete_account()
    broken.delete(3)
    where = ("--prefix", small_market.settings.table_prefix)

    people = run("--all", "--dry-run", *where)
    program = run("--all", "--json", *where)

    assert (people.exit_code, program.exit_code) == (1, 1)
    assert set(people.stdout.splitlines()) == {
        f"user {older.user}: 2 → 6, would be written",
        f"user {missing.user}: no account → 6, would be written",
        "accounts: 4, nothing to do: 1, refused: 1, would be written: 2",
    }
    assert people.stderr.startswith(f"error: User {broken.user}: record 3 is missing")
    *_, summary = (json.loads(line) for line in program.stdout.splitlines())
    assert summary == {"accounts": 4, "results": {"nothing to do": 1, "refused": 1, "written": 2}}
    assert older.account() == expected
    found = small_market.dynamodb.get_item(TableName=small_market.tables.accounts, Key=account_key(missing.user))["Item"]
    assert found == item_from_account(small_market.account(missing.user))
    assert_audit(small_market, missing.user)

"""What docs/operations.md says that an operator may need is what the commands use, dry runs included."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from harness.processes import ROOT
from ops import stage as ops_stage
from ops.cli import cli
from ops.stage import Stage
from tests.support.market import Market, new_key
from tests.support.permissions import permissions
from tests.support.tables import with_tables_of_its_own

Permission = tuple[str, str]


def documented() -> dict[str, set[Permission]]:
    """Returns the permissions that the page lists, by what it lists them for: ``{"accounts …": {("GetItem", "assets"), …}}``."""
    _, _, section = (ROOT / "docs" / "operations.md").read_text().partition("## What an operator may need\n")
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|$", section.partition("\n## ")[0], re.MULTILINE)
    return {name: {permission for part in parts.split(";") for permission in _permissions(part)} for name, parts in rows}


def _permissions(part: str) -> Iterator[Permission]:
    actions = re.findall(r"`([A-Z][A-Za-z]+)`", part)
    names = part.rpartition(" on ")[2]
    tables = [name for name in ("assets", "accounts", "idempotency", "candles") if name in names] + ["index"] * (
        "by-sequence" in names
    )
    assert actions, part
    assert tables, part
    yield from ((action, table) for action in actions for table in tables)


DOCUMENTED = documented()
ASSETS, BASIC, REPAIR, LISTS, AUDIT = DOCUMENTED.values()


def test_the_page_has_a_row_for_each_kind_of_command() -> None:
    assert list(DOCUMENTED) == [
        "`assets …`",
        "`accounts …`, `orders …`",
        "`accounts repair`",
        "`accounts list`, `accounts history`",
        "`audit`",
    ]


@pytest.fixture(scope="module")
def market(moto_market: Market) -> Market:
    return with_tables_of_its_own(moto_market)


@pytest.fixture
def used(market: Market, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[Permission]]:
    """The permissions that commands use in a test, by the tables' short names."""
    found: set[Permission] = set()

    def add(operation: str, request: dict[str, Any]) -> None:
        for action, table in permissions(operation, request):
            short = "index" if "/index/" in table else table.rpartition("-")[2]
            found.add((action.removeprefix("dynamodb:"), short))

    class Recording:
        def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
            add(operation, request)
            return market.datastore.call(operation, request)

    def record(params: dict[str, Any], model: Any, **_: Any) -> None:
        add(model.name, params)

    monkeypatch.setattr(Stage, "dynamodb", market.dynamodb)
    monkeypatch.setattr(ops_stage, "DynamoDB", lambda _: Recording())
    market.dynamodb.meta.events.register("before-parameter-build.dynamodb", record)
    yield found
    market.dynamodb.meta.events.unregister("before-parameter-build.dynamodb", record)


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("assets list", ASSETS),
        ("assets set BTC 50000", ASSETS),
        ("assets set BTC 50000 --dry-run", ASSETS),
        ("assets halt --all --dry-run", ASSETS),
        ("accounts show 1", BASIC),
        ("accounts fund 1 USD 5 --key KEY", BASIC),
        ("accounts fund 1 USD 5 --key KEY --dry-run", BASIC),
        ("accounts debit 1 USD 5 --key KEY", BASIC),
        ("accounts debit 1 USD 5 --key KEY --dry-run", BASIC),
        ("accounts debit 1 USD 999999999 --key KEY", BASIC),  # refused, after a transaction that only checks
        ("orders void 1 KEY --dry-run", BASIC),
        ("orders void 1 KEY", BASIC),
        ("orders show 1 KEY", BASIC),
        ("accounts list", BASIC | LISTS),
        ("accounts history 1", BASIC | LISTS),
        ("accounts repair 1", REPAIR),
        ("accounts repair --all --dry-run", REPAIR),
        ("audit 1", AUDIT),
        ("audit --all", AUDIT),
    ],
)
def test_a_command_uses_no_permission_that_the_page_does_not_list(
    market: Market, used: set[Permission], command: str, allowed: set[Permission]
) -> None:
    where = ["--prefix", market.settings.table_prefix, "--region", market.settings.region]

    result = CliRunner().invoke(cli, [*command.replace("KEY", new_key()).split(), *where])

    assert result.exit_code in (0, 1), result.output
    assert used - allowed == set()
    assert used


def test_a_dry_run_writes_nothing_and_needs_no_permission_to(market: Market, used: set[Permission]) -> None:
    where = ["--prefix", market.settings.table_prefix, "--region", market.settings.region]
    for command in ("accounts fund 1 USD 5 --key KEY", "orders void 1 KEY", "assets set BTC 50001", "accounts repair 1"):
        CliRunner().invoke(cli, [*command.replace("KEY", new_key()).split(), "--dry-run", *where])

    assert {action for action, _ in used} <= {"GetItem", "BatchGetItem", "Query", "Scan"}

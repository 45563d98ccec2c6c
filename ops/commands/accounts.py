"""``accounts``: holdings and histories of users, and transfers to and from them."""

import json
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import Any

import rich_click as click

from chalicelib.contract.replies import history_body
from chalicelib.domain.account import Account
from chalicelib.domain.facts import Transfer, Transferred
from chalicelib.domain.history import MAX_LIMIT, Paging
from chalicelib.domain.money import text_from
from chalicelib.domain.position import net_deposits_units
from chalicelib.store.tables import account_from
from ops.commands import decisions
from ops.commands.repair import repair
from ops.commands.shared import Group, as_json_option, dry_run_option, on_stage, symbol_argument, user_argument
from ops.output import note, say, show, show_json
from ops.stage import Stage
from ops.stored import MAX_SEQUENCE
from ops.values import AMOUNT, KEY

MAX_ROWS = 1_000
"""The accounts that a table shows."""

ACCOUNT_COLUMNS = ("user_id", "decisions", "assets", "realized_pl_usd", "net_deposits_usd")
BALANCE_COLUMNS = ("symbol", "balance", "cost_basis_usd")
TRANSFER_COLUMNS = ("user_id", "transfer", "key", "sequence", "at", "balance", "result")

key_option = click.option(
    "--key", type=KEY, required=True, help="The transfer's idempotency key: the same command with the same key transfers once."
)


@click.group("accounts", cls=Group)
def group() -> None:
    """Holdings and histories of users, and transfers to and from them.

    The engine's own transaction moves the money: once per key, and as a record of the account's history like a fill.
    """


group.add_command(repair)


@group.command("list")
@as_json_option
@on_stage
def list_accounts(stage: Stage, *, as_json: bool) -> None:
    """Shows every account: decisions, assets ever held, realized gain and net deposits.

    Without --json, 1,000 accounts at most, sorted by user. JSON has all, one object a line, in no order.
    """
    rows = map(_account_row, _accounts(stage))
    if as_json:
        for row in rows:
            show_json(row)
        return
    shown = list(islice(rows, MAX_ROWS))
    show(sorted(shown, key=itemgetter("user_id")), ACCOUNT_COLUMNS, as_json=False)
    if next(rows, None) is not None:
        note("more accounts follow: --json lists all")


def _accounts(stage: Stage) -> Iterator[Account]:
    for page in stage.dynamodb.get_paginator("scan").paginate(TableName=stage.tables.accounts, ConsistentRead=True):
        yield from map(account_from, page["Items"])


def _account_row(account: Account) -> dict[str, Any]:
    return {
        "user_id": account.user_id,
        "decisions": account.sequence,
        "assets": len(account.balances),
        "realized_pl_usd": text_from(account.books.realized_pl_units),
        "net_deposits_usd": text_from(net_deposits_units(account.books)),
    }


@group.command("history")
@user_argument
@click.option("--limit", type=click.IntRange(1, MAX_LIMIT), default=50, show_default=True, help="At most so many decisions.")
@click.option("--before", type=click.IntRange(1, MAX_SEQUENCE), help="Decisions below this number, newest first.")
@click.option("--after", type=click.IntRange(0, MAX_SEQUENCE), help="Decisions above this number, oldest first.")
@as_json_option
@on_stage
def history(stage: Stage, user_id: int, limit: int, before: int | None, after: int | None, *, as_json: bool) -> None:
    """Shows a page of an account's decisions, newest first: fills, refusals, voids and transfers, one number each.

    JSON is the API's page: records with their replies, texts and heads, and the option of the next page in "next".
    """
    if before is not None and after is not None:
        raise click.UsageError("--before or --after.")
    page = stage.engine.queries.page(user_id, Paging(limit, before, after), stage.engine.deadline())
    if as_json:
        show_json(json.loads(history_body(page)))
        return
    if page.sequence == 0:
        say(f"user {user_id}: no decisions")
        return
    show([decisions.row(record) for record in page.records], decisions.COLUMNS, as_json=False)
    if page.missing:
        note(f"not in the index yet: {', '.join(map(str, page.missing))}")
    if page.next is not None:
        name, _, number = page.next.partition("=")
        say(f"decisions: {page.sequence}. Next page: --{name} {number}")


@group.command("show")
@user_argument
@as_json_option
@on_stage
def show_account(stage: Stage, user_id: int, *, as_json: bool) -> None:
    """Shows an account: balances, cost basis, realized gain, and how far its history has come."""
    account = stage.engine.ledger.read_account(user_id, stage.engine.deadline())
    books = account.books
    symbols = sorted(account.balances)
    balances = {symbol: text_from(account.balances[symbol]) for symbol in symbols}
    cost_basis_usd = {symbol: text_from(books.basis_units(symbol)) for symbol in symbols}
    realized_usd, deposits_usd = text_from(books.realized_pl_units), text_from(net_deposits_units(books))
    head = account.head.hex()
    if as_json:
        show_json(
            {
                "user_id": user_id,
                "balances": balances,
                "cost_basis_usd": cost_basis_usd,
                "realized_pl_usd": realized_usd,
                "net_deposits_usd": deposits_usd,
                "sequence": account.sequence,
                "head": head,
            }
        )
    elif account.sequence == 0:
        say(f"user {user_id}: never funded")
    else:
        rows = [{"symbol": symbol, "balance": balances[symbol], "cost_basis_usd": cost_basis_usd[symbol]} for symbol in symbols]
        if rows:
            show(rows, BALANCE_COLUMNS, as_json=False)
        else:
            say(f"user {user_id}: nothing was ever held")  # refusals and voids alone
        say(f"user {user_id}: realized {realized_usd} USD, net deposits {deposits_usd} USD")
        say(f"decisions: {account.sequence}, head {head}")


@group.command("fund")
@user_argument
@symbol_argument
@click.argument("units", metavar="AMOUNT", type=AMOUNT)
@key_option
@dry_run_option
@as_json_option
@on_stage
def fund(stage: Stage, user_id: int, symbol: str, units: int, key: str, *, dry_run: bool, as_json: bool) -> None:
    """Credits an account, with an asset that is listed. The first funding opens it."""
    _transfer(stage, Transfer(user_id, key, symbol, units), dry_run=dry_run, as_json=as_json)


@group.command("debit")
@user_argument
@symbol_argument
@click.argument("units", metavar="AMOUNT", type=AMOUNT)
@key_option
@dry_run_option
@as_json_option
@on_stage
def debit(stage: Stage, user_id: int, symbol: str, units: int, key: str, *, dry_run: bool, as_json: bool) -> None:
    """Debits an account of an asset that is listed, never below zero."""
    _transfer(stage, Transfer(user_id, key, symbol, -units), dry_run=dry_run, as_json=as_json)


def _transfer(stage: Stage, instruction: Transfer, *, dry_run: bool, as_json: bool) -> None:
    transfers, deadline = stage.engine.transfers, stage.engine.deadline()
    outcome = (transfers.preview if dry_run else transfers.make)(instruction, deadline)
    made = outcome.record.decision
    assert isinstance(made, Transferred), "a transfer's key holds transfers only"
    done = "would be done" if dry_run else "done"
    row = {
        "user_id": instruction.user_id,
        "transfer": instruction.fingerprint,
        "key": instruction.key,
        "sequence": outcome.record.sequence,
        "at": made.at,
        "balance": text_from(made.balance_units),
        "result": "done before" if outcome.replayed else done,
    }
    show([row], TRANSFER_COLUMNS, as_json=as_json)

"""``accounts``: holdings of users, and transfers to and from them."""

import rich_click as click

from chalicelib.domain.facts import Transfer, Transferred
from chalicelib.domain.money import text_from
from chalicelib.domain.position import net_deposits_units
from ops.commands.shared import as_json_option, dry_run_option, on_stage, symbol_argument, user_argument
from ops.failure import Failure
from ops.output import say, show, show_json
from ops.stage import Stage
from ops.values import AMOUNT, KEY

BALANCE_COLUMNS = ("symbol", "balance", "cost_basis_usd")
TRANSFER_COLUMNS = ("user_id", "transfer", "key", "sequence", "at", "balance", "result")

key_option = click.option(
    "--key", type=KEY, required=True, help="The transfer's idempotency key: the same command with the same key transfers once."
)


@click.group("accounts")
def group() -> None:
    """Holdings of users, and transfers to and from them.

    The engine's own transaction moves the money: once per key, and as a record of the account's history like a fill.
    """


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
        show(rows, BALANCE_COLUMNS, as_json=False)
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
    """Credits an account. The first funding opens it."""
    if stage.assets.find(symbol, stage.engine.deadline()) is None:
        raise Failure(f"Unknown asset: {symbol}")  # a typing error would become a holding that nobody can trade
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
    """Debits an account, never below zero."""
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

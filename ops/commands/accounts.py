"""``accounts``: what users hold."""

import rich_click as click

from chalicelib.domain.account import Account
from chalicelib.domain.transfer import Transfer
from chalicelib.domain.money import text_from
from chalicelib.trading.transfers import preview, transfer_once
from ops.asset_list import AssetList
from ops.commands.shared import as_json_option, dry_run_option, on_stage, symbol_argument, user_argument
from ops.failure import Failure
from ops.output import say, show, show_json
from ops.stage import Stage
from ops.values import AMOUNT, KEY

TRANSFER_COLUMNS = ("user_id", "transfer", "key", "sequence", "at", "balance", "result")

key_option = click.option(
    "--key", type=KEY, required=True, help="What makes it happen once: the same command with the same key does it no second time."
)


@click.group("accounts")
def group() -> None:
    """What users hold.

    Money is moved by the engine's own transaction: once per key, and in the account's chain like a fill.
    """


@group.command("show")
@user_argument
@as_json_option
@on_stage
def show_account(stage: Stage, user_id: int, *, as_json: bool) -> None:
    """Shows an account's balances, and how many movements made them."""
    account = _account(stage, user_id)
    balances = {symbol: text_from(units) for symbol, units in sorted(account.balances.items())}
    if as_json:
        show_json({"user_id": user_id, "balances": balances, "sequence": account.sequence, "head": account.head.hex()})
    elif account.sequence == 0:
        say(f"user {user_id}: never funded")
    else:
        show(
            [{"symbol": symbol, "balance": balance} for symbol, balance in balances.items()], ("symbol", "balance"), as_json=False
        )
        say(f"user {user_id}: {account.sequence} movements")


@group.command("fund")
@user_argument
@symbol_argument
@click.argument("units", metavar="AMOUNT", type=AMOUNT)
@key_option
@dry_run_option
@as_json_option
@on_stage
def fund(stage: Stage, user_id: int, symbol: str, units: int, key: str, *, dry_run: bool, as_json: bool) -> None:
    """Credits an account; the first funding opens it."""
    if AssetList(stage.dynamodb, stage.tables.assets).find(symbol) is None:
        raise Failure(f"Unknown asset: {symbol}")  # a slip of the pen would become a holding that nobody can trade
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


def _account(stage: Stage, user_id: int) -> Account:
    return stage.engine.ledger.read_account(user_id, stage.engine.patience())


def _transfer(stage: Stage, wanted: Transfer, *, dry_run: bool, as_json: bool) -> None:
    made = (preview if dry_run else transfer_once)(stage.engine, wanted)
    movement = made.record.movement
    assert movement is not None, "a transfer is a movement"
    held_units = _account(stage, wanted.user_id).balance_units(wanted.symbol)
    if dry_run and not made.replayed:
        held_units += wanted.units
        result = "would be done"
    else:
        result = "done before" if made.replayed else "done"
    row = {
        "user_id": wanted.user_id,
        "transfer": wanted.fingerprint,
        "key": wanted.key,
        "sequence": movement.sequence,
        "at": made.record.created_at,
        "balance": text_from(held_units),
        "result": result,
    }
    show([row], TRANSFER_COLUMNS, as_json=as_json)

"""``assets``: the assets that are traded, and their prices."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from chalicelib.domain.asset import UNIT_OF_ACCOUNT, fee_bps_text, max_move_text
from chalicelib.domain.money import PRICE_PER_USD, price_text, text_from
from chalicelib.runtime.world import utc_now
from chalicelib.store import assets
from chalicelib.store.assets import AssetBusy, Change, HeldPrice, ImmutableAsset, Listing, StaleAsset
from ops import price_file
from ops.commands.shared import Group, as_json_option, dry_run_option, on_stage, symbol_argument
from ops.failure import EXPLAINED, Failure, explain
from ops.output import note, progress, say, show, show_json
from ops.stage import Stage
from ops.values import PRICE, SYMBOL

FAILED = "failed"
ASSET_COLUMNS = ("symbol", "price", "price_at", "halted", "version")
CHANGE_COLUMNS = ("symbol", "change", "before", "after", "version", "result")

new_option = click.option(
    "--new", is_flag=True, help="List a symbol that is not listed yet: otherwise it is taken for a typing error."
)
symbols_argument = click.argument("symbols", metavar="SYMBOL…", type=SYMBOL, nargs=-1)
at_version_option = click.option(
    "--at-version", type=click.IntRange(min=1), help="Only if the asset is still at this version, as `assets list` showed it."
)


@click.group("assets", cls=Group)
def group() -> None:
    """The assets that are traded, and their prices.

    A change is made on condition that nobody else changed the asset since it was read. Processes see it when their copy of the
    price is too old: after a second, unless HFT_PRICE_AGE_MS is set. USD is the unit of account, and cannot be changed.
    """


@group.command("list")
@as_json_option
@on_stage
def list_assets(stage: Stage, *, as_json: bool) -> None:
    """Shows every asset: its price in USD and when it was set, its version, and if it is halted. JSON has its rules too."""
    rows = [_asset_row(listing) for listing in stage.assets.all(stage.engine.deadline()).values()]
    show(rows, ASSET_COLUMNS, as_json=as_json)


@group.command("set")
@symbol_argument
@click.argument("price", type=PRICE)
@new_option
@click.option("--allow-move", is_flag=True, help="Set the price even if it moves further than the asset's guard allows.")
@at_version_option
@dry_run_option
@as_json_option
@on_stage
def set_price(
    stage: Stage,
    symbol: str,
    price: int,
    at_version: int | None,
    *,
    new: bool,
    allow_move: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Sets the price of one, in USD: decimal text with up to 16 decimals. The same price again is confirmed as of now."""
    before = stage.assets.find(symbol, stage.engine.deadline())
    if before is None and not new:
        raise Failure(f"{_unknown([symbol])}. --new lists it")
    change = assets.set_price(before, symbol, price, utc_now(), allow_move=allow_move)
    _make(stage, change, at_version, dry_run=dry_run, as_json=as_json)


@group.command("load")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@new_option
@click.option(
    "--allow-move",
    "allowed",
    metavar="SYMBOL",
    type=SYMBOL,
    multiple=True,
    help="Set this asset's price even if it moves further than its guard allows. May be given several times.",
)
@dry_run_option
@as_json_option
@on_stage
def load_prices(stage: Stage, path: Path, allowed: tuple[str, ...], *, new: bool, dry_run: bool, as_json: bool) -> None:
    """Sets the prices in a file.

    FILE.csv has the columns symbol and price; FILE.json is {"BTC": "50000"}, or a list as `assets list --json` writes it. Nothing
    is written unless the whole file is valid. A load that broke off can be repeated: a price that was set is confirmed.
    A price that moves further than its asset's guard allows is held: it is not set, the others are, and the command ends with 1.
    """
    prices = price_file.read(path)
    if prices.get(UNIT_OF_ACCOUNT, PRICE_PER_USD) != PRICE_PER_USD:
        raise ImmutableAsset
    listed = stage.assets.all(stage.engine.deadline())
    unknown = [symbol for symbol in prices if symbol not in listed]
    if unknown and not new:
        raise Failure(f"{_unknown(unknown)}. --new lists them; nothing was written")
    changes: list[Change] = []
    held: list[dict[str, Any]] = []
    for symbol, price in prices.items():
        try:
            changes.append(assets.set_price(listed.get(symbol), symbol, price, utc_now(), allow_move=symbol in allowed))
        except HeldPrice as error:
            note(f"error: {explain(error, stage.place)}")
            held.append(_held_row(listed[symbol], price))
    rows, failed = _make_all(changes, lambda change: stage.assets.apply(change, stage.engine.deadline()), stage, dry_run=dry_run)
    rows += held
    if as_json:
        show_json(rows)
    else:
        if dry_run:
            show([row for row in rows if row["change"] != "unchanged"], CHANGE_COLUMNS, as_json=False)
        counts = Counter(row["change"] if row["result"] != FAILED else FAILED for row in rows)
        say(f"{stage.place}{', dry run' if dry_run else ''}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    if failed or held:
        sys.exit(1)


@group.command("halt")
@symbols_argument
@click.option("--all", "everything", is_flag=True, help="Every listed asset but USD.")
@dry_run_option
@as_json_option
@on_stage
def halt(stage: Stage, symbols: tuple[str, ...], *, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Stops trading in assets: orders in them are refused, and decide nothing.

    Keep the output of --all: `resume` takes names, and this lists the assets that were halted now and those halted before.
    """
    if bool(symbols) == everything:
        raise click.UsageError("Name assets, or --all.")
    _set_halted(stage, symbols, halted=True, dry_run=dry_run, as_json=as_json)


@group.command("resume")
@symbols_argument
@dry_run_option
@as_json_option
@on_stage
def resume(stage: Stage, symbols: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    """Opens trading in assets again."""
    if not symbols:
        raise click.UsageError("Name assets.")
    _set_halted(stage, symbols, halted=False, dry_run=dry_run, as_json=as_json)


@group.command("remove")
@symbol_argument
@at_version_option
@dry_run_option
@as_json_option
@on_stage
def remove(stage: Stage, symbol: str, at_version: int | None, *, dry_run: bool, as_json: bool) -> None:
    """Takes an asset off the list. Accounts that hold it keep it, without a price. To stop trading for a while, halt it."""
    _make(stage, assets.remove(_listed(stage, symbol)), at_version, dry_run=dry_run, as_json=as_json)


def _listed(stage: Stage, symbol: str) -> Listing:
    listing = stage.assets.find(symbol, stage.engine.deadline())
    if listing is None:
        raise Failure(_unknown([symbol]))
    return listing


def _unknown(symbols: list[str]) -> str:
    return f"Unknown {'asset' if len(symbols) == 1 else 'assets'}: {', '.join(symbols)}"


def _asset_row(listing: Listing) -> dict[str, Any]:
    asset = listing.asset
    return {
        "symbol": asset.symbol,
        "price": price_text(asset.price),
        "price_at": asset.price_at,
        "halted": asset.halted,
        "version": listing.version,
        "min_quantity": text_from(asset.min_quantity_units),
        "quantity_step": text_from(asset.quantity_step_units),
        "min_notional_usd": text_from(asset.min_notional_usd_units),
        "fee_bps": fee_bps_text(asset.fee_rate),
        "max_move": max_move_text(asset.max_move),
    }


def _held_row(listing: Listing, price: int) -> dict[str, Any]:
    return {
        "symbol": listing.asset.symbol,
        "change": "held",
        "before": price_text(listing.asset.price),
        "after": price_text(price),
        "version": listing.version,
        "result": "not set",
    }


def _make(stage: Stage, change: Change, at_version: int | None, *, dry_run: bool, as_json: bool) -> None:
    """Makes one change to the list of assets, and shows the change."""
    version = change.before.version if change.before else None
    if at_version not in (None, version):
        raise Failure(f"{change.symbol} is not at version {at_version} but {version or 'not listed'}. Nothing was written")
    if not dry_run:
        stage.assets.apply(change, stage.engine.deadline())
    show([_change_row(change, _result(change, dry_run=dry_run))], CHANGE_COLUMNS, as_json=as_json)


def _set_halted(stage: Stage, symbols: tuple[str, ...], *, halted: bool, dry_run: bool, as_json: bool) -> None:
    """Halts or resumes assets: these, or all but the unit of account where none is named."""
    listed = stage.assets.all(stage.engine.deadline())
    unknown = [symbol for symbol in symbols if symbol not in listed]
    if unknown:
        raise Failure(f"{_unknown(unknown)}. Nothing was written")
    chosen = dict.fromkeys(symbols or (symbol for symbol in listed if symbol != UNIT_OF_ACCOUNT))
    changes = [assets.set_halted(listed[symbol], halted=halted) for symbol in chosen]
    rows, failed = _make_all(
        changes, lambda change: stage.assets.apply_halt(change, stage.engine.deadline()), stage, dry_run=dry_run
    )
    show(rows, CHANGE_COLUMNS, as_json=as_json)
    if failed:
        sys.exit(1)


def _make_all(
    changes: list[Change], make: Callable[[Change], Change], stage: Stage, *, dry_run: bool
) -> tuple[list[dict[str, Any]], bool]:
    """Makes changes one after the other. A change that somebody else prevented is reported, and the others are still made."""
    rows: list[dict[str, Any]] = []
    failed = False
    with progress("writing", len(changes)) as advance:
        for planned in changes:
            try:
                made = planned if dry_run else make(planned)
                rows.append(_change_row(made, _result(made, dry_run=dry_run)))
            except (AssetBusy, StaleAsset) as failure:
                note(f"error: {explain(failure, stage.place)}")
                rows.append(_change_row(planned, FAILED))
                failed = True
            except EXPLAINED:
                note(f"broken off after {len(rows)} of {len(changes)}: the same command does the rest")
                raise
            advance(1)
    return rows, failed


def _result(change: Change, *, dry_run: bool) -> str:
    if change.before == change.after:
        return "nothing to do"
    return "would be written" if dry_run else "written"


def _change_row(change: Change, result: str) -> dict[str, Any]:
    latest = change.after or change.before
    assert latest is not None, "a change has a before or an after"
    before, after = (listing and price_text(listing.asset.price) for listing in (change.before, change.after))
    if change.name in ("halted", "resumed"):
        before, after = ("trading", "halted") if change.name == "halted" else ("halted", "trading")
    return {
        "symbol": change.symbol,
        "change": change.name,
        "before": before,
        "after": after,
        "version": latest.version,
        "result": result,
    }

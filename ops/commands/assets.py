"""``assets``: what is traded, at what price."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from chalicelib.domain.money import text_from
from chalicelib.runtime.deadline import utc_now
from ops import assets, price_file
from ops.asset_list import AssetList, Change, Listing
from ops.commands.shared import as_json_option, dry_run_option, on_stage, symbol_argument
from ops.failure import EXPLAINED, Failure
from ops.output import note, progress, say, show, show_json
from ops.stage import Stage
from ops.values import PRICE, SYMBOL

FAILED = "failed"
ASSET_COLUMNS = ("symbol", "price", "halted", "version", "updated_at")
CHANGE_COLUMNS = ("symbol", "change", "before", "after", "version", "result")

new_option = click.option(
    "--new", is_flag=True, help="List what is not listed yet, too: otherwise a slip of the pen is an error."
)
symbols_argument = click.argument("symbols", metavar="SYMBOL…", type=SYMBOL, nargs=-1)
at_version_option = click.option(
    "--at-version", type=click.IntRange(min=1), help="Only if the asset is still at this version, as `assets list` showed it."
)


@click.group("assets")
def group() -> None:
    """What is traded, at what price.

    A change is made on condition that nobody else changed the asset since it was read. Processes see it as soon as the price they
    hold is too old: after a second, unless HFT_PRICE_AGE_MS says otherwise.
    """


@group.command("list")
@as_json_option
@on_stage
def list_assets(stage: Stage, *, as_json: bool) -> None:
    """Shows every asset: its price in USD, whether it is halted, its version."""
    rows = [_asset_row(listing) for listing in _asset_list(stage).all().values()]
    show(rows, ASSET_COLUMNS, as_json=as_json)


@group.command("set")
@symbol_argument
@click.argument("price_units", metavar="PRICE", type=PRICE)
@new_option
@at_version_option
@dry_run_option
@as_json_option
@on_stage
def set_price(
    stage: Stage, symbol: str, price_units: int, at_version: int | None, *, new: bool, dry_run: bool, as_json: bool
) -> None:
    """Sets a price: what one costs in USD, as decimal text."""
    before = _asset_list(stage).find(symbol)
    if before is None and not new:
        raise Failure(f"{_unknown([symbol])}. --new lists it")
    _make(stage, assets.set_price(before, symbol, price_units, utc_now()), at_version, dry_run=dry_run, as_json=as_json)


@group.command("load")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@new_option
@dry_run_option
@as_json_option
@on_stage
def load_prices(stage: Stage, path: Path, *, new: bool, dry_run: bool, as_json: bool) -> None:
    """Sets the prices in a file.

    FILE.csv has the columns symbol and price; FILE.json is {"BTC": "50000"}, or a list as `assets list --json` writes it. Nothing
    is written unless the whole file makes sense. What was set already is not written again, so that a load that broke off can
    be repeated.
    """
    prices = price_file.read(path)
    asset_list = _asset_list(stage)
    listed = asset_list.all()
    unknown = [symbol for symbol in prices if symbol not in listed]
    if unknown and not new:
        raise Failure(f"{_unknown(unknown)}. --new lists them; nothing was written")
    changes = [assets.set_price(listed.get(symbol), symbol, price_units, utc_now()) for symbol, price_units in prices.items()]
    rows, failed = _make_all(changes, asset_list.apply, dry_run=dry_run)
    if as_json:
        show_json(rows)
    else:
        if dry_run:
            show([row for row in rows if row["change"] != "unchanged"], CHANGE_COLUMNS, as_json=False)
        counts = Counter(row["change"] if row["result"] != FAILED else FAILED for row in rows)
        say(f"{stage.place}{', dry run' if dry_run else ''}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    if failed:
        sys.exit(1)


@group.command("halt")
@symbols_argument
@click.option("--all", "everything", is_flag=True, help="Every asset that is listed.")
@dry_run_option
@as_json_option
@on_stage
def halt(stage: Stage, symbols: tuple[str, ...], *, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Stops trading in assets: orders that buy them or pay with them are refused, and decide nothing.

    Keep what it shows, if it was --all: which assets it halted, and which were halted before. `resume` wants to be told.
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
    """Takes an asset off the list. Who holds it keeps it, without a price; halting is what stops trading for a while."""
    _make(stage, assets.remove(_listed(stage, symbol)), at_version, dry_run=dry_run, as_json=as_json)


def _asset_list(stage: Stage) -> AssetList:
    return AssetList(stage.dynamodb, stage.tables.assets)


def _listed(stage: Stage, symbol: str) -> Listing:
    listing = _asset_list(stage).find(symbol)
    if listing is None:
        raise Failure(_unknown([symbol]))
    return listing


def _unknown(symbols: list[str]) -> str:
    return f"Unknown {'asset' if len(symbols) == 1 else 'assets'}: {', '.join(symbols)}"


def _asset_row(listing: Listing) -> dict[str, Any]:
    return {
        "symbol": listing.symbol,
        "price": text_from(listing.price_units),
        "halted": listing.halted,
        "version": listing.version,
        "updated_at": listing.updated_at,
    }


def _make(stage: Stage, change: Change, at_version: int | None, *, dry_run: bool, as_json: bool) -> None:
    """Makes one change to the list of assets, and shows it."""
    version = change.before.version if change.before else None
    if at_version not in (None, version):
        raise Failure(f"{change.symbol} is not at version {at_version} but {version or 'not listed'}. Nothing was written")
    if not dry_run:
        _asset_list(stage).apply(change)
    show([_change_row(change, _result(change, dry_run=dry_run))], CHANGE_COLUMNS, as_json=as_json)


def _set_halted(stage: Stage, symbols: tuple[str, ...], *, halted: bool, dry_run: bool, as_json: bool) -> None:
    """Halts or resumes assets: these, or all where none is named."""
    asset_list = _asset_list(stage)
    listed = asset_list.all()
    unknown = [symbol for symbol in symbols if symbol not in listed]
    if unknown:
        raise Failure(f"{_unknown(unknown)}. Nothing was written")
    changes = [assets.set_halted(listed[symbol], utc_now(), halted=halted) for symbol in dict.fromkeys(symbols or listed)]
    rows, failed = _make_all(changes, asset_list.apply_halt, dry_run=dry_run)
    show(rows, CHANGE_COLUMNS, as_json=as_json)
    if failed:
        sys.exit(1)


def _make_all(changes: list[Change], make: Callable[[Change], Change], *, dry_run: bool) -> tuple[list[dict[str, Any]], bool]:
    """Makes changes one after the other; what somebody else got in the way of is reported, and does not stop the rest."""
    rows: list[dict[str, Any]] = []
    failed = False
    with progress("writing", len(changes)) as advance:
        for planned in changes:
            try:
                made = planned if dry_run else make(planned)
                rows.append(_change_row(made, _result(made, dry_run=dry_run)))
            except Failure as failure:
                note(f"error: {failure}")
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
    before, after = (listing and text_from(listing.price_units) for listing in (change.before, change.after))
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

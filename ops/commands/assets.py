"""``assets``: what is traded, at what price."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import rich_click as click

from chalicelib.domain.money import text_from
from chalicelib.patience import utc_now
from ops import assets, price_file
from ops.assets import AssetList, Change, Listing
from ops.commands.shared import as_json_option, dry_run_option, on_stage, symbol_argument
from ops.failure import EXPLAINED, Failure
from ops.output import note, progress, say, show, show_json
from ops.stage import Stage
from ops.values import PRICE

FAILED = "failed"
ASSET_COLUMNS = ("symbol", "price", "halted", "version", "updated_at")
CHANGE_COLUMNS = ("symbol", "change", "before", "after", "version", "result")

new_option = click.option(
    "--new", is_flag=True, help="List what is not listed yet, too: otherwise a slip of the pen is an error."
)
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
        raise Failure(f"Unknown asset: {symbol}. --new lists it")
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
        raise Failure(f"Unknown assets: {', '.join(unknown)}. --new lists them; nothing was written")
    changes = [assets.set_price(listed.get(symbol), symbol, price_units, utc_now()) for symbol, price_units in prices.items()]
    rows, failed = _load(asset_list, changes, dry_run=dry_run)
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
@symbol_argument
@at_version_option
@dry_run_option
@as_json_option
@on_stage
def halt(stage: Stage, symbol: str, at_version: int | None, *, dry_run: bool, as_json: bool) -> None:
    """Stops trading in an asset: orders that buy it or pay with it are refused, and decide nothing."""
    _make(stage, assets.set_halted(_listed(stage, symbol), utc_now(), halted=True), at_version, dry_run=dry_run, as_json=as_json)


@group.command("resume")
@symbol_argument
@at_version_option
@dry_run_option
@as_json_option
@on_stage
def resume(stage: Stage, symbol: str, at_version: int | None, *, dry_run: bool, as_json: bool) -> None:
    """Opens trading in an asset again."""
    _make(stage, assets.set_halted(_listed(stage, symbol), utc_now(), halted=False), at_version, dry_run=dry_run, as_json=as_json)


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
        raise Failure(f"Unknown asset: {symbol}")
    return listing


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


def _load(asset_list: AssetList, changes: list[Change], *, dry_run: bool) -> tuple[list[dict[str, Any]], bool]:
    """Makes changes one after the other; what somebody else got in the way of is reported, and does not stop the rest."""
    rows: list[dict[str, Any]] = []
    failed = False
    with progress("loading", len(changes)) as advance:
        for change in changes:
            result = _result(change, dry_run=dry_run)
            try:
                if not dry_run:
                    asset_list.apply(change)
            except Failure as failure:
                note(f"error: {failure}")
                result, failed = FAILED, True
            except EXPLAINED:
                note(f"broken off after {len(rows)} of {len(changes)}: the same command does the rest")
                raise
            rows.append(_change_row(change, result))
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

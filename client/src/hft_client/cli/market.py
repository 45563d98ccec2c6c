"""The market: ``prices``, ``candles``."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from time import sleep

import rich_click as click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hft_client.cli import output
from hft_client.cli.output import GAIN, LOSS, QUIET, age, amount, console, show_json, table
from hft_client.cli.settings import Session, on_engine
from hft_client.clients import Client
from hft_client.errors import HftError
from hft_client.operations import Interval
from hft_client.results import Asset


@click.command()
@click.argument("symbols", nargs=-1)
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--every", "every_s", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between looks.")
@on_engine
def prices(session: Session, /, symbols: tuple[str, ...], *, watch: bool, every_s: float) -> None:
    """Shows prices and trading rules: of all assets, or of some.

    hft prices · hft prices BTC ETH --watch
    """
    wanted = {symbol.upper() for symbol in symbols}
    assets = _assets(session.client, wanted)
    if missing := sorted(wanted - {asset.symbol for asset in assets}):
        raise click.UsageError(f"Not listed: {', '.join(missing)}")
    if not watch:
        _show(session, assets)
    elif session.wants_json:
        _print_for_ever(session.client, wanted, every_s)
    else:
        _watch(session.client, wanted, assets, every_s)


@click.command()
@click.argument("symbol")
@click.option("--interval", type=click.Choice(["1m", "5m", "1h", "1d"]), default="1m", show_default=True, help="Of one candle.")
@click.option("--limit", type=click.IntRange(1, 300), default=20, show_default=True, help="The number of candles.")
@on_engine
def candles(session: Session, /, symbol: str, interval: Interval, limit: int) -> None:
    """Shows an asset's candles, oldest first."""
    shown = session.client.candles(symbol, interval, limit=limit)
    if session.wants_json:
        show_json([candle.raw for candle in shown])
        return
    rows = table("time", "open", "high", "low", "close", left=["time"])
    for candle in shown:
        style = GAIN if candle.close > candle.open else LOSS if candle.close < candle.open else ""
        figures = (amount(value, "USD") for value in (candle.open, candle.high, candle.low, candle.close))
        rows.add_row(output.time(candle.at), *figures, style=style)
    console().print(rows)


def _assets(client: Client, wanted: set[str]) -> Sequence[Asset]:
    return [asset for asset in client.assets() if not wanted or asset.symbol in wanted]


def _show(session: Session, assets: Sequence[Asset]) -> None:
    if session.wants_json:
        show_json([asset.raw for asset in assets])
    else:
        console().print(_table(assets, {}))


def _print_for_ever(client: Client, wanted: set[str], every_s: float) -> None:
    try:
        while True:
            show_json([asset.raw for asset in _assets(client, wanted)])
            sleep(every_s)
    except KeyboardInterrupt:
        return


def _watch(client: Client, wanted: set[str], assets: Sequence[Asset], every_s: float) -> None:
    """Shows prices until Ctrl-C. Where the engine does not answer, the last ones stay, and a line says so."""
    before: Mapping[str, Decimal] = {}
    complaint: HftError | None = None
    try:
        with Live(console=console(), auto_refresh=False) as live:
            while True:
                shown: RenderableType = _table(assets, before)
                if complaint is not None:
                    shown = Group(shown, Text(f"No answer, trying again: {complaint}", style=LOSS))
                live.update(shown, refresh=True)
                sleep(every_s)
                before = {asset.symbol: asset.price for asset in assets}
                try:
                    assets, complaint = _assets(client, wanted), None
                except HftError as error:
                    complaint = error
    except KeyboardInterrupt:
        return


def _table(assets: Sequence[Asset], before: Mapping[str, Decimal]) -> Table:
    """Returns a table of prices. `before`: those of the look before."""
    rows = table("asset", "price USD", "", "age", "fee bps", "smallest", "step", "state", left=["asset", "", "state"])
    for asset in assets:
        last = before.get(asset.symbol, asset.price)
        move = Text("▲", GAIN) if asset.price > last else Text("▼", LOSS) if asset.price < last else Text(" ")
        rows.add_row(
            asset.symbol,
            amount(asset.price, "USD"),
            move,
            Text(age(asset.price_at), style=QUIET),
            amount(asset.fee_bps),
            amount(asset.min_quantity),
            amount(asset.quantity_step),
            Text("halted", style=LOSS) if asset.halted else Text("open"),
        )
    return rows

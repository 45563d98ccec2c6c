"""``feed``: sets prices from a source, for as long as wanted."""

import os
import signal
import sys
from pathlib import Path
from threading import Thread
from typing import NoReturn

import rich_click as click
from rich.console import Console

from chalicelib.runtime.world import World
from ops.failure import Failure
from ops.feed.board import Board
from ops.feed.engine import EngineApi
from ops.feed.exchange import Exchange
from ops.feed.loop import Feed
from ops.feed.price_replay import PriceReplay
from ops.feed.source import Source
from ops.feed.views import LineView, TableView
from ops.feed.walk import Walk
from ops.output import note
from ops.values import SYMBOL

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

MAX_NAME = 64
"""The characters of a source's name that the engine's log takes."""


@click.command("feed")
@click.option(
    "--source",
    "name",
    required=True,
    metavar="SOURCE",
    help="walk, a random walk from the engine's prices; file:PATH, a CSV file; ccxt:EXCHANGE, such as ccxt:kraken.",
)
@click.option("--url", envvar="HFT_URL", show_envvar=True, default="http://127.0.0.1:8000", show_default=True, help="The engine.")
@click.option("--every", "every_s", default=1.0, show_default=True, type=click.FloatRange(0.01, 3600), help="Seconds a step.")
@click.option(
    "--symbol", "symbols", type=SYMBOL, multiple=True, help="An asset, several times for several. Otherwise all that are listed."
)
@click.option("--seed", default=1, show_default=True, help="walk: another number, another walk.")
@click.option("--repeat", is_flag=True, help="file: begin again at its end.")
@click.option("--quote", default="USD", show_default=True, help="ccxt: the currency of the markets, such as USDT.")
@click.option("--plain", is_flag=True, help="Lines on a terminal, too, and no table.")
@click.option("--until-stdin-ends", is_flag=True, hidden=True, help="End with the process that holds the other end of stdin.")
def feed(
    name: str,
    url: str,
    *,
    every_s: float,
    symbols: tuple[str, ...],
    seed: int,
    quote: str,
    repeat: bool,
    plain: bool,
    until_stdin_ends: bool,
) -> None:
    """Sets prices from a source through the operator's API, until Ctrl-C.

    A token of an operator is read from HFT_TOKEN; an open local run needs none. The feed waits for an engine that does not answer
    yet, or no longer, and goes on. It sends the newest price of each asset and no older one. A price that the engine holds is
    shown, and not sent again; the next one of that asset follows ten seconds later.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if until_stdin_ends:
        Thread(target=_terminate_at_end_of_stdin, daemon=True).start()
    world, board, console = World(), Board(), Console()
    try:
        engine = EngineApi(url, os.environ.get("HFT_TOKEN", "").strip() or None, name[:MAX_NAME])
        source = _source(name, symbols, seed, quote, repeat=repeat)
        title = f"Feed {name} → {url}"
        table = console.is_terminal and not plain
        view = TableView(board, title, console, world) if table else LineView(board, title, world)
        with view:
            Feed(source, engine, board, every_s=every_s, changed=view.changed, world=world).run()
    except Failure as failure:
        note(f"error: {failure}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _source(name: str, symbols: tuple[str, ...], seed: int, quote: str, *, repeat: bool) -> Source:
    """Returns the source of that name.

    Raises:
        Failure: there is no such source.
    """
    kind, _, detail = name.partition(":")
    match kind, detail:
        case "walk", "":
            return Walk(seed, symbols)
        case "file", path if path:
            return PriceReplay(Path(path), symbols, again=repeat)
        case "ccxt", exchange if exchange:
            return Exchange(exchange, symbols, quote.upper())
        case _:
            raise Failure(f"There is no source {name!r}: walk, file:PATH or ccxt:EXCHANGE")


def _terminate(*_: object) -> NoReturn:
    """Ends the feed where it is: what it was sending may be sent again by the next one."""
    sys.exit(0)


def _terminate_at_end_of_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)

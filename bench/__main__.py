"""Measurements of the engine: ``python -m bench`` shows its progress and ends with a table.

A run of all parts replaces the table and the chart in bench/results/. The exit status is 1 where a part failed, an order was
lost, an account differed from its records, or an order got a 409.
"""

import argparse
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench import batch, chart, end_to_end, function, growth, hot, latency, report
from bench.circumstances import circumstances
from bench.contenders import NothingFilled
from bench.figures import Figure
from bench.processes import isolate
from bench.setting import Say, Setting
from bench.targets import MUST_NOT_HAPPEN

RESULTS = Path(__file__).parent / "results"
PIPED_WIDTH = 120
"""The table's width in columns where the output is not a terminal."""
PEER_TIMEOUT_S = 5
INTERRUPTED = 130
"""The exit status after Ctrl-C."""

PARTS: dict[str, Callable[[Setting, Say], list[Figure]]] = {
    "http": end_to_end.measure,
    "batch": batch.measure,
    "hot": hot.measure,
    "latency": latency.measure,
    "function": lambda _, say: function.measure(say),
    "growth": growth.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the parts that the command line names. Returns the exit status."""
    options = _options(arguments)
    isolate()
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    under = circumstances(datetime.now(UTC), options.rounds)
    with tempfile.TemporaryDirectory(prefix="bench-") as logs:
        setting = Setting(options.rounds, options.peer, Path(logs))
        try:
            figures, failed = _run(options.parts, setting, console)
        except KeyboardInterrupt:
            return INTERRUPTED
    if figures:
        console.print(report.table(figures))
    if options.parts == list(PARTS) and not failed:
        _write(RESULTS / "figures.md", f"{under.sentence()}\n\n{report.markdown(figures)}", console)
        _write(RESULTS / "figures.svg", chart.draw(figures, under.line()), console)
    wrong = any(figure.target == MUST_NOT_HAPPEN and figure.met is False for figure in figures)
    return 1 if failed or wrong else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=_parts, default=list(PARTS), help=f"the parts to run, of {','.join(PARTS)} (all)")
    parser.add_argument("--peer", metavar="URL", type=_url, help="another engine of the same contract, to measure and compare")
    parser.add_argument("--rounds", type=_positive, default=3, help="the number of rounds of each part (3)")
    return parser.parse_args(arguments)


def _parts(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return names


def _url(text: str) -> str:
    parts = urlsplit(text)
    try:
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if parts.scheme != "http" or host is None:
        raise argparse.ArgumentTypeError("must be an http:// URL")
    try:
        socket.create_connection((host, port), PEER_TIMEOUT_S).close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"no engine answers at {text}: {error.strerror or error}") from None
    return text.rstrip("/")


def _positive(text: str) -> int:
    if not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError("must be a positive whole number")
    return int(text)


def _run(names: Sequence[str], setting: Setting, console: Console) -> tuple[list[Figure], bool]:
    """Runs the parts. Returns their figures, and whether one failed. A failed part does not stop the others."""
    figures: list[Figure] = []
    failed = False
    columns = (SpinnerColumn(), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(names))
        for name in names:
            started_s = time.monotonic()

            def say(what: str, name: str = name) -> None:
                progress.update(task, description=f"{name}: {what}")

            try:
                figures += PARTS[name](setting, say)
            except Exception as error:  # noqa: BLE001  (the run shows it and goes on)
                failed = True
                console.print(f"[bold red]{name} failed:[/] {type(error).__name__}: {escape(str(error))}")
                if not isinstance(error, OSError | NothingFilled):  # a peer that is down, or does not trade, is not a bug
                    console.print_exception()
            else:
                console.print(f"[green]✓[/] {name}, {time.monotonic() - started_s:.0f} s")
            progress.advance(task)
    return figures, failed


def _write(path: Path, text: str, console: Console) -> None:
    path.write_text(text)
    console.print(f"{path.relative_to(Path.cwd())}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())

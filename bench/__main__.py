"""``python -m bench``: measures, with progress; then a table, a chart and a file of the figures."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench import batch, costs, end_to_end, growth, hot
from bench.figures import Figure
from bench.processes import isolate
from bench.report import table
from bench.setting import Say, Setting

Part = Callable[[Setting, Say], list[Figure]]

PARTS: dict[str, Part] = {
    "http": end_to_end.measure,
    "batch": batch.measure,
    "costs": costs.measure,
    "growth": growth.measure,
    "hot": hot.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the parts that the command line asks for. Returns the exit status: 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"which parts to run ({','.join(PARTS)})")
    parser.add_argument("--peer", metavar="URL", help="another engine that speaks the same contract, measured beside")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds; their median counts (3)")
    parser.add_argument("--records", type=int, default=100_000, help="how full `growth` makes a store (100000)")
    options = parser.parse_args(arguments)
    isolate()
    console = Console()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as logs:
        setting = Setting(options.rounds, options.peer, options.records, Path(logs))
        for name in options.parts.split(","):
            figures += _run(name, setting, console)
    console.print(table(figures))
    return 1 if any(figure.met is False for figure in figures) else 0


def _run(name: str, setting: Setting, console: Console) -> list[Figure]:
    started_s = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name)
        figures = PARTS[name](setting, lambda what: progress.update(task, description=f"{name}: {what}"))
    console.print(f"{name}: {time.monotonic() - started_s:.0f} s")
    return figures


if __name__ == "__main__":
    sys.exit(main())

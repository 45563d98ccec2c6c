"""Output of a command: JSON for programs and tables for people on stdout; notes, errors and progress on stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

PIPE_WIDTH = 200
"""Columns where stdout is not a terminal, so that no table is folded in a file."""

Row = Mapping[str, Any]


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def show(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool) -> None:
    """Prints rows as a JSON list with all their fields, or as a table of the named columns."""
    if as_json:
        show_json(rows)
        return
    table = Table(*(column.replace("_", " ") for column in columns), box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    _console().print(table)


def show_json(value: Any) -> None:
    """Prints one JSON text, on one line."""
    print(json.dumps(value, ensure_ascii=False), flush=True)  # noqa: T201


def say(line: str) -> None:
    """Prints a result, for people."""
    print(line, flush=True)  # noqa: T201


def note(line: str) -> None:
    """Prints a line on stderr, such as an error."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def progress(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Shows a bar on stderr, if that is a terminal. Yields the function that advances it."""
    console = _console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # what goes into a pipe must not come out here
    )
    with bar:
        task = bar.add_task(description, total=total)
        yield lambda steps: bar.advance(task, steps)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case True:
            return "yes"
        case False:
            return ""
        case _:
            return str(value)

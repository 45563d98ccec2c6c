"""Output: tables and sentences for people, JSON for programs. Results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 200
"""Columns where stdout is not a terminal, so that no table is folded in a file."""

UNIT_OF_ACCOUNT = "USD"
CENTS = 2
RIGHT = "right"

GAIN, LOSS, QUIET = "green", "red", "dim"


def console() -> Console:
    """Returns a console on stdout."""
    made = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


def show_json(value: Any) -> None:
    """Prints one JSON text, on one line."""
    print(json.dumps(value, ensure_ascii=False, default=_plain), flush=True)  # noqa: T201


def say(line: str) -> None:
    """Prints a result, for people."""
    print(line, flush=True)  # noqa: T201


def note(line: str) -> None:
    """Prints a line on stderr, such as an error."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def table(*columns: str, left: Sequence[str] = ()) -> Table:
    """Returns an empty table. `left`: the columns of text; figures stand to the right."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    return made


def amount(value: Decimal | None, symbol: str = "") -> str:
    """Returns an amount: its zeros dropped, those of cents apart; thousands in groups."""
    if value is None:
        return "–"
    whole, _, fraction = f"{value:,f}".partition(".")
    fraction = fraction.rstrip("0")
    if symbol == UNIT_OF_ACCOUNT:
        fraction = fraction.ljust(CENTS, "0")
    return f"{whole}.{fraction}" if fraction else whole


def money(value: Decimal | None, symbol: str = UNIT_OF_ACCOUNT) -> str:
    """Returns an amount with its symbol."""
    return f"{amount(value, symbol)} {symbol}"


def gain(value: Decimal | None) -> Text:
    """Returns a gain in USD, coloured and signed."""
    if value is None:
        return Text("–")
    sign = "+" if value > 0 else ""
    return Text(sign + amount(value, UNIT_OF_ACCOUNT), style=GAIN if value > 0 else LOSS if value < 0 else "")


def time(at: datetime | None) -> str:
    """Returns a time on this machine's clock, to the second."""
    return "–" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def age(at: datetime, now: datetime | None = None) -> str:
    """Returns the time that has passed since a moment: ``3 s``, ``5 min``, ``2 h``, ``4 d``."""
    seconds = max(0, int(((now or datetime.now(UTC)) - at).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _plain(value: object) -> str:
    """Returns a value as JSON has it: an amount is a string, as in the engine's own JSON."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)

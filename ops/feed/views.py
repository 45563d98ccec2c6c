"""A feed as its operator sees it: a table on a terminal, lines elsewhere."""

from collections.abc import Callable
from datetime import datetime
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chalicelib.domain.money import price_text
from chalicelib.domain.timestamps import rfc3339
from chalicelib.runtime.world import World
from ops.feed.board import TAKEN, Board, Row
from ops.output import say

REFRESH_HZ = 4
SUMMARY_S = 60.0
"""The time between two summaries in lines."""

STYLES = {"set": "green", "unchanged": "green", "held": "bold red", "refused": "bold red", "no answer": "yellow"}


class TableView:
    """A table that is drawn anew several times a second, by a thread of its own: ages grow while nothing else happens."""

    def __init__(self, board: Board, title: str, console: Console, world: World) -> None:
        self._board = board
        self._title = title
        self._world = world
        self._live = Live(console=console, get_renderable=self.drawn, refresh_per_second=REFRESH_HZ)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def changed(self) -> None:
        """Needs nothing: the thread draws what is new."""

    def drawn(self) -> Group:
        """Returns the table as it is now."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("symbol", "price", "age", "result", "sent", "held", "failed"):
            table.add_column(column, justify="left" if column in ("symbol", "result") else "right")
        now = self._world.now()
        for row in sorted(self._board.rows.copy().values(), key=lambda row: row.symbol):
            style = STYLES.get(row.result, "")
            counts = (str(row.taken), str(row.held or ""), str(row.failed or ""))
            table.add_row(row.symbol, price_text(row.price), _age(row.at, now), Text(row.result, style), *counts)
        problems = [Text(problem, "yellow") for problem in self._board.problems.copy().values()]
        return Group(Text(f"{self._title}   Ctrl-C ends it", "dim"), table, *problems)


class LineView:
    """Lines with their times: one where something begins, ends or goes wrong, and a summary each minute."""

    def __init__(self, board: Board, title: str, world: World, say: Callable[[str], None] = say) -> None:
        self._board = board
        self._title = title
        self._world = world
        self._say = say
        self._problems: dict[str, str] = {}
        self._results: dict[str, str] = {}
        self._summary_at_s = world.monotonic_s() + SUMMARY_S

    def __enter__(self) -> Self:
        self._line(f"{self._title}: begins")
        return self

    def __exit__(self, *_: object) -> None:
        self._line(f"{self._title}: ends. {self._summary()}")

    def changed(self) -> None:
        """Prints what is new."""
        for name, problem in self._board.problems.items():
            if self._problems.get(name) != problem:
                self._line(problem)
        if "engine" in self._problems and "engine" not in self._board.problems:
            self._line("The engine answers")
        if "source" in self._problems and "source" not in self._board.problems:
            self._line("The source answers")
        self._problems = self._board.problems.copy()
        for row in self._board.rows.values():
            self._row_changed(row)
        if self._world.monotonic_s() >= self._summary_at_s:
            self._summary_at_s = self._world.monotonic_s() + SUMMARY_S
            self._line(self._summary())

    def _row_changed(self, row: Row) -> None:
        result = "set" if row.result in TAKEN else row.result
        if result == self._results.get(row.symbol, "") or result == "no answer":
            return
        self._results[row.symbol] = result
        self._line(f"{row.symbol} {row.result} at {price_text(row.price)}")

    def _summary(self) -> str:
        rows = self._board.rows.values()
        counts = {
            "sent": sum(row.taken for row in rows),
            "held": sum(row.held for row in rows),
            "failed": sum(row.failed for row in rows),
            "not sent": self._board.invalid,
        }
        return ", ".join(f"{count} {name}" for name, count in counts.items())

    def _line(self, text: str) -> None:
        self._say(f"{rfc3339(self._world.now())} {text}")


def _age(at: datetime, now: datetime) -> str:
    return f"{max(0.0, (now - at).total_seconds()):.1f} s"

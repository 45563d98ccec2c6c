"""The feed: asks a source at a pace and writes what is new, until it is stopped or the source ends.

One thread does both. What is due is done; then it waits for what is due next.
"""

from collections.abc import Callable, Sequence

from chalicelib.runtime.world import World
from ops.feed.backoff import Backoff
from ops.feed.board import Board, Row, prices_of
from ops.feed.engine import EngineApi, EngineUnavailable, RequestRefused
from ops.feed.source import Source, SourceEnded, SourceUnavailable


class Feed:
    """One source and one engine. `changed` is called when the board has something new."""

    def __init__(
        self, source: Source, engine: EngineApi, board: Board, *, every_s: float, changed: Callable[[], None], world: World
    ) -> None:
        self._source = source
        self._engine = engine
        self._board = board
        self._every_s = every_s
        self._changed = changed
        self._world = world
        self._source_backoff, self._engine_backoff = Backoff(world), Backoff(world)
        self._poll_at_s = self._send_at_s = world.monotonic_s()
        self._ended = False

    def run(self) -> None:
        """Runs until the source ends and its last prices have their results.

        Raises:
            Failure: the source or the engine will not work at any later time either.
        """
        self._start()
        while True:
            if not self._ended and self._world.monotonic_s() >= self._poll_at_s:
                self._poll()
            if self._world.monotonic_s() >= self._send_at_s:
                self._send()
            self._changed()
            waiting = self._board.pending(self._world.monotonic_s())
            if self._ended and not waiting:
                return
            due_s = [self._send_at_s] if waiting else []
            if not self._ended:
                due_s.append(self._poll_at_s)
            self._world.sleep_s(max(0.0, min(due_s) - self._world.monotonic_s()))

    def _start(self) -> None:
        """Waits until the engine answers, and starts the source with its prices."""
        while True:
            try:
                listed = self._engine.prices()
                break
            except (EngineUnavailable, RequestRefused) as error:
                self._wait_for_engine(error)
                self._changed()
                self._world.sleep_s(max(0.0, self._send_at_s - self._world.monotonic_s()))
        self._engine_answers()
        self._source.start(listed)
        self._poll_at_s = self._world.monotonic_s()

    def _poll(self) -> None:
        try:
            ticks = self._source.poll(self._world.now())
        except SourceEnded:
            self._ended = True
            return
        except SourceUnavailable as error:
            wait_s = max(self._every_s, self._source_backoff.next_s())
            self._board.problems["source"] = f"The source {error}"
        else:
            self._source_backoff.reset()
            self._board.problems.pop("source", None)
            self._board.add(ticks)
            wait_s = self._every_s
        # A step that is late is not made up for.
        self._poll_at_s = max(self._poll_at_s + wait_s, self._world.monotonic_s())

    def _send(self) -> None:
        for rows in self._board.pending(self._world.monotonic_s()):
            try:
                self._set(rows)
            except EngineUnavailable as error:
                self._board.fail(rows)
                self._wait_for_engine(error)
                return
            self._engine_answers()

    def _set(self, rows: Sequence[Row]) -> None:
        """Sends rows. Where the engine refuses them together, each is sent alone, so that one does not stop the others."""
        try:
            results = self._engine.set_prices(prices_of(rows), rows[0].at)
        except RequestRefused as error:
            if len(rows) > 1:
                for row in rows:
                    self._set([row])
                return
            self._board.problems["price"] = f"The engine refuses the price of {rows[0].symbol}: {error}"
            results = {rows[0].symbol: "refused"}
        self._board.settle(rows, results, self._world.monotonic_s())

    def _wait_for_engine(self, error: Exception) -> None:
        self._send_at_s = self._world.monotonic_s() + self._engine_backoff.next_s()
        self._board.problems["engine"] = f"The engine {error}"

    def _engine_answers(self) -> None:
        self._engine_backoff.reset()
        self._board.problems.pop("engine", None)

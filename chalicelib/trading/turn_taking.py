"""Sharing a hot account with other processes, which meet each other at the account itself and nowhere else.

The transaction decides which of several processes is first; the others have sent one in vain. Two simple ways of trying again
both fail. At once: all processes lose but one, every time, and most of the work is wasted. Later and later: all starve but one,
since a wait makes a view stale, and whoever waited loses again.

- A process that waited, or whose view is not fresh at an account that others trade, reads it first: a read is cheaper than a
  transaction in vain.
- A process that loses again waits for a random part of a time that grows with each loss, but never far beyond a turn.
- A process takes turns: after `TURN` commits in a row it stands back, the longer the more it has lost lately, and the others find
  the account idle.

This makes an order fast or slow, never wrong. At an account that one process trades it costs nothing: one request an order.
"""

from math import inf

from chalicelib.runtime.world import World

TURN = 8
"""Commits in a row while others are about: enough for the handing over to weigh little, few enough for a turn to come soon."""

ABOUT_S = 0.5
"""The time for which other processes are taken to be about after a loss to them."""

WAIT_MAX = 8.0
"""The longest wait after a loss, in commits: little more than a turn."""

PRESSURE_A_LOSS, PRESSURE_MAX, EASED_A_COMMIT = 0.5, 7.0, 0.97
"""The pressure of others, in turns to stand back for: it grows with each loss, and eases with each commit."""

COMMIT_S, COMMIT_MIN_S, LATELY = 0.005, 0.002, 0.1
"""The time of a commit, at first and at least, and the weight of the latest in its average."""

FRESH = 2.0
"""The commits' time for which a view is worth a transaction while others are about."""


class TurnTaking:
    """One process's share of one account. Used by whoever leads at its slot."""

    __slots__ = ("_commit_s", "_in_a_row", "_losses", "_lost_s", "_pressure", "_seen_s", "_stale", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._in_a_row = 0
        self._losses = 0
        self._pressure = 0.0
        self._stale = False
        self._commit_s = COMMIT_S
        self._lost_s = self._seen_s = -inf

    def before_order(self) -> float:
        """Returns how long to leave the account to others before the next order, in seconds; mostly 0."""
        if not self._others_are_about():
            self._in_a_row = 0
        if self._in_a_row < TURN:
            return 0.0
        self._in_a_row = 0
        self._stale = True
        return self._commit_s * TURN * (1 + self._pressure) * (0.5 + self._world.random())

    def should_refresh(self) -> bool:
        """Returns whether the account is to be read although it was seen before."""
        aged = self._world.monotonic_s() - self._seen_s > FRESH * self._commit_s
        return self._stale or (aged and self._others_are_about())

    def refreshed(self) -> None:
        """Notes that the account was read."""
        self._stale = False
        self._seen_s = self._world.monotonic_s()

    def committed(self, started_s: float) -> None:
        """Notes that a commit that was sent at `started_s` went through."""
        now_s = self._world.monotonic_s()
        self._in_a_row += 1
        self._losses = 0
        self._pressure *= EASED_A_COMMIT
        self._commit_s += LATELY * (max(COMMIT_MIN_S, now_s - started_s) - self._commit_s)
        self._seen_s = now_s

    def conflicted(self, *, brought: bool) -> float:
        """Notes that a commit came too late; `brought` says whether the account came with the answer.

        Returns how long to wait before the next attempt, in seconds.
        """
        self._lost_s = self._world.monotonic_s()
        self._losses += 1
        self._in_a_row = 0
        self._pressure = min(PRESSURE_MAX, self._pressure + PRESSURE_A_LOSS)
        self._stale = not brought or self._losses > 1
        if not self._stale:  # only this process was behind: what it has now is as fresh as a read
            self._seen_s = self._lost_s
            return 0.0
        return self._world.random() * self._commit_s * min(WAIT_MAX, 2.0**self._losses)

    def _others_are_about(self) -> bool:
        return self._world.monotonic_s() - self._lost_s <= ABOUT_S

"""Sharing a hot account with other processes, which meet each other at the account itself and nowhere else.

The transaction decides which of several processes is first; the others have sent one in vain. Two simple ways of trying again
both fail. At once: all processes lose but one, every time, and most of the work is wasted. Later and later: all starve but one,
since a wait makes a view stale, and whoever waited loses again.

- A process that waited, or whose view is not fresh at an account that others trade, reads it first: a read is cheaper than a
  transaction in vain.
- A process that loses to another in its turn waits for a random part of a time that grows with each loss, up to 16 commits. One
  that is in its turn itself, or has met nobody lately, tries again at once with the account that came with the answer.
- A process takes turns: after `TURN` commits in a row it stands back, and the others find the account idle. It does so for nearly
  as long as the others have needed the account between its own commits lately. Their commits show in the account's sequence.

      we       ▮▮▮▮▮▮▮▮ stand back for B's and C's turns ▮▮▮▮▮▮▮▮
      B                 ▮▮▮▮▮▮▮▮                                  ▮▮▮▮▮▮▮▮
      C                          ▮▮▮▮▮▮▮▮

This makes an order fast or slow, never wrong. At an account that one process trades it costs nothing: one request an order.
"""

from math import inf

from chalicelib.runtime.world import World

TURN = 10
"""Commits in a row while others are about: enough for the handing over to weigh little, few enough for a turn to come soon."""

ABOUT_S = 0.5
"""The time for which other processes are taken to be about after a loss to them, or a commit after theirs."""

WAIT_MAX = 16.0
"""The longest wait after a loss, in commits."""

AWAY_MIN, AWAY_MAX = 1.0, 8.0
"""The shortest and the longest time to stand back for, in turns. One that waits would not notice a shorter one."""

CATCH_UP = 0.9
"""The exponent of the others' turns in the time to stand back for, in turns.

It is under 1: a process that fell behind sees many turns of others, and comes back before they have taken as many again.
"""

AWAY_LATELY, JITTER = 0.25, 0.25
"""The weight of the last round in the time to stand back for, and the random part that is added or left out."""

COMMIT_S, COMMIT_MIN_S, COMMIT_LATELY = 0.005, 0.001, 0.1
"""The time of a commit, at first and at least, and the weight of the latest in its average."""

FRESH = 2.0
"""The commits' time for which a view is worth a transaction while others are about."""


class TurnTaking:
    """One process's share of one account. Used by whoever leads at its slot."""

    __slots__ = (
        "_away_s",
        "_commit_s",
        "_in_a_row",
        "_losses",
        "_met_s",
        "_of_others",
        "_seen_s",
        "_sequence",
        "_stale",
        "_world",
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self._in_a_row = 0
        self._losses = 0
        self._stale = False
        self._commit_s = COMMIT_S
        self._met_s = self._seen_s = -inf
        self._sequence: int | None = None
        self._of_others = 0
        self._away_s = 0.0

    def before_order(self) -> float:
        """Returns how long to leave the account to others before the next order, in seconds; mostly 0."""
        if not self._others_are_about():
            self._in_a_row = self._of_others = 0
        if self._in_a_row < TURN:
            return 0.0
        self._in_a_row = 0
        self._stale = True
        turn_s = self._commit_s * TURN
        self._away_s += AWAY_LATELY * (turn_s * (self._of_others / TURN) ** CATCH_UP - self._away_s)
        self._of_others = 0
        away_s = min(max(self._away_s, AWAY_MIN * turn_s), AWAY_MAX * turn_s)
        return away_s * (1 + JITTER * (2 * self._world.random() - 1))

    def should_refresh(self) -> bool:
        """Returns whether the account is to be read although it was seen before."""
        aged = self._world.monotonic_s() - self._seen_s > FRESH * self._commit_s
        return self._stale or (aged and self._others_are_about())

    def refreshed(self) -> None:
        """Notes that the account was read."""
        self._stale = False
        self._seen_s = self._world.monotonic_s()

    def committed(self, started_s: float, seen: int, after: int) -> None:
        """Notes that a commit that was sent at `started_s` went through, and the account's sequence before and after it."""
        now_s = self._world.monotonic_s()
        self._in_a_row += 1
        self._losses = 0
        if self._sequence is not None and seen > self._sequence:
            self._of_others += seen - self._sequence
            self._met_s = now_s
        self._sequence = after
        self._commit_s += COMMIT_LATELY * (max(COMMIT_MIN_S, now_s - started_s) - self._commit_s)
        self._seen_s = now_s

    def conflicted(self, *, brought: bool) -> float:
        """Notes that a commit came too late; `brought` says whether the account came with the answer.

        Returns how long to wait before the next attempt, in seconds.
        """
        in_others_turn = self._others_are_about() and not self._in_a_row
        self._met_s = self._world.monotonic_s()
        self._losses += 1
        self._in_a_row = 0
        self._stale = not brought or self._losses > 1 or in_others_turn
        if not self._stale:  # only this process was behind: what it has now is as fresh as a read
            self._seen_s = self._met_s
            return 0.0
        return self._world.random() * self._commit_s * min(WAIT_MAX, 2.0**self._losses)

    def _others_are_about(self) -> bool:
        return self._world.monotonic_s() - self._met_s <= ABOUT_S

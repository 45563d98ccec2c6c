"""Sharing a hot account with other processes, whose only word to each other is the account itself.

The transaction decides which of several processes is first; whoever is not has sent one in vain. Two simple ways of trying again
both fail. At once: all processes lose but one, every time, and most of the work is wasted. Later and later: all starve but one.

    winner   ── fills ─ fills ─ fills ─ fills ─ fills ─ fills ─ …      knows the account: it was the last to change it
    loser    ── lost ···· waits ···· lost ········ waits ········ …     knows it as it was before the wait

A wait makes a view stale, so that whoever waits loses again; and the winner, who loses nothing, never hears of it. Hence:

- A process that waited looks first (a read is cheaper than a transaction in vain) and tries at once.
- A process takes turns: after `TURN` fills in a row it stands back for as long as its rivals' turns will take, and they find the
  account idle. How many rivals there are it learns: more each time that it comes back and loses, fewer when it finds that the
  account was idle for part of its absence. All do the same, so their guesses, and their shares, come out alike.
- A process that knows of no rival stands aside now and then for a moment, so that one which waits can make itself known.

All of this is manners: it makes an order fast or slow, never wrong. An account that one process trades knows nothing of it but
the moment now and then: still one request an order.
"""

from math import inf

from chalicelib.runtime.world import World

TURN = 6
"""Commits in a row while others wait: enough for the handing over, some two commits' time, to weigh little; few enough for a turn
to come soon."""

UNDISTURBED = 32
"""Commits in a row before a process that knows of no rival stands aside; doubled each time that nobody came."""
UNDISTURBED_MAX = 1024

ASIDE = 2.0
"""For how long, in commits: what it takes to look and to commit."""

NEAR = 2.0
"""Within so many commits' time a view may be relied on, and an order follows another at once: later, others may have come."""

RIVALS_MAX = 32.0
MORE, MORE_AT_LEAST = 1.2, 0.25
"""By how much a guess grows with each return that loses: little for one rival, lest two wait for each other; more for many."""
KNOWN = 0.5
"""From how many rivals on a process takes turns."""

BUSY = 0.85
"""The share of an absence that rivals are expected to use: handing over takes the rest."""
DOUBT = 0.7
"""At most that much less a guess becomes at once: one idle moment may be chance."""

FADE_S = 0.5
"""Of rivals nothing was heard of for so long, half are taken to be gone."""

WAIT_MAX = 9.0
"""The longest wait for a busy account, in commits: a turn and a half."""

COMMIT_S = 0.005
"""What a commit is taken to last before the first one was seen; after that, what they did lately."""
COMMIT_MIN_S = 0.004
"""Nothing that stores durably is quicker, and waits below it would only be attempts in vain."""
LATELY = 0.1


class TurnTaking:
    """One process's share of one account. Used by whoever holds its slot."""

    __slots__ = (
        "_aside",
        "_commit_s",
        "_committed_s",
        "_fresh",
        "_in_a_row",
        "_left",
        "_look",
        "_losses",
        "_rivals",
        "_seen",
        "_seen_s",
        "_shared",
        "_undisturbed",
        "_world",
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self._rivals = 0.0
        self._in_a_row = 0
        self._undisturbed = UNDISTURBED
        self._aside = False
        """Whether it stood aside before the attempt under way."""
        self._left: tuple[int, float] | None = None
        """The account's sequence when it stood back, and when that was, until it has looked again."""
        self._look = False
        """Whether to look before the next attempt, come what may."""
        self._shared = False
        """Whether others were seen to trade here: then a view that is not fresh is not worth a transaction."""
        self._losses = 0
        self._fresh = False
        """Whether the account was seen since the order under way began."""
        self._seen = 0
        self._seen_s = self._committed_s = -inf
        self._commit_s = COMMIT_S

    def before_order(self) -> float:
        """How long to leave the account to others before the next order, in seconds; mostly 0."""
        self._losses = 0
        self._fresh = False
        now_s = self._world.monotonic_s()
        since_s = now_s - self._committed_s
        if since_s > NEAR * self._commit_s:
            self._in_a_row = 0
            self._rivals *= 0.5 ** (since_s / FADE_S)
        if self._rivals < KNOWN:
            if self._in_a_row < self._undisturbed:
                return 0.0
            self._in_a_row = 0
            self._aside = True
            return ASIDE * self._commit_s
        if self._in_a_row < TURN:
            return 0.0
        self._in_a_row = 0
        self._look = True
        self._left = self._seen, now_s
        return self._rivals * TURN * self._commit_s * (0.9 + 0.2 * self._world.random())

    def should_refresh(self) -> bool:
        """Whether the account is to be read although it was seen before."""
        if self._look:
            return True
        return self._shared and self._world.monotonic_s() - self._seen_s > NEAR * self._commit_s

    def refreshed(self, sequence: int) -> None:
        """The account was read: it has had so many movements."""
        now_s = self._world.monotonic_s()
        self._look = False
        self._fresh = True
        if sequence == self._seen:
            self._shared = False
        if self._left is not None:
            left_at, remaining_s = self._left
            self._left = None
            used = (sequence - left_at) * self._commit_s / (BUSY * max(now_s - remaining_s, COMMIT_MIN_S))
            self._rivals *= min(1.0, max(DOUBT, used))
        self._seen, self._seen_s = sequence, now_s

    def committed(self, sequence: int, started_s: float) -> None:
        """A commit that was sent at `started_s` went through; the account has had so many movements with it."""
        now_s = self._world.monotonic_s()
        # Of one fill after another, what lies between them counts as well: it is what a turn takes.
        since_s = self._committed_s if self._in_a_row else started_s
        self._commit_s += LATELY * (max(COMMIT_MIN_S, now_s - since_s) - self._commit_s)
        if self._aside:  # and nobody came
            self._aside = False
            self._undisturbed = min(UNDISTURBED_MAX, 2 * self._undisturbed)
        self._in_a_row += 1
        self._seen, self._seen_s = sequence, now_s
        self._committed_s = now_s

    def conflicted(self, sequence: int | None) -> float:
        """A commit came too late. Returns how long to wait, in seconds, before the next attempt.

        `sequence`: the movements that the account has had, where the answer brought it along.
        """
        fresh = sequence is None or self._fresh
        self._fresh = True
        self._in_a_row = 0
        self._undisturbed = UNDISTURBED
        if sequence is not None:
            self._seen, self._seen_s = sequence, self._world.monotonic_s()
        if self._aside:
            self._aside = False
            self._rivals = max(1.0, self._rivals)
        if not fresh:
            self._shared = True
            return 0.0
        self._losses += 1
        if self._losses == 1:
            self._rivals = min(RIVALS_MAX, max(1.0, self._rivals * MORE + MORE_AT_LEAST))
        self._look = True
        return self._world.random() * self._commit_s * min(WAIT_MAX, 2.0**self._losses)

"""The faults: which there are, how often each comes in one run, and where it struck.

Every request draws its fate from a stream of its own, named by its place in the plan: leaving out one request, or one fault,
leaves the fate of all others as it was. That is what lets a failing run be cut down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import NamedTuple

MAX_RATE = 0.15
"""The most of all calls that one fault befalls …"""

MAX_RATE_IN_PLENTY = 0.4
"""… but for the one that comes in plenty."""

RARER = 10
"""Processes die that much less often than calls fail."""


class Fault(StrEnum):
    """One thing that goes wrong, in a timeline's words."""

    # between a process and the datastore
    REQUEST_LOST = "the request is lost"
    REPLY_LOST = "the reply is lost"
    REQUEST_SLOW = "the request takes its time"
    REQUEST_LATE = "the request arrives long after its sender gave up"
    REPEATED = "the reply is lost, and the same request is sent again on the way"
    THROTTLED = "the datastore throttles"
    DWELLS = "the datastore dwells on it halfway"
    STALLED = "the process stands still"
    CRASHED = "the process dies"

    # between a client and a process
    ORDER_LOST = "the client's request is lost"
    ORDER_SLOW = "the client's request takes its time"
    ORDER_TWICE = "the client's request arrives twice"
    ANSWER_LOST = "the answer to the client is lost"


CALL_FAULTS = (
    Fault.REQUEST_LOST,
    Fault.REPLY_LOST,
    Fault.REQUEST_SLOW,
    Fault.REQUEST_LATE,
    Fault.REPEATED,
    Fault.THROTTLED,
    Fault.DWELLS,
    Fault.STALLED,
    Fault.CRASHED,
)
LATE_FAULTS = (Fault.REQUEST_SLOW, Fault.REQUEST_LATE, Fault.DWELLS)
"""Those after which something may yet happen that its sender has given up."""

SEND_FAULTS = (Fault.ORDER_LOST, Fault.ORDER_SLOW, Fault.ORDER_TWICE, Fault.ANSWER_LOST)


class Fate(NamedTuple):
    """The fate of one call: `there_us` and `back_us` are its ways; `extra` (0 to 1) and `either` are a fault's to use."""

    fault: Fault | None
    there_us: int
    back_us: int
    extra: float
    either: bool


@dataclass(frozen=True, slots=True)
class Weather:
    """The rate of each fault, as a share of all calls."""

    rates: dict[Fault, float] = field(default_factory=dict)

    @classmethod
    def drawn(cls, random: Random) -> "Weather":
        """Draws some of the faults and not the others, and maybe one in plenty: the rare shows where nothing drowns it."""
        rates = {}
        for fault in Fault:
            if random.random() < 0.5:
                rates[fault] = MAX_RATE * random.random() ** 2 / (RARER if fault is Fault.CRASHED else 1)
        weather = cls(rates)
        return weather.with_much(random, list(Fault)) if random.random() < 0.4 else weather

    def with_much(self, random: Random, of: Sequence[Fault]) -> "Weather":
        """Returns the same weather with one of these faults in plenty."""
        return Weather({**self.rates, random.choice(of): MAX_RATE_IN_PLENTY * random.random()})


class Faults:
    """The weather of one run: it says what becomes of each call, and remembers where it struck."""

    def __init__(self, weather: Weather, spared: frozenset[str]) -> None:
        self._calls = [(fault, weather.rates[fault]) for fault in CALL_FAULTS if fault in weather.rates]
        self._sends = [(fault, weather.rates[fault]) for fault in SEND_FAULTS if fault in weather.rates]
        self._spared = spared
        self.struck: dict[str, Fault] = {}
        """The faults of this run by their spots."""
        self.over = False
        """True once the weather has cleared up."""

    def of_call(self, random: Random, spot: str) -> Fate:
        """Draws the fate of a call to the datastore; there and back take 1 to 5 ms each."""
        return self._fate(self._calls, random, spot, 1_000, 4_000)

    def of_send(self, random: Random, spot: str) -> Fate:
        """Draws the fate of a client's request; there and back take 5 to 40 ms each."""
        return self._fate(self._sends, random, spot, 5_000, 35_000)

    def _fate(self, rates: list[tuple[Fault, float]], random: Random, spot: str, least_us: int, spread_us: int) -> Fate:
        # Always five numbers, so that the next call's fate does not depend on this one's.
        draw = random.random
        luck, there, back, extra, either = draw(), draw(), draw(), draw(), draw()
        struck: Fault | None = None
        for fault, rate in rates:
            luck -= rate
            if luck < 0:
                struck = fault
                break
        if struck is not None:
            if self.over or spot in self._spared:
                struck = None
            else:
                self.struck[spot] = struck
        return Fate(struck, least_us + int(there * spread_us), least_us + int(back * spread_us), extra, either < 0.5)

"""The history of a run: the answers that clients received, the writes, and a journal of how they came about."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple, Protocol

from chalicelib.contract.errors import Contention
from chalicelib.domain.asset import Asset
from chalicelib.domain.candle import Candle, Interval
from chalicelib.domain.facts import Transfer, Void
from chalicelib.domain.order import Order
from chalicelib.domain.portfolio import Portfolio
from chalicelib.trading.listings import PriceResult
from simulation.database import Write
from simulation.faults import Fault
from simulation.journal import Entry
from simulation.workload import Instruction, Plan, Tick

OPERATOR = "operator"
"""The sender of the operator's own writes."""

REFUSED = "transfer refused"
"""The body of an answer that refuses an operator's transfer, instead of an error's code."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A process's answer to an order, by itself or in a batch, or to a transfer. `body`: the stored reply, or an error's code.

    `replayed`: whether it says that an earlier request decided. `knew`: the datastore had handed it what the key stands for.
    """

    status: int
    body: str
    replayed: bool = False
    knew: bool = False
    decided: bool = False
    """True if the answer states the key's outcome."""

    @property
    def final(self) -> bool:
        """True if, by this answer, sending the same again would only get the same."""
        return self.status < HTTPStatus.INTERNAL_SERVER_ERROR and self.body != Contention.code


class Asked(NamedTuple):
    """The instruction that a request carried, and when it was sent."""

    sent_us: int
    wanted: Instruction


@dataclass(frozen=True, slots=True)
class Received:
    """An answer that reached whoever asked: one for each order of a batch.

    `request`: which request it answers; `last`: asked when all was over.
    """

    wanted: Order | Transfer | Void
    request: str
    sent_us: int
    received_us: int
    answer: Answer
    last: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A view that reached a client: a portfolio, or the list of assets."""

    what: Portfolio | list[Asset]
    request: str
    sent_us: int
    received_us: int


class Priced(NamedTuple):
    """The result of a price that a feed sent."""

    tick: Tick
    result: PriceResult
    request: str
    sent_us: int
    received_us: int


class Served(NamedTuple):
    """The time that serving a request took, and for how long of it the process stood still.

    `overlapped`: the account at which the process had another transaction under way when it sent one for this request.
    """

    request: str
    took_us: int = 0
    stalled_us: int = 0
    overlapped: str | None = None


class Listed(NamedTuple):
    """An asset as it was from a time on, and the request that made it so; `None` while it was not listed."""

    at_us: int
    asset: Asset | None
    sender: str


class ProcessClock(Protocol):
    """A process's wall clock, as the judge reads it."""

    def true_time_us(self, shown: str) -> int:
        """Returns when the clock last showed a time."""
        ...

    def latest_us(self, from_us: int, to_us: int) -> int:
        """Returns the latest time that the clock showed within a true time, in µs from the beginning."""
        ...


@dataclass(slots=True)
class History:
    """A run, once it is over."""

    plan: Plan
    asked: dict[str, Asked] = field(default_factory=dict)
    """Each request's instruction, by the request's name, in the order in which they were sent."""

    received: list[Received] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    priced: list[Priced] = field(default_factory=list)

    listed: dict[str, list[Listed]] = field(default_factory=dict)
    """Each symbol's listings, in their order."""

    candles: dict[str, dict[tuple[Interval, int], Candle]] = field(default_factory=dict)
    """Each symbol's candles at the end, by interval and start, as they are stored or open."""

    writes: list[Write] = field(default_factory=list)
    """Accounts and records, as they appeared."""

    undone: list[Write] = field(default_factory=list)
    """Writes that a restore took back."""

    served: list[Served] = field(default_factory=list)
    """The time that each request took."""

    clocks: dict[str, ProcessClock] = field(default_factory=dict)
    """The wall clock of the process that served each request."""

    restored_us: int = 0
    """The time of the restore: whatever was sent before is void."""

    struck: dict[str, Fault] = field(default_factory=dict)
    endless: bool = False
    journal: list[Entry] = field(default_factory=list)

    def true_time_us(self, request: str, shown: str) -> int:
        """Returns when the clock of a request's process showed a time."""
        return self.clocks[request].true_time_us(shown)

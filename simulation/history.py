"""What a run leaves behind: what everybody was told, what was written, and a journal of how it came about."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from chalicelib.contract.errors import Contention
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Transfer
from chalicelib.domain.order import Order
from chalicelib.domain.portfolio import Portfolio
from simulation.database import Write
from simulation.faults import Fault
from simulation.journal import Entry
from simulation.workload import Instruction, Plan

_DECIDED = frozenset({HTTPStatus.OK, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.GONE, HTTPStatus.PRECONDITION_FAILED})

REFUSED = "transfer refused"
"""In place of an error's code where an operator's transfer is refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A process's answer to an order, by itself or in a batch, or to a transfer. `body`: the stored reply, or an error's code.

    `replayed`: whether it says that an earlier request decided. `knew`: the datastore had handed it what the key stands for.
    """

    status: int
    body: str
    replayed: bool = False
    knew: bool = False

    @property
    def final(self) -> bool:
        """Whether sending the same again would only get the same, as far as the answer says."""
        return self.status < HTTPStatus.INTERNAL_SERVER_ERROR and self.body != Contention.code

    @property
    def decided(self) -> bool:
        """Whether it states the key's outcome."""
        return self.status in _DECIDED


class Asked(NamedTuple):
    """What a request asked for, and when."""

    sent_us: int
    wanted: Instruction


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that reached whoever asked: one for each order of a batch.

    `request`: which request it answers; `last`: asked when all was over.
    """

    wanted: Order | Transfer
    request: str
    sent_us: int
    told_us: int
    answer: Answer
    last: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client was shown: a portfolio, or the list of assets."""

    what: Portfolio | list[Asset]
    request: str
    sent_us: int
    told_us: int


@dataclass(slots=True)
class Service:
    """How one request was served. `life`: of the process that did; `last_call_us`: when its last call to the datastore began.

    `stalled_us`: how long the process stood still after that call. `answered_us`: `None` where it died before.
    """

    life: int
    began_us: int
    last_call_us: int = 0
    stalled_us: int = 0
    answered_us: int | None = None


@dataclass(slots=True)
class History:
    """A run, once it is over."""

    plan: Plan
    asked: dict[str, Asked] = field(default_factory=dict)
    """What each request asked for, by its name, in the order in which they were sent."""

    served: dict[str, Service] = field(default_factory=dict)
    """How each request was served that arrived, by its name."""

    instants: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    """When, in true time, a process's clock showed what it did: by the process's life and what was shown."""

    crowded: list[str] = field(default_factory=list)
    """The requests that wrote to an account while another of the same process did."""

    told: list[Told] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    listed: dict[str, list[tuple[int, Asset | None]]] = field(default_factory=dict)
    """What each symbol was listed as, and from when on; `None` where it was not."""

    writes: list[Write] = field(default_factory=list)
    """Accounts and records, as they appeared."""

    undone: list[Write] = field(default_factory=list)
    """Writes that a restore took back."""

    restored_us: int = 0
    """What was sent before is void."""

    struck: dict[str, Fault] = field(default_factory=dict)
    endless: bool = False
    journal: list[Entry] = field(default_factory=list)

"""One hot account, traded by 1, 2, 4 and 8 processes at once: their common pace, and each process's share.

Each process is a separate engine, as each Lambda is, and sends its next order when the last one is answered. All of them trade
one account in one DynamoDB (ministack). The processes run during the whole part, so that no load includes a start. Each load has
its own account, which is audited afterwards.
"""

import itertools
import multiprocessing
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from bench.figures import Figure, of_rounds
from bench.orders import PAY_WITH, QUANTITY, QUANTITY_UNITS, SYMBOL
from bench.processes import leave_interrupts_to_parent
from bench.setting import Say, Setting
from bench.spread import percentile
from bench.store import differs, open_store
from bench.targets import at_least, none
from chalicelib.config import Settings
from chalicelib.contract.errors import Contention, EngineError
from chalicelib.domain.order import Amount, Order
from chalicelib.engine import Engine, build
from chalicelib.store.connection import Datastore, DynamoDB
from harness.processes import ministack
from harness.shares import Shares
from harness.store import Store

PART = "hot account"
PROCESSES = (1, 2, 4, 8)
WARM_UP_S = 1.0
"""The time before counting, in which each process reads the account and starts to take turns."""
LOAD_S = 5.0
LEAD_S = 0.1
"""The time from the command to the start, until which all processes sleep by the machine's one monotonic clock."""
PACE, SHARE = 0.6, 0.5
"""The targets for the most processes: their pace beside one process's, and the slowest one's part of an equal share."""
CONTENTION = Contention.code

_FORKS = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True)
class Load:
    """One process's task. Times are on the monotonic clock; answers from `from_s` until `until_s` count."""

    user_id: int
    key_prefix: str
    start_s: float
    from_s: float
    until_s: float


@dataclass(slots=True)
class Shift:
    """One process's work in a load.

    `transactions`: all that it sent, those of orders that were answered too late included. `latencies_ms`: those of every order,
    the refused ones and the last one included, which was under way at the end.
    """

    fills: int = 0
    transactions: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Together(Shares[Shift]):
    """All processes' work in one load."""

    @property
    def transactions_a_fill(self) -> float:
        """The number of transactions for each fill, cancelled ones included."""
        return sum(shift.transactions for shift in self.shifts) / max(1, self.fills)

    @property
    def refusals(self) -> Counter[str]:
        """The number of orders that were not filled, by error code."""
        return sum((shift.refusals for shift in self.shifts), Counter())

    def latency_ms(self, percent: float) -> float:
        """Returns the latency of an order, with all of its attempts."""
        return percentile((latency for shift in self.shifts for latency in shift.latencies_ms), percent)


def measure(setting: Setting, say: Say) -> list[Figure]:
    """Loads one account from 1, 2, 4 and 8 processes, in rounds."""
    loads: dict[int, list[Together]] = {count: [] for count in PROCESSES}
    differences = 0
    with ministack(setting.log("ministack")) as datastore, ExitStack() as started:
        store = open_store(datastore.url)
        say("starting the processes")
        team = [started.enter_context(_worker(store.settings)) for _ in range(max(PROCESSES))]
        for number in range(1, setting.rounds + 1):
            for count in PROCESSES:
                say(f"round {number} of {setting.rounds}: {count} processes")
                together, difference = _load(store, team[:count])
                loads[count].append(together)
                differences += difference
    return _figures(loads, differences)


def _figures(loads: dict[int, list[Together]], differences: int) -> list[Figure]:
    figures = []
    for count, rounds in loads.items():
        who = f"{count} process{'es' if count > 1 else ''}"
        paces = [together.fills / LOAD_S for together in rounds]
        refusals = {CONTENTION: 0, **sum((together.refusals for together in rounds), Counter())}
        if count > 1:
            beside_one = [together.fills / max(1, alone.fills) for together, alone in zip(rounds, loads[1], strict=True)]
            pace = of_rounds(PART, f"{who}: fills beside one process", beside_one, "×")
            share = of_rounds(PART, f"{who}: slowest, of an equal share", [together.slowest_share for together in rounds], "×")
            most = count == max(PROCESSES)
            figures += [at_least(pace, PACE), at_least(share, SHARE)] if most else [pace, share]
        figures += [
            of_rounds(PART, f"{who}: fills", paces, "/s"),
            of_rounds(PART, f"{who}: transactions a fill", [together.transactions_a_fill for together in rounds], ""),
            of_rounds(PART, f"{who}: p50", [together.latency_ms(50) for together in rounds], "ms"),
            of_rounds(PART, f"{who}: p99", [together.latency_ms(99) for together in rounds], "ms"),
            *(none(PART, f"{who}: {code}", orders) for code, orders in sorted(refusals.items())),
        ]
    return [*figures, none(PART, "accounts whose audit finds a difference", differences)]


def _load(store: Store, team: Sequence[Connection]) -> tuple[Together, bool]:
    """Loads a new account once. Returns the processes' work, and whether the account differs from its records."""
    user_id = store.new_user(USD="100000")
    start_s = time.monotonic() + LEAD_S
    from_s = start_s + WARM_UP_S
    for worker in team:
        worker.send(Load(user_id, uuid.uuid4().hex, start_s, from_s, from_s + LOAD_S))
    shifts = [worker.recv() for worker in team]
    return Together(shifts), differs(store, user_id)


@contextmanager
def _worker(settings: Settings) -> Iterator[Connection]:
    ours, theirs = _FORKS.Pipe()
    process = _FORKS.Process(target=_work, args=(settings, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.recv() == "ready"
        yield ours
    finally:
        ours.close()
        process.join(timeout=10)
        if process.is_alive():
            process.kill()
            process.join()


class Timed:
    """A datastore that records the time of each transaction's answer, on the monotonic clock."""

    def __init__(self, inner: Datastore) -> None:
        self._inner = inner
        self.transactions_s: list[float] = []

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Makes one call (see `Datastore.call`)."""
        try:
            return self._inner.call(operation, request)
        finally:
            if operation == "TransactWriteItems":
                self.transactions_s.append(time.monotonic())


def _work(settings: Settings, parent: Connection) -> None:
    leave_interrupts_to_parent()
    timed = Timed(DynamoDB(settings))
    engine = build(settings, timed)
    parent.send("ready")
    while True:
        try:
            load: Load = parent.recv()
        except EOFError:
            return
        timed.transactions_s.clear()
        shift = _trade(engine, load)
        shift.transactions = sum(load.from_s <= at_s < load.until_s for at_s in timed.transactions_s)
        parent.send(shift)


def _trade(engine: Engine, load: Load) -> Shift:
    """Sends orders one after the other until the load ends. Of the last one, which is answered later, only the latency counts."""
    shift = Shift()
    numbers = itertools.count()
    time.sleep(max(0.0, load.start_s - time.monotonic()))
    while (started_s := time.monotonic()) < load.until_s:
        order = Order(load.user_id, f"{load.key_prefix}-{next(numbers)}", SYMBOL, PAY_WITH, Amount(QUANTITY_UNITS, QUANTITY))
        refusal = None
        try:
            engine.executor.execute(order, engine.deadline())
        except EngineError as error:
            refusal = error.code
        ended_s = time.monotonic()
        if ended_s >= load.from_s:
            shift.latencies_ms.append((ended_s - started_s) * 1000)
        if refusal is not None:
            shift.refusals[refusal] += 1
        elif load.from_s <= ended_s < load.until_s:
            shift.fills += 1
    return shift

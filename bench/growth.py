"""The cost of a fill when a store holds 100, 1,000, 10,000 and 100,000 records: CPU time of the engine and of its datastore.

Linux counts CPU time, which a busy machine changes least. Each size has its own store, filled in batches beforehand. The stores
are measured in turn, round by round, so that a slow spell of the machine affects all of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus

from bench.contenders import MINISTACK, MOTO, Contender, fills
from bench.figures import Figure, of_rounds
from bench.load import Generator, Plan, generator
from bench.orders import QUANTITY, SEEDED_USER, SYMBOL, Batches, Singles
from bench.processes import engine
from bench.setting import Say, Setting
from bench.targets import at_most, none
from harness.processes import Server, ministack

PART = "growth"
SIZES = (100, 1_000, 10_000, 100_000)
BATCH_SIZE = 99
SLICE = 20
"""The batches sent at a time while a store is filled, so that progress can be shown."""
FILLS_A_ROUND = 100
TURNS = 3
"""The number of rounds for each one of the run. They are short and many, to distinguish a cost of 1.1 from one of 1.0."""
GROWTH = 1.1
"""The bound on a fill's cost at the most records, in multiples of its cost at the fewest."""
FOREVER_S = 86_400.0
"""A time in which any number of requests can be sent."""


@dataclass(slots=True)
class Store:
    """An engine whose store is to hold `size` records; `servers`: the processes that share the work of a fill."""

    contender: Contender
    size: int
    servers: Sequence[Server]
    load: Generator
    fills: int = 0
    costs_ms: list[float] = field(default_factory=list)

    def send(self, requests: Iterable[bytes], count: int) -> None:
        """Sends `count` of the requests, one after the other. Each order in them must be filled."""
        answers = self.load.send(Plan([self.contender.url], 1, requests, 0, FOREVER_S, count))
        assert answers.statuses == {HTTPStatus.OK: count}, answers.statuses
        self.fills += sum(len(fills(response)) for response in answers.responses)

    def cpu_s(self) -> float:
        """Returns the CPU time used so far."""
        return sum(server.cpu_s() for server in self.servers)


def measure(setting: Setting, say: Say) -> list[Figure]:
    """Fills the stores, then measures single fills on each of them in turn."""
    with ExitStack() as started:
        stores = []
        for size in SIZES:
            for name in (MOTO, MINISTACK):
                say(f"starting the engines: {name}, {size:,} records")
                stores.append(started.enter_context(_store(setting, name, size)))
        _fill(stores, say)
        rounds = setting.rounds * TURNS
        for number in range(1, rounds + 1):
            for store in stores:
                say(f"round {number} of {rounds}: {store.size:,} records, {store.contender.name}")
                before_s = store.cpu_s()
                store.send(Singles(store.contender.url, SEEDED_USER), FILLS_A_ROUND)
                store.costs_ms.append((store.cpu_s() - before_s) * 1000 / FILLS_A_ROUND)
        wrong = sum(store.contender.holdings(SEEDED_USER)[SYMBOL] != store.fills * Decimal(QUANTITY) for store in stores)
    return [*_figures(stores), none(PART, "portfolios that are not what was acknowledged", wrong)]


def _figures(stores: Sequence[Store]) -> list[Figure]:
    figures = []
    for name in dict.fromkeys(store.contender.name for store in stores):
        own = [store for store in stores if store.contender.name == name]
        least, most = own[0], own[-1]
        ratios = [large / small for large, small in zip(most.costs_ms, least.costs_ms, strict=True)]
        what = f"{name}, {most.size:,} records: a fill beside one at {least.size:,}"
        figures.append(at_most(of_rounds(PART, what, ratios, "×"), GROWTH))
        figures += [of_rounds(PART, f"{name}, {store.size:,} records: a fill", store.costs_ms, "ms of CPU") for store in own]
    return figures


@contextmanager
def _store(setting: Setting, name: str, size: int) -> Iterator[Store]:
    with ExitStack() as started:
        servers = []
        if name == MINISTACK:
            servers.append(started.enter_context(ministack(setting.log(f"{name}-{size}"))))
        servers.append(
            started.enter_context(engine(setting.log(f"engine-on-{name}-{size}"), *(server.url for server in servers)))
        )
        yield Store(Contender(name, servers[-1].url), size, servers, started.enter_context(generator()))


def _fill(stores: Sequence[Store], say: Say) -> None:
    """Fills all stores at once, since an engine on moto uses only one core."""
    total = sum(store.size for store in stores)

    def fill(store: Store) -> None:
        while store.fills + BATCH_SIZE <= store.size:
            several = min(SLICE, (store.size - store.fills) // BATCH_SIZE)
            store.send(Batches(store.contender.url, SEEDED_USER, BATCH_SIZE), several)
            say(f"filling the stores: {sum(each.fills for each in stores):,} of {total:,} records")

    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(fill, stores))

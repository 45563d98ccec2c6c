"""A fill and a page of the history when a store holds 100, 10,000 and 100,000 records: CPU time of the engine and its datastore.

Linux counts CPU time, which a busy machine changes least. Each size has its own store, filled in batches beforehand. The stores
are measured in turn, round by round, so that a slow spell of the machine affects all of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from itertools import repeat

from bench.contenders import MINISTACK, MOTO, Contender, fills
from bench.figures import Figure, of_rounds
from bench.load import Answers, Generator, Plan, generator
from bench.orders import QUANTITY, SEEDED_USER, SYMBOL, Batches, Singles
from bench.processes import engine
from bench.setting import Say, Setting
from bench.targets import at_most, none
from bench.wire import get
from harness.processes import Server, ministack

PART = "growth"
SIZES = (100, 10_000, 100_000)
BATCH_SIZE = 99
SLICE = 20
"""The batches sent at a time while a store is filled, so that progress can be shown."""
FILLS_A_ROUND = 100
TURNS = 3
"""The number of rounds for each one of the run. They are short and many, to distinguish a cost of 1.1 from one of 1.0."""
PAGES_A_ROUND = 20
PAGED = MOTO
"""The store of which pages are read. ministack goes through an account's whole index for a page: seconds, at 100,000."""
PAGE = "/api/v1/trading/history/{user_id}?limit=50"
GROWTH, PAGE_GROWTH = 1.1, 1.3
"""The bounds on the cost of a fill and of a page at the most records, in multiples of the cost at the fewest."""
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
    fills_ms: list[float] = field(default_factory=list)
    pages_ms: list[float] = field(default_factory=list)

    def trade(self, requests: Iterable[bytes], count: int) -> float:
        """Sends `count` requests with orders, all of which must be filled. Returns the CPU time of a request in ms."""
        answers, cpu_ms = self._send(requests, count)
        self.fills += sum(len(fills(response)) for response in answers.responses)
        return cpu_ms

    def read_pages(self, count: int) -> float:
        """Reads the newest page of the history `count` times. Returns the CPU time of a page in ms."""
        page = get(self.contender.url + PAGE.format(user_id=SEEDED_USER))
        return self._send(repeat(page), count)[1]

    def _send(self, requests: Iterable[bytes], count: int) -> tuple[Answers, float]:
        """Sends `count` of the requests, one after the other."""
        before_s = self._cpu_s()
        answers = self.load.send(Plan([self.contender.url], 1, requests, 0, FOREVER_S, count))
        assert answers.statuses == {HTTPStatus.OK: count}, answers.statuses
        return answers, (self._cpu_s() - before_s) * 1000 / count

    def _cpu_s(self) -> float:
        return sum(server.cpu_s() for server in self.servers)


def measure(setting: Setting, say: Say) -> list[Figure]:
    """Fills the stores, then measures single fills and pages of the history on each of them in turn."""
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
                store.fills_ms.append(store.trade(Singles(store.contender.url, SEEDED_USER), FILLS_A_ROUND))
                if store.contender.name == PAGED:
                    store.pages_ms.append(store.read_pages(PAGES_A_ROUND))
        wrong = sum(store.contender.holdings(SEEDED_USER)[SYMBOL] != store.fills * Decimal(QUANTITY) for store in stores)
    return [*_figures(stores), none(PART, "portfolios that are not what was acknowledged", wrong)]


def _figures(stores: Sequence[Store]) -> list[Figure]:
    figures = []
    for name in dict.fromkeys(store.contender.name for store in stores):
        own = [store for store in stores if store.contender.name == name]
        costs = [("a fill", GROWTH, [store.fills_ms for store in own])]
        if name == PAGED:
            costs.append(("a page of 50", PAGE_GROWTH, [store.pages_ms for store in own]))
        for what, bound, costs_ms in costs:
            ratios = [large / small for large, small in zip(costs_ms[-1], costs_ms[0], strict=True)]
            beside = f"{name}, {SIZES[-1]:,} records: {what} beside one at {SIZES[0]:,}"
            figures.append(at_most(of_rounds(PART, beside, ratios, "×"), bound))
            figures += [
                of_rounds(PART, f"{name}, {store.size:,} records: {what}", of_store, "ms of CPU")
                for store, of_store in zip(own, costs_ms, strict=True)
            ]
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
            store.trade(Batches(store.contender.url, SEEDED_USER, BATCH_SIZE), several)
            say(f"filling the stores: {sum(each.fills for each in stores):,} of {total:,} records")

    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(fill, stores))

"""One run: a plan, carried out. Clients, operators and processes are put around one database, and left to the scheduler."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from chalicelib import engine
from chalicelib.contract.errors import DatastoreUnavailable
from chalicelib.domain.candle import Interval
from chalicelib.domain.portfolio import Portfolio
from chalicelib.runtime.world import World
from chalicelib.store.assets import AssetBusy, StaleAsset, remove
from chalicelib.store.tables import Tables, asset_from, candle_from, open_candles_from
from chalicelib.trading.listings import PriceResult
from simulation.database import Call, Database, Snapshot
from simulation.faults import Fate, Fault, Faults
from simulation.history import OPERATOR, Asked, History, Listed, Priced, Received, Seen
from simulation.journal import Journal, answer_text, asset_text, send_text
from simulation.process import Build, Process, Request, Shown
from simulation.scheduler import US_PER_S, Endless, Scheduler, Wait
from simulation.workload import (
    MIDNIGHT,
    Action,
    Ask,
    Crash,
    Feed,
    Instruction,
    ListAsset,
    Look,
    Plan,
    Restore,
    Tick,
    View,
    each_of,
)

PRICE_PER_UNIT = 10**8
"""Plans count prices in units of 10⁻⁸ USD, assets in units of 10⁻¹⁶."""

CLIENT_TIMEOUT_US = 29 * US_PER_S
"""The time that a client waits: API Gateway hangs up then."""

PAUSE_US = 2 * US_PER_S
"""The longest pause before a client tries again; most are far shorter."""

PATIENCE_US = 20_000
"""The time that the operator waits where a feed's transaction holds an asset."""

SLOW_US = 20 * US_PER_S
TWICE_US = 3 * US_PER_S


def run(plan: Plan, build: Build = engine.build) -> History:
    """Carries out a plan: first in its weather, until nothing is left to happen; then everybody asks once more, in calm."""
    with _collector_paused():
        return _Run(plan, build).history()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pauses the garbage collector: what a run makes lives as long as the run, and searching it takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Run:
    def __init__(self, plan: Plan, build: Build) -> None:
        self.plan = plan
        self.build = build
        self.scheduler = Scheduler(plan.seed)
        self.journal = Journal(self.scheduler)
        self.faults = Faults(plan.weather, plan.spared)
        self.database = Database(self.scheduler, plan.settings.table_prefix, self.journal)
        self.operator = engine.build(plan.settings, _AtOnce(self.database), self.operators_world())
        self.past = History(plan)
        self.processes = [self.process(f"process {number}") for number in range(1, plan.processes + 1)]

    def process(self, name: str) -> Process:
        return Process(
            name,
            self.plan.settings,
            database=self.database,
            scheduler=self.scheduler,
            faults=self.faults,
            journal=self.journal,
            build=self.build,
            clock=self.plan.clocks.get(name),
            served=self.past.served.append,
        )

    def operators_world(self) -> World:
        scheduler = self.scheduler
        return World(
            monotonic_s=lambda: scheduler.now_us / US_PER_S,
            sleep_s=lambda _: scheduler.sleep(PATIENCE_US),
            now=lambda: MIDNIGHT + timedelta(microseconds=scheduler.now_us),
        )

    def history(self) -> History:
        past = self.past
        for symbol, price_units in self.plan.opening.items():
            at = MIDNIGHT - timedelta(seconds=self.plan.opening_age_s)
            self.operator.listings.put(symbol, price_units * PRICE_PER_UNIT, {}, at, self.operator.deadline())
        for action in self.plan.actions:
            self.schedule(action)
        try:
            self.scheduler.run()
            if self.plan.asks_again:
                self.clear_up()
                self.scheduler.run()
        except Endless:
            past.endless = True
        past.writes = self.database.log
        past.undone = self.database.undone
        self.close_the_market()
        past.struck = self.faults.struck
        past.journal = self.journal.entries
        return past

    def schedule(self, action: Action) -> None:
        match action:
            case Ask():
                self.scheduler.start(partial(self.ask, action), action.at_us)
            case Look():
                self.scheduler.start(partial(self.look, action), action.at_us)
            case Feed():
                self.scheduler.start(partial(self.feed, action), action.at_us)
            case ListAsset(_, at_us, symbol, price_units, halted):
                self.scheduler.start(partial(self.list_asset, symbol, price_units, halted), at_us)
            case Crash(_, at_us, process):
                self.scheduler.after(at_us, self.crash, process)
            case Restore(_, at_us, to_us):
                self.scheduler.after(to_us, self.database.snapshot, partial(self.restore_at, at_us))

    def close_the_market(self) -> None:
        """Writes down what the assets were, and which candles there are."""
        tables, listed, candles = Tables.of(self.plan.settings.table_prefix), self.past.listed, self.past.candles
        for write in self.database.market_log:
            if write.table == tables.assets:
                asset = asset_from(write.item) if write.item else None
                listed.setdefault(write.key[0], []).append(Listed(write.at_us, asset, write.sender))
        for (symbol, at), item in self.database.tables[tables.candles].items():
            candle = candle_from(item)
            candles.setdefault(symbol, {})[Interval(at.partition("#")[0]), candle.at_s] = candle
        for (symbol,), item in self.database.tables[tables.assets].items():
            still_open = open_candles_from(item)
            for interval, candle in zip((Interval.MINUTE, Interval.HOUR), still_open or (), strict=False):
                candles.setdefault(symbol, {})[interval, candle.at_s] = candle

    def ask(self, action: Ask) -> None:
        """Sends a client's or an operator's request, and sends it again until each of its answers is final."""
        for attempt in range(1, action.sends + 1):
            random = self.stream(action.id, attempt)
            answer = self.send(action.wanted, f"{action.id}.{attempt}", random)
            answers = () if answer is None or isinstance(answer, Portfolio | list | PriceResult) else answer
            if answers and all(each.final for each in answers) and not action.insists:
                return
            self.scheduler.sleep(int(random.random() ** 3 * PAUSE_US))

    def feed(self, action: Feed) -> None:
        """Sends a price, and sends it again until there is a result."""
        for attempt in range(1, action.sends + 1):
            random = self.stream(action.id, attempt)
            if isinstance(self.send(action.tick, f"{action.id}.{attempt}", random), PriceResult):
                return
            self.scheduler.sleep(int(random.random() ** 3 * PAUSE_US))

    def look(self, action: Look) -> None:
        """Looks once, as a client does: nothing hangs on it."""
        self.send(action.view, f"{action.id}.1", self.stream(action.id, 1))

    def crash(self, process: int) -> None:
        self.processes[process].crash()

    def clear_up(self) -> None:
        """Turns the weather fine. When nothing else is going on, every key must have an outcome that can be read."""
        self.faults.over = True
        self.processes = [self.process("last process")]
        self.scheduler.start(self.ask_once_more)

    def ask_once_more(self) -> None:
        asked = {action.wanted: None for action in self.plan.actions if isinstance(action, Ask)}
        views = {View(wanted.user_id): None for wanted in asked}
        for place, wanted in enumerate([*asked, *views, View(None)], 1):
            self.send(wanted, f"0.{place}", self.stream(0, place))

    def send(self, wanted: Instruction, name: str, random: Random) -> Shown | None:
        """Sends one request, waits for its answer, and remembers what was said."""
        scheduler, past = self.scheduler, self.past
        sent_us = scheduler.now_us
        fate = self.faults.of_send(random, name)
        self.journal(f"client {name}", send_text, wanted, fate.fault)
        wait = Wait(scheduler)
        scheduler.after(CLIENT_TIMEOUT_US, wait.end, (name, None))
        for copy, there_us in enumerate(_arrivals(fate), 1):
            request = Request(f"{name}.{copy}", random.getrandbits(64), partial(self.reply, wait, fate, f"{name}.{copy}"))
            past.asked[request.name] = Asked(sent_us, wanted)
            process = int(random.random() * len(self.processes))
            scheduler.after(there_us, self.deliver, process, request, wanted)
        request_name: str
        answer: Shown | None
        request_name, answer = wait.result()
        self.journal(f"client {name}", answer_text, answer)
        if isinstance(answer, Portfolio | list):
            past.seen.append(Seen(answer, request_name, sent_us, scheduler.now_us))
        elif isinstance(answer, PriceResult):
            assert isinstance(wanted, Tick)
            past.priced.append(Priced(wanted, answer, request_name, sent_us, scheduler.now_us))
        elif answer is not None:
            for each, answered in zip(each_of(wanted), answer, strict=True):
                past.received.append(Received(each, request_name, sent_us, scheduler.now_us, answered, last=self.faults.over))
        return answer

    def deliver(self, process: int, request: Request, wanted: Instruction) -> None:
        """Hands a request to its process; where that has died meanwhile, a new one has taken its place."""
        if self.processes[process].dead:
            self.processes[process] = self.process(self.processes[process].name)
        self.past.clocks[request.name] = self.processes[process]
        self.processes[process].serve(request, wanted)

    def reply(self, wait: Wait, fate: Fate, name: str, answer: Shown | None) -> None:
        if fate.fault is not Fault.ANSWER_LOST:
            self.scheduler.after(fate.back_us, wait.end, (name, answer))

    def list_asset(self, symbol: str, price_units: int | None, halted: bool = False) -> None:  # noqa: FBT001, FBT002
        """Changes the assets as an operator does: all of it at one moment, unless it has to wait for a feed's transaction."""
        price = None if price_units is None else price_units * PRICE_PER_UNIT
        self.journal("operator", asset_text, symbol, price, halted)
        while True:
            try:
                self.list_or_remove(symbol, price, halted=halted)
            except (AssetBusy, StaleAsset, DatastoreUnavailable):
                continue
            return

    def list_or_remove(self, symbol: str, price: int | None, *, halted: bool) -> None:
        listings, deadline, now = self.operator.listings, self.operator.deadline(), self.operator.world.now()
        if price is None:
            listing = listings.assets.find(symbol, deadline)
            if listing is not None:
                listings.assets.apply(remove(listing), deadline)
            return
        if listings.set_prices({symbol: price}, now, [symbol], deadline)[symbol] is PriceResult.UNKNOWN:
            listings.put(symbol, price, {}, now, deadline)
        listings.set_halted(symbol, deadline, halted=halted)

    def restore_at(self, at_us: int, snapshot: Snapshot) -> None:
        self.journal("operator", "a moment to be restored".format)
        self.scheduler.after(max(0, at_us - self.scheduler.now_us), self.restore, snapshot)

    def restore(self, snapshot: Snapshot) -> None:
        self.journal("operator", "restores accounts and records to that moment".format)
        self.database.restore(snapshot)
        self.past.restored_us = self.scheduler.now_us

    def stream(self, *place: int) -> Random:
        """Numbers for one place in the plan, whatever happens elsewhere."""
        seed = self.plan.seed
        for part in place:
            seed = seed << 16 | part
        return Random(seed)


class _AtOnce:
    """A connection on which nothing takes time, and nothing goes wrong."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._calls = 0

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Makes one call, as the engine's own connection does: see `Datastore.call`."""
        self._calls += 1
        token = {"ClientRequestToken": f"operator/{self._calls}"} if operation == "TransactWriteItems" else {}
        reply = self._database.answer(Call(operation, {**token, **request}, OPERATOR))
        if isinstance(reply, Exception):
            raise reply
        return reply


def _arrivals(fate: Fate) -> list[int]:
    """Returns how long after it was sent a request arrives, each time that it does."""
    match fate.fault:
        case Fault.ORDER_LOST:
            return []
        case Fault.ORDER_SLOW:
            return [fate.there_us + int(fate.extra * SLOW_US)]
        case Fault.ORDER_TWICE:
            return [fate.there_us, fate.there_us + int(fate.extra * TWICE_US)]
        case _:
            return [fate.there_us]

"""One run: a plan, carried out. Clients, operators and processes are put around one database, and left to the scheduler."""

from datetime import timedelta
from functools import partial
from random import Random

from chalicelib import engine
from chalicelib.domain.asset import Asset
from chalicelib.domain.money import price_text
from chalicelib.domain.portfolio import Portfolio
from chalicelib.domain.timestamps import rfc3339
from chalicelib.store.connection import Item
from chalicelib.store.tables import Tables, asset_key
from simulation.database import Database, Snapshot
from simulation.faults import Fate, Fault, Faults
from simulation.history import Asked, History, Seen, Told
from simulation.journal import Journal, answer_text, asset_text, send_text
from simulation.process import Build, Process, Request, Shown
from simulation.scheduler import US_PER_S, Endless, Scheduler, Wait
from simulation.workload import MIDNIGHT, Action, Ask, Crash, Instruction, ListAsset, Look, Plan, Restore, View, each_of

PRICE_PER_UNIT = 10**8
"""Plans count prices in units of 10⁻⁸ USD, assets in units of 10⁻¹⁶."""

CLIENT_TIMEOUT_US = 29 * US_PER_S
"""The time that a client waits: API Gateway hangs up then."""

PAUSE_US = 2 * US_PER_S
"""The longest pause before a client tries again; most are far shorter."""

SLOW_US = 20 * US_PER_S
TWICE_US = 3 * US_PER_S


def run(plan: Plan, build: Build = engine.build) -> History:
    """Carries out a plan: first in its weather, until nothing is left to happen; then everybody asks once more, in calm."""
    return _Run(plan, build).history()


class _Run:
    def __init__(self, plan: Plan, build: Build) -> None:
        self.plan = plan
        self.build = build
        self.scheduler = Scheduler(plan.seed)
        self.journal = Journal(self.scheduler)
        self.faults = Faults(plan.weather, plan.spared)
        self.database = Database(self.scheduler, plan.settings.table_prefix, self.journal)
        self.assets = Tables.of(plan.settings.table_prefix).assets
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

    def history(self) -> History:
        past = self.past
        for symbol, price_units in self.plan.opening.items():
            self.list_asset(symbol, price_units)
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
        past.struck = self.faults.struck
        past.journal = self.journal.entries
        return past

    def schedule(self, action: Action) -> None:
        match action:
            case Ask():
                self.scheduler.start(partial(self.ask, action), action.at_us)
            case Look():
                self.scheduler.start(partial(self.look, action), action.at_us)
            case ListAsset(_, at_us, symbol, price_units, halted):
                self.scheduler.after(at_us, self.list_asset, symbol, price_units, halted)
            case Crash(_, at_us, process):
                self.scheduler.after(at_us, self.crash, process)
            case Restore(_, at_us, to_us):
                self.scheduler.after(to_us, self.database.snapshot, partial(self.restore_at, at_us))

    def ask(self, action: Ask) -> None:
        """Sends a client's or an operator's request, and sends it again until each of its answers is final."""
        for attempt in range(1, action.sends + 1):
            random = self.stream(action.id, attempt)
            answer = self.send(action.wanted, f"{action.id}.{attempt}", random)
            answers = () if answer is None or isinstance(answer, Portfolio | list) else answer
            if answers and all(each.final for each in answers) and not action.insists:
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
        elif answer is not None:
            for each, told in zip(each_of(wanted), answer, strict=True):
                past.told.append(Told(each, request_name, sent_us, scheduler.now_us, told, last=self.faults.over))
        return answer

    def deliver(self, process: int, request: Request, wanted: Instruction) -> None:
        """Hands a request to its process; where that has died meanwhile, a new one has taken its place."""
        if self.processes[process].dead:
            self.processes[process] = self.process(self.processes[process].name)
        self.past.clocks[request.name] = self.processes[process].true_time_us
        self.processes[process].serve(request, wanted)

    def reply(self, wait: Wait, fate: Fate, name: str, answer: Shown | None) -> None:
        if fate.fault is not Fault.ANSWER_LOST:
            self.scheduler.after(fate.back_us, wait.end, (name, answer))

    def list_asset(self, symbol: str, price_units: int | None, halted: bool = False) -> None:  # noqa: FBT001, FBT002
        """Changes the assets as an operator does: by DynamoDB's plain writes, none of the engine's."""
        now_us, asset = self.scheduler.now_us, None
        if price_units is not None:
            asset = Asset(symbol, price_units * PRICE_PER_UNIT, rfc3339(MIDNIGHT + timedelta(microseconds=now_us)), halted)
        self.journal("operator", asset_text, symbol, asset)
        self.past.listed.setdefault(symbol, []).append((now_us, asset))
        if asset is None:
            self.database.delete(self.assets, asset_key(symbol))
        else:
            item: Item = {
                "price_usd": {"S": price_text(asset.price)},
                "price_at": {"S": asset.price_at},
                "halted": {"BOOL": halted},
            }
            self.database.put(self.assets, {**asset_key(symbol), **item})

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

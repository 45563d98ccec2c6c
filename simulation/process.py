"""A process that serves requests: the real engine, over a connection on which things go wrong."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Any

from chalicelib.config import Settings
from chalicelib.contract.errors import EngineError, error_of
from chalicelib.contract.replies import order_reply_of
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Transfer
from chalicelib.domain.money import price_text
from chalicelib.domain.order import Order
from chalicelib.domain.portfolio import Portfolio
from chalicelib.domain.refusals import TransferRejected, Undecided
from chalicelib.domain.timestamps import rfc3339
from chalicelib.engine import Engine
from chalicelib.runtime.world import World
from chalicelib.store.connection import Cancelled, Datastore, Item, Unanswered
from chalicelib.store.tables import Tables, asset_key
from chalicelib.trading.instruction import Outcome
from simulation.database import Call, Database, Receive, Reply
from simulation.faults import Fate, Fault, Faults
from simulation.history import REFUSED, Answer, History, Service
from simulation.journal import Journal, call_text, reply_text
from simulation.scheduler import US_PER_S, Scheduler, Task, Turn, Wait
from simulation.workload import Batch, Instruction, View, each_of

Shown = tuple[Answer, ...] | Portfolio | list[Asset]
"""What a process gives back: an answer to each thing that it was asked to make happen; a view as the engine's own type."""

Build = Callable[[Settings, Datastore, World], Engine]
"""`chalicelib.engine.build`, or what a test puts in its place."""

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
"""When every run begins."""

LISTED_AT = rfc3339(MIDNIGHT)
"""When the market set every price, as far as anybody says."""

MAX_SKEW_US = 50_000
"""How far apart the clocks of two machines may be."""

SLOW_US = 3 * US_PER_S
LATE_US = 300 * US_PER_S
"""A signed request is good for five minutes."""


class Request:
    """A request while it is served. Its fate comes from streams of its own: see `faults`."""

    __slots__ = ("_jitter", "_seed", "calls", "fates", "knows", "name", "reply")

    def __init__(self, name: str, seed: int, reply: Callable[[Shown | None], None]) -> None:
        self.name = name
        self.reply = reply
        self.calls = 0
        self.knows: set[str] = set()
        """The keys of the records that the datastore has handed it."""
        self.fates = Random(2 * seed)
        self._seed = seed
        self._jitter: Random | None = None

    def jitter(self) -> float:
        """The engine's randomness: apart from the fates, so that a wait more or less changes none of them."""
        if self._jitter is None:
            self._jitter = Random(2 * self._seed + 1)
        return self._jitter.random()


class Process:
    """One life of a process: dead, it answers nothing any more."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        database: Database,
        scheduler: Scheduler,
        faults: Faults,
        journal: Journal,
        past: History,
        build: Build,
        life: int = 0,
        freezes: bool = False,
    ) -> None:
        self.name = name
        self.dead = False
        self._settings = settings
        self._records = Tables.of(settings.table_prefix).idempotency
        self._database = database
        self._scheduler = scheduler
        self._faults = faults
        self._journal = journal
        self._past = past
        self._life = life
        self._freezes = freezes
        self._serving: dict[Task, Request] = {}
        self._writing: list[str] = []
        self._idle_since_us = scheduler.now_us
        self._frozen_us = 0
        self.skew_us = scheduler.random.randrange(MAX_SKEW_US)
        self._engine = build(settings, self, self._world())

    def _world(self) -> World:
        scheduler = self._scheduler
        return World(
            monotonic_s=lambda: (scheduler.now_us - self._frozen_us) / US_PER_S,
            sleep_s=lambda seconds: scheduler.sleep(round(seconds * US_PER_S)),
            random=lambda: self._request().jitter(),
            now=self._now,
            new_lock=lambda: Turn(scheduler),
        )

    def _now(self) -> datetime:
        """The wall clock. The history learns when it showed this."""
        shown = MIDNIGHT + timedelta(microseconds=self._scheduler.now_us + self.skew_us)
        self._past.instants.setdefault((self._life, rfc3339(shown)), []).append(self._scheduler.now_us)
        return shown

    def _request(self) -> Request:
        """The request that the running task serves."""
        assert self._scheduler.current is not None, "requests are served by tasks"
        return self._serving[self._scheduler.current]

    def serve(self, request: Request, wanted: Instruction) -> None:
        """Executes orders, makes a transfer, or shows what there is to see."""
        if self.dead:
            request.reply(None)
            return

        service = self._past.served[request.name] = Service(self._life, self._scheduler.now_us)

        def body() -> None:
            answer = self._answer(request, wanted)
            del self._serving[task]
            self._idle_since_us = service.answered_us = self._scheduler.now_us
            request.reply(answer)

        if self._freezes and not self._serving:
            self._frozen_us += self._scheduler.now_us - self._idle_since_us
        task = self._scheduler.start(body, name=request.name)
        self._serving[task] = request

    def crash(self) -> None:
        """Dies, with all that it was doing; the clients' connections break."""
        if not self.dead:
            self.dead = True
            self._journal(self.name, "dies".format)
            serving = dict(self._serving)
            for task in serving:
                task.kill()
            for request in serving.values():
                request.reply(None)

    def _answer(self, request: Request, wanted: Instruction) -> Shown:
        parts = each_of(wanted)
        results: Sequence[Outcome | Exception]
        try:
            match wanted:
                case View(user_id):
                    return self._view(user_id)
                case Batch(_, orders):
                    results = self._engine.executor.execute_batch(orders, self._engine.deadline())
                case Order():
                    results = [self._engine.executor.execute(wanted, self._engine.deadline())]
                case Transfer():
                    results = [self._engine.transfers.make(wanted, self._engine.deadline())]
        except Exception as error:  # noqa: BLE001  (the boundary, as in the app)
            results = [error] * len(parts)
        return tuple(
            [_answer(result, knew=part.record_key in request.knows) for part, result in zip(parts, results, strict=True)]
        )

    def _view(self, user_id: int | None) -> Portfolio | list[Asset]:
        deadline = self._engine.deadline()
        if user_id is None:
            return self._engine.queries.assets(deadline)
        return self._engine.queries.portfolio(user_id, deadline)

    def call(self, operation: str, api_request: dict[str, Any]) -> dict[str, Any]:
        """`Datastore.call`: one attempt, as the engine's own connection makes it."""
        request = self._request()
        request.calls += 1
        spot = f"{request.name}/{request.calls}"
        fate = self._faults.of_call(request.fates, spot)
        who = f"{self.name} {spot}"
        self._journal(who, call_text, operation, api_request, fate.fault)
        service = self._past.served.setdefault(request.name, Service(self._life, self._scheduler.now_us))
        service.last_call_us = self._scheduler.now_us
        service.stalled_us = int(fate.extra * SLOW_US) if fate.fault is Fault.STALLED else 0
        writes_to = _written(operation, api_request)
        if writes_to is not None:
            if writes_to in self._writing:
                self._past.crowded.append(request.name)
            self._writing.append(writes_to)
        outcome = self._exchange(_call(operation, api_request, request.name, spot, fate), fate)
        if writes_to is not None:
            self._writing.remove(writes_to)
        if service.stalled_us:
            self._scheduler.sleep(service.stalled_us)
        self._journal(who, reply_text, outcome)
        request.knows |= self._records_in(outcome)
        if isinstance(outcome, dict):
            return outcome
        try:
            raise outcome
        finally:
            del outcome  # or it would hold its own traceback

    def _exchange(self, call: Call, fate: Fate) -> Reply:
        """Sends a call and waits for the reply, or until nobody would wait any longer."""
        after = self._scheduler.after
        wait = Wait(self._scheduler)
        broken = partial(wait.end, Unanswered("the connection broke"))
        after(self._settings.read_timeout_ms * 1000, wait.end, Unanswered("no answer in time"))

        def send(there_us: int, back: Receive) -> None:
            after(there_us, self._database.receive, call, back)

        def back(reply: Reply) -> None:
            after(fate.back_us, wait.end, reply)

        match fate.fault:
            case Fault.REQUEST_LOST:
                if fate.either:
                    after(fate.there_us, broken)
            case Fault.REPEATED:
                send(fate.there_us, lambda _: send(fate.there_us, back))
            case Fault.REPLY_LOST:
                send(fate.there_us, lambda _: after(fate.back_us, broken) if fate.either else None)
            case Fault.CRASHED if fate.either:
                after(0, self.crash)
            case Fault.CRASHED:
                send(fate.there_us, lambda _: after(fate.back_us, self.crash))
            case _:
                send(fate.there_us + _delay_us(fate), back)
        return _reply(wait.result())

    def _records_in(self, outcome: Reply) -> set[str]:
        """The keys of the records that a reply holds. One that leaves keys unprocessed counts for nothing: all is asked again."""
        items: list[Item | None] = []
        if isinstance(outcome, Cancelled):
            items = [reason.raw_item for reason in outcome.reasons if reason is not None]
        elif isinstance(outcome, dict) and not outcome.get("UnprocessedKeys"):
            items = outcome.get("Responses", {}).get(self._records, [])
        return {item["idempotency_key"]["S"] for item in items if item is not None and "idempotency_key" in item}


def _answer(result: Outcome | Exception, *, knew: bool) -> Answer:
    match result:
        case Outcome(record, replayed):
            return Answer(*order_reply_of(record), replayed, knew)
        case EngineError():
            return Answer(result.status, result.code, knew=knew)
        case TransferRejected():
            return Answer(HTTPStatus.CONFLICT, REFUSED, knew=knew)
        case Undecided():
            return _answer(error_of(result), knew=knew)
        case _:
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(result).__name__}: {result}", knew=knew)


def _call(operation: str, api_request: dict[str, Any], sender: str, spot: str, fate: Fate) -> Call:
    if operation == "TransactWriteItems":
        api_request = {"ClientRequestToken": spot, **api_request}  # as the SDK does
    return Call(
        operation,
        api_request,
        sender,
        throttled=fate.fault is Fault.THROTTLED,
        partly=fate.either,
        dwell_us=int(fate.extra * SLOW_US) if fate.fault is Fault.DWELLS else 0,
        reverse=fate.back_us % 2 == 0,
        hides=fate.there_us % 2 == 0,
    )


def _written(operation: str, api_request: dict[str, Any]) -> str | None:
    """The user whose account a call writes to; it is a transaction's last action."""
    if operation != "TransactWriteItems":
        return None
    ((_, body),) = api_request["TransactItems"][-1].items()
    return str((body.get("Item") or body["Key"])["user_id"]["N"])


def asset_item(asset: Asset) -> Item:
    """An asset as an operator stores it."""
    halted = {"halted": {"BOOL": True}} if asset.halted else {}
    price: Item = {"price_usd": {"S": price_text(asset.price)}, "price_at": {"S": asset.price_at}, "version": {"N": "1"}}
    return {**asset_key(asset.symbol), **price, **halted}


def _delay_us(fate: Fate) -> int:
    """How much longer than usual a request is on its way."""
    match fate.fault:
        case Fault.REQUEST_SLOW:
            return int(fate.extra * SLOW_US)
        case Fault.REQUEST_LATE:
            return SLOW_US + int(fate.extra * (LATE_US - SLOW_US))
        case _:
            return 0


def _reply(result: object) -> Reply:
    assert isinstance(result, dict | Exception)
    return result

"""A process that serves requests: the real engine, over a connection on which things go wrong."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Any

from chalicelib.config import Settings
from chalicelib.contract.errors import EngineError, error_of
from chalicelib.contract.replies import order_reply_of, reply_of
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Transfer, Void
from chalicelib.domain.order import Order
from chalicelib.domain.portfolio import Portfolio
from chalicelib.domain.refusals import TransferRejected, Undecided
from chalicelib.domain.timestamps import rfc3339
from chalicelib.engine import Engine
from chalicelib.runtime.world import World
from chalicelib.store.connection import Cancelled, Datastore, Item, Unanswered
from chalicelib.store.tables import Tables
from chalicelib.trading.instruction import Outcome
from chalicelib.trading.listings import PriceResult
from simulation.database import Call, Database, Receive, Reply
from simulation.faults import Fate, Fault, Faults
from simulation.history import REFUSED, Answer, Served
from simulation.journal import Journal, call_text, reply_text
from simulation.scheduler import US_PER_S, Scheduler, Task, Turn, Wait
from simulation.workload import MIDNIGHT, Batch, Clock, Instruction, Tick, View, each_of

Shown = tuple[Answer, ...] | Portfolio | list[Asset] | PriceResult
"""A process's reply: an answer to each thing that it was asked to make happen, a view, or a price's result.

A request for one of the last two that failed has no answers.
"""

Build = Callable[[Settings, Datastore, World], Engine]
"""`chalicelib.engine.build`, or what a test puts in its place."""

MAX_SKEW_US = 50_000
"""The largest difference between the clocks of two machines."""

MAX_JUMP_US = 10 * US_PER_S
"""The largest jump of a clock that is set."""

SLOW_US = 3 * US_PER_S
LATE_US = 300 * US_PER_S
"""A signed request is good for five minutes."""


class Request:
    """A request while it is served. Its fate comes from streams of its own: see `faults`."""

    __slots__ = ("_jitter", "_seed", "calls", "fates", "knows", "name", "reply", "stalled_us")

    def __init__(self, name: str, seed: int, reply: Callable[[Shown | None], None]) -> None:
        self.name = name
        self.reply = reply
        self.calls = 0
        self.stalled_us = 0
        """For how long the whole process stood still meanwhile."""
        self.knows: set[str] = set()
        """The keys of the records that the datastore has handed it."""
        self.fates = Random(2 * seed)
        self._seed = seed
        self._jitter: Random | None = None

    def jitter(self) -> float:
        """Draws the engine's randomness: apart from the fates, so that a wait more or less changes none of them."""
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
        build: Build,
        clock: Clock | None = None,
        served: Callable[[Served], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.dead = False
        self._settings = settings
        self._records = Tables.of(settings.table_prefix).idempotency
        self._database = database
        self._scheduler = scheduler
        self._faults = faults
        self._journal = journal
        self._serving: dict[Task, Request] = {}
        self._skew_us = scheduler.random.randrange(MAX_SKEW_US)
        self._clock = clock
        self._served = served
        self._awake_us = scheduler.random.randrange(US_PER_S)
        self._awake_since_us: int | None = None
        self._jump_us = scheduler.random.randrange(-MAX_JUMP_US, MAX_JUMP_US)
        self._jumps_at_us = scheduler.random.randrange(MAX_JUMP_US)
        self._times: dict[str, int] = {}
        """The true times of the moments that its wall clock showed."""
        self._committing: set[str] = set()
        """The accounts with a transaction of this process's under way."""
        self._engine = build(settings, self, self._world())

    def _world(self) -> World:
        scheduler = self._scheduler
        return World(
            monotonic_s=self._monotonic_s,
            sleep_s=lambda seconds: scheduler.sleep(round(seconds * US_PER_S)),
            random=lambda: self._request().jitter(),
            now=self._now,
            new_lock=lambda: Turn(scheduler),
        )

    def _monotonic_s(self) -> float:
        """Returns the time on a clock that, in some processes, stands still while nothing is served."""
        if self._clock is not Clock.STANDS_STILL:
            return self._scheduler.now_us / US_PER_S
        since_us = self._awake_since_us
        return (self._awake_us + (0 if since_us is None else self._scheduler.now_us - since_us)) / US_PER_S

    def _now(self) -> datetime:
        """Returns the time on a clock that is a little off, and in some processes is set once, forward or back."""
        now_us = self._scheduler.now_us
        now = MIDNIGHT + timedelta(microseconds=self._shown_us(now_us))
        self._times[rfc3339(now)] = now_us
        return now

    def _shown_us(self, at_us: int) -> int:
        jump_us = self._jump_us if self._clock is Clock.JUMPS and at_us >= self._jumps_at_us else 0
        return at_us + self._skew_us + jump_us

    def latest_us(self, from_us: int, to_us: int) -> int:
        """Returns the latest time that this process's wall clock showed within a true time, in µs from the beginning."""
        return max(self._shown_us(at_us) for at_us in (from_us, min(max(from_us, self._jumps_at_us - 1), to_us), to_us))

    def true_time_us(self, shown: str) -> int:
        """Returns when this process's wall clock last showed a time."""
        return self._times[shown]

    def _sleeps(self) -> None:
        if self._awake_since_us is not None and not self._serving:
            self._awake_us += self._scheduler.now_us - self._awake_since_us
            self._awake_since_us = None

    def _request(self) -> Request:
        """Returns the request that the running task serves."""
        assert self._scheduler.current is not None, "requests are served by tasks"
        return self._serving[self._scheduler.current]

    def serve(self, request: Request, wanted: Instruction) -> None:
        """Executes orders, makes a transfer, or shows what there is to see."""
        if self.dead:
            request.reply(None)
            return

        def body() -> None:
            started_us = self._scheduler.now_us
            threading.current_thread().name = request.name  # what the record keeps of who decided
            answer = self._answer(request, wanted)
            del self._serving[task]
            self._sleeps()
            self._served(Served(request.name, self._scheduler.now_us - started_us, request.stalled_us))
            request.reply(answer)

        task = self._scheduler.start(body)
        self._serving[task] = request
        if self._awake_since_us is None:
            self._awake_since_us = self._scheduler.now_us

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
        engine, deadline = self._engine, self._engine.deadline()
        try:
            match wanted:
                case View(None):
                    return engine.queries.assets(deadline)
                case View(int(user_id)):
                    return engine.queries.portfolio(user_id, deadline)
                case Tick(symbol, price, as_of, allow_move):
                    allowed = [symbol] if allow_move else []
                    at = datetime.fromisoformat(as_of)
                    return engine.listings.set_prices({symbol: price}, at, allowed, deadline)[symbol]
                case Batch(_, orders, linked):
                    execute = engine.executor.execute_linked if linked else engine.executor.execute_batch
                    results = execute(orders, deadline)
                case Order():
                    results = [engine.executor.execute(wanted, deadline)]
                case Void():
                    results = [engine.voids.make(wanted, deadline)]
                case Transfer():
                    results = [engine.transfers.make(wanted, deadline)]
        except Exception as error:  # noqa: BLE001  (the boundary, as in the app)
            results = [error] * len(parts)
        return tuple(
            [_answer(part, result, knew=part.record_key in request.knows) for part, result in zip(parts, results, strict=True)]
        )

    def call(self, operation: str, api_request: dict[str, Any]) -> dict[str, Any]:
        """Makes one attempt, as the engine's own connection does: see `Datastore.call`."""
        request = self._request()
        request.calls += 1
        spot = f"{request.name}/{request.calls}"
        fate = self._faults.of_call(request.fates, spot)
        who = f"{self.name} {spot}"
        account = self._account_written(operation, api_request)
        if account is not None:
            if account in self._committing:
                self._served(Served(request.name, overlapped=account))
            self._committing.add(account)
        self._journal(who, call_text, operation, api_request, fate.fault)
        try:
            outcome = self._exchange(_call(operation, api_request, request.name, spot, fate), fate)
        finally:
            if account is not None:
                self._committing.discard(account)
        if fate.fault is Fault.STALLED:
            stalled_us = int(fate.extra * SLOW_US)
            for each in self._serving.values():
                each.stalled_us += stalled_us
            self._scheduler.sleep(stalled_us)
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

    def _account_written(self, operation: str, api_request: dict[str, Any]) -> str | None:
        if operation != "TransactWriteItems":
            return None
        ((_, body),) = api_request["TransactItems"][-1].items()
        user_id = (body.get("Item") or body["Key"]).get("user_id")
        return None if user_id is None else str(user_id["N"])

    def _records_in(self, outcome: Reply) -> set[str]:
        """Returns the keys of the records in a reply. One that leaves keys unprocessed counts for nothing: all is asked again."""
        items: list[Item | None] = []
        if isinstance(outcome, Cancelled):
            items = [reason.raw_item for reason in outcome.reasons if reason is not None]
        elif isinstance(outcome, dict) and not outcome.get("UnprocessedKeys"):
            items = outcome.get("Responses", {}).get(self._records, [])
        return {item["idempotency_key"]["S"] for item in items if item is not None and "idempotency_key" in item}


def _answer(part: Order | Transfer | Void, result: Outcome | Exception, *, knew: bool) -> Answer:
    if isinstance(result, Undecided) and not isinstance(result, TransferRejected):
        result = error_of(result)
    match result:
        case Outcome(record, replayed):
            status, body = order_reply_of(record) if isinstance(part, Order) else reply_of(record)
            return Answer(status, body, replayed, knew, decided=True)
        case EngineError():
            return Answer(result.status, result.code, knew=knew)
        case TransferRejected():
            return Answer(HTTPStatus.CONFLICT, REFUSED, knew=knew)
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


def _delay_us(fate: Fate) -> int:
    """Returns how much longer than usual a request is on its way."""
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

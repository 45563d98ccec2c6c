"""Orders whose calls to the datastore break on the wire: each thing that breaks × each outcome that an order can have.

    a process           ──  microburst breaks one kind of call, once or for ever  ──  ministack
    another process     ─────────────────────────────────────────────────────────────────╯

An order is sent by the first: it gets the right answer, or within the request's time one that says "send it again". Then it goes
again, with its key, by the second: that gets the right answer, and nothing has happened twice.
"""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, count
from random import Random
from time import monotonic

import pytest

from chalicelib.config import Settings
from chalicelib.domain.account import Record
from chalicelib.domain.money import UNITS_PER_ONE, text_from
from chalicelib.domain.order import Order
from chalicelib.engine import Engine, build
from chalicelib.errors import EngineError
from chalicelib.local.tables import create_missing
from chalicelib.store.connection import DynamoDB
from tests.contract.test_concurrency import assert_audit
from tests.faults.situations import COMMIT, SITUATIONS, Desk, Situation
from tests.support.market import Market, new_key
from tests.support.processes import free_port
from tests.support.proxy import Proxy, Rule

UNAVAILABLE, CONTENTION = "ERR_DATASTORE_UNAVAILABLE", "ERR_CONTENTION"

SETTINGS = Settings(table_prefix="hft-faults", connect_timeout_ms=200, read_timeout_ms=400, price_age_ms=600_000)
PAST_THE_TIME_OUT_MS = 600

ONCE, FOR_EVER = "once", "for ever"
BUDGET_MS = {ONCE: 5_000, FOR_EVER: 2_400}
"""Once: enough for an answer on a busy machine too. For ever: all of it is waited for."""

LATE_S = 0.3
"""How late a thread may wake up on a busy machine. A call that should not have started any more takes longer."""


@dataclass(frozen=True)
class Fault:
    """What breaks. `rule`: in microburst's words. `executed`: whether the datastore does what the broken call asks for.

    `in_the_end`: what an order gets that never gets through, `None` where all do. `only`: the one call that can break like this.
    """

    name: str
    rule: Rule
    executed: bool | None
    in_the_end: str | None = UNAVAILABLE
    only: str | None = None


def stored_outcome(engine: Engine, order: Order) -> Record | None:
    return engine.ledger.read_records(order.user_id, [order.record_key], engine.patience()).get(order.record_key)


def cancelled(reason: str) -> Rule:
    reasons = [{"Code": "None"}, {"Code": reason}]
    return {"error": {"code": "TransactionCanceledException", "fields": {"CancellationReasons": reasons}}}


FAULTS = [
    Fault("reply held back past the time-out", {"response": {"bandwidth_kbps": 0.15}}, executed=True),
    Fault("reply cut off", {"response": {"abort_frac": 0.0}}, executed=True),
    Fault("half a reply that looks whole", {"response": {"truncate_frac": 0.5}}, executed=True),
    Fault("request delivered after the time-out", {"latency": PAST_THE_TIME_OUT_MS}, executed=None),
    Fault("request lost", {"timeout_ms": PAST_THE_TIME_OUT_MS}, executed=False),
    Fault("connection reset", {"reset": True}, executed=False),
    Fault("500", {"error": {"code": "InternalServerError"}}, executed=False),
    Fault("throttled", {"error": {"code": "ProvisionedThroughputExceededException"}}, executed=False),
    Fault("throttled transaction", cancelled("ThrottlingError"), executed=False, only=COMMIT),
    Fault("conflict", cancelled("TransactionConflict"), executed=False, in_the_end=CONTENTION, only=COMMIT),
    Fault("latency like DynamoDB's", {"latency": {"preset": "dynamodb"}}, executed=True, in_the_end=None),
]


@dataclass(frozen=True)
class Answer:
    """What a process said: a status, or an error's code. `record`: what it stands on, where there is one."""

    said: str
    replayed: bool = False
    record: Record | None = None


def ask(process: Engine, order: Order) -> Answer:
    try:
        outcome = process.executor.execute(order, process.patience())
    except EngineError as error:
        return Answer(error.code)
    except Exception as bug:  # noqa: BLE001  (as the route does: the other situations are still to be seen)
        return Answer(f"ERR_INTERNAL: {bug!r}")
    return Answer(str(outcome.record.status), outcome.replayed, outcome.record)


@dataclass(frozen=True)
class Course:
    """How it went: what was said at first and again, whether that was a replay, and the status that is stored under the key.

    `in_time`: so was the first answer. `one_record`: all answers stand on what is stored.
    """

    first: str
    first_replayed: bool
    again: str
    again_replayed: bool
    stored: int | None
    in_time: bool = True
    one_record: bool = True


def right_courses(situation: Situation, fault: Fault, lasting: str) -> list[Course]:
    """The one that is right; two where it depends on when a call arrives."""
    through = lasting == ONCE or fault.in_the_end is None
    decides = not situation.replayed and situation.right in ("200", "402")
    if not decides:
        again_replayed = [situation.replayed]
    elif through or situation.breaks != COMMIT:
        again_replayed = [through]
    else:
        again_replayed = [True, False] if fault.executed is None else [fault.executed]
    first, first_replayed = (situation.right, situation.replayed) if through else (str(fault.in_the_end), False)
    return [Course(first, first_replayed, situation.right, replayed, situation.stored) for replayed in again_replayed]


@pytest.fixture(scope="module")
def market(ministack_url: str) -> Market:
    """Where nothing breaks."""
    market = Market([], replace(SETTINGS, datastore_endpoint=ministack_url, read_timeout_ms=5_000))
    create_missing(market.dynamodb, SETTINGS.table_prefix)
    market.list_asset("USD", "1")
    return market


@pytest.fixture(scope="module")
def desks(market: Market, proxied: Proxy) -> list[Desk]:
    """One for each situation."""
    breakable = DynamoDB(replace(SETTINGS, datastore_endpoint=proxied.url))
    user_ids = count(73_519_001)  # no amount and no time has these digits in a row
    return [Desk(next(user_ids), market, breakable) for _ in SITUATIONS]


@pytest.fixture(scope="module")
def courses(figures: list[str]) -> Iterator[list[Course]]:
    """All that were taken."""
    taken: list[Course] = []
    yield taken
    retried = sum(course.first in (UNAVAILABLE, CONTENTION) for course in taken)
    figures.append(
        f"on the wire: {len(FAULTS)} faults × {len(SITUATIONS)} situations, once and for ever: {len(taken)} orders, "
        f"{len(taken) - retried} answered at once, {retried} by a retry, "
        f"{sum(not course.in_time for course in taken)} too late"
    )


@pytest.mark.parametrize("lasting", [ONCE, FOR_EVER])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_an_order_gets_the_right_answer_or_its_retry_does(
    fault: Fault, lasting: str, desks: list[Desk], proxied: Proxy, courses: list[Course]
) -> None:
    """All situations at one moment, each at its desk: nearly all of the time is spent waiting."""
    rows = [(each, desk) for each, desk in zip(SITUATIONS, desks, strict=True) if fault.only in (None, each.breaks)]
    limit = {"times": 1} if lasting == ONCE else {}
    rules = [
        {"operation": situation.breaks, "body": f"contains(to_string(@), '{desk.user_id}')", **limit, **fault.rule}
        for situation, desk in rows
    ]

    def prepare(situation: Situation, desk: Desk) -> Order:
        desk.start_processes(replace(SETTINGS, request_budget_ms=BUDGET_MS[lasting]))
        return situation.prepared(desk)

    def first(desk: Desk, order: Order) -> tuple[Answer, float]:
        started_s = monotonic()
        return ask(desk.here, order), monotonic() - started_s

    def again(desk: Desk, order: Order) -> tuple[Answer, Record | None]:
        answer = ask(desk.elsewhere, order)
        return answer, stored_outcome(desk.elsewhere, order)

    with ThreadPoolExecutor(len(rows)) as threads:
        situations, at = zip(*rows, strict=True)
        orders = list(threads.map(prepare, situations, at))
        with proxied.fault(*rules):
            firsts = list(threads.map(first, at, orders))
        agains = list(threads.map(again, at, orders))

    wrong = []
    for situation, (early, took_s), (late, stored) in zip(situations, firsts, agains, strict=True):
        course = Course(
            first=early.said,
            first_replayed=early.replayed,
            again=late.said,
            again_replayed=late.replayed,
            stored=stored.status if stored else None,
            in_time=took_s <= BUDGET_MS[lasting] / 1000 + LATE_S,
            one_record=all(answer.record in (None, stored) for answer in (early, late)),
        )
        courses.append(course)
        right = right_courses(situation, fault, lasting)
        if course not in right:
            wrong.append(f"{situation}:\n    {course}\n    instead of {right}")
    assert not wrong, "\n".join(wrong)


def test_at_the_end_every_account_is_what_its_records_make_it(market: Market, desks: list[Desk]) -> None:
    for desk in desks:
        assert_audit(market, desk.user_id)


def test_many_at_once_through_everything_that_breaks(market: Market, proxied: Proxy, figures: list[str]) -> None:
    """Each order comes from two clients at one moment, over three processes; each fault strikes one call out of so many."""
    random = Random(1)
    market.list_asset("XYZ", "1")
    users = [market.new_user(USD="1000") for _ in range(3)]
    breakable = DynamoDB(replace(SETTINGS, datastore_endpoint=proxied.url))
    processes = [build(replace(SETTINGS, request_budget_ms=BUDGET_MS[FOR_EVER]), breakable) for _ in range(3)]
    orders = [
        Order(random.choice(users), new_key(), "XYZ", "USD", units, text_from(units))
        for units in random.choices([UNITS_PER_ONE, 7 * UNITS_PER_ONE, 5_000 * UNITS_PER_ONE], k=40)
    ]
    rules = [
        {
            "service": "dynamodb",
            "sequence": {"fail": 1, "pass": others},
            **({"operation": fault.only} if fault.only else {}),
            **fault.rule,
        }
        for fault, others in zip(FAULTS, (43, 11, 41, 37, 29, 13, 23, 19, 17, 5, 1), strict=True)
    ]

    def insist(number: int) -> tuple[Record | None, int]:
        """Sends until there is an answer."""
        for attempt in range(20):
            answer = ask(processes[(number + attempt) % 3], orders[number % len(orders)])
            if answer.said not in (UNAVAILABLE, CONTENTION):
                return answer.record, attempt
        raise AssertionError("no answer")

    with proxied.fault(*rules), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(insist, chain(*((n, n + len(orders)) for n in range(len(orders))))))

    for user in users:
        assert_audit(market, user)
        stored = {record.key: record for record in market.records(user) if record.key.startswith("order#")}
        told = [record for record, _ in answers if record is not None and record.user_id == user]
        assert {record.key: record for record in told} == stored
        assert all(record == stored[record.key] for record in told)
    figures.append(
        f"all faults at once: {len(answers)} requests for {len(orders)} orders, {sum(n for _, n in answers)} sent again"
    )


@contextmanager
def nobody_there() -> Iterator[int]:
    yield free_port()


@contextmanager
def nobody_answers_the_door() -> Iterator[int]:
    """A port where connections are neither taken nor refused: as many wait already as may."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            waiting = sockets.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("outage", [nobody_there, nobody_answers_the_door])
def test_without_a_datastore_the_answer_comes_in_time(outage: Callable[[], AbstractContextManager[int]]) -> None:
    with outage() as port:
        endpoint = f"http://127.0.0.1:{port}"
        settings = replace(SETTINGS, datastore_endpoint=endpoint, request_budget_ms=BUDGET_MS[FOR_EVER])
        process = build(settings, DynamoDB(settings))
        started_s = monotonic()

        assert ask(process, Order(1, new_key(), "BTC", "USD", UNITS_PER_ONE, "1")).said == UNAVAILABLE

        assert monotonic() - started_s <= BUDGET_MS[FOR_EVER] / 1000 + LATE_S

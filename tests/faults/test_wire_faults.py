"""Orders whose calls to the datastore break on the wire: each thing that breaks × each outcome that an order can have.

    a process           ──  microburst breaks one kind of call, once or for ever  ──  ministack
    another process     ─────────────────────────────────────────────────────────────────╯

The first process sends an order, or a batch of them: each gets the right answer, or within the request's time one that says
"send it again". Then the second sends all again, with their keys: each gets the right answer, and nothing has happened twice.
A request whose commits break reads its keys at the end of its time: what is stored by then is an answer.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, count
from random import Random
from time import monotonic

import pytest

from chalicelib.config import Settings
from chalicelib.contract.errors import EngineError, error_of
from chalicelib.contract.replies import order_reply_of
from chalicelib.domain.money import UNITS_PER_ONE, text_from
from chalicelib.domain.order import Amount, Order
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import Undecided
from chalicelib.engine import Engine, build
from chalicelib.local.schema import create_missing
from chalicelib.store.connection import DynamoDB
from chalicelib.trading.instruction import Outcome, Refused
from harness.processes import free_port
from harness.proxy import Proxy, Rule
from tests.faults.situations import BATCHES, COMMIT, ORDERS, RECORDS, Call, Desk, Right, Situation
from tests.support.audit import assert_audit
from tests.support.market import Market, new_key

UNAVAILABLE, CONTENTION = "ERR_DATASTORE_UNAVAILABLE", "ERR_CONTENTION"

SETTINGS = Settings(table_prefix="hft-faults", connect_timeout_ms=200, read_timeout_ms=400, price_age_ms=600_000)
"""A process's settings: it reads a price once, so that which call of a request breaks does not depend on the time."""

SHORT_PRICE_AGE_MS = 100
"""For whoever lists assets, and waits until the copies of what was there before are too old."""

PAST_THE_TIME_OUT_MS = 600

ONCE, FOR_EVER = "once", "for ever"
BUDGET_MS = {ONCE: 5_000, FOR_EVER: 2_400}
"""Once: enough for an answer on a busy machine too. For ever: all of it is waited for, and two attempts fit into it."""

LATE_S = 0.3
"""How late a thread may wake up on a busy machine. A call that should not have started any more takes longer."""


@dataclass(frozen=True)
class Fault:
    """A way to break. `rule`: in microburst's words. `executed`: whether the datastore does what the broken call asks for.

    `in_the_end`: the answer to an order that never gets through, `None` where all do. `reason`: that of a cancelled transaction,
    instead of a rule: nothing but a transaction breaks like this.
    """

    name: str
    rule: Rule
    executed: bool | None
    in_the_end: str | None = UNAVAILABLE
    reason: str | None = None

    def rule_for(self, orders: int) -> Rule:
        """Returns the rule, where that many orders go together."""
        if self.reason is None:
            return self.rule
        reasons = [{"Code": "None"}] * orders + [{"Code": self.reason}]
        return {"error": {"code": "TransactionCanceledException", "fields": {"CancellationReasons": reasons}}}

    def breaks(self, call: Call) -> bool:
        return self.reason is None or call == COMMIT


FAULTS = [
    Fault("reply held back past the time-out", {"response": {"bandwidth_kbps": 0.002}}, executed=True),
    Fault("reply cut off", {"response": {"abort_frac": 0.0}}, executed=True),
    Fault("half a reply that looks whole", {"response": {"truncate_frac": 0.5}}, executed=True),
    Fault("request delivered after the time-out", {"latency": PAST_THE_TIME_OUT_MS}, executed=None),
    Fault("request lost", {"timeout_ms": PAST_THE_TIME_OUT_MS}, executed=False),
    Fault("connection reset", {"reset": True}, executed=False),
    Fault("500", {"error": {"code": "InternalServerError"}}, executed=False),
    Fault("throttled", {"error": {"code": "ProvisionedThroughputExceededException"}}, executed=False),
    Fault("throttled transaction", {}, executed=False, reason="ThrottlingError"),
    Fault("conflict", {}, executed=False, in_the_end=CONTENTION, reason="TransactionConflict"),
    Fault("latency like DynamoDB's", {"latency": {"preset": "dynamodb"}}, executed=True, in_the_end=None),
]


@dataclass(frozen=True)
class Answer:
    """A process's answer to an order: a status, or an error's code. `record`: the record that it stands on, if there is one."""

    said: str
    replayed: bool = False
    record: Record | None = None


def ask(process: Engine, orders: list[Order], *, linked: bool = False) -> list[Answer]:
    """Sends one order by itself, or several as a batch."""
    deadline = process.deadline()
    outcomes: list[Outcome | Refused]
    try:
        if linked:
            outcomes = [*process.executor.execute_linked(orders, deadline)]
        elif len(orders) > 1:
            outcomes = process.executor.execute_batch(orders, deadline)
        else:
            outcomes = [process.executor.execute(orders[0], deadline)]
    except (EngineError, Undecided) as refused:
        outcomes = [refused] * len(orders)
    except Exception as bug:  # noqa: BLE001  (as the route does: the other situations are still to be seen)
        return [Answer(f"ERR_INTERNAL: {bug!r}") for _ in orders]
    return [answer(outcome) for outcome in outcomes]


def answer(outcome: Outcome | Refused) -> Answer:
    match outcome:
        case Outcome(record=record, replayed=replayed):
            return Answer(str(order_reply_of(record)[0]), replayed, record)
        case EngineError():
            return Answer(outcome.code)
        case _:
            return Answer(error_of(outcome).code)


@dataclass(frozen=True)
class Course:
    """The course of an order: the first answer and the second, which of them were replays, and the status under the key.

    `in_time`: so was the first answer. `one_record`: both answers stand on the record that is stored.
    """

    first: str
    first_replayed: bool
    again: str
    again_replayed: bool
    stored: int | None
    in_time: bool = True
    one_record: bool = True


def right_courses(situation: Situation, fault: Fault, lasting: str) -> list[list[Course]]:
    """Returns the right course of each order; several of them where it depends on when a call arrives."""

    def course(right: Right, *, told: bool, stored_at_first: bool) -> Course:
        first, first_replayed = (right.said, right.replayed) if told else (str(fault.in_the_end), False)
        return Course(first, first_replayed, right.said, right.replayed or (right.decides and stored_at_first), right.stored)

    if lasting == ONCE or fault.in_the_end is None:
        return [[course(right, told=True, stored_at_first=True) for right in situation.rights]]
    commits = situation.breaks == COMMIT and not any(right.cancels for right in situation.rights)
    arrivals: list[tuple[bool, bool]]  # is the transaction made before the request's last read, and before the second process's?
    if not commits or fault.executed is False:
        arrivals = [(False, False)]
    else:
        arrivals = [(True, True)] if fault.executed else [(True, True), (False, True), (False, False)]

    def told(right: Right, *, read: bool) -> bool:
        if right.decides:
            return read
        if right.decided_before:
            return situation.breaks != RECORDS  # the last read finds it
        return situation.breaks == COMMIT  # it was refused before

    return [
        [course(right, told=told(right, read=read), stored_at_first=made) for right in situation.rights]
        for read, made in arrivals
    ]


@pytest.fixture(scope="module")
def market(ministack_url: str) -> Market:
    """A market where nothing breaks."""
    settings = replace(SETTINGS, datastore_endpoint=ministack_url, read_timeout_ms=4_000, price_age_ms=SHORT_PRICE_AGE_MS)
    market = Market([], settings)
    create_missing(market.dynamodb, SETTINGS.table_prefix)
    market.list_asset("USD", "1")
    return market


@pytest.fixture(scope="module")
def desks(market: Market, proxied: Proxy) -> dict[Situation, Desk]:
    """A desk for each situation."""
    settings = replace(SETTINGS, datastore_endpoint=proxied.url)
    breaks = DynamoDB(settings)
    user_ids = count(73_519_001)  # no amount and no time has these digits in a row
    return {situation: Desk(next(user_ids), market, settings, breaks) for situation in ORDERS + BATCHES}


@pytest.fixture(scope="module")
def courses(figures: list[str]) -> Iterator[list[Course]]:
    """All courses that were taken."""
    taken: list[Course] = []
    yield taken
    retried = sum(course.first in (UNAVAILABLE, CONTENTION) for course in taken)
    figures.append(
        f"on the wire: {len(FAULTS)} faults × {len(ORDERS)} situations of orders and {len(BATCHES)} of batches,"
        f" once and for ever: {len(taken)} orders, {len(taken) - retried} answered at once, {retried} by a retry, "
        f"{sum(not course.in_time for course in taken)} too late"
    )


@pytest.mark.parametrize("lasting", [ONCE, FOR_EVER])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("of", [ORDERS, BATCHES], ids=["orders", "batches"])
def test_an_order_gets_the_right_answer_or_its_retry_does(
    of: list[Situation],
    fault: Fault,
    lasting: str,
    *,
    desks: Mapping[Situation, Desk],
    proxied: Proxy,
    courses: list[Course],
) -> None:
    """All situations at one moment, each at its desk: nearly all of the time is spent waiting."""
    rows = [(each, desks[each]) for each in of if fault.breaks(each.breaks)]
    limit = {"times": 1} if lasting == ONCE else {}
    rules = [
        {
            "operation": situation.breaks.operation,
            "body": f"contains(to_string(@), '-{situation.breaks.table}') && contains(to_string(@), '{desk.user_id}')",
            **limit,
            **fault.rule_for(len(situation.rights)),
        }
        for situation, desk in rows
    ]

    def prepare(situation: Situation, desk: Desk) -> list[Order]:
        desk.start_processes(BUDGET_MS[lasting])
        prepared = situation.prepared(desk)
        return prepared if isinstance(prepared, list) else [prepared]

    def first(situation: Situation, desk: Desk, orders: list[Order]) -> tuple[list[Answer], float]:
        started_s = monotonic()
        return ask(desk.breakable, orders, linked=situation.linked), monotonic() - started_s

    def again(situation: Situation, desk: Desk, orders: list[Order]) -> tuple[list[Answer], Mapping[str, Record]]:
        answers = ask(desk.sound, orders, linked=situation.linked)
        keys = [order.record_key for order in orders]
        return answers, desk.sound.ledger.read_records(desk.user_id, keys, desk.sound.deadline())

    with ThreadPoolExecutor(len(rows)) as threads:
        situations, at = zip(*rows, strict=True)
        sent = list(threads.map(prepare, situations, at))
        with proxied.fault(*rules):
            firsts = list(threads.map(first, situations, at, sent))
        agains = list(threads.map(again, situations, at, sent))

    wrong = []
    for situation, orders, (early, took_s), (late, stored) in zip(situations, sent, firsts, agains, strict=True):
        went = [
            Course(
                first=at_first.said,
                first_replayed=at_first.replayed,
                again=at_last.said,
                again_replayed=at_last.replayed,
                stored=order_reply_of(record)[0] if record else None,
                in_time=took_s <= BUDGET_MS[lasting] / 1000 + LATE_S,
                one_record=all(each.record in (None, record) for each in (at_first, at_last)),
            )
            for at_first, at_last, record in zip(early, late, [stored.get(order.record_key) for order in orders], strict=True)
        ]
        courses.extend(went)
        right = right_courses(situation, fault, lasting)
        if went not in right:
            wrong.append(f"{situation}:\n    {went}\n    instead of {right}")
    assert not wrong, "\n".join(wrong)


def test_at_the_end_every_account_is_what_its_records_make_it(market: Market, desks: Mapping[Situation, Desk]) -> None:
    for desk in desks.values():
        assert_audit(market, desk.user_id)


def test_many_at_once_through_everything_that_breaks(market: Market, proxied: Proxy, figures: list[str]) -> None:
    """Each order comes by itself and in a batch, over three processes; each fault strikes one call out of so many."""
    random = Random(1)
    market.list_asset("XYZ", "1")
    users = [market.new_user(USD="1000") for _ in range(3)]
    breakable = DynamoDB(replace(SETTINGS, datastore_endpoint=proxied.url))
    processes = [build(replace(SETTINGS, request_budget_ms=BUDGET_MS[FOR_EVER]), breakable) for _ in range(3)]
    batches = [
        [
            Order(user, new_key(), "XYZ", "USD", Amount(units, text_from(units)))
            for units in random.choices([UNITS_PER_ONE, 7 * UNITS_PER_ONE, 5_000 * UNITS_PER_ONE], k=5)
        ]
        for user in users * 3
    ]
    sendings = list(chain.from_iterable([batch, *([order] for order in batch)] for batch in batches))
    rules = [
        {
            "service": "dynamodb",
            "sequence": {"fail": 1, "pass": others},
            **({"operation": COMMIT.operation} if fault.reason else {}),
            **fault.rule_for(orders=1),
        }
        for fault, others in zip(FAULTS, (43, 11, 41, 37, 29, 13, 23, 19, 17, 5, 1), strict=True)
    ]

    def insist(number: int) -> tuple[list[Record | None], int]:
        """Sends until each order has its answer; those that have are not sent again."""
        orders, records = sendings[number], []
        for attempt in range(20):
            told = list(zip(orders, ask(processes[(number + attempt) % 3], orders), strict=True))
            orders = [order for order, answer in told if answer.said in (UNAVAILABLE, CONTENTION)]
            records += [answer.record for order, answer in told if order not in orders]
            if not orders:
                return records, attempt
        raise AssertionError("no answer")

    with proxied.fault(*rules), ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(insist, range(len(sendings))))

    for user in users:
        assert_audit(market, user)
        stored = {record.key: record for record in market.records(user) if record.key.startswith("order#")}
        told = [record for records, _ in answers for record in records if record is not None and record.user_id == user]
        assert {record.key: record for record in told} == stored
        assert all(record == stored[record.key] for record in told)
    assert sum(len(records) for records, _ in answers) == 2 * sum(map(len, batches))
    figures.append(
        f"all faults at once: {len(sendings)} requests, {len(batches)} of them batches, for {sum(map(len, batches))} orders; "
        f"{sum(n for _, n in answers)} sent again"
    )


@contextmanager
def nobody_there() -> Iterator[int]:
    """Yields a port on which nobody listens."""
    yield free_port()


@contextmanager
def nobody_accepts() -> Iterator[int]:
    """Yields a port where connections are neither accepted nor refused: as many wait already as may."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            waiting = sockets.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize("orders", [1, 99])
@pytest.mark.parametrize("outage", [nobody_there, nobody_accepts])
def test_without_a_datastore_the_answer_comes_in_time(outage: Callable[[], AbstractContextManager[int]], orders: int) -> None:
    with outage() as port:
        endpoint = f"http://127.0.0.1:{port}"
        settings = replace(SETTINGS, datastore_endpoint=endpoint, request_budget_ms=BUDGET_MS[FOR_EVER])
        process = build(settings, DynamoDB(settings))
        started_s = monotonic()

        answers = ask(process, [Order(1, new_key(), "BTC", "USD", Amount(UNITS_PER_ONE, "1")) for _ in range(orders)])

        assert answers == [Answer(UNAVAILABLE)] * orders
        assert monotonic() - started_s <= BUDGET_MS[FOR_EVER] / 1000 + LATE_S

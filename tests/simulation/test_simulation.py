"""The simulator: what it finds in the engine (nothing), and that it would find it."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import get_context
from unittest.mock import ANY

import pytest

from chalicelib.domain.facts import Transfer
from chalicelib.domain.order import Order
from chalicelib.trading.listings import PriceResult
from harness.processes import ROOT
from simulation.__main__ import show
from simulation.checks import Evidence, Rule, Violation, judge
from simulation.faults import Fault, Weather
from simulation.history import Answer, History, Listed
from simulation.journal import timeline
from simulation.process import Build
from simulation.run import run
from simulation.shrink import shrink
from simulation.workload import Action, Ask, Batch, Plan, amount, plan
from tests.support import planted_bugs
from tests.support.planted_bugs import engine_with

SEEDS = 2_000


@dataclass
class Summary:
    """The contents of many runs, counted."""

    broken: dict[int, Violation] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    answers_in_batches: Counter[str] = field(default_factory=Counter)
    batches: Counter[str] = field(default_factory=Counter)
    """The batches, counted by what their answers say, taken together."""

    prices: Counter[str] = field(default_factory=Counter)
    """The results of prices that feeds sent, and the candles that they closed."""

    faults: Counter[Fault] = field(default_factory=Counter)
    restored: int = 0

    def add(self, seed: int, history: History) -> None:
        violation = judge(history)
        if violation is not None:
            self.broken[seed] = violation
        by_request: dict[str, list[str]] = {}
        for received in history.received:
            by_request.setdefault(received.request, []).append(_named(received.answer))
        for request, names in by_request.items():
            if isinstance(history.asked[request].wanted, Batch):
                self.answers_in_batches.update(names)
                self.batches[_together(names)] += 1
            else:
                self.answers.update(names)
        self.prices.update(priced.result.value for priced in history.priced)
        self.prices["minutes"] += sum(len(candles) // 2 for candles in history.candles.values())
        self.faults.update(history.struck.values())
        self.restored += bool(history.undone)

    def merge(self, other: "Summary") -> None:
        self.broken |= other.broken
        self.answers += other.answers
        self.answers_in_batches += other.answers_in_batches
        self.batches += other.batches
        self.prices += other.prices
        self.faults += other.faults
        self.restored += other.restored


def _named(answer: Answer) -> str:
    return f"{answer.status}{' again' if answer.replayed else ''}" if answer.decided else answer.body


def _together(names: list[str]) -> str:
    known = [name.endswith("again") for name in names]
    decided = [name in {"200", "402", "410", "412", "424"} for name in names]
    if all(known):
        return "all known"
    if any(known):
        return "some known, others decided" if any(decided) else "some known, others not decided"
    if all(decided):
        return "all decided"
    return "some decided" if any(decided) else "none decided"


def summary_of(seeds: range) -> Summary:
    summary = Summary()
    for seed in seeds:
        summary.add(seed, run(plan(seed)))
    return summary


@pytest.fixture(scope="module")
def summary() -> Summary:
    whole = Summary()
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for part in pool.map(summary_of, [range(start, start + 100) for start in range(0, SEEDS, 100)]):
            whole.merge(part)
    return whole


def test_no_seed_breaks_a_rule(summary: Summary) -> None:
    """`python -m simulation --seed N` shows what happens under a seed that does."""
    assert summary.broken == {}


def test_the_runs_have_everything_in_them_that_can_happen(summary: Summary) -> None:
    """Rules that nothing puts to the test are easily kept."""
    of_orders = {
        "200",
        "200 again",
        "402",
        "402 again",
        "410",
        "410 again",
        "412",
        "412 again",
        "ERR_ASSET_NOT_FOUND",
        "ERR_ASSET_HALTED",
        "ERR_PRICE_STALE",
        "ERR_IDEMPOTENCY_KEY_REUSED",
        "ERR_CONTENTION",
        "ERR_DATASTORE_UNAVAILABLE",
    }
    rare = {"ERR_ORDER_RULE"}  # and what a linked order got, asked for again by itself
    assert summary.answers.keys() - rare - {"424 again"} == of_orders | {"ERR_ORDER_DECIDED", "transfer refused"}
    assert min(count for name, count in summary.answers.items() if name not in rare | {"424 again"}) > SEEDS / 20
    assert summary.answers_in_batches.keys() - rare == of_orders | {"424", "424 again", "ERR_ORDER_DECIDED"}
    assert min(count for name, count in summary.answers_in_batches.items() if name not in rare) > SEEDS / 40
    assert summary.batches.keys() == {
        "all decided",
        "some decided",
        "none decided",
        "all known",
        "some known, others decided",
        "some known, others not decided",
    }
    assert min(summary.batches.values()) > SEEDS / 20
    assert summary.prices.keys() == {*PriceResult, "minutes"}
    assert min(summary.prices.values()) > SEEDS / 20
    assert summary.faults.keys() == set(Fault)
    assert min(summary.faults.values()) > SEEDS / 20
    assert summary.restored > SEEDS / 50


def test_the_same_seed_is_the_same_run_in_every_process() -> None:
    shown = {
        subprocess.run(
            [sys.executable, "-m", "simulation", "--seed", "7"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(shown) == 1


def test_the_same_seed_is_the_same_run_whatever_ran_before() -> None:
    shown = timeline(run(plan(7)).journal)
    run(plan(8))

    assert timeline(run(plan(7)).journal) == shown


@pytest.mark.parametrize(("early_us", "broken"), [(0, False), (1, True)])
def test_a_price_is_judged_to_the_microsecond(early_us: int, broken: bool) -> None:  # noqa: FBT001
    """An order is decided at a price that another replaced just as long before as a copy may be old, or longer."""
    opening = Ask(1, 0, Transfer(1, "opening", "USD", 25 * 10**8), sends=1, insists=False)
    history = run(quiet_plan(opening, Ask(2, 10**6, Order(1, "k", "BTC", "USD", amount(10**8)), sends=1, insists=False)))
    evidence = Evidence(history)
    decided_us = evidence.decided_at_us(evidence.stored[1, "order#k"][0])
    (listed,) = history.listed["BTC"]
    assert listed.asset is not None
    assert judge(history) is None

    replaced_us = decided_us - history.plan.settings.price_age_ms * 1000 - early_us
    history.listed["BTC"] = [listed, Listed(replaced_us, replace(listed.asset, price=1), "operator")]

    violation = judge(history)
    assert violation is not None, "the candles, at least, do not contain that price"
    assert (violation.rule is Rule.MARKET) is broken


def quiet_plan(*actions: Action) -> Plan:
    """Returns a plan in which nothing else happens, and nothing goes wrong."""
    opening = {"USD": 10**8, "BTC": 10 * 10**8}
    return replace(plan(7), processes=1, weather=Weather(), opening=opening, actions=actions, asks_again=False)


# Planted bugs.


@dataclass(frozen=True)
class Planted:
    """A bug, a rule that it breaks, and how many seeds that may take. `first`: the seed to begin with, for a rare one."""

    build: Build
    rule: Rule
    seeds: int = 100
    first: int = 0

    @property
    def within(self) -> str:
        """The seeds in words."""
        return f"{self.seeds:,}" + (f", from {self.first} on" if self.first else "")


PLANTED = {
    "no condition on the key": Planted(engine_with(planted_bugs.NoConditionOnKey), Rule.ONE_OUTCOME),
    "a void that loses to a stored fill": Planted(engine_with(voids=planted_bugs.AnswersVoided), Rule.SAME_REPLY),
    "a void that overwrites a fill": Planted(engine_with(planted_bugs.VoidOverwrites), Rule.ONE_OUTCOME),
    "no condition on the head": Planted(engine_with(planted_bugs.NoConditionOnHead), Rule.HISTORY),
    "what is given is taken twice": Planted(engine_with(planted_bugs.TakenTwice), Rule.NO_DEBT),
    "the sequence in place of the head": Planted(engine_with(planted_bugs.SequenceForHead), Rule.HISTORY, 500),
    "the account's reason before the key's": Planted(
        engine_with(planted_bugs.AccountReasonFirst), Rule.STORED_WINS, 100, first=100
    ),
    "the two reasons mistaken": Planted(engine_with(planted_bugs.ReasonsMistaken), Rule.NO_BUG),
    "404 after an attempt without an answer": Planted(
        engine_with(exactly_once=planted_bugs.UnansweredMeansNothing), Rule.NOTHING_DECIDED, 100, first=90
    ),
    "409 after an attempt without an answer": Planted(
        engine_with(exactly_once=planted_bugs.UnansweredMeansBusy), Rule.NOTHING_DECIDED
    ),
    "409 without a look at the key": Planted(engine_with(exactly_once=planted_bugs.BusyWithoutALook), Rule.STORED_WINS, 1_000),
    "200 after an attempt without an answer": Planted(engine_with(planted_bugs.UnansweredMeansDone), Rule.SAME_REPLY),
    "404 before the key's outcome": Planted(engine_with(planted_bugs.AssetBeforeKey), Rule.STORED_WINS),
    "a refusal that is not stored": Planted(engine_with(planted_bugs.RefusalNotStored), Rule.SAME_REPLY),
    "facts that are not pinned": Planted(engine_with(planted_bugs.FactsNotPinned), Rule.HISTORY),
    "a refusal from two reads": Planted(engine_with(planted_bugs.RefusalFromTwoReads), Rule.LINEARIZABLE, 1_000),
    "a replay that does not say so": Planted(engine_with(executor=planted_bugs.EverythingIsNew), Rule.REPLAYED),
    "an expiry that is ignored": Planted(engine_with(decider=planted_bugs.ExpiryIgnored), Rule.HISTORY),
    "an expired order filled by a late attempt": Planted(engine_with(decider=planted_bugs.ExpiryCheckedOnce), Rule.HISTORY, 500),
    "a limit compared after rounding": Planted(engine_with(decider=planted_bugs.LimitAfterRounding), Rule.HISTORY, 300),
    "a notional that overspends by a unit": Planted(engine_with(decider=planted_bugs.NotionalOverspent), Rule.HISTORY, 300),
    "prices for ever": Planted(engine_with(prices=planted_bugs.PricesForever), Rule.MARKET),
    "a price's age by the monotonic clock alone": Planted(engine_with(prices=planted_bugs.AgedByMonotonic), Rule.MARKET, 500),
    "a price's age by the wall clock alone": Planted(engine_with(prices=planted_bugs.AgedByWall), Rule.MARKET, 500),
    "a price from before a slow read": Planted(engine_with(exactly_once=planted_bugs.PricesBeforeTheAccount), Rule.MARKET, 500),
    "a price's age from the answer that brought it": Planted(
        engine_with(prices=planted_bugs.AgedFromItsArrival), Rule.MARKET, 100, first=500
    ),
    "a price with the time of another": Planted(engine_with(prices=planted_bugs.PriceAtOfTheLast), Rule.MARKET, 300),
    "a stale price filled": Planted(engine_with(decider=planted_bugs.StaleFilled), Rule.FRESH),
    "a price that goes stale while its order waits": Planted(
        engine_with(decider=planted_bugs.StaleByTheFirst), Rule.FRESH, 2_000
    ),
    "a held price set": Planted(engine_with(listings=planted_bugs.HeldPriceSet), Rule.PRICED),
    "two writers of one candle": Planted(engine_with(assets=planted_bugs.TwoWritersOfOneCandle), Rule.CANDLES, 300),
    "candles stored after the price that closes them": Planted(
        engine_with(assets=planted_bugs.CandlesAfterThePrice), Rule.CANDLES, 500
    ),
    "a portfolio from memory": Planted(engine_with(planted_bugs.AccountFromMemory), Rule.LINEARIZABLE),
    "a portfolio of two accounts": Planted(engine_with(queries=planted_bugs.TwoAccountsInOneView), Rule.VALUED, 300),
    "values rounded down": Planted(engine_with(queries=planted_bugs.ValuedDown), Rule.VALUED, 300),
    "an empty account pinned": Planted(engine_with(planted_bugs.EmptyAccountPinned), Rule.PROMPT, first=30),
    "trying for ever": Planted(engine_with(planted_bugs.TriesForEver), Rule.ENDS),
    "trying for too long": Planted(engine_with(exactly_once=planted_bugs.DeadlineIgnored), Rule.IN_TIME, 500),
    "a slot evicted in use": Planted(engine_with(accounts=planted_bugs.EvictedInUse), Rule.ONE_AT_A_TIME, 500),
    "two outcomes swapped": Planted(engine_with(exactly_once=planted_bugs.OutcomesSwapped), Rule.SAME_REPLY),
    "a key twice in one transaction": Planted(engine_with(exactly_once=planted_bugs.DuplicateInOneTransaction), Rule.NO_BUG),
    "an answer before the commit": Planted(engine_with(exactly_once=planted_bugs.AnsweredBeforeTheCommit), Rule.NOTHING_DECIDED),
    "a rider forgotten": Planted(engine_with(accounts=planted_bugs.RiderForgotten), Rule.PROMPT, 1_000),
    "riders left waiting": Planted(engine_with(accounts=planted_bugs.RidersLeftWaiting), Rule.PROMPT, 500),
    "a batch on one view": Planted(engine_with(exactly_once=planted_bugs.BatchOnOneView), Rule.HISTORY),
    "a batch's refusals on one view": Planted(engine_with(exactly_once=planted_bugs.BatchRefusedOnOneView), Rule.HISTORY),
    "a batch backwards": Planted(engine_with(executor=planted_bugs.BatchBackwards), Rule.IN_ORDER),
    "a batch in several transactions": Planted(engine_with(executor=planted_bugs.BatchOneByOne), Rule.IN_ORDER, 300),
    "a linked batch half filled": Planted(engine_with(executor=planted_bugs.LinkedHalfFilled), Rule.ALL_OR_NOTHING, 300),
    "a batch replayed as one": Planted(engine_with(executor=planted_bugs.BatchReplayedAsOne), Rule.REPLAYED),
    "an outcome in another order's place": Planted(engine_with(executor=planted_bugs.KnownFirst), Rule.SAME_REPLY),
    "one outcome for all of a batch": Planted(engine_with(executor=planted_bugs.KnownForAll), Rule.SAME_REPLY),
    "one known outcome stops the rest of a batch": Planted(
        engine_with(exactly_once=planted_bugs.KnownStopsTheRest), Rule.RESOLVED, 300
    ),
    "only a batch's first order remembered after an attempt without an answer": Planted(
        engine_with(exactly_once=planted_bugs.OnlyFirstRemembered), Rule.NOTHING_DECIDED, 1_000
    ),
}


@cache
def caught(name: str) -> int:
    """The first seed under which a planted bug breaks its rule before any other."""
    planted = PLANTED[name]
    for seed in range(planted.first, planted.first + planted.seeds):
        violation = judge(run(plan(seed), planted.build))
        if violation is not None and violation.rule is planted.rule:
            return seed
    pytest.fail(f"not caught in {planted.within} seeds")


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_caught(name: str, record_testsuite_property: Callable[[str, object], None]) -> None:
    record_testsuite_property(f"seeds until it was caught: {name}", caught(name) + 1)


def test_every_rule_is_broken_by_some_planted_bug() -> None:
    assert {planted.rule for planted in PLANTED.values()} == set(Rule)


def test_the_planted_bugs_are_documented() -> None:
    lines = (ROOT / "docs" / "reliability.md").read_text().splitlines()
    start = lines.index("| planted bug | the rule that it breaks | within |") + 2

    rows = lines[start : lines.index("", start)]

    assert rows == [f"| {name} | {planted.rule} | {planted.within} |" for name, planted in PLANTED.items()]


# What is shown of a seed that breaks a rule.


def test_a_run_that_breaks_a_rule_is_cut_down_to_what_it_takes() -> None:
    """An order whose answer is long in coming, an asset that can no longer be traded by then, and next to nothing else."""
    name = "404 after an attempt without an answer"
    planted, seed = PLANTED[name], caught(name)

    shortest = shrink(plan(seed), planted.rule, planted.build)

    history = run(shortest, planted.build)
    assert judge(history) == Violation(planted.rule, what=ANY)
    assert len(shortest.actions) <= 3
    assert len(history.struck) == 1
    for action in shortest.actions:
        fewer = replace(shortest, actions=tuple(other for other in shortest.actions if other is not action))
        assert judge(run(fewer, planted.build)) is None


def test_a_batch_is_cut_down_to_the_orders_that_it_takes() -> None:
    name = "a batch backwards"
    planted, seed = PLANTED[name], caught(name)

    shortest = shrink(plan(seed), planted.rule, planted.build)

    batches = [action.wanted for action in shortest.actions if isinstance(action, Ask) and isinstance(action.wanted, Batch)]
    assert [len(batch.orders) for batch in batches] == [2]


def test_a_timeline_shows_each_order_of_a_batch_and_its_answer_in_its_place() -> None:
    """A batch of four, of which one was executed before, in a run of nothing else."""
    orders = tuple(Order(1, f"k{n}", "BTC", pay_with, amount(10**8)) for n, pay_with in enumerate(["USD", "USD", "NOPE", "USD"]))
    opening = Ask(1, 0, Transfer(1, "opening", "USD", 25 * 10**8), sends=1, insists=False)
    first = Ask(2, 10**6, orders[1], sends=1, insists=False)
    batch = Ask(3, 2 * 10**6, Batch(1, orders), sends=1, insists=False)
    lines = timeline(run(quiet_plan(opening, first, batch)).journal)

    asked = next(line for line in lines if "client 3.1" in line and "asks" in line)
    shown = next(line for line in lines if "client 3.1" in line and "receives" in line)
    assert [part.split(": ")[0].split()[-1] for part in asked.split(" | ")] == [f"order#k{number}" for number in range(4)]
    assert [part.split("receives ")[-1].split()[0] for part in shown.split(" | ")] == ["200", "200", "404", "402"]
    assert ["(replayed)" in part for part in shown.split(" | ")] == [False, True, False, False]


def test_a_seed_that_breaks_a_rule_is_shown_in_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    name = "no condition on the key"
    planted, seed = PLANTED[name], caught(name)

    assert show(seed, planted.build) == 1

    shown = capsys.readouterr().out
    assert planted.rule in shown
    assert f"python -m simulation --seed {seed}" in shown
    assert len(shown.splitlines()) < 40


def test_the_command_runs_as_many_seeds_as_it_is_asked_for() -> None:
    """As people run it: its workers are processes of their own, and must find what they are to do."""
    command = [sys.executable, "-m", "simulation", "--first", "100", "--seeds", "60", "--jobs", "2"]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert "60 seeds, from 100 on: no rule broken" in shown

"""Whether a run broke a rule: what clients may rely on, held against what they were told and what was written.

The simulated database's log is the witness: it says when each account became what, so that linearizability need not be searched
for. An account's history is linearizable if every fill and transfer appears in it between the moment at which it was first asked
for and the moment at which somebody was told of it, and every refusal and every portfolio fits the account as it was at some
moment in between. What one request asked for and decided, an order or a batch of them, happens in one such moment.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import partial
from http import HTTPStatus
from operator import eq
from typing import NamedTuple

from chalicelib.audit.replay import Discrepancy, compare, replay
from chalicelib.contract.errors import AssetHalted, AssetNotFound, Contention, IdempotencyKeyReused
from chalicelib.contract.replies import order_reply_of
from chalicelib.domain.account import Account
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Fill, Refusal, Transfer, Transferred
from chalicelib.domain.money import PRICE_PER_USD
from chalicelib.domain.order import Order
from chalicelib.domain.portfolio import Portfolio
from chalicelib.domain.record import Record, instruction_of
from chalicelib.domain.timestamps import rfc3339
from chalicelib.store.tables import Tables, account_from, record_from
from simulation.database import Write
from simulation.history import REFUSED, History, Seen
from simulation.process import SLOW_US
from simulation.workload import each_of


class Rule(StrEnum):
    """What must hold, whatever happens."""

    ENDS = "every request comes to an end"
    NO_BUG = "no request runs into a bug"
    ONE_OUTCOME = "a key has one outcome"
    NO_DEBT = "no balance is below zero at any moment"
    HISTORY = "an account's history is one sequence that reproduces its balances"
    SAME_REPLY = "whoever asks what became of a key is told the one thing that is stored"
    REPLAYED = "an answer says whether it is a replay"
    NOTHING_DECIDED = "a request that answered that nothing was decided never decides anything"
    STORED_WINS = "what is stored under a key wins over all that has changed since"
    LINEARIZABLE = "what happens to an account happens between question and answer"
    IN_ORDER = "what a request decides is decided in the order in which it asked, at one moment, on the account as it stands"
    MARKET = "orders are decided at prices of their time"
    FRESH = "no price is older at a decision than a copy may be"
    VALUED = "a portfolio is worth what its account holds, at prices no older than a copy may be"
    IN_TIME = "a request is answered within its time, and no call begins that may not end in it"
    ALONE = "of one process's requests, one at a time writes to an account"
    RESOLVED = "in calm weather every key tells what became of it"


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, and how."""

    rule: Rule
    what: str


Found = Iterator[Violation]
Span = tuple[int, int]
"""A time, in µs: from and to, both included."""

FOREVER_US = 1 << 62

HALF = Fraction(1, 2)

USE_US = 35_000
"""What it takes, at most, to read prices, then records, then an account where nothing goes wrong."""


class Version(NamedTuple):
    """An account as it was for a while."""

    span: Span
    account: Account


class Stored(NamedTuple):
    """A record, when it appeared, and whose request decided it; `None` for a transfer that rode along, which bears no name."""

    at_us: int
    decider: str | None
    record: Record

    @property
    def fingerprint(self) -> str:
        """What was decided, in words."""
        return instruction_of(self.record.decision).fingerprint


class Evidence:
    """A history, sorted for judging it."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.told = [told for told in history.told if told.sent_us >= history.restored_us]
        self.first_sent_us: dict[tuple[int, str], int] = {}
        """When each record's key was first sent, by user and key."""
        for sent_us, wanted in history.asked.values():
            for each in each_of(wanted):
                self.first_sent_us.setdefault((each.user_id, each.record_key), sent_us)
        self.first_told_us: dict[tuple[int, str], int] = {}
        """When somebody first heard of each record's outcome, by user and key."""
        for told in self.told:  # they come in the order in which they were told
            if told.answer.decided:
                self.first_told_us.setdefault((told.wanted.user_id, told.wanted.record_key), told.told_us)
        tables = Tables.of(history.plan.settings.table_prefix)
        self.versions: dict[int, list[Version]] = {}
        self.stored: dict[tuple[int, str], list[Stored]] = {}
        for write in history.writes:
            if write.table == tables.accounts:
                self._add_version(write)
            else:
                record = record_from(write.item)
                stored = Stored(write.at_us, self._decider(record, write.sender), record)
                self.stored.setdefault((record.user_id, record.key), []).append(stored)
        self.undone = [account_from(write.item) for write in history.undone if write.table == tables.accounts]
        self.decided: dict[str, list[Stored]] = {}
        """What each request decided, in the order in which it asked for it."""
        for request, (_, wanted) in history.asked.items():
            of_keys = [self.of_key(each) for each in each_of(wanted)]
            self.decided[request] = [stored for stored in of_keys if stored is not None and stored.decider == request]

    def _decider(self, record: Record, sender: str) -> str | None:
        """The request that decided a record. `sender`: the one that sent it, maybe for others that waited beside it."""
        if isinstance(record.decision, Fill | Refusal):
            return record.decision.circumstances.by
        asked = {each.record_key for each in each_of(self.history.asked[sender].wanted) if each.user_id == record.user_id}
        return sender if record.key in asked else None

    def _add_version(self, write: Write) -> None:
        account = account_from(write.item)
        earlier = self.versions.setdefault(account.user_id, [Version((0, FOREVER_US), Account(account.user_id))])
        earlier[-1] = earlier[-1]._replace(span=(earlier[-1].span[0], write.at_us))
        earlier.append(Version((write.at_us, FOREVER_US), account))

    def of_account(self, user_id: int) -> list[Version]:
        """Everything that an account ever was."""
        return self.versions.get(user_id) or [Version((0, FOREVER_US), Account(user_id))]

    def effect(self, stored: Stored) -> Span:
        """While a record's transaction appeared: DynamoDB writes its items one after the other."""
        for (since_us, _), account in self.of_account(stored.record.user_id):
            if account.sequence >= stored.record.sequence:
                return min(stored.at_us, since_us), max(stored.at_us, since_us)
        return stored.at_us, stored.at_us

    def instants(self, request: str, shown: str) -> list[int]:
        """When the clock of the process that served a request showed something, in true time."""
        return self.history.instants.get((self.history.served[request].life, shown), [])

    def of_key(self, wanted: Order | Transfer) -> Stored | None:
        """What is stored under the key of an order or a transfer."""
        stored = self.stored.get((wanted.user_id, wanted.record_key))
        return stored[0] if stored else None


def _meet(one: Span, other: Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def judge(history: History) -> Violation | None:
    """The first rule that a run broke, if it broke one."""
    if history.endless:
        return Violation(Rule.ENDS, "it goes on and on")
    evidence = Evidence(history)
    return next((violation for check in CHECKS for violation in check(evidence)), None)


def _no_bug(evidence: Evidence) -> Found:
    for told in evidence.history.told:
        if told.answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            yield Violation(Rule.NO_BUG, f"request {told.request}: {told.answer.body}")


def _one_outcome(evidence: Evidence) -> Found:
    for (user_id, key), several in evidence.stored.items():
        if len(several) > 1:
            requests = ", ".join(str(stored.decider) for stored in several)
            yield Violation(Rule.ONE_OUTCOME, f"record {user_id}/{key} was written by the requests {requests}")


def _no_debt(evidence: Evidence) -> Found:
    standing = [version.account for versions in evidence.versions.values() for version in versions]
    for account in [*standing, *evidence.undone]:
        for symbol, units in account.balances.items():
            if units < 0:
                yield Violation(Rule.NO_DEBT, f"account {account.user_id} held {units} units of {symbol}")


def _history(evidence: Evidence) -> Found:
    """By the audit that operators run, which shares no arithmetic with what decides orders."""
    records: dict[int, list[Record]] = {}
    for several in evidence.stored.values():
        records.setdefault(several[-1].record.user_id, []).append(several[-1].record)
    try:
        for user_id in sorted({*records, *evidence.versions}):
            in_order = sorted(records.get(user_id, []), key=lambda record: record.sequence)
            compare(replay(user_id, in_order), evidence.of_account(user_id)[-1].account)
    except Discrepancy as discrepancy:
        yield Violation(Rule.HISTORY, f"{discrepancy.kind}: {discrepancy}")


def _same_reply(evidence: Evidence) -> Found:
    for told in evidence.told:
        answer, stored = told.answer, evidence.of_key(told.wanted)
        same_order = stored is not None and stored.fingerprint == told.wanted.fingerprint
        if answer.decided:
            if stored is None or not same_order or stored.at_us > told.told_us:
                yield Violation(
                    Rule.SAME_REPLY, f"request {told.request} was told {answer.status}, but its outcome is not stored"
                )
            elif (answer.status, answer.body) != (reply := order_reply_of(stored.record)):
                yield Violation(
                    Rule.SAME_REPLY, f"request {told.request} was told {answer.status} {answer.body}, stored is {reply}"
                )
        elif answer.body == IdempotencyKeyReused.code and (stored is None or same_order):
            yield Violation(Rule.SAME_REPLY, f"request {told.request} was told that its key stands for another order")


def _replayed(evidence: Evidence) -> Found:
    claimed: dict[tuple[int, str], str] = {}
    for told in evidence.told:
        stored = evidence.of_key(told.wanted)
        if not told.answer.decided or stored is None:
            continue
        decider = stored.decider
        if decider is None and not told.answer.replayed:
            decider = claimed.setdefault((stored.record.user_id, stored.record.key), told.request)
        if told.answer.replayed != (decider != told.request):
            yield Violation(Rule.REPLAYED, f"request {told.request} was told {told.answer.replayed}; request {decider} decided")


def _nothing_decided(evidence: Evidence) -> Found:
    """Of the request itself. What an earlier one, left without an answer, may yet do under the same key it cannot know."""
    for told in evidence.told:
        answer, stored = told.answer, evidence.of_key(told.wanted)
        nothing = not answer.decided and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
        if nothing and stored is not None and stored.decider == told.request:
            yield Violation(
                Rule.NOTHING_DECIDED, f"request {told.request} was told {answer.body}, and then {stored.record.key} was executed"
            )


def _stored_wins(evidence: Evidence) -> Found:
    not_now = {AssetNotFound.code, AssetHalted.code, Contention.code, REFUSED}
    for told in evidence.told:
        answer, stored = told.answer, evidence.of_key(told.wanted)
        before = stored is not None and stored.at_us < told.sent_us and stored.fingerprint == told.wanted.fingerprint
        if before and answer.body in not_now:
            yield Violation(Rule.STORED_WINS, f"request {told.request} was told {answer.body}, long after its outcome was stored")
        late = stored is not None and stored.at_us < evidence.history.served[told.request].last_call_us
        if late and answer.body == Contention.code:
            yield Violation(Rule.STORED_WINS, f"request {told.request} was told {answer.body} and read nothing after the outcome")
        if answer.knew and not (answer.decided or answer.body in {IdempotencyKeyReused.code, REFUSED}):
            yield Violation(Rule.STORED_WINS, f"request {told.request} was told {answer.body} by a process that knew the outcome")


def _linearizable(evidence: Evidence) -> Found:
    yield from _decisions_in_time(evidence)
    yield from _refusals_in_time(evidence)
    for seen in evidence.history.seen:
        if isinstance(seen.what, Portfolio) and seen.sent_us >= evidence.history.restored_us:
            shown, asked = seen.what.account, (seen.sent_us, seen.told_us)
            if not any(account == shown and _meet(span, asked) for span, account in evidence.of_account(shown.user_id)):
                yield Violation(Rule.LINEARIZABLE, f"account {shown.user_id} was never like this meanwhile: {shown}")


def _decisions_in_time(evidence: Evidence) -> Found:
    for (user_id, key), several in evidence.stored.items():
        first_told_us = evidence.first_told_us.get((user_id, key), FOREVER_US)
        if not _meet(evidence.effect(several[0]), (evidence.first_sent_us[user_id, key], first_told_us)):
            yield Violation(Rule.LINEARIZABLE, f"record {user_id}/{key} did not happen between question and answer")


def _refusals_in_time(evidence: Evidence) -> Found:
    """A transfer's refusal is not stored: the balance must not have covered it at some moment of this request.

    What the key's transfer took itself, for another request, is no reason.
    """
    for told in evidence.told:
        wanted, stored = told.wanted, evidence.of_key(told.wanted)
        if isinstance(wanted, Transfer) and told.answer.body == REFUSED:
            to_us = told.told_us if stored is None else min(told.told_us, evidence.effect(stored)[0] - 1)
            asked = told.sent_us, to_us
            versions = evidence.of_account(wanted.user_id)
            if not any(account.balance_units(wanted.symbol) < -wanted.units and _meet(span, asked) for span, account in versions):
                yield Violation(Rule.LINEARIZABLE, f"request {told.request} was refused what the balance covered all the time")


def _in_order(evidence: Evidence) -> Found:
    """What a request decides is decided in its order; and in one piece, at one moment, where no other request took a key of it.

    That each decision fits the account as the one before it leaves it is what the audit has made sure of.
    """
    for request, several in evidence.decided.items():
        records = [stored.record for stored in several]
        if not records:
            continue
        numbers = [record.sequence for record in records]
        first, last = numbers[0], numbers[-1]
        by_then_us = max(stored.at_us for stored in several)
        of_keys = [evidence.of_key(each) for each in each_of(evidence.history.asked[request].wanted)]
        shared = any(stored is not None and stored.decider != request and stored.at_us <= by_then_us for stored in of_keys)
        together = not any(first <= account.sequence < last for _, account in evidence.of_account(records[0].user_id))
        in_one_piece = together and numbers == list(range(first, first + len(records)))
        if numbers != sorted(numbers) or not (in_one_piece or shared):
            keys = ", ".join(f"{record.key} as {record.sequence}" for record in records)
            yield Violation(Rule.IN_ORDER, f"request {request} decided {keys}: not in one piece, or not in its order")


def _market(evidence: Evidence) -> Found:
    """Prices may be as old as the plan's settings say, and as old as it took to get and use them."""
    yield from _refusals_with_reasons(evidence)
    for seen in evidence.history.seen:
        if isinstance(seen.what, list):
            shown = {asset.symbol: asset for asset in seen.what}
            for symbol in evidence.history.listed:
                if not _was(evidence, symbol, partial(eq, shown.get(symbol)), (seen.sent_us, seen.told_us), seen.request):
                    yield Violation(Rule.MARKET, f"request {seen.request} was shown {symbol} as {shown.get(symbol)}")


def _fresh(evidence: Evidence) -> Found:
    """Each recorded price was the market's within the age before the decision, in true time: one clock at least runs true."""
    for several in evidence.stored.values():
        for _, decider, record in several:
            if isinstance(record.decision, Transferred):
                prices = {} if record.decision.price is None else {record.decision.transfer.symbol: record.decision.price}
            elif isinstance(record.decision, Fill | Refusal):
                prices = dict(record.decision.circumstances.prices)
            for symbol, price in prices.items():
                decided = [] if decider is None else evidence.instants(decider, record.decision.at)
                if decider is not None and not any(_current(evidence, symbol, price.value, at_us) for at_us in decided):
                    yield Violation(Rule.FRESH, f"request {decider} decided at {price.value} for {symbol}, too old by then")


def _current(evidence: Evidence, symbol: str, price: int | None, at_us: int) -> bool:
    """Whether an asset's price was this, at some moment within a copy's age before another; `None`: it was not listed."""
    span = at_us - evidence.history.plan.settings.price_age_ms * 1000, at_us
    return any(
        _meet(when, span) and price == (None if asset is None else asset.price) for when, asset in _listings(evidence, symbol)
    )


def _listings(evidence: Evidence, symbol: str) -> Iterator[tuple[Span, Asset | None]]:
    """What an asset was listed as, and while it was."""
    listed = [(0, None), *evidence.history.listed.get(symbol, [])]
    ends = [since_us for since_us, _ in listed[1:]] + [FOREVER_US]
    for (since_us, asset), until_us in zip(listed, ends, strict=True):
        yield (since_us, until_us), asset


def _valued(evidence: Evidence) -> Found:
    for seen in evidence.history.seen:
        if isinstance(seen.what, Portfolio):
            wrong = _misvalued(evidence, seen, seen.what)
            if wrong:
                yield Violation(Rule.VALUED, f"request {seen.request} was shown a portfolio with a wrong {wrong}")


def _misvalued(evidence: Evidence, seen: Seen, portfolio: Portfolio) -> str | None:
    """The first figure of a portfolio that is wrong."""
    account, total_units, wrong = portfolio.account, 0, list[str]()
    if portfolio.positions.keys() != account.balances.keys():
        return "list of positions"
    instants = evidence.instants(seen.request, rfc3339(portfolio.valued_at))
    for symbol, (quantity_units, basis_units, asset, value_units) in portfolio.positions.items():
        held_units = account.balances[symbol]
        if quantity_units != held_units:
            wrong.append(f"quantity of {symbol}")
        if basis_units != (held_units if symbol == "USD" else account.books.cost_basis.get(symbol, 0)):
            wrong.append(f"basis of {symbol}")
        price = None if asset is None else asset.price
        if not any(_current(evidence, symbol, price, at_us) for at_us in instants):
            wrong.append(f"price of {symbol}")
        if price is None or value_units is None:
            right = price is value_units
        else:
            right = -HALF < value_units - Fraction(held_units * price, PRICE_PER_USD) <= HALF
        if not right:
            wrong.append(f"value of {symbol}")
        total_units += value_units or 0
    if portfolio.total_units != total_units:
        wrong.append("total")
    return wrong[0] if wrong else None


def _in_time(evidence: Evidence) -> Found:
    settings = evidence.history.plan.settings
    budget_us, worst_us = settings.request_budget_ms * 1000, settings.call_worst_ms * 1000
    for request, service in evidence.history.served.items():
        if service.last_call_us - service.began_us > budget_us - worst_us:
            yield Violation(Rule.IN_TIME, f"request {request} began a call that might not end in its time")
        if service.answered_us is not None and service.answered_us - service.began_us > budget_us + service.stalled_us:
            yield Violation(Rule.IN_TIME, f"request {request} was answered after its time")


def _alone(evidence: Evidence) -> Found:
    for request in evidence.history.crowded:
        yield Violation(Rule.ALONE, f"request {request} wrote to its account while another of its process did")


def _refusals_with_reasons(evidence: Evidence) -> Found:
    for told in evidence.told:
        reason = _REASONS.get(told.answer.body)
        if reason is not None:
            symbols = [told.wanted.symbol, *([told.wanted.other] if isinstance(told.wanted, Order) else [])]
            if not any(_was(evidence, symbol, reason, (told.sent_us, told.told_us), told.request) for symbol in symbols):
                yield Violation(Rule.MARKET, f"request {told.request} was told {told.answer.body} without a reason")


def _is_unknown(asset: Asset | None) -> bool:
    return asset is None


def _is_halted(asset: Asset | None) -> bool:
    return asset is not None and asset.halted


_REASONS: dict[str, Callable[[Asset | None], bool]] = {AssetNotFound.code: _is_unknown, AssetHalted.code: _is_halted}


def _was(evidence: Evidence, symbol: str, like: Callable[[Asset | None], bool], span: Span, request: str) -> bool:
    """Whether an asset was like that at some moment of a time, or within a price's age before it."""
    struck = sum(1 for spot in evidence.history.struck if spot.startswith(f"{request}/"))
    age_us = evidence.history.plan.settings.price_age_ms * 1000 + USE_US + struck * SLOW_US
    around = span[0] - age_us, span[1]
    return any(like(asset) and _meet(when, around) for when, asset in _listings(evidence, symbol))


def _resolved(evidence: Evidence) -> Found:
    for told in evidence.told:
        if told.last and not told.answer.final:
            yield Violation(Rule.RESOLVED, f"asked in calm weather, request {told.request} is told {told.answer.body}")


CHECKS: tuple[Callable[[Evidence], Found], ...] = (
    _no_bug,
    _one_outcome,
    _no_debt,
    _history,
    _same_reply,
    _replayed,
    _nothing_decided,
    _stored_wins,
    _linearizable,
    _in_order,
    _alone,
    _fresh,
    _market,
    _valued,
    _in_time,
    _resolved,
)
"""From what is easiest to understand to what is hardest; each may take for granted what stands before it."""

"""Whether a run broke a rule: what clients may rely on, held against what they were told and what was written.

The simulated database's log is the witness: it says when each account became what, so that linearizability need not be searched
for. An account's history is linearizable if every fill and transfer appears in it between the moment at which it was first asked
for and the moment at which somebody was told of it, and every refusal and every portfolio fits the account as it was at some
moment in between. What one request asked for and decided, an order or a batch of them, happens in one such moment.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from operator import eq
from typing import NamedTuple

from chalicelib.domain.account import Account, Record
from chalicelib.audit.replay import Difference, check_refusal, compare, replay
from chalicelib.domain.transfer import Transfer
from chalicelib.domain.money import text_from
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import Asset
from chalicelib.contract.errors import AssetHalted, AssetNotFound, IdempotencyKeyReused
from chalicelib.store.tables import Tables, account_from, record_from
from simulation.database import Write
from simulation.history import REFUSED, History
from simulation.process import MAX_SKEW_US, MIDNIGHT, SLOW_US
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

USE_US = 35_000
"""What it takes, at most, to read prices, then records, then an account where nothing goes wrong."""


class Version(NamedTuple):
    """An account as it was for a while."""

    span: Span
    account: Account


class Stored(NamedTuple):
    """A record, when it appeared, and whose request stored it."""

    at_us: int
    sender: str
    record: Record


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
                self.stored.setdefault((record.user_id, record.key), []).append(Stored(write.at_us, write.sender, record))
        self.undone = [account_from(write.item) for write in history.undone if write.table == tables.accounts]
        self.decided: dict[str, list[Stored]] = {}
        """What each request decided, in the order in which it asked for it."""
        for request, (_, wanted) in history.asked.items():
            of_keys = [self.of_key(each) for each in each_of(wanted)]
            self.decided[request] = [stored for stored in of_keys if stored is not None and stored.sender == request]

    def _add_version(self, write: Write) -> None:
        account = account_from(write.item)
        earlier = self.versions.setdefault(account.user_id, [Version((0, FOREVER_US), Account(account.user_id))])
        earlier[-1] = earlier[-1]._replace(span=(earlier[-1].span[0], write.at_us))
        earlier.append(Version((write.at_us, FOREVER_US), account))

    def of_account(self, user_id: int) -> list[Version]:
        """Everything that an account ever was."""
        return self.versions.get(user_id) or [Version((0, FOREVER_US), Account(user_id))]

    def effect(self, stored: Stored) -> Span:
        """While a record's transaction appeared: DynamoDB writes its two items one after the other."""
        movement = stored.record.movement
        if movement is not None:
            for (since_us, _), account in self.of_account(stored.record.user_id):
                if account.sequence >= movement.sequence:
                    return min(stored.at_us, since_us), max(stored.at_us, since_us)
        return stored.at_us, stored.at_us

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
            requests = ", ".join(stored.sender for stored in several)
            yield Violation(Rule.ONE_OUTCOME, f"record {user_id}/{key} was written by the requests {requests}")


def _no_debt(evidence: Evidence) -> Found:
    standing = [version.account for versions in evidence.versions.values() for version in versions]
    for account in [*standing, *evidence.undone]:
        for symbol, units in account.balances.items():
            if units < 0:
                yield Violation(Rule.NO_DEBT, f"account {account.user_id} held {units} units of {symbol}")


def _history(evidence: Evidence) -> Found:
    """By the audit that operators run, which shares no arithmetic with what decides orders."""
    movements: dict[int, list[Record]] = {}
    try:
        for several in evidence.stored.values():
            record = several[-1].record
            if record.movement is None:
                check_refusal(record)
            else:
                movements.setdefault(record.user_id, []).append(record)
        for user_id in sorted({*movements, *evidence.versions}):
            in_order = sorted(movements.get(user_id, []), key=_sequence)
            compare(replay(user_id, in_order), evidence.of_account(user_id)[-1].account)
    except Difference as difference:
        yield Violation(Rule.HISTORY, f"{difference.kind}: {difference}")


def _sequence(record: Record) -> int:
    assert record.movement is not None, "only movements are sorted"
    return record.movement.sequence


def _same_reply(evidence: Evidence) -> Found:
    for told in evidence.told:
        answer, stored = told.answer, evidence.of_key(told.wanted)
        same_order = stored is not None and stored.record.fingerprint == told.wanted.fingerprint
        if answer.decided:
            if stored is None or not same_order or stored.at_us > told.told_us:
                yield Violation(
                    Rule.SAME_REPLY, f"request {told.request} was told {answer.status}, but its outcome is not stored"
                )
            elif (answer.status, answer.body) != (stored.record.status, stored.record.reply):
                yield Violation(
                    Rule.SAME_REPLY,
                    f"request {told.request} was told {answer.status} {answer.body}, "
                    f"stored is {stored.record.status} {stored.record.reply}",
                )
        elif answer.body == IdempotencyKeyReused.code and (stored is None or same_order):
            yield Violation(Rule.SAME_REPLY, f"request {told.request} was told that its key stands for another order")


def _replayed(evidence: Evidence) -> Found:
    for told in evidence.told:
        stored = evidence.of_key(told.wanted)
        if told.answer.decided and stored is not None and told.answer.replayed != (stored.sender != told.request):
            yield Violation(
                Rule.REPLAYED, f"request {told.request} was told {told.answer.replayed}; request {stored.sender} decided"
            )


def _nothing_decided(evidence: Evidence) -> Found:
    """Of the request itself. What an earlier one, left without an answer, may yet do under the same key it cannot know."""
    for told in evidence.told:
        answer, stored = told.answer, evidence.of_key(told.wanted)
        nothing = not answer.decided and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
        if nothing and stored is not None and stored.sender == told.request:
            yield Violation(
                Rule.NOTHING_DECIDED, f"request {told.request} was told {answer.body}, and then {stored.record.key} was executed"
            )


def _stored_wins(evidence: Evidence) -> Found:
    not_now = {AssetNotFound.code, AssetHalted.code, REFUSED}
    for told in evidence.told:
        answer, stored = told.answer, evidence.of_key(told.wanted)
        before = stored is not None and stored.at_us < told.sent_us and stored.record.fingerprint == told.wanted.fingerprint
        if before and answer.body in not_now:
            yield Violation(Rule.STORED_WINS, f"request {told.request} was told {answer.body}, long after its outcome was stored")
        if answer.knew and not (answer.decided or answer.body in {IdempotencyKeyReused.code, REFUSED}):
            yield Violation(Rule.STORED_WINS, f"request {told.request} was told {answer.body} by a process that knew the outcome")


def _linearizable(evidence: Evidence) -> Found:
    yield from _movements_in_time(evidence)
    yield from _refusals_in_time(evidence)
    for seen in evidence.history.seen:
        if isinstance(seen.what, Account) and seen.sent_us >= evidence.history.restored_us:
            versions = evidence.of_account(seen.what.user_id)
            if not any(account == seen.what and _meet(span, (seen.sent_us, seen.told_us)) for span, account in versions):
                yield Violation(Rule.LINEARIZABLE, f"account {seen.what.user_id} was never like this meanwhile: {seen.what}")


def _movements_in_time(evidence: Evidence) -> Found:
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
    """On some version of the account, while the request was under way, its decisions must follow one another to another version.

    Orders that are refused have no place in the account's sequence: they must fit it as it stood between their neighbours.
    """
    for request, several in evidence.decided.items():
        if not several:
            continue
        records = [stored.record for stored in several]
        versions = evidence.of_account(records[0].user_id)
        under_way = evidence.history.asked[request].sent_us, max(stored.at_us for stored in several)
        standing = [account for _, account in versions]
        if not any(_meet(span, under_way) and _after(account, records) in standing for span, account in versions):
            keys = ", ".join(record.key for record in records)
            yield Violation(Rule.IN_ORDER, f"request {request} decided {keys}, which do not follow one another in this order")


def _after(account: Account, records: Sequence[Record]) -> Account | None:
    """The account after decisions that follow one another, or `None` where they do not."""
    for record in records:
        movement = record.movement
        if movement is None:
            if not _refused_on(account, record):
                return None
        elif movement.sequence != account.sequence + 1:
            return None
        else:
            changed = {symbol: account.balance_units(symbol) + units for symbol, units in movement.changes.items()}
            account = Account(account.user_id, {**account.balances, **changed}, movement.sequence, movement.head)
    return account


def _refused_on(account: Account, record: Record) -> bool:
    """Whether a refusal states what the account held. The audit has made sure that this is less than the cost."""
    message = json.loads(record.reply)["message"]
    symbol = message.rpartition(" ")[2]
    return bool(message.endswith(f"have {text_from(account.balance_units(symbol))} {symbol}"))


def _market(evidence: Evidence) -> Found:
    """Prices may be as old as the plan's settings say, and as old as it took to get and use them."""
    yield from _trades_at_prices(evidence)
    yield from _refusals_with_reasons(evidence)
    for seen in evidence.history.seen:
        if isinstance(seen.what, list):
            shown = {asset.symbol: asset for asset in seen.what}
            for symbol in evidence.history.listed:
                if not _was(evidence, symbol, partial(eq, shown.get(symbol)), (seen.sent_us, seen.told_us), seen.request):
                    yield Violation(Rule.MARKET, f"request {seen.request} was shown {symbol} as {shown.get(symbol)}")


def _trades_at_prices(evidence: Evidence) -> Found:
    for several in evidence.stored.values():
        for _, sender, record in several:
            decided_us = (datetime.fromisoformat(record.created_at) - MIDNIGHT) // timedelta(microseconds=1)
            for symbol, price_units in record.prices.items():
                traded = Asset(symbol, price_units)
                if not _was(evidence, symbol, partial(eq, traded), (decided_us - MAX_SKEW_US, decided_us), sender):
                    yield Violation(
                        Rule.MARKET, f"request {sender} traded {symbol} at {price_units} units, which was not its price"
                    )


def _refusals_with_reasons(evidence: Evidence) -> Found:
    for told in evidence.told:
        reason = _REASONS.get(told.answer.body)
        if reason is not None and isinstance(told.wanted, Order):
            symbols = (told.wanted.symbol, told.wanted.pay_with)
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
    listed = [(0, None), *evidence.history.listed.get(symbol, [])]
    ends = [since_us for since_us, _ in listed[1:]] + [FOREVER_US]
    return any(
        like(asset) and _meet((since_us, until_us), (span[0] - age_us, span[1]))
        for (since_us, asset), until_us in zip(listed, ends, strict=True)
    )


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
    _market,
    _resolved,
)
"""From what is easiest to understand to what is hardest; each may take for granted what stands before it."""

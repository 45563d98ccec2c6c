"""The judge of a run: what clients may rely on, held against the answers that they received and what was written.

The simulated database's log is the witness: it says when each account became what, so that linearizability need not be searched
for. An account's history is linearizable if every fill and transfer appears in it between the moment at which it was first asked
for and the moment at which somebody received it, and every refusal and every portfolio fits the account as it was at some
moment in between. What one request asked for and decided, an order or a batch of them, happens in one such moment.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from itertools import pairwise
from operator import eq
from typing import NamedTuple

from chalicelib.audit.replay import Discrepancy, compare, replay
from chalicelib.contract.errors import AssetHalted, AssetNotFound, Contention, IdempotencyKeyReused, OrderDecided, PriceStale
from chalicelib.contract.replies import order_reply_of, reply_of
from chalicelib.domain.account import Account
from chalicelib.domain.asset import UNIT_OF_ACCOUNT, Asset
from chalicelib.domain.facts import Fill, Price, Refusal, Transfer, Transferred, Void, Voided
from chalicelib.domain.money import PRICE_PER_USD
from chalicelib.domain.order import Order
from chalicelib.domain.portfolio import Portfolio
from chalicelib.domain.record import Record, instruction_of
from chalicelib.store.tables import Tables, account_from, record_from
from chalicelib.trading.listings import PriceResult
from simulation.database import Write
from simulation.history import REFUSED, History, Listed, Priced, Received
from simulation.workload import MIDNIGHT, Batch, Tick, each_of


class Rule(StrEnum):
    """A rule that must hold, whatever happens."""

    ENDS = "every request comes to an end"
    NO_BUG = "no request runs into a bug"
    ONE_OUTCOME = "a key has one outcome"
    NO_DEBT = "no balance is below zero at any moment"
    HISTORY = "an account's history is one sequence that reproduces its balances"
    SAME_REPLY = "whoever asks what became of a key receives the one thing that is stored"
    REPLAYED = "an answer says whether it is a replay"
    NOTHING_DECIDED = "a request that answered that nothing was decided never decides anything"
    STORED_WINS = "what is stored under a key wins over all that has changed since"
    LINEARIZABLE = "what happens to an account happens between question and answer"
    IN_ORDER = "what a request decides is decided in the order in which it asked, at one moment, on the account as it stands"
    ALL_OR_NOTHING = "of linked orders every one fills, or none does"
    MARKET = "orders are decided at prices of their time"
    FRESH = "orders are decided at prices that the market has confirmed of late"
    PRICED = "a price is set as it was sent: after the one before it, and no further from it than the guard lets it"
    CANDLES = "candles contain every price that was set, each in its minute and its hour"
    VALUED = "a portfolio is worth what its balances are worth at the prices that it shows"
    IN_TIME = "a request is answered within its time"
    ONE_AT_A_TIME = "a process has one transaction at a time under way at an account"
    PROMPT = "where nothing goes wrong no request runs out of time"
    RESOLVED = "in calm weather whoever asks learns what became of each key"


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, and how."""

    rule: Rule
    what: str


Found = Iterator[Violation]
Span = tuple[int, int]
"""A time, in µs: from and to, both included."""

FOREVER_US = 1 << 62


class Version(NamedTuple):
    """An account as it was for a while."""

    span: Span
    account: Account


class Stored(NamedTuple):
    """A record, when it appeared, and the request whose call stored it: that of its own leader, where several went together."""

    at_us: int
    sender: str
    record: Record

    @property
    def decider(self) -> str:
        """The request that it was decided for: an order's record names it, as the thread."""
        decision = self.record.decision
        return decision.circumstances.by if isinstance(decision, Fill | Refusal) else self.sender

    def decided_for(self, wanted: Order | Transfer | Void, request: str) -> bool:
        """Returns whether it is the decision of a request. A void under an order's key never is the order's."""
        return self.decider == request and isinstance(wanted, Void) == isinstance(self.record.decision, Voided)


class Evidence:
    """A history, sorted for judging it."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.received = [received for received in history.received if received.sent_us >= history.restored_us]
        self.first_sent_us: dict[tuple[int, str], int] = {}
        """The time when each record's key was first sent, by user and key."""
        for sent_us, wanted in history.asked.values():
            for each in each_of(wanted):
                self.first_sent_us.setdefault((each.user_id, each.record_key), sent_us)
        self.first_received_us: dict[tuple[int, str], int] = {}
        """The time when somebody first received each record's outcome, by user and key."""
        for received in self.received:  # they come in the order in which they were received
            if received.answer.decided:
                self.first_received_us.setdefault((received.wanted.user_id, received.wanted.record_key), received.received_us)
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
        """The decisions of each request, in the order in which it asked for it."""
        for request, (_, wanted) in history.asked.items():
            of_keys = [(each, self.of_key(each)) for each in each_of(wanted)]
            self.decided[request] = [
                stored for each, stored in of_keys if stored is not None and stored.decided_for(each, request)
            ]

    def _add_version(self, write: Write) -> None:
        account = account_from(write.item)
        earlier = self.versions.setdefault(account.user_id, [Version((0, FOREVER_US), Account(account.user_id))])
        earlier[-1] = earlier[-1]._replace(span=(earlier[-1].span[0], write.at_us))
        earlier.append(Version((write.at_us, FOREVER_US), account))

    def of_account(self, user_id: int) -> list[Version]:
        """Returns everything that an account ever was."""
        return self.versions.get(user_id) or [Version((0, FOREVER_US), Account(user_id))]

    def of_asset(self, symbol: str) -> list[tuple[Span, Asset | None]]:
        """Returns everything that an asset ever was; `None` while it was not listed."""
        listed = [Listed(0, None, ""), *self.history.listed.get(symbol, [])]
        ends = [later.at_us for later in listed[1:]] + [FOREVER_US]
        return [((each.at_us, until_us), each.asset) for each, until_us in zip(listed, ends, strict=True)]

    def effect(self, stored: Stored) -> Span:
        """Returns the time during which a record's transaction appeared: DynamoDB writes its items one after the other."""
        for (since_us, _), account in self.of_account(stored.record.user_id):
            if account.sequence >= stored.record.sequence:
                return min(stored.at_us, since_us), max(stored.at_us, since_us)
        return stored.at_us, stored.at_us

    def balances(self, user_id: int, symbol: str) -> list[tuple[Span, int]]:
        """Returns everything that a balance ever was, between the decisions of one transaction as well."""
        several = [stored[0] for (user, _), stored in self.stored.items() if user == user_id]
        in_order = sorted(several, key=lambda stored: stored.record.sequence)
        units = 0
        found = [((0, self.effect(in_order[0])[1] if in_order else FOREVER_US), units)]
        for stored, following in zip(in_order, [*in_order[1:], None], strict=False):
            match stored.record.decision:
                case Fill() as fill:
                    units += fill.changes.get(symbol, 0)
                case Transferred(transfer) if transfer.symbol == symbol:
                    units += transfer.units
            until_us = FOREVER_US if following is None else self.effect(following)[1]
            found.append(((self.effect(stored)[0], until_us), units))
        return found

    def decided_at_us(self, stored: Stored) -> int:
        """Returns the true time of a decision, by the clock of the process that made it."""
        return self.history.true_time_us(stored.sender, stored.record.decision.at)

    def of_key(self, wanted: Order | Transfer | Void) -> Stored | None:
        """Returns what is stored under the key of an order, a transfer or a void."""
        stored = self.stored.get((wanted.user_id, wanted.record_key))
        return stored[0] if stored else None


def _meet(one: Span, other: Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def judge(history: History) -> Violation | None:
    """Returns the first rule that a run broke, if it broke one."""
    if history.endless:
        return Violation(Rule.ENDS, "it goes on and on")
    evidence = Evidence(history)
    return next((violation for check in CHECKS for violation in check(evidence)), None)


def _no_bug(evidence: Evidence) -> Found:
    for received in evidence.history.received:
        if received.answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            yield Violation(Rule.NO_BUG, f"request {received.request}: {received.answer.body}")


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
    """Runs the operators' audit, which shares no arithmetic with what decides orders."""
    records: dict[int, list[Record]] = {}
    for several in evidence.stored.values():
        records.setdefault(several[-1].record.user_id, []).append(several[-1].record)
    try:
        for user_id in sorted({*records, *evidence.versions}):
            in_order = sorted(records.get(user_id, []), key=lambda record: record.sequence)
            compare(replay(user_id, in_order), evidence.of_account(user_id)[-1].account)
    except Discrepancy as discrepancy:
        yield Violation(Rule.HISTORY, f"{discrepancy.kind}: {discrepancy}")


def _is_of(stored: Stored, wanted: Order | Transfer | Void) -> bool:
    """Returns whether a key's record is the outcome of what was asked for."""
    decision = stored.record.decision
    if isinstance(wanted, Void):
        return isinstance(decision, Voided)
    if isinstance(decision, Voided):
        return isinstance(wanted, Order)
    return instruction_of(decision).fingerprint == wanted.fingerprint


def _same_reply(evidence: Evidence) -> Found:
    for received in evidence.received:
        answer, stored = received.answer, evidence.of_key(received.wanted)
        same = stored is not None and _is_of(stored, received.wanted)
        if answer.decided:
            if stored is None or not same or stored.at_us > received.received_us:
                yield Violation(
                    Rule.SAME_REPLY, f"request {received.request} received {answer.status}, but its outcome is not stored"
                )
                continue
            status, body = (order_reply_of if isinstance(received.wanted, Order) else reply_of)(stored.record)
            if (answer.status, answer.body) != (status, body):
                yield Violation(
                    Rule.SAME_REPLY,
                    f"request {received.request} received {answer.status} {answer.body}, stored is {status} {body}",
                )
        elif answer.body == IdempotencyKeyReused.code and (stored is None or same) and not _is_linked(evidence, received):
            yield Violation(Rule.SAME_REPLY, f"request {received.request} was answered that its key stands for another order")


def _is_linked(evidence: Evidence, received: Received) -> bool:
    """Returns whether an answer is of an all-or-nothing batch, where one order's reason is all the others' as well."""
    wanted = evidence.history.asked[received.request].wanted
    return isinstance(wanted, Batch) and wanted.linked


def _replayed(evidence: Evidence) -> Found:
    first: dict[tuple[int, str], str] = {}
    for received in evidence.received:
        stored = evidence.of_key(received.wanted)
        if not received.answer.decided or stored is None:
            continue
        if isinstance(stored.record.decision, Fill | Refusal):
            if received.answer.replayed != (stored.decider != received.request):
                yield Violation(
                    Rule.REPLAYED,
                    f"request {received.request} received replayed={received.answer.replayed}; request {stored.decider} decided",
                )
        elif not received.answer.replayed:
            # A transfer's record and a void's do not name the request: of all that received it, one decided.
            place = stored.record.user_id, stored.record.key
            if first.setdefault(place, received.request) != received.request:
                yield Violation(
                    Rule.REPLAYED, f"requests {first[place]} and {received.request} were both answered that they decided"
                )


def _nothing_decided(evidence: Evidence) -> Found:
    """Checks the request itself: it cannot know what an earlier one, left without an answer, may yet do under the same key."""
    for received in evidence.received:
        answer, stored = received.answer, evidence.of_key(received.wanted)
        nothing = not answer.decided and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
        if (
            nothing
            and stored is not None
            and _is_of(stored, received.wanted)
            and stored.decided_for(received.wanted, received.request)
        ):
            yield Violation(
                Rule.NOTHING_DECIDED,
                f"request {received.request} received {answer.body}, and then {stored.record.key} was executed",
            )


def _stored_wins(evidence: Evidence) -> Found:
    not_now = {AssetNotFound.code, AssetHalted.code, PriceStale.code, Contention.code, REFUSED}
    for received in evidence.received:
        answer, stored = received.answer, evidence.of_key(received.wanted)
        before = stored is not None and stored.at_us < received.sent_us and _is_of(stored, received.wanted)
        if before and answer.body in not_now and not _is_linked(evidence, received):
            yield Violation(
                Rule.STORED_WINS, f"request {received.request} received {answer.body}, long after its outcome was stored"
            )
        reused = {IdempotencyKeyReused.code, OrderDecided.code, REFUSED}
        # A request of several may learn of a key that another rides along with after its own answer for it is made.
        alone = not isinstance(evidence.history.asked[received.request].wanted, Batch)
        if alone and answer.knew and not (answer.decided or answer.body in reused):
            yield Violation(
                Rule.STORED_WINS, f"request {received.request} received {answer.body} by a process that knew the outcome"
            )


def _linearizable(evidence: Evidence) -> Found:
    yield from _movements_in_time(evidence)
    yield from _refusals_in_time(evidence)
    for seen in evidence.history.seen:
        if isinstance(seen.what, Portfolio) and seen.sent_us >= evidence.history.restored_us:
            shown = seen.what.account
            versions = evidence.of_account(shown.user_id)
            if not any(account == shown and _meet(span, (seen.sent_us, seen.received_us)) for span, account in versions):
                yield Violation(Rule.LINEARIZABLE, f"account {shown.user_id} was never like this meanwhile: {shown}")


def _movements_in_time(evidence: Evidence) -> Found:
    for (user_id, key), several in evidence.stored.items():
        first_received_us = evidence.first_received_us.get((user_id, key), FOREVER_US)
        if not _meet(evidence.effect(several[0]), (evidence.first_sent_us[user_id, key], first_received_us)):
            yield Violation(Rule.LINEARIZABLE, f"record {user_id}/{key} did not happen between question and answer")


def _refusals_in_time(evidence: Evidence) -> Found:
    """Checks refused transfers, which are not stored: at some moment of the request the balance must not have covered it.

    What the key's transfer took itself, for another request, is no reason.
    """
    for received in evidence.received:
        wanted, stored = received.wanted, evidence.of_key(received.wanted)
        if isinstance(wanted, Transfer) and received.answer.body == REFUSED:
            to_us = received.received_us if stored is None else min(received.received_us, evidence.effect(stored)[0] - 1)
            asked = received.sent_us, to_us
            balances = evidence.balances(wanted.user_id, wanted.symbol)
            if not any(units < -wanted.units and _meet(span, asked) for span, units in balances):
                yield Violation(
                    Rule.LINEARIZABLE, f"request {received.request} was refused what the balance covered all the time"
                )


def _in_order(evidence: Evidence) -> Found:
    """Checks that a request's decisions follow one another in the account's history, and appear together, while it was under way.

    Refusals have their places there too, and the audit holds each against the account at its place.
    """
    for request, several in evidence.decided.items():
        if not several:
            continue
        sequences = [stored.record.sequence for stored in several]
        first, last = sequences[0], sequences[-1]
        standing = {account.sequence: span for span, account in evidence.of_account(several[0].record.user_id)}
        together = sequences == list(range(first, last + 1)) and not any(number in standing for number in range(first, last))
        sent_us = evidence.history.asked[request].sent_us
        before = [span for number, span in standing.items() if number < first]
        if not together or not any(until_us >= sent_us for _, until_us in before):
            keys = ", ".join(stored.record.key for stored in several)
            yield Violation(Rule.IN_ORDER, f"request {request} decided {keys}, which do not follow one another in this order")


def _all_or_nothing(evidence: Evidence) -> Found:
    for request, several in evidence.decided.items():
        wanted = evidence.history.asked[request].wanted
        if isinstance(wanted, Batch) and wanted.linked and several:
            filled = sum(isinstance(stored.record.decision, Fill) for stored in several)
            if len(several) < len(wanted.orders) or filled not in (0, len(several)):
                yield Violation(Rule.ALL_OR_NOTHING, f"request {request} filled {filled} of {len(wanted.orders)} linked orders")


def _market(evidence: Evidence) -> Found:
    """Prices may be as old as the plan's settings say, at the moment of the decision, and no older."""
    yield from _trades_at_prices(evidence)
    yield from _refusals_with_reasons(evidence)
    for seen in evidence.history.seen:
        if isinstance(seen.what, list):
            shown = {asset.symbol: asset for asset in seen.what}
            for symbol in evidence.history.listed:
                if not _was(evidence, symbol, partial(eq, shown.get(symbol)), (seen.sent_us, seen.received_us)):
                    yield Violation(Rule.MARKET, f"request {seen.request} was shown {symbol} as {shown.get(symbol)}")


def _trades_at_prices(evidence: Evidence) -> Found:
    for several in evidence.stored.values():
        for stored in several:
            decided_us = evidence.decided_at_us(stored)
            for symbol, price in _prices(stored.record).items():
                if not _was(evidence, symbol, partial(_is_priced, price), (decided_us, decided_us)):
                    yield Violation(
                        Rule.MARKET,
                        f"request {stored.decider} traded {symbol} at {price}, which was not its price at {decided_us}",
                    )


def _prices(record: Record) -> dict[str, Price]:
    decision = record.decision
    match decision:
        case Fill() | Refusal():
            return dict(decision.circumstances.prices)
        case Transferred(price=price) if price is not None:
            return {decision.transfer.symbol: price}
        case _:
            return {}


def _refusals_with_reasons(evidence: Evidence) -> Found:
    for received in evidence.received:
        reason = _REASONS.get(received.answer.body)
        if reason is not None and isinstance(received.wanted, Order):
            wanted = evidence.history.asked[received.request].wanted
            orders = (
                [each for each in each_of(wanted) if isinstance(each, Order)]
                if _is_linked(evidence, received)
                else [received.wanted]
            )
            symbols = {symbol for order in orders for symbol in (order.symbol, order.other)}
            if not any(_was(evidence, symbol, reason, (received.sent_us, received.received_us)) for symbol in symbols):
                yield Violation(Rule.MARKET, f"request {received.request} received {received.answer.body} without a reason")


def _fresh(evidence: Evidence) -> Found:
    """Checks the age of each price by what the record itself says."""
    stale_s = evidence.history.plan.settings.price_stale_s
    if stale_s is None:
        return
    for several in evidence.stored.values():
        for stored in several:
            decision = stored.record.decision
            if isinstance(decision, Fill | Refusal):
                for symbol, price in decision.circumstances.prices.items():
                    age = datetime.fromisoformat(decision.at) - datetime.fromisoformat(price.at)
                    if symbol != UNIT_OF_ACCOUNT and age > timedelta(seconds=stale_s):
                        yield Violation(Rule.FRESH, f"request {stored.decider} traded {symbol} at a price from {age} before")
    for received in evidence.received:
        if received.answer.body == PriceStale.code and not _was_stale(evidence, received, stale_s):
            yield Violation(Rule.FRESH, f"request {received.request} received {received.answer.body} without a reason")


def _was_stale(evidence: Evidence, received: Received, stale_s: int) -> bool:
    """Returns whether an asset's price could be stale by a process's clock while it served a request."""
    age_us = evidence.history.plan.settings.price_age_ms * 1000
    clock = evidence.history.clocks[received.request]
    for order in each_of(evidence.history.asked[received.request].wanted):
        for symbol in {order.symbol, order.other} - {UNIT_OF_ACCOUNT} if isinstance(order, Order) else ():
            for (since_us, until_us), asset in evidence.of_asset(symbol):
                from_us, to_us = max(received.sent_us, since_us), min(received.received_us, until_us + age_us)
                if asset is not None and from_us <= to_us:
                    latest = MIDNIGHT + timedelta(microseconds=clock.latest_us(from_us, to_us), seconds=-stale_s)
                    if datetime.fromisoformat(asset.price_at) < latest:
                        return True
    return False


def _priced(evidence: Evidence) -> Found:
    """Checks the prices that feeds set, and the results that they got. The guard is the default, a fifth of the price."""
    ticks = {request: wanted for request, (_, wanted) in evidence.history.asked.items() if isinstance(wanted, Tick)}
    for symbol, listings in evidence.history.listed.items():
        for earlier, later in pairwise(listings):
            tick = ticks.get(later.sender)
            if tick is None or earlier.asset is None or later.asset is None:
                continue
            before, after = earlier.asset, later.asset
            if (symbol, after.price, after.price_at) != (tick.symbol, tick.price, tick.as_of) or after.price_at < before.price_at:
                yield Violation(Rule.PRICED, f"request {later.sender} set {symbol} to {after} after {before}")
            if 5 * abs(after.price - before.price) > before.price and not tick.allow_move:
                yield Violation(Rule.PRICED, f"request {later.sender} moved {symbol} from {before.price} to {after.price}")
    for priced in evidence.history.priced:
        if not any(_explains(priced, span, asset) for span, asset in evidence.of_asset(priced.tick.symbol)):
            yield Violation(Rule.PRICED, f"request {priced.request} got the result {priced.result} without a reason")


def _explains(priced: Priced, span: Span, asset: Asset | None) -> bool:
    """Returns whether a price's result follows from an asset as it was for a while: for `set`, from what it became."""
    tick = priced.tick
    if asset is None:
        return priced.result is PriceResult.UNKNOWN and _meet(span, (priced.sent_us, priced.received_us))
    match priced.result:
        case PriceResult.SET | PriceResult.UNCHANGED:  # perhaps by an earlier request, of which the answer was lost
            return (asset.price, asset.price_at) == (tick.price, tick.as_of) and span[0] <= priced.received_us
        case PriceResult.OLDER:
            reason = tick.as_of <= asset.price_at
        case PriceResult.HELD:
            reason = 5 * abs(tick.price - asset.price) > asset.price and not tick.allow_move
        case PriceResult.UNKNOWN:
            reason = False
    return reason and _meet(span, (priced.sent_us, priced.received_us))


def _candles(evidence: Evidence) -> Found:
    """Makes each symbol's candles again from the prices that were set, by the text of their times."""
    for symbol, listings in evidence.history.listed.items():
        if symbol == UNIT_OF_ACCOUNT:
            continue
        prices: dict[tuple[str, str], list[int]] = {}
        for earlier, (_, asset, _) in pairwise([Listed(0, None, ""), *listings]):
            if asset is None or (
                earlier.asset and (earlier.asset.price, earlier.asset.price_at) == (asset.price, asset.price_at)
            ):
                continue
            for interval, start in (("1m", asset.price_at[:16]), ("1h", asset.price_at[:13])):
                prices.setdefault((interval, start), []).append(asset.price)
        expected = {at: (each[0], max(each), min(each), each[-1], len(each)) for at, each in prices.items()}
        found = {
            (str(interval), candle.at.isoformat()[: 16 if interval == "1m" else 13]): candle[1:]
            for (interval, _), candle in evidence.history.candles.get(symbol, {}).items()
        }
        if found != expected:
            yield Violation(Rule.CANDLES, f"the candles of {symbol} are {found}, and its prices make {expected}")


def _same_price(one: Asset | None, other: Asset) -> bool:
    return one is not None and (one.price, one.price_at) == (other.price, other.price_at)


def _is_priced(price: Price, asset: Asset | None) -> bool:
    return asset is not None and (asset.price, asset.price_at) == (price.value, price.at)


def _is_unknown(asset: Asset | None) -> bool:
    return asset is None


def _is_halted(asset: Asset | None) -> bool:
    return asset is not None and asset.halted


_REASONS: dict[str, Callable[[Asset | None], bool]] = {AssetNotFound.code: _is_unknown, AssetHalted.code: _is_halted}


def _was(evidence: Evidence, symbol: str, like: Callable[[Asset | None], bool], span: Span) -> bool:
    """Returns true if an asset was like that at some moment of a time, or within a price's age before it."""
    age_us = evidence.history.plan.settings.price_age_ms * 1000
    return any(like(asset) and _meet(held, (span[0] - age_us, span[1])) for held, asset in evidence.of_asset(symbol))


def _valued(evidence: Evidence) -> Found:
    """Checks values by arithmetic of its own: half up is where twice the exact value lies within one of twice what is shown."""
    for seen in evidence.history.seen:
        if not isinstance(seen.what, Portfolio):
            continue
        shown, total = seen.what, 0
        if set(shown.positions) != set(shown.account.balances):
            yield Violation(Rule.VALUED, f"request {seen.request} was shown other positions than balances")
        for symbol, position in shown.positions.items():
            if not _was(evidence, symbol, partial(eq, position.asset), (seen.sent_us, seen.received_us)):
                yield Violation(Rule.VALUED, f"request {seen.request} was shown {symbol} at a price of another time")
            units = shown.account.balance_units(symbol)
            if position.quantity_units != units or position.cost_basis_units != shown.account.books.basis_units(symbol):
                yield Violation(Rule.VALUED, f"request {seen.request} was shown another position of {symbol} than the account's")
            if position.asset is None:
                continue
            value = position.value_units or 0
            total += value
            if not -PRICE_PER_USD <= 2 * (units * position.asset.price - value * PRICE_PER_USD) < PRICE_PER_USD:
                yield Violation(Rule.VALUED, f"request {seen.request} was shown {value} units of USD as the value of {symbol}")
        if shown.total_units != total:
            yield Violation(Rule.VALUED, f"request {seen.request} was shown a total that its values do not make")


def _in_time(evidence: Evidence) -> Found:
    budget_us = evidence.history.plan.settings.request_budget_ms * 1000
    for served in evidence.history.served:
        if served.took_us > budget_us + served.stalled_us:
            yield Violation(Rule.IN_TIME, f"request {served.request} took {served.took_us} us of {budget_us}")


def _one_at_a_time(evidence: Evidence) -> Found:
    for served in evidence.history.served:
        if served.overlapped is not None:
            yield Violation(
                Rule.ONE_AT_A_TIME,
                f"request {served.request}: its process had another transaction at account {served.overlapped}",
            )


def _prompt(evidence: Evidence) -> Found:
    if evidence.history.struck or evidence.history.undone:
        return
    for received in evidence.received:
        if not received.answer.final:
            yield Violation(Rule.PROMPT, f"request {received.request} receives {received.answer.body}, though nothing went wrong")
    budget_us = evidence.history.plan.settings.request_budget_ms * 1000
    for served in evidence.history.served:
        if served.took_us > budget_us / 4:
            yield Violation(Rule.PROMPT, f"request {served.request} took {served.took_us} us, though nothing went wrong")


def _resolved(evidence: Evidence) -> Found:
    for received in evidence.received:
        if received.last and not received.answer.final:
            yield Violation(Rule.RESOLVED, f"asked in calm weather, request {received.request} receives {received.answer.body}")


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
    _all_or_nothing,
    _market,
    _fresh,
    _priced,
    _candles,
    _valued,
    _in_time,
    _one_at_a_time,
    _prompt,
    _resolved,
)
"""From what is easiest to understand to what is hardest; each may take for granted what stands before it."""

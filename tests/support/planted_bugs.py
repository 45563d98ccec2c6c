"""Bugs as people would write them, each in a subclass of the real thing: what the simulator must catch.

`engine_with` puts one of them in its place.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib import engine
from chalicelib.config import Settings
from chalicelib.contract.errors import Contention, DatastoreUnavailable, EngineError, OrderDecided
from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Fill, Refusal, Void, Voided
from chalicelib.domain.money import PRICE_PER_USD
from chalicelib.domain.order import Order, Side
from chalicelib.domain.portfolio import Portfolio
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import StalePrice, Undecided
from chalicelib.domain.timestamps import rfc3339
from chalicelib.engine import Engine
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.runtime.world import Moment, World
from chalicelib.store.assets import AssetList, Change
from chalicelib.store.connection import Cancelled, Datastore, Unanswered
from chalicelib.store.history import History
from chalicelib.store.ledger import CommitResult, Committed, Entry, KeysTaken, Ledger, StaleAccount, Unused
from chalicelib.store.prices import PriceBook
from chalicelib.store.tables import Tables, number
from chalicelib.trading.account_cache import AccountCache
from chalicelib.trading.account_slot import AccountSlot
from chalicelib.trading.exactly_once import ExactlyOnce
from chalicelib.trading.execution import Executor, OrderDecider
from chalicelib.trading.instruction import Outcome, Refused
from chalicelib.trading.leader import Leader
from chalicelib.trading.listings import Listings, PriceResult
from chalicelib.trading.queries import Queries
from chalicelib.trading.request import Request
from chalicelib.trading.transfers import TransferDecider, Transfers
from chalicelib.trading.voids import VoidDecider, Voids
from simulation.process import Build


def engine_with(  # noqa: PLR0917
    ledger: type[Ledger] = Ledger,
    prices: type[PriceBook] = PriceBook,
    exactly_once: type[ExactlyOnce] = ExactlyOnce,
    executor: type[Executor] = Executor,
    accounts: type[AccountCache] = AccountCache,
    queries: type[Queries] = Queries,
    decider: Any = OrderDecider,
    voids: type[Voids] = Voids,
    listings: type[Listings] = Listings,
    assets: type[AssetList] = AssetList,
) -> Build:
    """Returns `chalicelib.engine.build` with another class or two."""

    def build(settings: Settings, datastore: Datastore, world: World) -> Engine:
        sound = engine.build(settings, datastore, world)
        tables = Tables.of(settings.table_prefix)
        planted = ledger(datastore, tables)
        book = prices(datastore, tables, settings.price_age_ms / 1000, world)
        once = exactly_once(planted, book, accounts(settings.cached_accounts, world))
        return replace(
            sound,
            ledger=planted,
            exactly_once=once,
            executor=executor(once, decider(world, settings.price_stale_s)),
            transfers=Transfers(once, TransferDecider(world)),
            voids=voids(once, VoidDecider(world)),
            listings=listings(assets(datastore, tables)),
            queries=queries(planted, History(datastore, tables), book, sound.queries.charts, world),
        )

    return build


# The transaction.


class NoConditionOnKey(Ledger):
    """A later writer overwrites the key's outcome."""

    def _put(self, record: Record) -> dict[str, Any]:
        action = super()._put(record)
        del action["Put"]["ConditionExpression"]
        return action


class VoidOverwrites(Ledger):
    """A void is stored whatever the key's outcome is."""

    def _put(self, record: Record) -> dict[str, Any]:
        action = super()._put(record)
        if isinstance(record.decision, Voided):
            del action["Put"]["ConditionExpression"]
        return action


class NoConditionOnHead(Ledger):
    """The account is put whatever it has become since it was read; only an overdraft is ruled out."""

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        return _without_conditions(super()._account_action(seen, after), "head")


class TakenTwice(Ledger):
    """The amount that an order gives away is taken from the stored balance once more."""

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        action = super()._account_action(seen, after)
        if "Put" in action:
            balances = action["Put"]["Item"]["balances"]["M"]
            for symbol, units in seen.balances.items():
                if after.balances[symbol] < units:
                    balances[symbol] = number(2 * after.balances[symbol] - units)
        return action


class SequenceForHead(Ledger):
    """The account's sequence is taken for its version. It is, until the table is restored."""

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        action = super()._account_action(seen, after)
        ((_, body),) = action.items()
        if seen.sequence > 0:
            body["ConditionExpression"] = body["ConditionExpression"].replace("#head = :seen", "#sequence >= :seen")
            body["ExpressionAttributeNames"]["#sequence"] = "sequence"
            body["ExpressionAttributeValues"][":seen"] = number(seen.sequence)
            del body["ExpressionAttributeNames"]["#head"]
        return action


class AccountReasonFirst(Ledger):
    """The account's reason is read before the key's."""

    def _cancellation_result(self, cancelled: Cancelled, user_id: int) -> CommitResult:
        answer = super()._cancellation_result(cancelled, user_id)
        match answer:
            case KeysTaken(_, account) if account is not None:
                return StaleAccount(account)
        return answer


class RefusalNotStored(Ledger):
    """A refusal moves no money, so why write it down?"""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, deadline: Deadline) -> CommitResult:
        if all(isinstance(entry, Record) and isinstance(entry.decision, Refusal) for entry in entries):
            return Committed()
        return super().commit(entries, seen, after, deadline)


class FactsNotPinned(Ledger):
    """Decisions made before the account moved on are appended to it as they are."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, deadline: Deadline) -> CommitResult:
        answer = super().commit(entries, seen, after, deadline)
        if not isinstance(answer, StaleAccount) or not all(isinstance(entry, Record) for entry in entries):
            return answer
        account, moved = answer.account, list[Entry]()
        for entry in entries:
            assert isinstance(entry, Record)
            decision = entry.decision
            if isinstance(decision, Fill) and any(
                account.balance_units(symbol) + units < 0 for symbol, units in decision.changes.items()
            ):
                return answer
            account, record = append(account, decision)
            moved.append(record)
        return super().commit(moved, answer.account, account, deadline)


class UnansweredMeansDone(Ledger):
    """The transaction was sent, so it will have been made."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, deadline: Deadline) -> CommitResult:
        try:
            return super().commit(entries, seen, after, deadline)
        except Unanswered:
            return Committed()


class AssetBeforeKey(Ledger):
    """404 and 409 for the asset's sake before anybody looked whether the key has an outcome."""

    def read_records(self, user_id: int, keys: Iterable[str], deadline: Deadline) -> dict[str, Record]:  # noqa: ARG002
        return {}


class EmptyAccountPinned(Ledger):
    """An account that nobody funded is pinned like any other: to its head, which it has not."""

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        action = super()._account_action(seen, after)
        ((_, body),) = action.items()
        if seen.sequence == 0:
            body["ConditionExpression"] = "#head = :seen"
            body.setdefault("ExpressionAttributeValues", {})[":seen"] = {"B": seen.head}
        return action


class ReasonsMistaken(Ledger):
    """The account's reason is taken for the first record's, and the other way round."""

    def _cancellation_result(self, cancelled: Cancelled, user_id: int) -> CommitResult:
        return super()._cancellation_result(Cancelled(cancelled.reasons[::-1]), user_id)


class TriesForEver(Ledger):
    """The same is sent until it goes through, which it never does once the account has moved on."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, _: Deadline) -> CommitResult:
        for_ever = Deadline(World(monotonic_s=lambda: 0), 0, 0)
        while isinstance(answer := super().commit(entries, seen, after, for_ever), StaleAccount):
            pass
        return answer


class RefusalFromTwoReads(Ledger):
    """A transfer is refused by an account that was read, and a key that was read after it."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, deadline: Deadline) -> CommitResult:
        keys = [entry.key for entry in entries if isinstance(entry, Unused)]
        if len(keys) < len(entries):
            return super().commit(entries, seen, after, deadline)
        records = self.read_records(seen.user_id, keys, deadline)
        return KeysTaken(records, None) if records else Committed()


class AccountFromMemory(Ledger):
    """An account is shown as the process first saw it."""

    def __init__(self, datastore: Datastore, tables: Tables) -> None:
        super().__init__(datastore, tables)
        self._seen: dict[int, Account] = {}

    def read_account(self, user_id: int, deadline: Deadline) -> Account:
        if user_id not in self._seen:
            self._seen[user_id] = super().read_account(user_id, deadline)
        return self._seen[user_id]


# Exactly once.


class Remembering:
    """A decider of one request's, which remembers what it could not decide."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.not_now: dict[Any, Undecided] = {}

    def symbols(self, instructions: Sequence[Any]) -> Iterable[str]:
        found: Iterable[str] = self.inner.symbols(instructions)
        return found

    def decide(self, instruction: Any, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        try:
            decided: tuple[Account, Record] = self.inner.decide(instruction, account, market, by)
        except Undecided as reason:
            self.not_now[instruction] = reason
            raise
        self.not_now.pop(instruction, None)
        return decided

    def decide_linked(self, instructions: Sequence[Any], account: Account, market: Mapping[str, Asset], by: str) -> Any:
        return self.inner.decide_linked(instructions, account, market, by)


class UnansweredMeansNothing(ExactlyOnce):
    """404 and 409 for the asset's sake after an attempt without an answer: the key reads as absent, so nothing happened."""

    def forgotten(self, instructions: Sequence[Any]) -> Sequence[Any]:
        return instructions

    def execute_all(
        self, instructions: Sequence[Any], decider: Any, deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        remembering = Remembering(decider)
        results = super().execute_all(instructions, remembering, deadline, linked=linked)
        if linked or deadline.remaining_s() < 0:  # what was not said for lack of time is said rightly
            return results
        forgotten = self.forgotten(instructions)
        return [
            remembering.not_now.get(each, result) if isinstance(result, DatastoreUnavailable) and each in forgotten else result
            for each, result in zip(instructions, results, strict=True)
        ]


class OnlyFirstRemembered(UnansweredMeansNothing):
    """After an attempt without an answer only the first order of a batch is remembered as one that may have happened."""

    def forgotten(self, instructions: Sequence[Any]) -> Sequence[Any]:
        return instructions[1:]


class UnansweredMeansBusy(ExactlyOnce):
    """409 at the deadline, though an attempt had no answer."""

    def execute_all(
        self, instructions: Sequence[Any], decider: Any, deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        results = super().execute_all(instructions, decider, deadline, linked=linked)
        return [Contention() if isinstance(result, DatastoreUnavailable) else result for result in results]


class BusyWithoutALook(ExactlyOnce):
    """409 at the deadline without a look at the keys: a conflict may have hidden that they are taken."""

    def _read_once(self, request: Request, user_id: int) -> None:  # noqa: ARG002
        for item in request.pending:
            item.result = DatastoreUnavailable() if item.unanswered or request.out_of_reach else Contention()


class DeadlineIgnored(ExactlyOnce):
    """A request tries for three times as long as it may."""

    def execute_all(
        self, instructions: Sequence[Any], decider: Any, deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        patient = Deadline(self.accounts._world, 3 * (deadline.remaining_s() + 3), 3)  # noqa: SLF001
        return super().execute_all(instructions, decider, patient, linked=linked)


class OnOneView(Remembering):
    """Decides every order on the account as it was before the first."""

    view: Account | None = None

    def symbols(self, instructions: Sequence[Any]) -> Iterable[str]:
        self.view = None
        return super().symbols(instructions)

    def decide(self, instruction: Any, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        self.view = self.view or account
        return super().decide(instruction, self.view, market, by)


class BatchOnOneView(ExactlyOnce):
    """Every order of a batch is decided on the account as it was before the first."""

    def execute_all(
        self, instructions: Sequence[Any], decider: Any, deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        return super().execute_all(instructions, OnOneView(decider), deadline, linked=linked)


class RefusedOnOneView(OnOneView):
    """Says of what the account does not cover what it held before the first."""

    def decide(self, instruction: Any, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        self.view = self.view or account
        _, record = self.inner.decide(instruction, self.view, market, by)
        if isinstance(record.decision, Refusal):
            return append(account, record.decision)
        decided: tuple[Account, Record] = self.inner.decide(instruction, account, market, by)
        return decided


class BatchRefusedOnOneView(ExactlyOnce):
    """An order of a batch that its account does not cover reports what that held before the batch."""

    def execute_all(
        self, instructions: Sequence[Any], decider: Any, deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        return super().execute_all(instructions, RefusedOnOneView(decider), deadline, linked=linked)


class UntilKnown(Remembering):
    """Gives up once fewer are asked for than at first."""

    asked = 0

    def symbols(self, instructions: Sequence[Any]) -> Iterable[str]:
        if len(instructions) < self.asked:
            raise DeadlineExceeded
        self.asked = len(instructions)
        return super().symbols(instructions)


class KnownStopsTheRest(ExactlyOnce):
    """Once some of a batch turns out to have an outcome already, the others are not tried any more."""

    def execute_all(
        self, instructions: Sequence[Any], decider: Any, deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        return super().execute_all(instructions, UntilKnown(decider), deadline, linked=linked)


# Several requests at one account.


class SwappedOutcomes(Leader):
    """Gives two requests each the outcome of the other."""

    def _committed(self, group: Sequence[Request]) -> None:
        super()._committed(group)
        if len(group) > 1:
            one, other = group[0].items[0], group[1].items[0]
            one.result, other.result = other.result, one.result


class AKeyTwice(Leader):
    """Looks for no key that another request has."""

    def _decide_each(self, request: Request, market: Any, account: Account, keys: set[str], undecidable: Any) -> Account:  # noqa: ARG002
        return super()._decide_each(request, market, account, set(), undecidable)


class RidersAnsweredFirst(Leader):
    """Lets its group go before it commits."""

    def _commit(self, group: Sequence[Request], entries: Sequence[Entry], seen: Account, after: Account) -> CommitResult:
        for request in group[1:]:
            turn = request.turn
            waiting = self.slot._waiting  # noqa: SLF001
            if request in waiting and turn is not None:
                waiting.remove(request)
                turn.release()
        return super()._commit(group, entries, seen, after)


class OutcomesSwapped(ExactlyOnce):
    """Each of two requests in one transaction gets the other's outcome."""

    def _leader(self, slot: AccountSlot, request: Request, user_id: int) -> Leader:
        return SwappedOutcomes(self.ledger, self.prices, slot, request, user_id)


class DuplicateInOneTransaction(ExactlyOnce):
    """Two requests with one key are put into one transaction, which DynamoDB refuses."""

    def _leader(self, slot: AccountSlot, request: Request, user_id: int) -> Leader:
        return AKeyTwice(self.ledger, self.prices, slot, request, user_id)


class AnsweredBeforeTheCommit(ExactlyOnce):
    """Those that ride along are let go before the transaction is sent."""

    def _leader(self, slot: AccountSlot, request: Request, user_id: int) -> Leader:
        return RidersAnsweredFirst(self.ledger, self.prices, slot, request, user_id)


class ForgetfulSlot(AccountSlot):
    """Passes over the first of several that wait."""

    def hand_over(self) -> None:
        if len(self._waiting) > 1:
            self._waiting.popleft()
        super().hand_over()


class AbandonedSlot(AccountSlot):
    """Is idle once a leader has ended, whoever waits."""

    def hand_over(self) -> None:
        self._led = False


class RiderForgotten(AccountCache):
    """The first of several that wait is passed over, and never looked at again."""

    def _new_slot(self) -> AccountSlot:
        return ForgetfulSlot(self._world)


class RidersLeftWaiting(AccountCache):
    """A leader that ends leaves those that wait to themselves."""

    def _new_slot(self) -> AccountSlot:
        return AbandonedSlot(self._world)


class EvictedInUse(AccountCache):
    """The account that was used least recently is forgotten, whoever is at it."""

    def _take(self, user_id: int) -> AccountSlot:
        slot = super()._take(user_id)
        while len(self._slots) > self._capacity:
            self._slots.popitem(last=False)
        return slot


# Orders and batches.


class EverythingIsNew(Executor):
    """Replays are not marked as such."""

    def execute(self, order: Order, deadline: Deadline) -> Outcome:
        return replace(super().execute(order, deadline), replayed=False)


class BatchBackwards(Executor):
    """The orders of a batch are decided from the last to the first."""

    def execute_batch(self, orders: Sequence[Order], deadline: Deadline) -> list[Outcome | Refused]:
        return super().execute_batch(orders[::-1], deadline)[::-1]


class BatchReplayedAsOne(Executor):
    """A batch of which something was known is called a replay, all of it."""

    def execute_batch(self, orders: Sequence[Order], deadline: Deadline) -> list[Outcome | Refused]:
        results = super().execute_batch(orders, deadline)
        known = any(isinstance(result, Outcome) and result.replayed for result in results)
        return [replace(result, replayed=known) if isinstance(result, Outcome) else result for result in results]


class BatchOneByOne(Executor):
    """A batch is a loop over its orders, each in a transaction of its own."""

    def execute_batch(self, orders: Sequence[Order], deadline: Deadline) -> list[Outcome | Refused]:
        results: list[Outcome | Refused] = []
        for order in orders:
            try:
                results.append(self.execute(order, deadline))
            except (EngineError, Undecided) as error:
                results.append(error)
        return results


class LinkedHalfFilled(Executor):
    """An all-or-nothing batch is a batch like any other."""

    def execute_linked(self, orders: Sequence[Order], deadline: Deadline) -> list[Outcome]:
        outcomes = []
        for result in super().execute_batch(orders, deadline):
            if not isinstance(result, Outcome):
                raise result
            outcomes.append(result)
        return outcomes


class KnownFirst(Executor):
    """A batch's outcomes come as they are learned: the replayed ones first, whatever their place."""

    def execute_batch(self, orders: Sequence[Order], deadline: Deadline) -> list[Outcome | Refused]:
        results = super().execute_batch(orders, deadline)
        return sorted(results, key=lambda result: not (isinstance(result, Outcome) and result.replayed))


class KnownForAll(Executor):
    """A batch of which something was known is answered with that, all of it."""

    def execute_batch(self, orders: Sequence[Order], deadline: Deadline) -> list[Outcome | Refused]:
        results = super().execute_batch(orders, deadline)
        known = next((result for result in results if isinstance(result, Outcome) and result.replayed), None)
        return results if known is None else [known] * len(results)


class ExpiryIgnored(OrderDecider):
    """An order that has expired is decided as if it had not."""

    def decide(self, order: Order, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        if order.expires_at is None:
            return super().decide(order, account, market, by)
        _, record = super().decide(replace(order, expires_at=None), account, market, by)
        decision = record.decision
        assert isinstance(decision, Fill | Refusal)
        return append(account, replace(decision, order=order))


class ExpiryCheckedOnce(OrderDecider):
    """An order's expiry is looked at in its first attempt, and not in a later one."""

    def __init__(self, world: World, price_stale_s: int | None) -> None:
        super().__init__(world, price_stale_s)
        self._checked: set[Order] = set()

    def decide(self, order: Order, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        if order not in self._checked:
            self._checked.add(order)
            return super().decide(order, account, market, by)
        _, record = super().decide(replace(order, expires_at=None), account, market, by)
        decision = record.decision
        assert isinstance(decision, Fill | Refusal)
        return append(account, replace(decision, order=order))


class LimitAfterRounding(OrderDecider):
    """A limit is compared with the price as it is shown, at 8 decimals."""

    def decide(self, order: Order, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        if order.limit_price is None:
            return super().decide(order, account, market, by)
        if not {order.symbol, order.other} <= market.keys():
            return super().decide(order, account, market, by)
        price, limit = market[order.symbol].price * PRICE_PER_USD // market[order.other].price, order.limit_price
        shown, limit = round(price, -8), round(limit, -8)
        if (shown > limit) if order.side is Side.BUY else (shown < limit):
            return super().decide(order, account, market, by)
        _, record = super().decide(replace(order, limit_price=None), account, market, by)
        decision = record.decision
        assert isinstance(decision, Fill | Refusal)
        return append(account, replace(decision, order=order))


class NotionalOverspent(OrderDecider):
    """A notional buys one unit more than it covers."""

    def decide(self, order: Order, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        if order.notional is None or order.notional.units is None:
            return super().decide(order, account, market, by)
        more = replace(order.notional, units=order.notional.units + 1)
        _, record = super().decide(replace(order, notional=more), account, market, by)
        decision = record.decision
        assert isinstance(decision, Fill | Refusal)
        return append(account, replace(decision, order=order))


class AnswersVoided(Voids):
    """A void that finds an outcome under its key is answered as if it had come first."""

    def make(self, void: Void, deadline: Deadline) -> Outcome:
        try:
            return super().make(void, deadline)
        except OrderDecided:
            account = self.exactly_once.ledger.read_account(void.user_id, deadline)
            return Outcome(self.decider.decide(void, account, {}, "")[1], replayed=False)


# Prices and views.


class StaleFilled(OrderDecider):
    """However old the market's price is, it decides."""

    def __init__(self, world: World, price_stale_s: int | None) -> None:  # noqa: ARG002
        super().__init__(world)


class StaleByTheFirst(OrderDecider):
    """The age of the market's prices is looked at as of when they are asked for, not as of when they decide."""

    def symbols(self, orders: Sequence[Order]) -> Iterable[str]:
        self.asked_at = self.world.now()
        return super().symbols(orders)

    def decide(self, order: Order, account: Account, market: Mapping[str, Asset], by: str) -> tuple[Account, Record]:
        if self.price_stale_s is not None:
            oldest = rfc3339(self.asked_at - timedelta(seconds=self.price_stale_s))
            stale = {symbol: asset.price_at for symbol, asset in market.items() if symbol != "USD" and asset.price_at < oldest}
            if stale:
                raise StalePrice(stale, self.price_stale_s)
        return append(account, decide(order, account, market, self.world.now(), by))


class AgedFromItsArrival(PriceBook):
    """A copy of a price is as old as the answer that brought it, not as the question."""

    def _read(self, symbols: list[str], deadline: Deadline) -> dict[str, tuple[Moment, Asset | None]]:
        arrived = {symbol: (self._world.moment(), asset) for symbol, (_, asset) in super()._read(symbols, deadline).items()}
        self._remembered.update(arrived)
        return arrived


class PriceAtOfTheLast(PriceBook):
    """A new price comes with the time of the one before it."""

    def _read(self, symbols: list[str], deadline: Deadline) -> dict[str, tuple[Moment, Asset | None]]:
        before = {symbol: asset for symbol, (_, asset) in self._remembered.items()}
        read = super()._read(symbols, deadline)
        for symbol, (read_at, asset) in read.items():
            last = before.get(symbol)
            if asset is not None and last is not None and asset.price != last.price:
                self._remembered[symbol] = read[symbol] = read_at, replace(asset, price_at=last.price_at)
        return read


class HeldPriceSet(Listings):
    """A price moves as far as it is sent."""

    def set_prices(
        self, prices: Mapping[str, int], as_of: datetime, allow_move: Collection[str], deadline: Deadline
    ) -> dict[str, PriceResult]:
        return super().set_prices(prices, as_of, [*allow_move, *prices], deadline)


class TwoWritersOfOneCandle(AssetList):
    """A price is set whatever became of the asset since it was read."""

    def _asset_action(self, change: Change) -> tuple[str, dict[str, Any]]:
        operation, action = super()._asset_action(change)
        if change.before is None or change.after is None:
            return operation, action
        action["ConditionExpression"] = "attribute_exists(symbol)"
        for placeholders, unused in (
            ("ExpressionAttributeValues", {":seen", ":seen_at"}),
            ("ExpressionAttributeNames", {"#seen"}),
        ):
            action[placeholders] = {name: value for name, value in action[placeholders].items() if name not in unused}
        if "#price_at = " not in action["UpdateExpression"]:
            action["ExpressionAttributeNames"].pop("#price_at", None)
        return operation, action


class CandlesAfterThePrice(AssetList):
    """The candles that a price closes are stored after it, by a write of their own."""

    def _request(self, change: Change) -> tuple[str, dict[str, Any]]:
        operation, write = super()._request(change)
        if operation != "TransactWriteItems":
            return operation, write
        (kind, action), *_ = write["TransactItems"][0].items()
        return f"{kind}Item", action

    def apply(self, change: Change, deadline: Deadline) -> Change:
        made = super().apply(change, deadline)
        operation, write = super()._request(made)
        if operation == "TransactWriteItems":
            self._datastore.call(operation, {"TransactItems": write["TransactItems"][1:]})
        return made


class PricesForever(PriceBook):
    """Prices that were read once are used for ever."""

    def assets(self, symbols: Iterable[str], deadline: Deadline) -> dict[str, Asset]:
        self._max_age_s = 1e9
        return super().assets(symbols, deadline)


class AgedByMonotonic(PriceBook):
    """A price's age is measured by the monotonic clock alone, which may stand still."""

    def _is_fresh(self, since: Moment) -> bool:
        return self._world.monotonic_s() - since.monotonic_s <= self._max_age_s


class AgedByWall(PriceBook):
    """A price's age is measured by the wall clock alone, which may be set back."""

    def _is_fresh(self, since: Moment) -> bool:
        return self._world.now().timestamp() - since.wall_s <= self._max_age_s


class PricesFirst(Leader):
    """Reads the prices of an attempt before all else."""

    def _attempt(self, group: Sequence[Request]) -> None:
        self.market = super()._market(group)
        super()._attempt(group)

    def _market(self, group: Sequence[Request]) -> Mapping[str, Asset]:  # noqa: ARG002
        return self.market


class PricesBeforeTheAccount(ExactlyOnce):
    """Prices are read before the account, however long that takes, and not looked at again."""

    def _leader(self, slot: AccountSlot, request: Request, user_id: int) -> Leader:
        return PricesFirst(self.ledger, self.prices, slot, request, user_id)


class TwoAccountsInOneView(Queries):
    """A portfolio shows the account as it is after its values were worked out."""

    def portfolio(self, user_id: int, deadline: Deadline) -> Portfolio:
        shown = super().portfolio(user_id, deadline)
        try:
            return shown._replace(account=self.ledger.read_account(user_id, deadline))
        except Exception:  # noqa: BLE001  (then the view is as it was)
            return shown


class ValuedDown(Queries):
    """Values are rounded down."""

    def portfolio(self, user_id: int, deadline: Deadline) -> Portfolio:
        shown = super().portfolio(user_id, deadline)
        positions = {
            symbol: position
            if position.asset is None
            else position._replace(value_units=position.quantity_units * position.asset.price // PRICE_PER_USD)
            for symbol, position in shown.positions.items()
        }
        return shown._replace(positions=positions, total_units=sum(each.value_units or 0 for each in positions.values()))


def _without_conditions(action: dict[str, Any], *on: str) -> dict[str, Any]:
    """Returns an action without its conditions on the attributes named."""
    ((kind, body),) = action.items()
    kept = [test for test in body["ConditionExpression"].split(" AND ") if not any(f"#{name}" in test for name in on)]
    del body["ConditionExpression"]
    if kind == "ConditionCheck":
        kept = ["attribute_not_exists(nothing)"]
    if kept:
        body["ConditionExpression"] = " AND ".join(kept)
    used = set(re.findall(r"[#:]\w+", str(body.get("ConditionExpression"))))
    for placeholders in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        body[placeholders] = {name: meaning for name, meaning in body.get(placeholders, {}).items() if name in used}
    return action

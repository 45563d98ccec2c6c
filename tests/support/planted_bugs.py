"""Bugs as people would write them, each in a subclass of the real thing: what the simulator must catch.

`engine_with` puts one of them in its place.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from chalicelib import engine
from chalicelib.config import Settings
from chalicelib.contract.errors import Contention, DatastoreUnavailable, EngineError
from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.facts import Fill, Refusal
from chalicelib.domain.order import Order
from chalicelib.domain.portfolio import Portfolio
from chalicelib.domain.record import Record
from chalicelib.domain.refusals import Undecided
from chalicelib.engine import Engine
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.runtime.world import Moment, World
from chalicelib.store.connection import Cancelled, Datastore, Unanswered
from chalicelib.store.history import History
from chalicelib.store.ledger import CommitResult, Committed, Entry, KeysTaken, Ledger, StaleAccount, Unused
from chalicelib.store.prices import PriceBook
from chalicelib.store.tables import Tables, number
from chalicelib.trading.account_cache import AccountCache
from chalicelib.trading.account_slot import AccountSlot
from chalicelib.trading.exactly_once import ExactlyOnce
from chalicelib.trading.execution import Executor, OrderDecider
from chalicelib.trading.instruction import Decider, I_contra, Outcome, Refused
from chalicelib.trading.queries import Queries
from chalicelib.trading.request import Request
from chalicelib.trading.transfers import TransferDecider, Transfers
from simulation.process import Build


def engine_with(
    ledger: type[Ledger] = Ledger,
    *,
    prices: type[PriceBook] = PriceBook,
    accounts: type[AccountCache] = AccountCache,
    exactly_once: type[ExactlyOnce] = ExactlyOnce,
    executor: type[Executor] = Executor,
    queries: type[Queries] = Queries,
) -> Build:
    """`chalicelib.engine.build` with another class or two."""

    def build(settings: Settings, datastore: Datastore, world: World) -> Engine:
        sound = engine.build(settings, datastore, world)
        tables = Tables.of(settings.table_prefix)
        planted = ledger(datastore, tables)
        book = prices(datastore, tables, settings.price_age_ms / 1000, world)
        once = exactly_once(planted, accounts(settings.cached_accounts, world))
        return replace(
            sound,
            ledger=planted,
            exactly_once=once,
            executor=executor(once, OrderDecider(book, world)),
            transfers=Transfers(once, planted, TransferDecider(book, world)),
            queries=queries(planted, History(datastore, tables), book, world),
        )

    return build


class Wrapped:
    """A request's own decider around another: what a planted bug overrides."""

    def __init__(self, decider: Decider[Any]) -> None:
        self.decider = decider
        self.first: Account | None = None
        """The account on which the attempt under way decided first."""

    def prepare(self, instructions: Sequence[Any], deadline: Deadline) -> Any:
        self.first = None
        return self.decider.prepare(instructions, deadline)

    def decide(self, instruction: Any, account: Account, prepared: Any, by: str) -> tuple[Account, Record]:
        return self.decider.decide(instruction, account, prepared, by)


class NoConditionOnKey(Ledger):
    """Whoever comes later writes over the key's outcome."""

    def _put(self, record: Record) -> dict[str, Any]:
        action = super()._put(record)
        del action["Put"]["ConditionExpression"]
        return action


class NoConditionOnHead(Ledger):
    """The account is changed whatever it has become since it was read; only an overdraft is ruled out."""

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        return _without_conditions(super()._account_action(seen, after), "head")


class NoConditionOnAccount(Ledger):
    """Amounts are added and taken, whatever the account has become since it was read and whatever it holds."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, deadline: Deadline) -> CommitResult:
        now = self.read_account(seen.user_id, deadline)
        changed = {
            symbol: now.balance_units(symbol) + units - seen.balance_units(symbol) for symbol, units in after.balances.items()
        }
        books = replace(after.books, balances={**now.balances, **changed})
        return super().commit(entries, seen, replace(after, books=books), deadline)

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        return _without_conditions(super()._account_action(seen, after), "head", "b")


class SequenceForHead(Ledger):
    """The account's sequence is taken for its version. It is, until the table is restored."""

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        action = super()._account_action(seen, after)
        ((_, body),) = action.items()
        if seen.sequence > 0:
            body["ExpressionAttributeNames"]["#head"] = "sequence"
            body["ExpressionAttributeValues"][":seen"] = number(seen.sequence)
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
        kept = [entry for entry in entries if isinstance(entry, Unused) or not isinstance(entry.decision, Refusal)]
        return super().commit(kept, seen, after, deadline) if kept else Committed()


class ReplyNotPinned(Ledger):
    """Where the account has moved on and still covers the order, the order is filled after all: with the reply made before."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, deadline: Deadline) -> CommitResult:
        answer = super().commit(entries, seen, after, deadline)
        if not isinstance(answer, StaleAccount):
            return answer
        account, moved = answer.account, list[Entry]()
        for entry in entries:
            if not isinstance(entry, Record) or not isinstance(entry.decision, Fill):
                return answer
            changes = entry.decision.changes
            if any(account.balance_units(symbol) + units < 0 for symbol, units in changes.items()):
                return answer
            account, record = append(account, entry.decision)
            moved.append(record)
        return super().commit(moved, answer.account, account, deadline)


class Remembering(Wrapped):
    """Remembers what could not be decided."""

    def __init__(self, decider: Decider[Any]) -> None:
        super().__init__(decider)
        self.not_now: dict[Any, Undecided] = {}

    def decide(self, instruction: Any, account: Account, prepared: Any, by: str) -> tuple[Account, Record]:
        self.not_now.pop(instruction, None)
        try:
            return super().decide(instruction, account, prepared, by)
        except Undecided as reason:
            self.not_now[instruction] = reason
            raise


class UnansweredMeansNothing(ExactlyOnce):
    """404 and 409 for the asset's sake after an attempt without an answer: the key reads as absent, so nothing happened."""

    def forgotten(self, instructions: Sequence[I_contra]) -> Sequence[I_contra]:
        return instructions

    def execute_all(
        self, instructions: Sequence[I_contra], decider: Decider[I_contra], deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        remembering = Remembering(decider)
        results = super().execute_all(instructions, remembering, deadline, linked=linked)
        if deadline.remaining_s() < 0:  # what was not said for lack of time is said rightly
            return results
        forgotten = self.forgotten(instructions)
        return [
            remembering.not_now.get(each, result) if isinstance(result, DatastoreUnavailable) and each in forgotten else result
            for each, result in zip(instructions, results, strict=True)
        ]


class OnlyFirstRemembered(UnansweredMeansNothing):
    """After an attempt without an answer only the first order of a batch is remembered as one that may have happened."""

    def forgotten(self, instructions: Sequence[I_contra]) -> Sequence[I_contra]:
        return instructions[1:]


class UnansweredMeansBusy(ExactlyOnce):
    """409 at the deadline, though an attempt had no answer."""

    def execute_all(
        self, instructions: Sequence[I_contra], decider: Decider[I_contra], deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        results = super().execute_all(instructions, decider, deadline, linked=linked)
        return [Contention() if isinstance(result, DatastoreUnavailable) else result for result in results]


class BusyUnread(ExactlyOnce):
    """409 for a busy account, without a look whether an earlier request has stored the outcome."""

    def _read_once(self, request: Request, user_id: int) -> None:  # noqa: ARG002
        for item in request.pending:
            item.result = DatastoreUnavailable() if item.unanswered or request.out_of_reach else Contention()


class NoDeadline(ExactlyOnce):
    """Attempts are made for as long as it takes."""

    def execute_all(
        self, instructions: Sequence[I_contra], decider: Decider[I_contra], deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        endless = Deadline(deadline._world, 3_600, 0)  # noqa: SLF001
        return super().execute_all(instructions, decider, endless, linked=linked)


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


class EverythingIsNew(Executor):
    """Replays are not told from first answers."""

    def execute(self, order: Order, deadline: Deadline) -> Outcome:
        return replace(super().execute(order, deadline), replayed=False)


class OnOneView(Wrapped):
    """Decides every order of an attempt on the account as it was before the first."""

    def decide(self, instruction: Any, account: Account, prepared: Any, by: str) -> tuple[Account, Record]:
        self.first = self.first or account
        return super().decide(instruction, self.first, prepared, by)


class BatchOnOneView(ExactlyOnce):
    """Every order of a batch is decided on the account as it was before the first."""

    def execute_all(
        self, instructions: Sequence[I_contra], decider: Decider[I_contra], deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        return super().execute_all(instructions, OnOneView(decider), deadline, linked=linked)


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
            except EngineError as error:
                results.append(error)
        return results


class RefusedOnOneView(OnOneView):
    """Refuses on the account as it was before the first order of an attempt, and fills on the account as it is."""

    def decide(self, instruction: Any, account: Account, prepared: Any, by: str) -> tuple[Account, Record]:
        _, record = super().decide(instruction, account, prepared, by)
        if isinstance(record.decision, Refusal):
            return append(account, record.decision)
        return self.decider.decide(instruction, account, prepared, by)


class BatchRefusedOnOneView(ExactlyOnce):
    """An order of a batch that its account does not cover is told what that held before the batch."""

    def execute_all(
        self, instructions: Sequence[I_contra], decider: Decider[I_contra], deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        return super().execute_all(instructions, RefusedOnOneView(decider), deadline, linked=linked)


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


class UntilKnown(Wrapped):
    """Gives up once it is asked to prepare fewer than before."""

    def __init__(self, decider: Decider[Any], count: int) -> None:
        super().__init__(decider)
        self.count = count

    def prepare(self, instructions: Sequence[Any], deadline: Deadline) -> Any:
        if len(instructions) < self.count:
            raise DeadlineExceeded
        return super().prepare(instructions, deadline)


class KnownStopsTheRest(ExactlyOnce):
    """Once some of a batch turns out to have an outcome already, the others are not tried any more."""

    def execute_all(
        self, instructions: Sequence[I_contra], decider: Decider[I_contra], deadline: Deadline, *, linked: bool = False
    ) -> list[Outcome | Refused]:
        return super().execute_all(instructions, UntilKnown(decider, len(instructions)), deadline, linked=linked)


class UnusedName(Ledger):
    """Balances are named, whether or not one is given away: DynamoDB refuses what nothing uses."""

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        action = super()._account_action(seen, after)
        ((_, body),) = action.items()
        body["ExpressionAttributeNames"]["#b"] = "balances"
        return action


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


class PricesForever(PriceBook):
    """What was read once is taken to be so for ever."""

    def assets(self, symbols: Iterable[str], deadline: Deadline) -> dict[str, Asset]:
        self._max_age_s = 1e9
        return super().assets(symbols, deadline)


class AgedByMonotonic(PriceBook):
    """A price's age is measured by the monotonic clock alone, which stands still in a frozen Lambda."""

    def _is_fresh(self, since: Moment) -> bool:
        return self._world.monotonic_s() - since.monotonic_s <= self._max_age_s


class AgedByWall(PriceBook):
    """A price's age is measured by the wall clock alone, which somebody may set back."""

    def _is_fresh(self, since: Moment) -> bool:
        return self._world.now().timestamp() - since.wall_s <= self._max_age_s


class PricesOfRequest(PriceBook):
    """A request's prices are looked at once: that they were fresh before a slow read of the account is enough."""

    _given: tuple[Deadline, dict[str, Asset]] | None = None

    def assets(self, symbols: Iterable[str], deadline: Deadline) -> dict[str, Asset]:
        wanted = list(symbols)
        if self._given is not None and self._given[0] is deadline and self._given[1].keys() >= set(wanted):
            return self._given[1]
        self._given = deadline, super().assets(wanted, deadline)
        return self._given[1]


class SlotsInUseEvicted(AccountCache):
    """The least recently used slot is evicted, although somebody is at it."""

    def _leave(self, slot: AccountSlot) -> None:
        with self._lock:
            slot.users -= 1
            while len(self._slots) > self._capacity:
                self._slots.popitem(last=False)


class PortfolioOfTwoReads(Queries):
    """A portfolio's figures are of a second read of the account."""

    def portfolio(self, user_id: int, deadline: Deadline) -> Portfolio:
        before = super().portfolio(user_id, deadline)
        return super().portfolio(user_id, deadline)._replace(account=before.account)


class PortfolioRoundedDown(Queries):
    """Values are rounded down."""

    def portfolio(self, user_id: int, deadline: Deadline) -> Portfolio:
        portfolio = super().portfolio(user_id, deadline)
        positions = {
            symbol: position._replace(
                value_units=None if position.asset is None else position.quantity_units * position.asset.price // 10**16
            )
            for symbol, position in portfolio.positions.items()
        }
        total_units = sum(position.value_units or 0 for position in positions.values())
        return portfolio._replace(positions=positions, total_units=total_units)


class AccountFromMemory(Ledger):
    """An account is shown as the process first saw it."""

    def __init__(self, datastore: Datastore, tables: Tables) -> None:
        super().__init__(datastore, tables)
        self._seen: dict[int, Account] = {}

    def read_account(self, user_id: int, deadline: Deadline) -> Account:
        if user_id not in self._seen:
            self._seen[user_id] = super().read_account(user_id, deadline)
        return self._seen[user_id]


def _without_conditions(action: dict[str, Any], *on: str) -> dict[str, Any]:
    """An action without its conditions on the attributes named."""
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

"""Bugs as people would write them, each in a subclass of the real thing: what the simulator must catch.

`engine_with` puts one of them in its place.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from chalicelib import engine
from chalicelib.config import Settings
from chalicelib.domain.account import Account, Record, move
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import Asset
from chalicelib.engine import Engine
from chalicelib.contract.errors import Contention, DatastoreUnavailable, EngineError, Undecided
from chalicelib.trading.execution import Executor
from chalicelib.runtime.deadline import Patience, TimeUp, World
from chalicelib.trading.queries import Queries
from chalicelib.trading.exactly_once import AnyWanted, Decide, Decider, Outcome, Refusal, Settler
from chalicelib.store.connection import Cancelled, Datastore, Unanswered
from chalicelib.store.ledger import AccountMoved, CommitResult, Committed, Entry, KeysTaken, Ledger, Unused
from chalicelib.store.prices import PriceBook
from chalicelib.store.tables import Tables, number
from simulation.process import Build


def engine_with(
    ledger: type[Ledger] = Ledger,
    prices: type[PriceBook] = PriceBook,
    settler: type[Settler] = Settler,
    executor: type[Executor] = Executor,
) -> Build:
    """`chalicelib.engine.build` with another class or two."""

    def build(settings: Settings, datastore: Datastore, world: World) -> Engine:
        sound = engine.build(settings, datastore, world)
        tables = Tables.of(settings.table_prefix)
        planted = ledger(datastore, tables)
        book = prices(datastore, tables, settings.price_age_ms / 1000, world.monotonic_s)
        settling = settler(planted, sound.settler.accounts)
        return replace(
            sound,
            ledger=planted,
            settler=settling,
            executor=executor(settling, book, world),
            queries=Queries(planted, book, world),
        )

    return build


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

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        action = super()._account_action(seen, after)
        if after.sequence > seen.sequence > 0:
            updates = ["#head = :head", "#sequence = :sequence"]
            body = action["Update"]
            for placeholder, symbol in body["ExpressionAttributeNames"].items():
                if placeholder.startswith("#s") and placeholder != "#sequence":
                    index = placeholder.removeprefix("#s")
                    updates.append(f"#b.#s{index} = if_not_exists(#b.#s{index}, :zero) + :a{index}")
                    added = after.balances[symbol] - seen.balance_units(symbol)
                    body["ExpressionAttributeValues"] |= {":zero": number(0), f":a{index}": number(added)}
            body["UpdateExpression"] = "SET " + ", ".join(updates)
        return _without_conditions(action, "head", "b")


class SequenceForHead(Ledger):
    """The account's sequence is taken for its version. It is, until the table is restored."""

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        action = super()._account_action(seen, after)
        ((kind, body),) = action.items()
        if seen.sequence > 0:
            body["ConditionExpression"] = body["ConditionExpression"].replace("#head = :seen", "#sequence = :seen")
            body["ExpressionAttributeNames"]["#sequence"] = "sequence"
            body["ExpressionAttributeValues"][":seen"] = number(seen.sequence)
            if kind == "ConditionCheck":
                del body["ExpressionAttributeNames"]["#head"]
        return action


class AccountReasonFirst(Ledger):
    """The account's reason is read before the key's."""

    def _why(self, cancelled: Cancelled, user_id: int) -> CommitResult:
        answer = super()._why(cancelled, user_id)
        match answer:
            case KeysTaken(_, account) if account is not None:
                return AccountMoved(account)
        return answer


class RefusalNotStored(Ledger):
    """A refusal moves no money, so why write it down?"""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, patience: Patience) -> CommitResult:
        kept = [entry for entry in entries if isinstance(entry, Unused) or entry.movement is not None]
        return super().commit(kept, seen, after, patience) if kept else Committed()


class ReplyNotPinned(Ledger):
    """Where the account has moved on and still covers the order, the order is filled after all: with the reply made before."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, patience: Patience) -> CommitResult:
        answer = super().commit(entries, seen, after, patience)
        if not isinstance(answer, AccountMoved):
            return answer
        account, moved = answer.account, list[Entry]()
        for entry in entries:
            if not isinstance(entry, Record) or entry.movement is None:
                return answer
            changes = entry.movement.changes
            if any(account.balance_units(symbol) + units < 0 for symbol, units in changes.items()):
                return answer
            account, record = move(account, replace(entry, movement=None), changes)
            moved.append(record)
        return super().commit(moved, answer.account, account, patience)


class UnansweredMeansNothing(Settler):
    """404 and 409 for the asset's sake after an attempt without an answer: the key reads as absent, so nothing happened."""

    def forgotten(self, wanted: Sequence[AnyWanted]) -> Sequence[AnyWanted]:
        return wanted

    def settle_all(self, wanted: Sequence[AnyWanted], decider: Decider[AnyWanted], patience: Patience) -> list[Outcome | Refusal]:
        not_now: dict[AnyWanted, Undecided] = {}

        def remembered(pending: Sequence[AnyWanted]) -> Sequence[Decide | Undecided]:
            decides = decider(pending)
            for each, decide in zip(pending, decides, strict=True):
                if isinstance(decide, Undecided):
                    not_now[each] = decide
                else:
                    not_now.pop(each, None)
            return decides

        results = super().settle_all(wanted, remembered, patience)
        if patience.left_s() < 0:  # what was not said for lack of time is said rightly
            return results
        forgotten = self.forgotten(wanted)
        return [
            not_now.get(each, result) if isinstance(result, DatastoreUnavailable) and each in forgotten else result
            for each, result in zip(wanted, results, strict=True)
        ]


class OnlyFirstRemembered(UnansweredMeansNothing):
    """After an attempt without an answer only the first order of a batch is remembered as one that may have happened."""

    def forgotten(self, wanted: Sequence[AnyWanted]) -> Sequence[AnyWanted]:
        return wanted[1:]


class UnansweredMeansBusy(Settler):
    """409 at the deadline, though an attempt had no answer."""

    def settle_all(self, wanted: Sequence[AnyWanted], decider: Decider[AnyWanted], patience: Patience) -> list[Outcome | Refusal]:
        results = super().settle_all(wanted, decider, patience)
        return [Contention() if isinstance(result, DatastoreUnavailable) else result for result in results]


class UnansweredMeansDone(Ledger):
    """The transaction was sent, so it will have been made."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, patience: Patience) -> CommitResult:
        try:
            return super().commit(entries, seen, after, patience)
        except Unanswered:
            return Committed()


class AssetBeforeKey(Ledger):
    """404 and 409 for the asset's sake before anybody looked whether the key has an outcome."""

    def read_records(self, user_id: int, keys: Iterable[str], patience: Patience) -> dict[str, Record]:  # noqa: ARG002
        return {}


class EverythingIsNew(Executor):
    """Replays are not told from first answers."""

    def execute(self, order: Order, patience: Patience) -> Outcome:
        return replace(super().execute(order, patience), replayed=False)


class BatchOnOneView(Settler):
    """Every order of a batch is decided on the account as it was before the first."""

    def settle_all(self, wanted: Sequence[AnyWanted], decider: Decider[AnyWanted], patience: Patience) -> list[Outcome | Refusal]:
        def on_one_view(pending: Sequence[AnyWanted]) -> Sequence[Decide | Undecided]:
            views: list[Account] = []

            def decided(decide: Decide, account: Account) -> tuple[Account, Record]:
                views.append(account)
                return decide(views[0])

            return [decide if isinstance(decide, Undecided) else partial(decided, decide) for decide in decider(pending)]

        return super().settle_all(wanted, on_one_view, patience)


class BatchBackwards(Executor):
    """The orders of a batch are decided from the last to the first."""

    def execute_batch(self, orders: Sequence[Order], patience: Patience) -> list[Outcome | Refusal]:
        return super().execute_batch(orders[::-1], patience)[::-1]


class BatchReplayedAsOne(Executor):
    """A batch of which something was known is called a replay, all of it."""

    def execute_batch(self, orders: Sequence[Order], patience: Patience) -> list[Outcome | Refusal]:
        results = super().execute_batch(orders, patience)
        known = any(isinstance(result, Outcome) and result.replayed for result in results)
        return [replace(result, replayed=known) if isinstance(result, Outcome) else result for result in results]


class BatchOneByOne(Executor):
    """A batch is a loop over its orders, each in a transaction of its own."""

    def execute_batch(self, orders: Sequence[Order], patience: Patience) -> list[Outcome | Refusal]:
        results: list[Outcome | Refusal] = []
        for order in orders:
            try:
                results.append(self.execute(order, patience))
            except EngineError as error:
                results.append(error)
        return results


class BatchRefusedOnOneView(Settler):
    """An order of a batch that its account does not cover is told what that held before the batch."""

    def settle_all(self, wanted: Sequence[AnyWanted], decider: Decider[AnyWanted], patience: Patience) -> list[Outcome | Refusal]:
        def on_one_view(pending: Sequence[AnyWanted]) -> Sequence[Decide | Undecided]:
            views: list[Account] = []

            def decided(decide: Decide, account: Account) -> tuple[Account, Record]:
                views.append(account)
                _, record = decide(views[0])
                return decide(account) if record.movement is not None else (account, record)

            return [decide if isinstance(decide, Undecided) else partial(decided, decide) for decide in decider(pending)]

        return super().settle_all(wanted, on_one_view, patience)


class KnownFirst(Executor):
    """A batch's outcomes come as they are learned: the replayed ones first, whatever their place."""

    def execute_batch(self, orders: Sequence[Order], patience: Patience) -> list[Outcome | Refusal]:
        results = super().execute_batch(orders, patience)
        return sorted(results, key=lambda result: not (isinstance(result, Outcome) and result.replayed))


class KnownForAll(Executor):
    """A batch of which something was known is answered with that, all of it."""

    def execute_batch(self, orders: Sequence[Order], patience: Patience) -> list[Outcome | Refusal]:
        results = super().execute_batch(orders, patience)
        known = next((result for result in results if isinstance(result, Outcome) and result.replayed), None)
        return results if known is None else [known] * len(results)


class KnownStopsTheRest(Settler):
    """Once some of a batch turns out to have an outcome already, the others are not tried any more."""

    def settle_all(self, wanted: Sequence[AnyWanted], decider: Decider[AnyWanted], patience: Patience) -> list[Outcome | Refusal]:
        def until_known(pending: Sequence[AnyWanted]) -> Sequence[Decide | Undecided]:
            if len(pending) < len(wanted):
                raise TimeUp
            return decider(pending)

        return super().settle_all(wanted, until_known, patience)


class UnusedName(Ledger):
    """Balances are named, whether or not one is written: DynamoDB refuses a batch whose orders cancel out."""

    def _account_action(self, seen: Account, after: Account) -> dict[str, Any]:
        action = super()._account_action(seen, after)
        if "Update" in action and seen.sequence > 0:
            action["Update"]["ExpressionAttributeNames"]["#b"] = "balances"
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

    def _why(self, cancelled: Cancelled, user_id: int) -> CommitResult:
        return super()._why(Cancelled(cancelled.reasons[::-1]), user_id)


class TriesForEver(Ledger):
    """The same is sent until it goes through, which it never does once the account has moved on."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, _: Patience) -> CommitResult:
        for_ever = Patience(World(monotonic_s=lambda: 0), 0, 0)
        while isinstance(answer := super().commit(entries, seen, after, for_ever), AccountMoved):
            pass
        return answer


class RefusalFromTwoReads(Ledger):
    """A transfer is refused by an account that was read, and a key that was read after it."""

    def commit(self, entries: Sequence[Entry], seen: Account, after: Account, patience: Patience) -> CommitResult:
        keys = [entry.key for entry in entries if isinstance(entry, Unused)]
        if not keys:
            return super().commit(entries, seen, after, patience)
        records = self.read_records(seen.user_id, keys, patience)
        return KeysTaken(records, None) if records else Committed()


class PricesForever(PriceBook):
    """What was read once is taken to be so for ever."""

    def assets(self, symbols: Iterable[str], patience: Patience) -> dict[str, Asset]:
        self._max_age_s = 1e9
        return super().assets(symbols, patience)


class AccountFromMemory(Ledger):
    """An account is shown as the process first saw it."""

    def __init__(self, datastore: Datastore, tables: Tables) -> None:
        super().__init__(datastore, tables)
        self._seen: dict[int, Account] = {}

    def read_account(self, user_id: int, patience: Patience) -> Account:
        if user_id not in self._seen:
            self._seen[user_id] = super().read_account(user_id, patience)
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
    used = set(re.findall(r"[#:]\w+", f"{body.get('ConditionExpression')} {body.get('UpdateExpression')}"))
    for placeholders in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        body[placeholders] = {name: meaning for name, meaning in body.get(placeholders, {}).items() if name in used}
    return action

"""Bugs as people would write them, each in a subclass of the real thing: what the simulator must catch.

`engine_with` puts one of them in its place.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from chalicelib import engine
from chalicelib.config import Settings
from chalicelib.domain.account import Account, Movement, Record, move
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import Asset
from chalicelib.engine import Engine
from chalicelib.errors import Contention, DatastoreUnavailable, Undecided
from chalicelib.execution import Executor
from chalicelib.patience import Patience, World
from chalicelib.queries import Queries
from chalicelib.settlement import Decide, Outcome, Settler, Wanted
from chalicelib.store.connection import Cancelled, Datastore, Unanswered
from chalicelib.store.ledger import AccountMoved, CommitResult, Committed, KeyTaken, Ledger
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

    def _account_action(self, movement: Movement | None, seen: Account) -> dict[str, Any]:
        return _without_conditions(super()._account_action(movement, seen), "head")


class NoConditionOnAccount(Ledger):
    """Amounts are added and taken, whatever the account has become since it was read and whatever it holds."""

    def _account_action(self, movement: Movement | None, seen: Account) -> dict[str, Any]:
        action = super()._account_action(movement, seen)
        if movement is not None and seen.sequence > 0:
            updates = ["#head = :head", "#sequence = :sequence"]
            values = action["Update"]["ExpressionAttributeValues"]
            for index, units in enumerate(movement.changes.values()):
                updates.append(f"#balances.#s{index} = if_not_exists(#balances.#s{index}, :zero) + :a{index}")
                values |= {":zero": number(0), f":a{index}": number(units)}
            action["Update"]["UpdateExpression"] = "SET " + ", ".join(updates)
        return _without_conditions(action, "head", "balances")


class SequenceForHead(Ledger):
    """The account's sequence is taken for its version. It is, until the table is restored."""

    def _account_action(self, movement: Movement | None, seen: Account) -> dict[str, Any]:
        action = super()._account_action(movement, seen)
        ((_, body),) = action.items()
        if seen.sequence > 0:
            body["ConditionExpression"] = body["ConditionExpression"].replace("#head = :seen", "#sequence = :seen")
            body["ExpressionAttributeNames"]["#sequence"] = "sequence"
            body["ExpressionAttributeValues"][":seen"] = number(seen.sequence)
            if movement is None:
                del body["ExpressionAttributeNames"]["#head"]
        return action


class AccountReasonFirst(Ledger):
    """The account's reason is read before the key's."""

    def _why(self, cancelled: Cancelled, user_id: int) -> CommitResult:
        answer = super()._why(cancelled, user_id)
        match answer:
            case KeyTaken(_, account) if account is not None:
                return AccountMoved(account)
        return answer


class RefusalNotStored(Ledger):
    """A refusal moves no money, so why write it down?"""

    def commit(self, record: Record, seen: Account, patience: Patience) -> CommitResult:
        if record.movement is None:
            return Committed()
        return super().commit(record, seen, patience)


class ReplyNotPinned(Ledger):
    """Where the account has moved on and still covers the order, the order is filled after all: with the reply made before."""

    def commit(self, record: Record, seen: Account, patience: Patience) -> CommitResult:
        answer = super().commit(record, seen, patience)
        movement = record.movement
        if not isinstance(answer, AccountMoved) or movement is None:
            return answer
        if any(answer.account.balance_units(symbol) + units < 0 for symbol, units in movement.changes.items()):
            return answer
        _, moved = move(answer.account, replace(record, movement=None), movement.changes)
        return super().commit(moved, answer.account, patience)


class UnansweredMeansNothing(Settler):
    """404 and 409 for the asset's sake after an attempt without an answer: the key reads as absent, so nothing happened."""

    def _stored_outcome(
        self,
        wanted: Wanted,
        patience: Patience,
        unanswered: Sequence[Record],
        otherwise: Undecided,
    ) -> Record:
        try:
            return super()._stored_outcome(wanted, patience, unanswered, otherwise)
        except DatastoreUnavailable:
            raise otherwise from None


class UnansweredMeansBusy(Settler):
    """409 at the deadline, though an attempt had no answer."""

    def settle(self, wanted: Wanted, decider: Callable[[], Decide], patience: Patience) -> Outcome:
        try:
            return super().settle(wanted, decider, patience)
        except DatastoreUnavailable:
            raise Contention from None


class UnansweredMeansDone(Ledger):
    """The transaction was sent, so it will have been made."""

    def commit(self, record: Record, seen: Account, patience: Patience) -> CommitResult:
        try:
            return super().commit(record, seen, patience)
        except Unanswered:
            return Committed()


class AssetBeforeKey(Settler):
    """404 and 409 for the asset's sake before anybody looked whether the key has an outcome."""

    def _stored_outcome(
        self,
        wanted: Wanted,
        patience: Patience,
        unanswered: Sequence[Record],
        otherwise: Undecided,
    ) -> Record:
        if unanswered:
            return super()._stored_outcome(wanted, patience, unanswered, otherwise)
        raise otherwise


class EverythingIsNew(Executor):
    """Replays are not told from first answers."""

    def execute(self, order: Order, patience: Patience) -> Outcome:
        return replace(super().execute(order, patience), replayed=False)


class EmptyAccountPinned(Ledger):
    """An account that nobody funded is pinned like any other: to its head, which it has not."""

    def _account_action(self, movement: Movement | None, seen: Account) -> dict[str, Any]:
        action = super()._account_action(movement, seen)
        ((_, body),) = action.items()
        if seen.sequence == 0:
            body["ConditionExpression"] = "#head = :seen"
            body.setdefault("ExpressionAttributeValues", {})[":seen"] = {"B": seen.head}
        return action


class ReasonsMistaken(Ledger):
    """The account's reason is taken for the record's, and the other way round."""

    def _why(self, cancelled: Cancelled, user_id: int) -> CommitResult:
        return super()._why(Cancelled(cancelled.reasons[::-1]), user_id)


class TriesForEver(Ledger):
    """The same is sent until it goes through, which it never does once the account has moved on."""

    def commit(self, record: Record, seen: Account, _: Patience) -> CommitResult:
        for_ever = Patience(World(monotonic_s=lambda: 0), 0, 0)
        while isinstance(answer := super().commit(record, seen, for_ever), AccountMoved):
            pass
        return answer


class RefusalFromTwoReads(Ledger):
    """A transfer is refused by an account that was read, and a key that was read after it."""

    def confirm_unused(self, key: str, seen: Account, patience: Patience) -> CommitResult:
        stored = self.read_record(seen.user_id, key, patience)
        return Committed() if stored is None else KeyTaken(stored, None)


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

"""DynamoDB, simulated: a few operations with the semantics that its documentation gives them.

    TransactWriteItems   prepares its items one by one, each at a moment of its own: an item that another transaction holds is a
                         TransactionConflict; a condition that fails is a ConditionalCheckFailed, with the item as it was where
                         ALL_OLD asks for it; an item that passes is held. If all pass, the writes appear one by one; if not, none
                         does, and the answer gives every item's reason. A token that has committed commits nothing again.
    GetItem              one item as last committed, held or not.
    BatchGetItem, Scan   item by item, each as last committed at a moment of its own: no snapshot.
    Query                a symbol's candles, all at one moment: nothing here depends on more.
    UpdateItem,          one item at one moment: a TransactionConflictException where a transaction holds it, a
    DeleteItem           ConditionalCheckFailedException where the condition fails.

The semantics follow AWS's developer guide ("Amazon DynamoDB Transactions: How it works") and "Distributed Transactions at Scale
in Amazon DynamoDB" (USENIX ATC 2023).
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from botocore.exceptions import ClientError
from pynamodb.exceptions import CancellationReason

from chalicelib.local.schema import definitions
from chalicelib.store.connection import Cancelled, Item, Throttled, Unanswered
from chalicelib.store.tables import Tables
from simulation.expressions import InvalidRequest, NotSimulated, Scope, check_placeholders, condition, update
from simulation.journal import Journal, write_text
from simulation.scheduler import Scheduler

Key = tuple[str, ...]
"""An item's key: the values of its key attributes, in the schema's order."""

Place = tuple[str, Key]
"""An item's place: its table, and its key there."""

Reply = dict[str, Any] | Exception
"""DynamoDB's answer, or the error that the engine's connection makes of it."""

Receive = Callable[[Reply], None]
"""The callback of a caller that waits for an answer."""

HOP_US = 300
"""From one item to the next."""

PAGE = 2
"""Items on a page of a scan: small, so that there are several."""

MAX_ACTIONS = 100
_ACTION_FIELDS = {
    "Put": {"TableName", "Item"},
    "Update": {"TableName", "Key", "UpdateExpression"},
    "Delete": {"TableName", "Key"},
    "ConditionCheck": {"TableName", "Key", "ConditionExpression"},
}
_OPTIONAL_FIELDS = {
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValuesOnConditionCheckFailure",
}
_OPERATION_FIELDS = {
    "GetItem": {"TableName", "Key", "ConsistentRead"},
    "BatchGetItem": {"RequestItems"},
    "Scan": {"TableName", "ConsistentRead", "ExclusiveStartKey"},
    "Query": {
        "TableName",
        "ConsistentRead",
        "ScanIndexForward",
        "Limit",
        "KeyConditionExpression",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
    },
    "UpdateItem": _ACTION_FIELDS["Update"] | _OPTIONAL_FIELDS,
    "DeleteItem": _ACTION_FIELDS["Delete"] | _OPTIONAL_FIELDS,
    "TransactWriteItems": {"TransactItems", "ClientRequestToken"},
}


_BETWEEN = "symbol = :symbol AND #at BETWEEN :first AND :last"
"""The one condition of a query that is simulated."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it arrives. `sender`: the client's request it was made for.

    `throttled`: it is to be refused; `partly`: after it has begun. `dwell_us`: how long a transaction stays between its phases;
    `reverse`: whether it takes its items from the last to the first; `hides`: whether an answer that names a conflict names
    nothing else.
    """

    operation: str
    request: dict[str, Any]
    sender: str
    throttled: bool = False
    partly: bool = False
    dwell_us: int = 0
    reverse: bool = False
    hides: bool = False


class Write(NamedTuple):
    """One item's change, when it appeared, and for whose request. `item`: empty where it was deleted."""

    at_us: int
    sender: str
    table: str
    key: Key
    item: Item


@dataclass(slots=True)
class Snapshot:
    """Accounts and records, and the length of their log, at a moment at which no transaction was halfway."""

    tables: dict[str, dict[Key, Item]]
    log_length: int


@dataclass(slots=True)
class _Action:
    """One action of a transaction, taken apart."""

    kind: str
    body: dict[str, Any]
    table: str
    key: Key
    after: Item | None = None
    held: bool = False

    @property
    def place(self) -> Place:
        return self.table, self.key


class Database:
    """The tables."""

    def __init__(self, scheduler: Scheduler, prefix: str, journal: Journal) -> None:
        self._scheduler = scheduler
        self._journal = journal
        self._schemas = _schemas(prefix)
        names = Tables.of(prefix)
        self._restorable = (names.accounts, names.idempotency)
        self._market = (names.assets, names.candles)
        self.tables: dict[str, dict[Key, Item]] = {name: {} for name in self._schemas}
        self.log: list[Write] = []
        """Every write of accounts and records that stands, in the order in which they appeared."""
        self.market_log: list[Write] = []
        """Every write of assets and candles, in the order in which they appeared."""
        self.undone: list[Write] = []
        """Writes that a restore has undone."""
        self._held: set[Place] = set()
        self._tokens: dict[str, tuple[dict[str, Any], bool]] = {}
        self._committing = 0
        self._snapshot_due: Callable[[Snapshot], None] | None = None
        self._restores = 0

    def receive(self, call: Call, reply: Receive) -> None:
        """Takes a call as it arrives; `reply` is called when it is answered, which may be never."""
        self._scheduler.follow(self._serve(call, reply))

    def answer(self, call: Call) -> Reply:
        """Answers a call at once: all of its steps happen at this moment."""
        steps = self._steps(call)
        while True:
            try:
                next(steps)
            except StopIteration as finished:
                reply: Reply = finished.value
                return reply

    def put(self, table: str, item: Item) -> None:
        """Puts an item, at this moment and whoever holds it."""
        self.tables[table][self._key(table, item)] = item

    def snapshot(self, take: Callable[[Snapshot], None]) -> None:
        """Hands over a snapshot, at the next moment at which no transaction is halfway."""
        self._snapshot_due = take
        self._settle()

    def restore(self, snapshot: Snapshot) -> None:
        """Puts the tables back. Whatever was on its way through them is never answered."""
        self.tables |= {name: dict(items) for name, items in snapshot.tables.items()}
        self.undone += self.log[snapshot.log_length :]
        del self.log[snapshot.log_length :]
        self._held.clear()
        self._tokens.clear()
        self._committing = 0
        self._restores += 1

    def _serve(self, call: Call, reply: Receive) -> Generator[int, None, None]:
        restores = self._restores
        steps = self._steps(call)
        while True:
            try:
                delay_us = next(steps)
            except StopIteration as finished:
                reply(finished.value)
                return
            except InvalidRequest as error:
                reply(error)
                return
            yield delay_us
            if restores != self._restores:
                return

    def _steps(self, call: Call) -> Generator[int, None, Reply]:  # noqa: PLR0911  (a line an operation)
        _know(call.request, _OPERATION_FIELDS.get(call.operation, set()), call.operation)
        if call.throttled and not call.partly:
            return Throttled(f"{call.operation}: ThrottlingException")
        match call.operation:
            case "GetItem":
                return self._get(call.request)
            case "BatchGetItem":
                return (yield from self._batch_get(call))
            case "Scan":
                return (yield from self._scan(call))
            case "Query":
                return self._query(call.request)
            case "UpdateItem" | "DeleteItem":
                return self._write_one(call)
            case "TransactWriteItems":
                return (yield from self._transact(call))
            case _:
                raise NotSimulated(call.operation)

    def _get(self, request: dict[str, Any]) -> Reply:
        _require_consistent(request)
        item = self.tables[request["TableName"]].get(self._key(request["TableName"], request["Key"], exactly=True))
        return {} if item is None else {"Item": item}

    def _batch_get(self, call: Call) -> Generator[int, None, Reply]:
        found: dict[str, list[Item]] = {}
        unprocessed: dict[str, Any] = {}
        for table, wanted in call.request["RequestItems"].items():
            _know(wanted, {"Keys", "ConsistentRead"}, "BatchGetItem")
            _require_consistent(wanted)
            keys = wanted["Keys"]
            if not 0 < len(keys) <= MAX_ACTIONS or len({self._key(table, key, exactly=True) for key in keys}) < len(keys):
                raise InvalidRequest("1 to 100 keys, none of them twice")
            items = found.setdefault(table, [])
            for index, key in enumerate(keys):
                if call.throttled and index > 0:
                    unprocessed[table] = {**wanted, "Keys": keys[index:]}
                    break
                if index > 0:
                    yield HOP_US
                item = self.tables[table].get(self._key(table, key))
                if item is not None:
                    items.append(item)
            if call.reverse:  # the answer's order is nobody's promise
                items.reverse()
        return {"Responses": found, "UnprocessedKeys": unprocessed}

    def _scan(self, call: Call) -> Generator[int, None, Reply]:
        request = call.request
        _require_consistent(request)
        table = request["TableName"]
        start = request.get("ExclusiveStartKey")
        rest = sorted(self.tables[table])
        if start is not None:
            rest = [key for key in rest if key > self._key(table, start, exactly=True)]
        items: list[Item] = []
        for key in rest[:PAGE]:
            yield HOP_US
            item = self.tables[table].get(key)
            if item is not None:
                items.append(item)
        page: dict[str, Any] = {"Items": items}
        if len(rest) > PAGE:
            page["LastEvaluatedKey"] = {
                name: {kind: value} for (name, kind), value in zip(self._schemas[table], rest[PAGE - 1], strict=True)
            }
        return page

    def _query(self, request: dict[str, Any]) -> Reply:
        _require_consistent(request)
        if request["KeyConditionExpression"] != _BETWEEN or request["ScanIndexForward"] is not False:
            raise NotSimulated(f"a query of {request['KeyConditionExpression']!r}")
        table, values = request["TableName"], request["ExpressionAttributeValues"]
        first, last = (
            self._key(table, {"symbol": values[":symbol"], "at": values[end]}, exactly=True) for end in (":first", ":last")
        )
        newest_first = sorted((key for key in self.tables[table] if first <= key <= last), reverse=True)
        return {"Items": [self.tables[table][key] for key in newest_first[: request["Limit"]]]}

    def _write_one(self, call: Call) -> Reply:
        action = self._action(call.operation.removesuffix("Item"), call.request)
        reason = CancellationReason("Throttling") if call.throttled else self._prepare(action)
        if reason is not None and reason.code == "Throttling":
            return Throttled(f"{call.operation}: ThrottlingException")
        if reason is not None:
            error = {"Code": f"{reason.code}Exception", "Message": reason.message or ""}
            refused: Reply = ClientError({"Error": error}, call.operation)
            return refused
        assert action.after is not None, "it is a write"
        self._write(action.table, action.key, action.after, call.sender)
        self._let_go(action)
        return {}

    def _transact(self, call: Call) -> Generator[int, None, Reply]:
        actions = self._actions(call.request["TransactItems"])
        token = call.request["ClientRequestToken"]
        if token in self._tokens:
            first_request, finished = self._tokens[token]
            if first_request != call.request:
                raise InvalidRequest("IdempotentParameterMismatchException")
            return {} if finished else Unanswered("TransactWriteItems: TransactionInProgressException")
        self._tokens[token] = (call.request, False)
        in_turn = actions[::-1] if call.reverse else actions
        reasons = yield from self._prepare_all(in_turn, call)
        yield HOP_US + call.dwell_us
        if reasons:
            for action in actions:
                self._let_go(action)
            del self._tokens[token]
            if call.hides and any(reason.code == "TransactionConflict" for reason in reasons.values()):
                reasons = {place: reason for place, reason in reasons.items() if reason.code == "TransactionConflict"}
            return Cancelled([reasons.get(action.place) for action in actions])
        self._committing += 1
        for index, action in enumerate(in_turn):
            if index > 0:
                yield HOP_US + call.dwell_us
            if action.after is not None:
                self._write(action.table, action.key, action.after, call.sender)
            self._let_go(action)
        self._committing -= 1
        self._tokens[token] = (call.request, True)
        self._settle()
        return {}

    def _prepare_all(self, actions: list[_Action], call: Call) -> Generator[int, None, dict[Place, CancellationReason]]:
        """Prepares a transaction's items. Returns the reasons against it, by the items' places."""
        reasons = {}
        for index, action in enumerate(actions):
            if index > 0:
                yield HOP_US
            throttled = call.throttled and index == 0
            reason = CancellationReason("ThrottlingError") if throttled else self._prepare(action)
            if reason is not None:
                reasons[action.place] = reason
        return reasons

    def _actions(self, transact_items: list[dict[str, Any]]) -> list[_Action]:
        actions = []
        for transact_item in transact_items:
            ((kind, body),) = transact_item.items()
            actions.append(self._action(kind, body))
        touched = {action.place for action in actions}
        if not 0 < len(touched) == len(actions) <= MAX_ACTIONS:
            raise InvalidRequest("1 to 100 actions, no two of them on one item")
        return actions

    def _action(self, kind: str, body: dict[str, Any]) -> _Action:
        if kind not in _ACTION_FIELDS:
            raise NotSimulated(kind)
        _know(body, _ACTION_FIELDS[kind] | _OPTIONAL_FIELDS, kind)
        if not body.keys() >= _ACTION_FIELDS[kind]:
            raise InvalidRequest(f"{kind} without one of {sorted(_ACTION_FIELDS[kind])}")
        _check_expressions(body)
        table = body["TableName"]
        key = self._key(table, body["Item"]) if kind == "Put" else self._key(table, body["Key"], exactly=True)
        return _Action(kind, body, table, key)

    def _prepare(self, action: _Action) -> CancellationReason | None:
        """Checks an action's item and holds it, or says why not."""
        if action.place in self._held:
            return CancellationReason("TransactionConflict", "Transaction is ongoing for the item")
        body = action.body
        old = self.tables[action.table].get(action.key)
        names, values = body.get("ExpressionAttributeNames", {}), body.get("ExpressionAttributeValues", {})
        scope = Scope(old or {}, names, values)
        if "ConditionExpression" in body and not condition(body["ConditionExpression"]).holds(scope):
            shown = old if body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else None
            return CancellationReason("ConditionalCheckFailed", "The conditional request failed", shown)
        match action.kind:
            case "Put":
                action.after = body["Item"]
            case "Update":
                action.after = {**(old or {}), **body["Key"], **update(body["UpdateExpression"]).values(scope)}
            case "Delete":
                action.after = {}
        action.held = True
        self._held.add(action.place)
        return None

    def _let_go(self, action: _Action) -> None:
        if action.held:
            action.held = False
            self._held.discard(action.place)

    def _write(self, table: str, key: Key, item: Item, sender: str) -> None:
        if item:
            self.tables[table][key] = item
        else:
            self.tables[table].pop(key, None)
        self._journal("database", write_text, key, item)
        log = self.market_log if table in self._market else self.log
        log.append(Write(self._scheduler.now_us, sender, table, key, item))

    def _settle(self) -> None:
        if self._snapshot_due is not None and self._committing == 0:
            take, self._snapshot_due = self._snapshot_due, None
            take(Snapshot({name: dict(self.tables[name]) for name in self._restorable}, len(self.log)))

    def _key(self, table: str, attributes: Mapping[str, Mapping[str, Any]], *, exactly: bool = False) -> Key:
        schema = self._schemas[table]
        if exactly and len(attributes) != len(schema):
            raise InvalidRequest("The provided key element does not match the schema")
        try:
            return tuple([attributes[name][kind] for name, kind in schema])
        except KeyError:
            raise InvalidRequest("The provided key element does not match the schema") from None


@cache
def _schemas(prefix: str) -> dict[str, list[tuple[str, str]]]:
    """Returns each table's key attributes and their types, from the file that CloudFormation deploys."""
    schemas = {}
    for definition in definitions(prefix):
        types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in definition["AttributeDefinitions"]}
        schemas[definition["TableName"]] = [
            (part["AttributeName"], types[part["AttributeName"]]) for part in definition["KeySchema"]
        ]
    return schemas


def _check_expressions(body: dict[str, Any]) -> None:
    used: frozenset[str] = frozenset()
    if "ConditionExpression" in body:
        used |= condition(body["ConditionExpression"]).placeholders
    if "UpdateExpression" in body:
        used |= update(body["UpdateExpression"]).placeholders
    check_placeholders(used, body.get("ExpressionAttributeNames", {}), body.get("ExpressionAttributeValues", {}))


def _know(given: Mapping[str, Any], known: set[str], what: str) -> None:
    if not given.keys() <= known:
        raise NotSimulated(f"{what} with {sorted(given.keys() - known)}")


def _require_consistent(request: Mapping[str, Any]) -> None:
    if request.get("ConsistentRead") is not True:
        raise NotSimulated("an eventually consistent read")

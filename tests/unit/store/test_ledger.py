"""The ledger's requests, just as DynamoDB gets them, and what each answer to them means."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pytest
from pynamodb.exceptions import CancellationReason

from chalicelib.domain.account import Account, append
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Decision, Transfer
from chalicelib.domain.position import Books
from chalicelib.domain.record import Record
from chalicelib.domain.transfer import transfer
from chalicelib.runtime.deadline import Deadline, DeadlineExceeded
from chalicelib.store.connection import Cancelled, Item, Throttled, Unanswered
from chalicelib.store.ledger import CommitResult, Committed, Conflict, Entry, KeysTaken, Ledger, StaleAccount, Unused
from chalicelib.store.tables import Tables, item_from_account, item_from_record
from tests.support.faults import VirtualTime
from tests.unit.domain.builders import AT, SEED, account, asset, buy, sell, units

NOBODY = Account(7)
SEEN = account(USD="90000", BTC="4")
"""With a history of three decisions."""


def decided(seen: Account, *decisions: Callable[[Account], Decision]) -> tuple[Account, list[Record]]:
    """The account as these decisions leave it, and their records."""
    records = []
    for number, decision in enumerate(decisions):
        seen, record = append(seen, decision(seen))
        records.append(replace(record, key=f"{record.key}{number or ''}"))
    return seen, records


def filled(quantity: str, symbol: str = "BTC") -> Callable[[Account], Decision]:
    return lambda held: decide(buy(quantity, symbol), held, SEED, AT, "thread")


def sold(quantity: str, symbol: str = "BTC") -> Callable[[Account], Decision]:
    return lambda held: decide(sell(quantity, symbol), held, SEED, AT, "thread")


def transferred(amount: str, symbol: str = "USD") -> Callable[[Account], Decision]:
    return lambda held: transfer(held, Transfer(7, "k", symbol, units(amount)), SEED[symbol], AT)


REFUSED_AFTER, (REFUSAL,) = decided(SEEN, filled("3"))
"""Three BTC cost more than there is."""


@dataclass
class Stub:
    """A datastore that records its calls, and gives one answer."""

    answer: dict[str, Any] | Exception = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((operation, request))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def deadline(time: VirtualTime) -> Deadline:
    return Deadline(time.world, budget_s=20, call_worst_s=3)


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def ledger(stub: Stub) -> Ledger:
    return Ledger(stub, Tables.of("hft-x"))


# The one transaction.


class ActionsOf(Protocol):
    def __call__(self, entries: list[Entry], seen: Account, after: Account) -> list[dict[str, Any]]: ...


@pytest.fixture
def actions_of(ledger: Ledger, stub: Stub, deadline: Deadline) -> ActionsOf:
    """Returns what DynamoDB is asked to do, all or nothing, where entries are committed."""

    def actions_of(entries: list[Entry], seen: Account, after: Account) -> list[dict[str, Any]]:
        assert ledger.commit(entries, seen, after, deadline) == Committed()
        ((operation, request),) = stub.asked
        assert (operation, list(request)) == ("TransactWriteItems", ["TransactItems"])
        actions: list[dict[str, Any]] = request["TransactItems"]
        return actions

    return actions_of


def put(record: Record) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": "hft-x-idempotency",
            "Item": item_from_record(record),
            "ConditionExpression": "attribute_not_exists(idempotency_key)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def put_account(after: Account, condition: str, names: dict[str, str], values: Item) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": "hft-x-accounts",
            "Item": item_from_account(after),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def test_a_fill_puts_the_record_and_the_whole_account_if_nothing_else_happened(actions_of: ActionsOf) -> None:
    after, (record,) = decided(SEEN, filled("1"))

    assert actions_of([record], SEEN, after) == [
        put(record),
        put_account(
            after,
            "#head = :seen AND #b.#s0 >= :d0",
            {"#head": "head", "#b": "balances", "#s0": "USD"},
            {":seen": {"B": b"third"}, ":d0": {"N": "5000000000000"}},
        ),
    ]


def test_a_sale_and_a_debit_may_not_overdraw_what_they_take(actions_of: ActionsOf, stub: Stub) -> None:
    for decision, symbol, amount in ((sold("0.5"), "BTC", "50000000"), (transferred("-0.00000001"), "USD", "1")):
        stub.asked.clear()
        after, (record,) = decided(SEEN, decision)
        _, action = actions_of([record], SEEN, after)

        assert action["Put"]["ConditionExpression"].startswith("#head = :seen AND #b.#s")
        assert list(action["Put"]["ExpressionAttributeNames"].values()) == ["head", "balances", symbol]
        assert list(action["Put"]["ExpressionAttributeValues"].values()) == [{"B": b"third"}, {"N": amount}]


def test_a_refusal_is_a_link_of_the_chain_and_moves_no_balance(actions_of: ActionsOf) -> None:
    assert (REFUSED_AFTER.sequence, REFUSED_AFTER.balances) == (4, SEEN.balances)

    assert actions_of([REFUSAL], SEEN, REFUSED_AFTER) == [
        put(REFUSAL),
        put_account(REFUSED_AFTER, "#head = :seen", {"#head": "head"}, {":seen": {"B": b"third"}}),
    ]


@pytest.mark.parametrize("decision", [filled("1"), transferred("100")])
def test_the_first_decision_of_an_account_creates_it_if_there_is_none(
    actions_of: ActionsOf, decision: Callable[[Account], Decision]
) -> None:
    """Without values: DynamoDB refuses a request whose values are there and empty."""
    after, (record,) = decided(NOBODY, decision)
    expected = put_account(after, "attribute_not_exists(#head)", {"#head": "head"}, {})
    del expected["Put"]["ExpressionAttributeValues"]

    assert actions_of([record], NOBODY, after) == [put(record), expected]


def test_a_key_is_confirmed_to_be_unused_while_its_account_is_as_seen(actions_of: ActionsOf) -> None:
    """Two condition checks: nothing is stored."""
    assert actions_of([Unused("transfer#k")], SEEN, SEEN) == [
        {
            "ConditionCheck": {
                "TableName": "hft-x-idempotency",
                "Key": {"user_id": {"N": "7"}, "idempotency_key": {"S": "transfer#k"}},
                "ConditionExpression": "attribute_not_exists(idempotency_key)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
        {
            "ConditionCheck": {
                "TableName": "hft-x-accounts",
                "Key": {"user_id": {"N": "7"}},
                "ConditionExpression": "#head = :seen",
                "ExpressionAttributeNames": {"#head": "head"},
                "ExpressionAttributeValues": {":seen": {"B": b"third"}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    ]


def test_several_decisions_are_stored_with_the_account_as_the_last_leaves_it(actions_of: ActionsOf) -> None:
    """What comes and goes in between is nobody's debit: ETH is bought and sold again, USD is given twice and received once."""
    after, records = decided(SEEN, filled("1"), filled("2", "ETH"), sold("2", "ETH"), filled("9"))

    *stored, unused, action = actions_of([*records, Unused("order#unused")], SEEN, after)

    assert stored == [put(record) for record in records]
    assert unused["ConditionCheck"]["Key"]["idempotency_key"] == {"S": "order#unused"}
    assert action == put_account(
        after,
        "#head = :seen AND #b.#s0 >= :d0",
        {"#head": "head", "#b": "balances", "#s0": "USD"},
        {":seen": {"B": b"third"}, ":d0": {"N": "5000000000000"}},
    )


def test_what_is_bought_and_sold_again_names_no_balance(actions_of: ActionsOf) -> None:
    """DynamoDB refuses a request that names what it does not use."""
    after, records = decided(SEEN, filled("1"), sold("1"))

    *_, action = actions_of(list(records), SEEN, after)

    assert action == put_account(after, "#head = :seen", {"#head": "head"}, {":seen": {"B": b"third"}})


def test_a_transaction_over_as_many_assets_as_99_orders_can_name_is_one_that_dynamodb_takes(actions_of: ActionsOf) -> None:
    """100 actions; and in an expression 4,096 bytes, and 300 operators."""
    names = [f"{number:06}" for number in range(99)]
    rich = replace(SEEN, books=Books({f"PAYS{name}": 10**20 for name in names}, {}, 0))
    market = {symbol: asset(symbol, "1") for name in names for symbol in (f"PAYS{name}", f"BUYS{name}")}

    def paid(name: str) -> Callable[[Account], Decision]:
        return lambda held: decide(buy("1", f"BUYS{name}", f"PAYS{name}"), held, market, AT, "thread")

    after, records = decided(rich, *map(paid, names))
    actions = actions_of(list(records), rich, after)

    assert len(actions) == 100
    condition = actions[-1]["Put"]["ConditionExpression"]
    assert condition.count(">=") == 99
    assert len(condition) <= 4_096
    assert len(re.findall(r"=|AND", condition)) <= 300


# What a cancelled transaction says: every two reasons that can be there at once.

_, (STORED,) = decided(account(USD="1"), transferred("-1"))
HERE = replace(account(USD="30"), sequence=5, head=b"fifth")
OF_KEY = {
    "held": None,
    "failed": CancellationReason("ConditionalCheckFailed", raw_item=item_from_record(STORED)),
    "conflict": CancellationReason("TransactionConflict"),
    "throttled": CancellationReason("ThrottlingError"),
    "other": CancellationReason("ValidationError"),
}
OF_ACCOUNT = {
    "held": None,
    "moved": CancellationReason("ConditionalCheckFailed", raw_item=item_from_account(HERE)),
    "gone": CancellationReason("ConditionalCheckFailed"),
    "conflict": CancellationReason("TransactionConflict"),
    "throttled": CancellationReason("ProvisionedThroughputExceeded"),
    "other": CancellationReason("ItemCollectionSizeLimitExceeded"),
}
TAKEN, TAKEN_MOVED, TAKEN_GONE = (KeysTaken({STORED.key: STORED}, account) for account in (None, HERE, NOBODY))
IN_PART = KeysTaken({STORED.key: STORED}, None, complete=False)
"""Another key may be taken as well: its item was not looked at."""

MOVED, GONE, MET = StaleAccount(HERE), StaleAccount(NOBODY), Conflict()

# fmt: off
PRECEDENCE: dict[str, list[CommitResult | type[Exception]]] = {
    # of the account: held       moved        gone        conflict  throttled  other
    "held":          [Cancelled, MOVED,       GONE,       MET,      Throttled, Cancelled],
    "failed":        [TAKEN,     TAKEN_MOVED, TAKEN_GONE, IN_PART,  IN_PART,   IN_PART],
    "conflict":      [MET,       MOVED,       GONE,       MET,      MET,       MET],
    "throttled":     [Throttled, MOVED,       GONE,       MET,      Throttled, Throttled],
    "other":         [Cancelled, MOVED,       GONE,       MET,      Throttled, Cancelled],
}
# fmt: on


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        pytest.param([OF_KEY[key], reason], expected, id=f"key {key}, account {account}")
        for key, row in PRECEDENCE.items()
        for (account, reason), expected in zip(OF_ACCOUNT.items(), row, strict=True)
    ],
)
def test_the_reasons_of_a_cancelled_transaction_are_read_in_their_order(
    ledger: Ledger,
    stub: Stub,
    deadline: Deadline,
    reasons: list[CancellationReason | None],
    expected: CommitResult | type[Exception],
) -> None:
    """The key's outcome first, then the account as it is, then that two met, then that it was too much; all else is a bug."""
    stub.answer = Cancelled(reasons)

    if isinstance(expected, type):
        with pytest.raises(expected):
            ledger.commit([REFUSAL], SEEN, REFUSED_AFTER, deadline)
    else:
        assert ledger.commit([REFUSAL], SEEN, REFUSED_AFTER, deadline) == expected


def test_every_key_that_is_taken_is_returned(ledger: Ledger, stub: Stub, deadline: Deadline) -> None:
    another = replace(STORED, key="order#l")
    failed = [CancellationReason("ConditionalCheckFailed", raw_item=item_from_record(record)) for record in (STORED, another)]
    stub.answer = Cancelled([failed[0], None, failed[1], OF_ACCOUNT["moved"]])
    entries = [replace(REFUSAL, key=key) for key in (STORED.key, "order#new", another.key)]

    assert ledger.commit(entries, SEEN, REFUSED_AFTER, deadline) == KeysTaken({STORED.key: STORED, another.key: another}, HERE)


def test_a_throttled_transaction_names_its_reasons(ledger: Ledger, stub: Stub, deadline: Deadline) -> None:
    stub.answer = Cancelled([OF_KEY["throttled"], OF_ACCOUNT["throttled"]])

    with pytest.raises(Throttled, match=r"^ProvisionedThroughputExceeded, ThrottlingError$"):
        ledger.commit([REFUSAL], SEEN, REFUSED_AFTER, deadline)


@pytest.mark.parametrize("fault", [Throttled("too much"), Unanswered("silence"), LookupError("no such table")])
def test_what_is_not_the_transactions_answer_is_passed_on(
    ledger: Ledger, stub: Stub, deadline: Deadline, fault: Exception
) -> None:
    stub.answer = fault

    with pytest.raises(type(fault)) as raised:
        ledger.commit([REFUSAL], SEEN, REFUSED_AFTER, deadline)

    assert raised.value is fault


# The two reads.


def test_an_account_is_read_as_it_is_now(ledger: Ledger, stub: Stub, deadline: Deadline) -> None:
    stub.answer = {"Item": item_from_account(SEEN)}

    assert ledger.read_account(7, deadline) == SEEN
    assert stub.asked == [("GetItem", {"TableName": "hft-x-accounts", "Key": {"user_id": {"N": "7"}}, "ConsistentRead": True})]


def test_an_account_that_is_not_there_is_one_that_nobody_funded(ledger: Ledger, deadline: Deadline) -> None:
    assert ledger.read_account(7, deadline) == NOBODY


def test_records_are_read_as_they_are_now(ledger: Ledger, stub: Stub, deadline: Deadline) -> None:
    stub.answer = {"Responses": {"hft-x-idempotency": [item_from_record(REFUSAL)]}, "UnprocessedKeys": {}}

    assert ledger.read_records(7, ["order#k", "order#l"], deadline) == {"order#k": REFUSAL}
    keys = [{"user_id": {"N": "7"}, "idempotency_key": {"S": key}} for key in ("order#k", "order#l")]
    assert stub.asked == [
        ("BatchGetItem", {"RequestItems": {"hft-x-idempotency": {"Keys": keys, "ConsistentRead": True}}}),
    ]


def test_more_records_than_one_read_takes_are_read_in_several(ledger: Ledger, stub: Stub, deadline: Deadline) -> None:
    stub.answer = {"Responses": {}, "UnprocessedKeys": {}}

    assert ledger.read_records(7, [f"order#{number}" for number in range(101)], deadline) == {}
    sizes = [len(request["RequestItems"]["hft-x-idempotency"]["Keys"]) for _, request in stub.asked]
    assert sizes == [100, 1]


def test_a_read_that_was_left_half_done_is_a_throttled_one(ledger: Ledger, stub: Stub, deadline: Deadline) -> None:
    stub.answer = {"Responses": {"hft-x-idempotency": []}, "UnprocessedKeys": {"hft-x-idempotency": {"Keys": [{}]}}}

    with pytest.raises(Throttled, match=r"^BatchGetItem left keys unprocessed$"):
        ledger.read_records(7, ["order#k"], deadline)


@pytest.mark.parametrize(
    "ask",
    [
        lambda ledger, deadline: ledger.read_account(7, deadline),
        lambda ledger, deadline: ledger.read_records(7, ["order#k"], deadline),
        lambda ledger, deadline: ledger.commit([REFUSAL], SEEN, REFUSED_AFTER, deadline),
    ],
)
def test_nothing_is_sent_that_might_outlast_the_request(
    ledger: Ledger, stub: Stub, deadline: Deadline, time: VirtualTime, ask: Callable[[Ledger, Deadline], object]
) -> None:
    time.elapsed_s = 17.5

    with pytest.raises(DeadlineExceeded):
        ask(ledger, deadline)

    assert stub.asked == []

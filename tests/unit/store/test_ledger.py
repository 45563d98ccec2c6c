"""The ledger's requests, just as DynamoDB gets them, and what each answer to them means."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pytest
from pynamodb.exceptions import CancellationReason

from chalicelib.domain.account import Account, Movement, Record
from chalicelib.domain.pricing import Asset
from chalicelib.runtime.deadline import Patience, TimeUp
from chalicelib.store.connection import Cancelled, Item, Throttled, Unanswered
from chalicelib.store.ledger import AccountMoved, CommitResult, Committed, Conflict, Entry, KeysTaken, Ledger, Unused
from chalicelib.store.tables import Tables, account_from, asset_from, item_from_record, record_from
from tests.support.faults import VirtualTime

REFUSAL = Record(
    user_id=7,
    key="order#k",
    fingerprint="BUY 1.00000000 BTC WITH USD",
    status=402,
    reply='{"status": 402}',
    prices={"BTC": 5_000, "USD": 100},
    created_at="2026-01-01T00:00:00.000000Z",
)
NOBODY = Account(7)
SEEN = Account(7, {"USD": 90, "BTC": 4}, sequence=3, head=b"third")


def moving(changes: dict[str, int], sequence: int) -> Record:
    return replace(REFUSAL, status=200, reply="{}", movement=Movement(sequence, changes, b"next"))


def after(seen: Account, *entries: Entry) -> Account:
    """The account as these entries leave it."""
    account = seen
    for entry in entries:
        if isinstance(entry, Record) and entry.movement is not None:
            balances = dict(account.balances)
            for symbol, units in entry.movement.changes.items():
                balances[symbol] = account.balance_units(symbol) + units
            account = Account(seen.user_id, balances, entry.movement.sequence, entry.movement.head)
    return account


REFUSAL_ITEM: Item = {
    "user_id": {"N": "7"},
    "idempotency_key": {"S": "order#k"},
    "fingerprint": {"S": "BUY 1.00000000 BTC WITH USD"},
    "status": {"N": "402"},
    "reply": {"S": '{"status": 402}'},
    "prices": {"M": {"BTC": {"N": "5000"}, "USD": {"N": "100"}}},
    "created_at": {"S": "2026-01-01T00:00:00.000000Z"},
}
SEEN_ITEM: Item = {
    "user_id": {"N": "7"},
    "balances": {"M": {"USD": {"N": "90"}, "BTC": {"N": "4"}}},
    "sequence": {"N": "3"},
    "head": {"B": b"third"},
}


@dataclass
class Stub:
    """A datastore that writes down what it is asked, and answers as it is told."""

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
def patience(time: VirtualTime) -> Patience:
    return Patience(time.world, budget_s=20, call_worst_s=3)


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def ledger(stub: Stub) -> Ledger:
    return Ledger(stub, Tables.of("hft-x"))


def test_a_stage_has_three_tables_named_after_it() -> None:
    assert Tables.of("hft-x") == Tables(assets="hft-x-assets", accounts="hft-x-accounts", idempotency="hft-x-idempotency")


# The one transaction.


@pytest.fixture
def actions_of(ledger: Ledger, stub: Stub, patience: Patience) -> "ActionsOf":
    """What DynamoDB is asked to do, all or nothing, where entries are committed on an account as seen."""

    def actions_of(seen: Account, *entries: Entry) -> list[dict[str, Any]]:
        assert ledger.commit(entries, seen, after(seen, *entries), patience) == Committed()
        ((operation, request),) = stub.asked
        assert (operation, list(request)) == ("TransactWriteItems", ["TransactItems"])
        actions: list[dict[str, Any]] = request["TransactItems"]
        return actions

    return actions_of


class ActionsOf(Protocol):
    def __call__(self, seen: Account, *entries: Entry) -> list[dict[str, Any]]: ...


def put(item: Item) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": "hft-x-idempotency",
            "Item": item,
            "ConditionExpression": "attribute_not_exists(idempotency_key)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def put_moving(changes: dict[str, str], sequence: str) -> dict[str, Any]:
    moved: Item = {
        "status": {"N": "200"},
        "reply": {"S": "{}"},
        "sequence": {"N": sequence},
        "changes": {"M": {symbol: {"N": units} for symbol, units in changes.items()}},
        "head": {"B": b"next"},
    }
    return put(REFUSAL_ITEM | moved)


def test_a_fill_credits_what_was_bought_and_debits_what_was_paid_if_nothing_else_happened(actions_of: ActionsOf) -> None:
    assert actions_of(SEEN, moving({"ETH": 2, "USD": -60}, sequence=4)) == [
        put_moving({"ETH": "2", "USD": "-60"}, "4"),
        {
            "Update": {
                "TableName": "hft-x-accounts",
                "Key": {"user_id": {"N": "7"}},
                "ConditionExpression": "#head = :seen AND #b.#s0 >= :d0",
                "UpdateExpression": "SET #head = :head, #sequence = :sequence, #b.#s0 = :b0, #b.#s1 = :b1",
                "ExpressionAttributeNames": {
                    "#head": "head",
                    "#sequence": "sequence",
                    "#b": "balances",
                    "#s0": "USD",
                    "#s1": "ETH",
                },
                "ExpressionAttributeValues": {
                    ":seen": {"B": b"third"},
                    ":head": {"B": b"next"},
                    ":sequence": {"N": "4"},
                    ":b0": {"N": "30"},
                    ":d0": {"N": "60"},
                    ":b1": {"N": "2"},
                },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    ]


def test_what_is_bought_is_added_to_what_is_held(actions_of: ActionsOf) -> None:
    _, account = actions_of(SEEN, moving({"BTC": 2, "USD": -60}, sequence=4))

    values = account["Update"]["ExpressionAttributeValues"]
    assert (values[":b0"], values[":b1"]) == ({"N": "30"}, {"N": "6"})


def test_a_refusal_is_stored_if_the_account_is_still_the_one_that_was_too_poor(actions_of: ActionsOf) -> None:
    assert actions_of(SEEN, REFUSAL) == [
        put(REFUSAL_ITEM),
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


def test_a_key_is_confirmed_to_be_unused_while_its_account_is_as_seen(actions_of: ActionsOf) -> None:
    assert actions_of(SEEN, Unused("funding#k")) == [
        {
            "ConditionCheck": {
                "TableName": "hft-x-idempotency",
                "Key": {"user_id": {"N": "7"}, "idempotency_key": {"S": "funding#k"}},
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


def test_a_refusal_of_somebody_nobody_funded_is_stored_if_nobody_has_yet(actions_of: ActionsOf) -> None:
    """Without values: DynamoDB refuses a request whose values are there and empty."""
    assert actions_of(NOBODY, REFUSAL) == [
        put(REFUSAL_ITEM),
        {
            "ConditionCheck": {
                "TableName": "hft-x-accounts",
                "Key": {"user_id": {"N": "7"}},
                "ConditionExpression": "attribute_not_exists(#head)",
                "ExpressionAttributeNames": {"#head": "head"},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    ]


def test_the_first_funding_opens_the_account_if_there_is_none(actions_of: ActionsOf) -> None:
    assert actions_of(NOBODY, moving({"USD": 100}, sequence=1)) == [
        put_moving({"USD": "100"}, "1"),
        {
            "Update": {
                "TableName": "hft-x-accounts",
                "Key": {"user_id": {"N": "7"}},
                "ConditionExpression": "attribute_not_exists(#head)",
                "UpdateExpression": "SET #head = :head, #sequence = :sequence, #b = :balances",
                "ExpressionAttributeNames": {"#head": "head", "#sequence": "sequence", "#b": "balances"},
                "ExpressionAttributeValues": {
                    ":head": {"B": b"next"},
                    ":sequence": {"N": "1"},
                    ":balances": {"M": {"USD": {"N": "100"}}},
                },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    ]


def test_a_debit_takes_what_is_there(actions_of: ActionsOf) -> None:
    assert actions_of(SEEN, moving({"USD": -90}, sequence=4)) == [
        put_moving({"USD": "-90"}, "4"),
        {
            "Update": {
                "TableName": "hft-x-accounts",
                "Key": {"user_id": {"N": "7"}},
                "ConditionExpression": "#head = :seen AND #b.#s0 >= :d0",
                "UpdateExpression": "SET #head = :head, #sequence = :sequence, #b.#s0 = :b0",
                "ExpressionAttributeNames": {
                    "#head": "head",
                    "#sequence": "sequence",
                    "#b": "balances",
                    "#s0": "USD",
                },
                "ExpressionAttributeValues": {
                    ":seen": {"B": b"third"},
                    ":head": {"B": b"next"},
                    ":sequence": {"N": "4"},
                    ":b0": {"N": "0"},
                    ":d0": {"N": "90"},
                },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    ]


def test_the_smallest_debit_there_is_may_not_overdraw_either(actions_of: ActionsOf) -> None:
    _, account = actions_of(SEEN, moving({"USD": -1}, sequence=4))

    assert account["Update"]["ConditionExpression"] == "#head = :seen AND #b.#s0 >= :d0"
    assert account["Update"]["ExpressionAttributeValues"][":d0"] == {"N": "1"}


def test_several_decisions_are_stored_with_what_they_do_to_the_account_together(actions_of: ActionsOf) -> None:
    """The account is written once, as the last of them leaves it; what comes and goes in between is nobody's debit."""
    bought = replace(moving({"ETH": 2, "USD": -60}, sequence=4), key="order#bought")
    sold = replace(moving({"USD": 50, "ETH": -2}, sequence=5), key="order#sold")
    refused = replace(REFUSAL, key="order#refused")
    record_of_bought, record_of_refused, unused, record_of_sold, account = actions_of(
        SEEN, bought, refused, Unused("order#unused"), sold
    )

    assert [record_of_bought, record_of_refused, record_of_sold] == [
        put(item_from_record(record)) for record in (bought, refused, sold)
    ]
    assert unused["ConditionCheck"]["Key"]["idempotency_key"] == {"S": "order#unused"}
    assert account["Update"]["UpdateExpression"] == ("SET #head = :head, #sequence = :sequence, #b.#s0 = :b0, #b.#s1 = :b1")
    assert account["Update"]["ConditionExpression"] == "#head = :seen AND #b.#s0 >= :d0"
    assert (
        account["Update"]["ExpressionAttributeNames"] | {"#s0": "USD", "#s1": "ETH"}
        == (account["Update"]["ExpressionAttributeNames"])
    )
    assert account["Update"]["ExpressionAttributeValues"] == {
        ":seen": {"B": b"third"},
        ":head": {"B": b"next"},
        ":sequence": {"N": "5"},
        ":b0": {"N": "80"},
        ":d0": {"N": "10"},
        ":b1": {"N": "0"},
    }


def test_what_is_bought_and_sold_again_moves_the_head_and_names_no_balance(actions_of: ActionsOf) -> None:
    """DynamoDB refuses a request that names what it does not use."""
    bought = replace(moving({"BTC": 2, "USD": -60}, sequence=4), key="order#bought")
    sold = replace(moving({"USD": 60, "BTC": -2}, sequence=5), key="order#sold")
    *_, account = actions_of(SEEN, bought, sold)

    assert account["Update"]["UpdateExpression"] == "SET #head = :head, #sequence = :sequence"
    assert account["Update"]["ExpressionAttributeNames"] == {"#head": "head", "#sequence": "sequence"}


def test_a_transaction_over_as_many_assets_as_99_orders_can_concern_is_one_that_dynamodb_takes(actions_of: ActionsOf) -> None:
    """100 actions; and in each expression 4,096 bytes, and 300 operators."""
    rich = replace(SEEN, balances={f"PAYS{number:06}": 10**20 for number in range(99)})
    fills = [
        replace(moving({f"BUYS{number:06}": 1, f"PAYS{number:06}": -1}, sequence=4 + number), key=f"order#{number}")
        for number in range(99)
    ]

    actions = actions_of(rich, *fills)

    assert len(actions) == 100
    for expression in ("UpdateExpression", "ConditionExpression"):
        written = actions[-1]["Update"][expression]
        assert len(written) <= 4_096
        assert len(re.findall(r"=|AND", written)) <= 300


# What a cancelled transaction says: every two reasons that can stand at once.

STORED = moving({"USD": -1}, sequence=2)
HERE = Account(7, {"USD": 30}, sequence=5, head=b"fifth")
HERE_ITEM: Item = {
    "user_id": {"N": "7"},
    "balances": {"M": {"USD": {"N": "30"}}},
    "sequence": {"N": "5"},
    "head": {"B": b"fifth"},
}
OF_KEY = {
    "held": None,
    "failed": CancellationReason("ConditionalCheckFailed", raw_item=item_from_record(STORED)),
    "conflict": CancellationReason("TransactionConflict"),
    "throttled": CancellationReason("ThrottlingError"),
    "other": CancellationReason("ValidationError"),
}
OF_ACCOUNT = {
    "held": None,
    "moved": CancellationReason("ConditionalCheckFailed", raw_item=HERE_ITEM),
    "gone": CancellationReason("ConditionalCheckFailed"),
    "conflict": CancellationReason("TransactionConflict"),
    "throttled": CancellationReason("ProvisionedThroughputExceeded"),
    "other": CancellationReason("ItemCollectionSizeLimitExceeded"),
}
TAKEN, TAKEN_MOVED, TAKEN_GONE = (KeysTaken({STORED.key: STORED}, account) for account in (None, HERE, NOBODY))
MOVED, GONE, MET = AccountMoved(HERE), AccountMoved(NOBODY), Conflict()

# fmt: off
PRECEDENCE: dict[str, list[CommitResult | type[Exception]]] = {
    # of the account: held       moved        gone        conflict  throttled  other
    "held":          [Cancelled, MOVED,       GONE,       MET,      Throttled, Cancelled],
    "failed":        [TAKEN,     TAKEN_MOVED, TAKEN_GONE, TAKEN,    TAKEN,     TAKEN],
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
    patience: Patience,
    reasons: list[CancellationReason | None],
    expected: CommitResult | type[Exception],
) -> None:
    """The key's outcome first, then the account as it is, then that two met, then that it was too much; all else is a bug."""
    stub.answer = Cancelled(reasons)

    if isinstance(expected, type):
        with pytest.raises(expected):
            ledger.commit([REFUSAL], SEEN, SEEN, patience)
    else:
        assert ledger.commit([REFUSAL], SEEN, SEEN, patience) == expected


def test_every_key_that_is_taken_is_told(ledger: Ledger, stub: Stub, patience: Patience) -> None:
    another = replace(STORED, key="order#l")
    failed = [CancellationReason("ConditionalCheckFailed", raw_item=item_from_record(record)) for record in (STORED, another)]
    stub.answer = Cancelled([failed[0], None, failed[1], OF_ACCOUNT["moved"]])
    entries = [replace(REFUSAL, key=key) for key in (STORED.key, "order#new", another.key)]

    assert ledger.commit(entries, SEEN, SEEN, patience) == KeysTaken({STORED.key: STORED, another.key: another}, HERE)


def test_a_throttled_transaction_names_its_reasons(ledger: Ledger, stub: Stub, patience: Patience) -> None:
    stub.answer = Cancelled([OF_KEY["throttled"], OF_ACCOUNT["throttled"]])

    with pytest.raises(Throttled, match=r"^ProvisionedThroughputExceeded, ThrottlingError$"):
        ledger.commit([REFUSAL], SEEN, SEEN, patience)


@pytest.mark.parametrize("fault", [Throttled("too much"), Unanswered("silence"), LookupError("no such table")])
def test_what_is_no_answer_of_the_transactions_is_passed_on(
    ledger: Ledger, stub: Stub, patience: Patience, fault: Exception
) -> None:
    stub.answer = fault

    with pytest.raises(type(fault)) as raised:
        ledger.commit([REFUSAL], SEEN, SEEN, patience)

    assert raised.value is fault


# The two reads.


def test_an_account_is_read_as_it_is_now(ledger: Ledger, stub: Stub, patience: Patience) -> None:
    stub.answer = {"Item": SEEN_ITEM}

    assert ledger.read_account(7, patience) == SEEN
    assert stub.asked == [("GetItem", {"TableName": "hft-x-accounts", "Key": {"user_id": {"N": "7"}}, "ConsistentRead": True})]


def test_an_account_that_is_not_there_is_one_that_nobody_funded(ledger: Ledger, patience: Patience) -> None:
    assert ledger.read_account(7, patience) == NOBODY


def test_records_are_read_as_they_are_now(ledger: Ledger, stub: Stub, patience: Patience) -> None:
    stub.answer = {"Responses": {"hft-x-idempotency": [REFUSAL_ITEM]}, "UnprocessedKeys": {}}

    assert ledger.read_records(7, ["order#k", "order#l"], patience) == {"order#k": REFUSAL}
    keys = [{"user_id": {"N": "7"}, "idempotency_key": {"S": key}} for key in ("order#k", "order#l")]
    assert stub.asked == [
        ("BatchGetItem", {"RequestItems": {"hft-x-idempotency": {"Keys": keys, "ConsistentRead": True}}}),
    ]


def test_more_records_than_one_read_takes_are_read_in_several(ledger: Ledger, stub: Stub, patience: Patience) -> None:
    stub.answer = {"Responses": {}, "UnprocessedKeys": {}}

    assert ledger.read_records(7, [f"order#{number}" for number in range(101)], patience) == {}
    sizes = [len(request["RequestItems"]["hft-x-idempotency"]["Keys"]) for _, request in stub.asked]
    assert sizes == [100, 1]


def test_a_read_that_was_left_half_done_is_a_throttled_one(ledger: Ledger, stub: Stub, patience: Patience) -> None:
    stub.answer = {"Responses": {"hft-x-idempotency": []}, "UnprocessedKeys": {"hft-x-idempotency": {"Keys": [{}]}}}

    with pytest.raises(Throttled, match=r"^BatchGetItem left keys unprocessed$"):
        ledger.read_records(7, ["order#k"], patience)


@pytest.mark.parametrize(
    "ask",
    [
        lambda ledger, patience: ledger.read_account(7, patience),
        lambda ledger, patience: ledger.read_records(7, ["order#k"], patience),
        lambda ledger, patience: ledger.commit([REFUSAL], SEEN, SEEN, patience),
    ],
)
def test_nothing_is_sent_that_might_outlast_the_request(
    ledger: Ledger, stub: Stub, patience: Patience, time: VirtualTime, ask: Callable[[Ledger, Patience], object]
) -> None:
    time.elapsed_s = 17.5

    with pytest.raises(TimeUp):
        ask(ledger, patience)

    assert stub.asked == []


# Items.


@pytest.mark.parametrize("record", [REFUSAL, moving({"ETH": 10**38 - 1, "USD": -(10**38 - 1)}, sequence=10**20)])
def test_a_record_comes_back_as_it_was_stored(record: Record) -> None:
    assert record_from(item_from_record(record)) == record


def test_an_account_is_what_its_item_says() -> None:
    assert account_from(SEEN_ITEM) == SEEN


def test_an_asset_is_traded_unless_it_was_halted() -> None:
    item: Item = {"symbol": {"S": "BTC"}, "price": {"N": "5000"}}

    assert asset_from(item) == Asset("BTC", 5_000, halted=False)
    assert asset_from(item | {"halted": {"BOOL": False}}) == Asset("BTC", 5_000, halted=False)
    assert asset_from(item | {"halted": {"BOOL": True}}) == Asset("BTC", 5_000, halted=True)

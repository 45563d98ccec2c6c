"""The audit of stored accounts: tampering with the tables is found and named, trading that goes on meanwhile is not."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chalicelib.audit.discrepancy import Discrepancy, Kind
from chalicelib.audit.replay import replay
from chalicelib.domain.facts import Void
from chalicelib.domain.money import UNITS_PER_ONE, text_from
from chalicelib.domain.order import ALL, Amount, Order, Side
from chalicelib.domain.position import Books
from chalicelib.runtime.world import World
from chalicelib.store.connection import Item
from chalicelib.store.tables import account_key, item_from_account, number, record_key
from ops import spill
from ops import stage as ops_stage
from ops.audit import LOOK_AGAIN_S, Audited, Auditor
from ops.commands.audit import audit as command
from ops.stage import Stage
from tests.support.market import Market, new_user_id
from tests.support.tables import buy, with_tables_of_its_own
from tests.unit.audit.histories import BOOKS, LINKED_BOOKS, LINKED_TEXTS, TEXTS, USER, account_of, chained, rewritten

Facts = dict[str, Any]
NOBODY = 4_000_000_000_000_000_000
"""A user without an account."""

ONE_ETH = Amount(UNITS_PER_ONE, "1")


@pytest.fixture(scope="module")
def market(moto_market: Market) -> Market:
    """Tables for these tests alone, which damage them; each works on users of its own."""
    return with_tables_of_its_own(moto_market)


@pytest.fixture
def small_market(moto_market: Market) -> Market:
    """Tables for one test, which looks at everybody in them."""
    return with_tables_of_its_own(moto_market)


@pytest.fixture
def user(market: Market) -> int:
    return new_trader(market)


def new_trader(market: Market) -> int:
    """A user with six records: funded with USD, two purchases of ETH, a refusal, a sale, funded with SOL."""
    user = market.new_user(USD="100000")
    buy(market, user, 1, key="a", symbol="ETH")
    buy(market, user, 1, key="b", symbol="ETH")
    buy(market, user, 1_000, key="short")
    sale = Order(user, "c", "ETH", "USD", ONE_ETH, side=Side.SELL, limit_price=2_999 * 10**16)
    market.engine.executor.execute(sale, market.engine.deadline())
    market.fund(user, "SOL", "10")
    return user


def new_linked_trader(market: Market) -> int:
    """A user with seven records: funded with USD, a void, a batch of two that was filled, and one of three that was refused."""
    user, engine = market.new_user(USD="100000"), market.engine
    two, thousand = Amount(2 * UNITS_PER_ONE, "2"), Amount(1_000 * UNITS_PER_ONE, "1000")
    engine.voids.make(Void(user, "void"), engine.deadline())
    filled = [Order(user, "a", "ETH", "USD", two), Order(user, "b", "ETH", "USD", ONE_ETH, side=Side.SELL)]
    refused = [
        Order(user, "c", "ETH", "USD", ONE_ETH),
        Order(user, "d", "BTC", "USD", thousand),
        Order(user, "e", "ETH", "USD", Amount(None, ALL), side=Side.SELL),
    ]
    for orders in (filled, refused):
        engine.executor.execute_linked(orders, engine.deadline())
    return user


class Client:
    """A boto3 client that lets something happen just before its first call of a kind."""

    def __init__(self, inner: Any, **before: Callable[[], Any]) -> None:
        self._inner = inner
        self._before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def get_item(self, **request: Any) -> Any:
        self._let_happen("get_item")
        return self._inner.get_item(**request)

    def get_paginator(self, operation: str) -> Any:
        self._let_happen(operation)
        return self._inner.get_paginator(operation)

    def _let_happen(self, name: str) -> None:
        self._before.pop(name, lambda: None)()


def audit(
    market: Market,
    user: int,
    while_waiting: Callable[[], Any] = lambda: None,
    kept_heads: dict[int, bytes] | None = None,
    **before: Callable[[], Any],
) -> Audited | None:
    world = World(sleep_s=lambda _: while_waiting())
    return Auditor(Client(market.dynamodb, **before), market.tables, world).audit(user, kept_heads=kept_heads)


def not_waited() -> None:
    pytest.fail("there was nothing to look at again")


def found_in(audited: Audited | None) -> Discrepancy:
    assert audited is not None
    assert audited.discrepancy is not None
    return audited.discrepancy


# Honest accounts.


def test_an_account_of_its_records_passes_at_the_first_look(market: Market, user: int) -> None:
    assert audit(market, user, while_waiting=not_waited) == Audited(user, records=6, discrepancy=None)


def test_a_history_of_every_order_form_passes(market: Market) -> None:
    market.list_asset("FEE", "123.45", fee_bps="12.5", quantity_step="0.001")
    user = market.new_user(USD="100000", BTC="1")
    orders = [
        Order(user, "1", "FEE", "USD", Amount(1_500_000, "0.015")),
        Order(user, "2", "FEE", "BTC", notional=Amount(UNITS_PER_ONE // 2, "0.50")),
        Order(user, "3", "FEE", "USD", notional=Amount(None, ALL)),
        Order(user, "4", "FEE", "BTC", ONE_ETH, side=Side.SELL, limit_price=10**40),
        Order(user, "5", "FEE", "BTC", ONE_ETH, side=Side.SELL, expires_at="2026-01-01T00:00:00.000000Z"),
        Order(user, "6", "FEE", "BTC", Amount(None, ALL), side=Side.SELL),
        Order(user, "7", "FEE", "BTC", Amount(None, ALL), side=Side.SELL),
        Order(user, "8", "FEE", "BTC", notional=Amount(10**15, "10000000")),
    ]
    engine = market.engine
    for order in orders:
        engine.executor.execute(order, engine.deadline())
    market.fund(user, "USD", f"-{text_from(market.account(user).balance_units('USD'))}")
    engine.executor.execute(Order(user, "9", "FEE", "USD", notional=Amount(None, ALL)), engine.deadline())

    audited = audit(market, user, while_waiting=not_waited)

    assert audited == Audited(user, records=12, discrepancy=None)
    outcomes = {json.loads(record.text)["outcome"] for record in market.records(user)}
    assert {"ORDER_FILLED", "ERR_LIQUIDITY", "ERR_PRICE_LIMIT", "ERR_ORDER_EXPIRED", "ACCOUNT_DEBITED"} <= outcomes


def test_voids_and_batches_pass(market: Market) -> None:
    user = new_linked_trader(market)

    assert audit(market, user, while_waiting=not_waited) == Audited(user, records=7, discrepancy=None)
    outcomes = [json.loads(record.text)["outcome"] for record in market.records(user)]
    assert outcomes[1:4] == ["ORDER_VOIDED", "ORDER_FILLED", "ORDER_FILLED"]
    assert outcomes[4:] == ["ERR_LINKED_ORDER", "ERR_LIQUIDITY", "ERR_LINKED_ORDER"]


@pytest.mark.parametrize(("texts", "books"), [(TEXTS, BOOKS), (LINKED_TEXTS, LINKED_BOOKS)])
def test_a_history_written_by_hand_passes(small_market: Market, texts: tuple[str, ...], books: Books) -> None:
    """Not the engine's writer, and not its arithmetic."""
    records = chained(texts)
    for record in records:
        put_record(small_market, item_of(record))
    put_account(small_market, item_from_account(account_of(records, books)))

    assert audit(small_market, USER, while_waiting=not_waited) == Audited(USER, records=len(texts), discrepancy=None)


def test_an_account_of_refusals_alone_passes(market: Market) -> None:
    user = new_user_id()
    buy(market, user, 1)
    buy(market, user, 1)

    assert audit(market, user, while_waiting=not_waited) == Audited(user, records=2, discrepancy=None)


def test_a_user_without_account_and_records_is_not_an_audited_one(market: Market) -> None:
    assert audit(market, NOBODY, while_waiting=not_waited) is None


# Tampering, each done to the tables behind the engine's back.


def item_of(record: spill.StoredRecord) -> Item:
    return {
        **record_key(record.user_id, record.key),
        "sequence": number(record.sequence),
        "head": {"B": record.head},
        "record": {"S": record.text},
    }


def put_record(market: Market, item: Item) -> None:
    market.dynamodb.put_item(TableName=market.tables.idempotency, Item=item)


def put_account(market: Market, item: Item) -> None:
    market.dynamodb.put_item(TableName=market.tables.accounts, Item=item)


@dataclass
class Tampering:
    """Somebody with the tables, at one user's items."""

    market: Market
    user: int

    def records(self) -> list[Item]:
        """Every record's item, by sequence."""
        return [
            self.market.dynamodb.get_item(TableName=self.market.tables.idempotency, Key=record_key(self.user, record.key))["Item"]
            for record in self.market.records(self.user)
        ]

    def record(self, sequence: int) -> Item:
        return self.records()[sequence - 1]

    def delete(self, *sequences: int) -> None:
        records = self.records()
        for sequence in sequences:
            key = records[sequence - 1]["idempotency_key"]["S"]
            self.market.dynamodb.delete_item(TableName=self.market.tables.idempotency, Key=record_key(self.user, key))

    def account(self) -> Item:
        item: Item = self.market.dynamodb.get_item(TableName=self.market.tables.accounts, Key=account_key(self.user))["Item"]
        return item

    def delete_account(self) -> None:
        self.market.dynamodb.delete_item(TableName=self.market.tables.accounts, Key=account_key(self.user))

    def delete_everything(self) -> None:
        self.delete(*range(1, len(self.records()) + 1))
        self.delete_account()

    def alter_record(self, place: int, **attributes: Any) -> None:
        put_record(self.market, self.record(place) | attributes)

    def alter_account(self, **attributes: Any) -> None:
        put_account(self.market, self.account() | attributes)

    def alter_in_account(self, name: str, symbol: str, value: dict[str, str]) -> None:
        item = self.account()
        item[name]["M"][symbol] = value
        put_account(self.market, item)

    def alter_text(self, sequence: int, change: Callable[[Facts], Any]) -> None:
        text = rewritten(self.record(sequence)["record"]["S"], change)
        self.alter_record(sequence, record={"S": text})

    def alter_text_and_head(self, sequence: int, change: Callable[[Facts], Any]) -> None:
        text = rewritten(self.record(sequence)["record"]["S"], change)
        head = sha256(self.record(sequence - 1)["head"]["B"] + text.encode()).digest()
        self.alter_record(sequence, record={"S": text}, head={"B": head})

    def alter_text_and_chain(self, sequence: int, change: Callable[[Facts], Any]) -> None:
        """Alters a text, and computes every head after it anew, the account's too."""
        self.alter_text(sequence, change)
        head = b""
        for item in self.records():
            head = sha256(head + item["record"]["S"].encode()).digest()
            put_record(self.market, item | {"head": {"B": head}})
        self.alter_account(head={"B": head})

    def put_back_to(self, sequence: int) -> None:
        """Deletes all after a record, and puts the account back to what it was then."""
        records = self.records()
        replayed = replay(self.user, self.market.records(self.user)[:sequence])
        self.delete(*range(sequence + 1, len(records) + 1))
        self.alter_account(
            sequence=number(sequence),
            head={"B": replayed.head},
            balances={"M": {symbol: number(units) for symbol, units in replayed.balances.items()}},
            cost_basis={"M": {symbol: {"S": str(units)} for symbol, units in replayed.cost_basis.items()}},
            realized_pl={"S": str(replayed.realized_pl)},
        )


def swap(tampering: Tampering, one: int, other: int) -> None:
    first, second = tampering.record(one), tampering.record(other)
    put_record(tampering.market, first | {"sequence": second["sequence"]})
    put_record(tampering.market, second | {"sequence": first["sequence"]})


def copy(tampering: Tampering, sequence: int, key: str) -> None:
    put_record(tampering.market, tampering.record(sequence) | {"idempotency_key": {"S": key}})


def rename(tampering: Tampering, sequence: int, key: str) -> None:
    item = tampering.record(sequence)
    tampering.delete(sequence)
    put_record(tampering.market, item | {"idempotency_key": {"S": key}})


def receive_from_another(tampering: Tampering, sequence: int) -> None:
    """Puts another user's record in place of the user's own."""
    theirs = Tampering(tampering.market, new_trader(tampering.market)).record(sequence)
    tampering.delete(sequence)
    put_record(tampering.market, theirs | {"user_id": number(tampering.user)})


def filled(facts: Facts) -> None:
    facts["outcome"] = "ORDER_FILLED"
    del facts["needed"], facts["held"]
    facts["changes"] = {"BTC": "1000.00000000", "USD": "-50000000.00000000"}
    facts["balances"] = {"BTC": "1000.00000000", "USD": "0.00000000"}


def refused(facts: Facts) -> None:
    facts["outcome"] = "ERR_LIQUIDITY"
    del facts["changes"], facts["balances"]
    facts.update(needed="3000.00000000", held="97000.00000000")


def altered_amount(facts: Facts) -> None:
    facts["terms"]["quantity"] = "2"
    facts["changes"]["ETH"] = "2.00000000"
    facts["balances"]["ETH"] = "3.00000000"


AHEAD = "Were records deleted, or restored from an earlier time than the account?"
BEHIND = "Was the account deleted, or restored from an earlier time than its records?"
TAMPERINGS: list[tuple[str, Callable[[Tampering], Any], Kind, str]] = [
    ("first record deleted", lambda t: t.delete(1), Kind.SEQUENCE, "record 1 is missing: 2 comes next"),
    ("middle record deleted", lambda t: t.delete(3), Kind.SEQUENCE, "record 3 is missing: 4 comes next"),
    (
        "last record deleted",
        lambda t: t.delete(6),
        Kind.SEQUENCE,
        f"record 6 is missing: the account is at 6. {AHEAD}",
    ),
    ("refusal deleted", lambda t: t.delete(4), Kind.SEQUENCE, "record 4 is missing: 5 comes next"),
    (
        "every record deleted",
        lambda t: t.delete(1, 2, 3, 4, 5, 6),
        Kind.SEQUENCE,
        f"records 1 to 6 are missing: the account is at 6. {AHEAD}",
    ),
    (
        "amount altered",
        lambda t: t.alter_text(3, altered_amount),
        Kind.CHAIN,
        "record 3 is not as it was written, or not the one that followed the record before it",
    ),
    (
        "amount altered, its head computed anew",
        lambda t: t.alter_text_and_head(3, altered_amount),
        Kind.RECORD,
        "it cost 3000.00000000 USD before its fee, which its quantity and prices do not give",
    ),
    (
        "thread altered, its head computed anew",
        lambda t: t.alter_text_and_head(3, lambda facts: facts.update(by="Thread-9")),
        Kind.CHAIN,
        "record 4 is not as it was written, or not the one that followed the record before it",
    ),
    (
        "amount altered, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(3, altered_amount),
        Kind.RECORD,
        "it cost 3000.00000000 USD before its fee, which its quantity and prices do not give",
    ),
    (
        "refusal altered",
        lambda t: t.alter_text(4, lambda facts: facts.update(needed="94000.00000001")),
        Kind.CHAIN,
        "record 4 is not as it was written, or not the one that followed the record before it",
    ),
    (
        "refusal turned into a fill, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(4, filled),
        Kind.RECORD,
        "it leaves -49906000.00000000 USD",
    ),
    (
        "fill turned into a refusal, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(3, refused),
        Kind.RECORD,
        "it needed 3000.00000000 USD, which the balance of 97000.00000000 covers",
    ),
    (
        "price of a transfer altered, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(6, lambda facts: facts["prices"].update(SOL=["99.00000000", "2026-01-01T00:00:00Z"])),
        Kind.COST_BASIS,
        "the account's cost basis of SOL is 1000.00000000 USD, its records give 990.00000000",
    ),
    (
        "field added, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(2, lambda facts: facts.update(note="approved")),
        Kind.UNREADABLE,
        "its text has unknown fields: note",
    ),
    (
        "two records reordered",
        lambda t: swap(t, 2, 3),
        Kind.CHAIN,
        "record 2 is not as it was written, or not the one that followed the record before it",
    ),
    (
        "record doubled under another key",
        lambda t: copy(t, 3, "order#copy"),
        Kind.SEQUENCE,
        "record 3 appears twice: under order#b and order#copy",
    ),
    (
        "record moved to another key",
        lambda t: rename(t, 3, "order#other"),
        Kind.RECORD,
        "its text belongs under the key order#b",
    ),
    (
        "record moved to another user",
        lambda t: receive_from_another(t, 2),
        Kind.CHAIN,
        "record 2 is not as it was written, or not the one that followed the record before it",
    ),
    (
        "balance altered",
        lambda t: t.alter_in_account("balances", "USD", number(97_000_00000001)),
        Kind.BALANCES,
        "the account holds 97000.00000001 USD, its records give 97000.00000000",
    ),
    (
        "cost basis altered",
        lambda t: t.alter_in_account("cost_basis", "ETH", {"S": "1"}),
        Kind.COST_BASIS,
        "the account's cost basis of ETH is 0.00000001 USD, its records give 3000.00000000",
    ),
    (
        "realized profit altered",
        lambda t: t.alter_account(realized_pl={"S": "100000000"}),
        Kind.REALIZED_PL,
        "the account's realized profit or loss is 1.00000000 USD, its records give 0.00000000",
    ),
    (
        "account's head altered",
        lambda t: t.alter_account(head={"B": b"x" * 32}),
        Kind.CHAIN,
        "the account's head is not the one that its last record, 6, left",
    ),
    (
        "account put back to an earlier sequence",
        lambda t: t.alter_account(sequence=number(4)),
        Kind.SEQUENCE,
        f"the account is at 4, its records go on to 6. {BEHIND}",
    ),
    (
        "account deleted",
        lambda t: t.delete_account(),
        Kind.SEQUENCE,
        "there is no account, its records go on to 6. Was it deleted, or restored from an earlier time?",
    ),
    (
        "record of version 1.x",
        lambda t: put_record(
            t.market,
            {**record_key(t.user, "order#old"), "fingerprint": {"S": "BUY"}, "reply": {"S": "{}"}, "status": number(200)},
        ),
        Kind.FORM,
        "the record was stored by version 1.x, which this audit does not read",
    ),
    (
        "account of version 1.x",
        lambda t: put_account(
            t.market, {**account_key(t.user), "balances": {"M": {}}, "sequence": number(6), "head": t.account()["head"]}
        ),
        Kind.FORM,
        "the account was stored by version 1.x, which this audit does not read",
    ),
    (
        "account of a newer release",
        lambda t: t.alter_account(v=number(3)),
        Kind.FORM,
        "the account has form 3, written by a newer release; this audit reads form 2",
    ),
]
"""Kind of tampering, the deed, and how the audit names it."""


@pytest.mark.parametrize(("deed", "kind", "message"), [each[1:] for each in TAMPERINGS], ids=[each[0] for each in TAMPERINGS])
def test_tampering_is_found(market: Market, user: int, deed: Callable[[Tampering], Any], kind: Kind, message: str) -> None:
    deed(Tampering(market, user))

    found = found_in(audit(market, user))

    assert (found.kind, str(found)) == (kind, message)


def unfilled(facts: Facts) -> None:
    facts.update(outcome="ERR_LINKED_ORDER", failed=0)
    del facts["changes"], facts["balances"]


def refused_for_another(facts: Facts) -> None:
    facts.update(outcome="ERR_LINKED_ORDER", failed=1)
    del facts["needed"], facts["held"]


LINKED_TAMPERINGS: list[tuple[str, Callable[[Tampering], Any], Kind, str]] = [
    ("void deleted", lambda t: t.delete(2), Kind.SEQUENCE, "record 2 is missing: 3 comes next"),
    (
        "void altered",
        lambda t: t.alter_text(2, lambda facts: facts.update(key="another")),
        Kind.CHAIN,
        "record 2 is not as it was written, or not the one that followed the record before it",
    ),
    (
        "void altered, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(2, lambda facts: facts.update(key="another")),
        Kind.RECORD,
        "its text belongs under the key order#another",
    ),
    (
        "void moved to another key",
        lambda t: rename(t, 2, "order#another"),
        Kind.RECORD,
        "its text belongs under the key order#void",
    ),
    (
        "batch half filled, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(4, unfilled),
        Kind.RECORD,
        "it was not filled, though what came before it in its all-or-nothing batch of records 3 to 4 was",
    ),
    (
        "batch taken apart, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(4, lambda facts: facts.pop("linked")),
        Kind.RECORD,
        "it should be one of the all-or-nothing batch of records 3 to 4, and does not say so",
    ),
    (
        "another order named as the first that failed, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(7, lambda facts: facts.update(failed=0)),
        Kind.RECORD,
        "it was refused for record 5, but record 6 was the first that failed",
    ),
    (
        "reason of its own taken away, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(6, refused_for_another),
        Kind.RECORD,
        "it was refused for record 6, which is not another order of its batch, records 5 to 7",
    ),
    (
        "order before the one that failed altered, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(5, lambda facts: facts["terms"].update(quantity="2")),
        Kind.RECORD,
        "it says that the account held 94000.00000000 USD, its records give 91000.00000000",
    ),
    (
        "batch cut off, the account put back",
        lambda t: t.put_back_to(6),
        Kind.SEQUENCE,
        "the account and its records end at 6, within the all-or-nothing batch of records 5 to 7. Were both cut?",
    ),
]


@pytest.mark.parametrize(
    ("deed", "kind", "message"), [each[1:] for each in LINKED_TAMPERINGS], ids=[each[0] for each in LINKED_TAMPERINGS]
)
def test_tampering_with_voids_and_batches_is_found(
    market: Market, deed: Callable[[Tampering], Any], kind: Kind, message: str
) -> None:
    user = new_linked_trader(market)
    deed(Tampering(market, user))

    found = found_in(audit(market, user))

    assert (found.kind, str(found)) == (kind, message)


KEPT_HEAD_TAMPERINGS: list[tuple[str, Callable[[Tampering], Any], str]] = [
    (
        "text altered so that all agrees, the whole chain computed anew",
        lambda t: t.alter_text_and_chain(3, lambda facts: facts.update(by="Thread-9")),
        "the head after record 5 is {head}, but {kept} was kept: a record from 1 to 5 was altered, and the chain computed anew",
    ),
    (
        "last records deleted, the account put back",
        lambda t: t.put_back_to(4),
        "a head was kept of record 5, but the account and its records end at 4. Were both cut, or restored from an earlier time?",
    ),
    (
        "account and every record deleted",
        Tampering.delete_everything,
        "a head was kept of record 5, but the account and its records end at 0. Were both cut, or restored from an earlier time?",
    ),
]
"""Tampering that leaves everything in the tables in agreement: only a head that somebody kept finds it."""


@pytest.mark.parametrize(
    ("deed", "message"), [each[1:] for each in KEPT_HEAD_TAMPERINGS], ids=[each[0] for each in KEPT_HEAD_TAMPERINGS]
)
def test_tampering_that_leaves_no_trace_is_found_by_a_head_that_was_kept(
    market: Market, user: int, deed: Callable[[Tampering], Any], message: str
) -> None:
    tampering = Tampering(market, user)
    kept = tampering.record(5)["head"]["B"]
    assert audit(market, user, kept_heads={5: kept}) == Audited(user, records=6, discrepancy=None)

    deed(tampering)

    undetected, found = audit(market, user), found_in(audit(market, user, kept_heads={5: kept}))
    assert undetected is None or undetected.discrepancy is None
    records = tampering.records()
    head = records[4]["head"]["B"].hex() if len(records) > 4 else ""
    assert (found.kind, str(found)) == (Kind.HEAD, message.format(head=head, kept=kept.hex()))


def test_a_user_who_received_anothers_first_record_has_no_account(market: Market, user: int) -> None:
    other = new_user_id()
    put_record(market, Tampering(market, user).record(1) | {"user_id": number(other)})

    assert str(found_in(audit(market, other))).startswith("there is no account, its records go on to 1.")


# Items that the engine does not write.


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"note": {"S": ""}}, "the record's item has unknown attributes: note"),
        ({"head": {"S": "x"}}, "the record's item has head of the type S, not B"),
        ({"record": {"B": b"{}"}}, "the record's item has record of the type B, not S"),
        ({"sequence": number(0)}, "there is no record 0: the first is 1"),
        ({"sequence": {"N": "2.5"}}, "the record's item holds a number that the engine does not write"),
    ],
)
def test_a_record_that_the_engine_does_not_write_is_named(market: Market, user: int, attributes: Item, message: str) -> None:
    Tampering(market, user).alter_record(2, **attributes)

    found = found_in(audit(market, user))

    assert (found.key, str(found)) == ("order#a", message)


@pytest.mark.parametrize("name", ["sequence", "head", "record"])
def test_a_record_that_lacks_an_attribute_is_named(market: Market, user: int, name: str) -> None:
    item = Tampering(market, user).record(2)
    del item[name]
    put_record(market, item)

    found = found_in(audit(market, user))

    assert (found.kind, found.key, str(found)) == (Kind.UNREADABLE, "order#a", f"the record's item lacks {name}")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"note": {"S": ""}}, "the account's item has unknown attributes: note"),
        ({"sequence": {"S": "6"}}, "the account's item has sequence of the type S, not N"),
        ({"sequence": number(0)}, "the account's item holds a number that the engine does not write"),
        ({"v": number(1)}, "the account's item holds a number that the engine does not write"),
        ({"balances": {"M": {"USD": {"N": "0.5"}}}}, "the account's item holds a number that the engine does not write"),
        ({"cost_basis": {"M": {"ETH": {"N": "1"}}}}, "the account's item holds a number that the engine does not write"),
        ({"realized_pl": {"S": "1.00000000"}}, "the account's item holds a number that the engine does not write"),
    ],
)
def test_an_account_that_the_engine_does_not_write_is_named(market: Market, user: int, attributes: Item, message: str) -> None:
    Tampering(market, user).alter_account(**attributes)

    found = found_in(audit(market, user))

    assert (found.kind, str(found)) == (Kind.UNREADABLE, message)


@pytest.mark.parametrize("name", ["v", "balances", "cost_basis", "realized_pl", "sequence", "head"])
def test_an_account_that_lacks_an_attribute_is_named(market: Market, user: int, name: str) -> None:
    item = Tampering(market, user).account()
    del item[name]
    put_account(market, item)

    found = found_in(audit(market, user))

    assert (found.kind, str(found)) == (Kind.UNREADABLE, f"the account's item lacks {name}")


# A live account.


def test_an_order_between_the_two_reads_is_not_a_discrepancy(market: Market, user: int) -> None:
    audited = audit(market, user, while_waiting=not_waited, query=lambda: buy(market, user, 1))

    assert audited == Audited(user, records=6, discrepancy=None)


def test_an_account_that_is_opened_between_the_two_reads_is_not_a_discrepancy(market: Market) -> None:
    user = new_user_id()

    audited = audit(market, user, while_waiting=not_waited, query=lambda: market.fund(user, "USD", "1"))

    assert audited == Audited(user, records=0, discrepancy=None)


def test_a_record_that_is_seen_late_is_waited_for(market: Market, user: int) -> None:
    late = Tampering(market, user).record(3)
    Tampering(market, user).delete(3)

    audited = audit(market, user, while_waiting=lambda: put_record(market, late))

    assert audited == Audited(user, records=6, discrepancy=None)


def test_the_second_look_comes_after_a_while(market: Market, user: int) -> None:
    Tampering(market, user).delete(3)
    waits: list[float] = []

    Auditor(market.dynamodb, market.tables, World(sleep_s=waits.append)).audit(user)

    assert waits == [LOOK_AGAIN_S]


# Everybody.


def audit_all(market: Market) -> tuple[list[Audited], int]:
    steps: list[int] = []
    auditor = Auditor(market.dynamodb, market.tables, World(sleep_s=lambda _: None))
    return list(auditor.audit_all(steps.append)), sum(steps)


def test_all_means_each_account_once_and_counts_how_far_it_is(small_market: Market) -> None:
    user = new_trader(small_market)
    others = [small_market.new_user(USD="1") for _ in range(3)]
    Tampering(small_market, user).delete(3)

    audited, steps = audit_all(small_market)

    assert sorted(each.user_id for each in audited) == sorted([1, user, *others])
    assert [each.user_id for each in audited if each.discrepancy] == [user]
    assert steps == Auditor(small_market.dynamodb, small_market.tables).size()


def test_all_finds_records_whose_account_is_deleted(small_market: Market) -> None:
    user = new_trader(small_market)
    Tampering(small_market, user).delete_account()

    audited, _ = audit_all(small_market)

    (found,) = [each for each in audited if each.discrepancy]
    assert found.user_id == user
    assert str(found.discrepancy).startswith("there is no account, its records go on to 6.")


def test_all_finds_refusals_whose_account_is_deleted(small_market: Market) -> None:
    user = new_user_id()
    buy(small_market, user, 1)
    Tampering(small_market, user).delete_account()

    audited, _ = audit_all(small_market)

    assert [each.user_id for each in audited if each.discrepancy] == [user]


def test_all_finds_records_of_version_1(small_market: Market) -> None:
    put_record(small_market, {**record_key(9, "order#old"), "fingerprint": {"S": "BUY"}, "status": number(402)})

    audited, _ = audit_all(small_market)

    assert [(each.user_id, found_in(each).kind) for each in audited if each.discrepancy] == [(9, Kind.FORM)]


def test_pages_are_followed(small_market: Market) -> None:
    """Histories are longer than a page of DynamoDB's, which is one item in this test."""
    user = new_trader(small_market)
    dynamodb = small_market.dynamodb

    class SmallPages(Client):
        def get_paginator(self, operation: str) -> Any:
            paginator = dynamodb.get_paginator(operation)

            class Small:
                def paginate(self, **request: Any) -> Iterator[Any]:
                    yield from paginator.paginate(**request, PaginationConfig={"PageSize": 1})

            return Small()

    audited = list(Auditor(SmallPages(dynamodb), small_market.tables).audit_all())

    assert sorted((each.user_id, each.records) for each in audited) == [(1, 1), (user, 6)]


# What does not fit into memory.


def test_a_history_comes_back_by_sequence_and_then_by_key() -> None:
    places = [(10, "b"), (2, "z"), (2**63 - 1, "a"), (10, "a"), (1, "x"), (9, "y")]
    with spill.History(USER) as history:
        history.add(spill.StoredRecord(USER, key, sequence, b"\x00head", "text") for sequence, key in places)

        records = list(history.in_order())

    assert [(record.sequence, record.key) for record in records] == sorted(places)
    assert {(record.user_id, record.head, record.text) for record in records} == {(USER, b"\x00head", "text")}


def test_the_set_of_users_keeps_each_once() -> None:
    with spill.UserSet() as users:
        assert [users.add(user_id) for user_id in (1, 2**63 - 1, 1)] == [True, True, False]


# The command.


@pytest.fixture
def run(market: Market, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr(Stage, "dynamodb", market.dynamodb)
    monkeypatch.setattr(ops_stage, "DynamoDB", lambda _: market.datastore)
    monkeypatch.setattr("ops.audit.LOOK_AGAIN_S", 0)
    where = ["--prefix", market.settings.table_prefix, "--region", market.settings.region]
    return lambda *arguments: CliRunner().invoke(command, [*map(str, arguments), *where])


def test_an_account_that_does_not_exist_is_a_failure(run: Callable[..., Result]) -> None:
    result = run(NOBODY)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: User {NOBODY} has no account and no records\n"


def test_heads_that_were_kept_are_looked_for(run: Callable[..., Result], market: Market, user: int) -> None:
    heads = [f"--head={record.sequence}:{record.head.hex()}" for record in market.records(user)]

    result = run(user, *heads)

    assert (result.exit_code, result.stdout) == (0, "accounts: 1, records: 6, discrepancies: none\n")


def test_a_head_that_is_not_in_the_chain_ends_with_3(run: Callable[..., Result], market: Market, user: int) -> None:
    good, bad = f"--head=2:{market.records(user)[1].head.hex()}", f"--head=3:{'AB' * 32}"

    people, program = run(user, good, bad), run(user, good, bad, "--json")

    assert (people.exit_code, program.exit_code) == (3, 3)
    assert people.stdout.startswith(f"user {user}: head at record 3 (order#b): the head after record 3 is ")
    found, summary = (json.loads(line) for line in program.stdout.splitlines())
    assert (found["user_id"], found["discrepancy"], found["sequence"], found["key"]) == (user, "head", 3, "order#b")
    assert f"but {'ab' * 32} was kept" in found["message"]
    assert summary == {"accounts": 1, "records": 6, "discrepancies": 1}


def test_a_head_of_nobody_is_a_discrepancy(run: Callable[..., Result]) -> None:
    result = run(NOBODY, f"--head=1:{'00' * 32}")

    assert result.exit_code == 3
    assert "a head was kept of record 1" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("1", "--head", "1"),
        ("1", "--head", "1:abc"),
        ("1", "--head", f"0:{'ab' * 32}"),
        ("1", "--head", f"{2**63}:{'ab' * 32}"),
        ("1", "--head", f"x:{'ab' * 32}"),
        ("1", "--head", f"1:{'ab' * 32}", "--head", f"1:{'cd' * 32}"),
        ("--all", "--head", f"1:{'ab' * 32}"),
    ],
)
def test_a_head_that_makes_no_sense_is_a_usage_error(run: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2

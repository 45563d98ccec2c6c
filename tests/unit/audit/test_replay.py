"""The replay: whatever the rule book writes passes, and each kind of damage is named for what it is."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.account import Account, Record, next_head
from chalicelib.audit.replay import Difference, Kind, check_refusal, compare, replay
from chalicelib.domain.decision import decide
from chalicelib.domain.transfer import Transfer, TransferRefused, transfer
from chalicelib.domain.money import UNITS_PER_ONE, text_from
from chalicelib.domain.order import Order
from chalicelib.domain.pricing import MAX_PRICE_UNITS, Asset, Quote

USER = 7
BTC, ETH, USD = 50_000 * UNITS_PER_ONE, 3_000 * UNITS_PER_ONE, UNITS_PER_ONE

symbols = st.sampled_from(["BTC", "ETH", "USD"])
prices = st.integers(1, MAX_PRICE_UNITS)
scales = st.integers(0, 8)


class Book:
    """An account and its records, as the engine would have written them."""

    def __init__(self) -> None:
        self.account = Account(USER)
        self.movements: list[Record] = []
        self.refusals: list[Record] = []
        self._at = datetime(2026, 1, 1, tzinfo=UTC)

    def buy(self, symbol: str, pay_with: str, count: int, prices: tuple[int, int], scale: int = 0) -> None:
        """`count`: the quantity, in units of its last digit at `scale` decimals."""
        quantity = count * 10 ** (8 - scale)
        order = Order(USER, self._next_key(), symbol, pay_with, quantity, text_from(count, scale))
        quote = Quote(Asset(symbol, prices[0]), Asset(pay_with, prices[1]))
        self.account, record = decide(order, self.account, quote, self._at, "MainThread")
        (self.movements if record.movement else self.refusals).append(record)

    def transfer(self, symbol: str, units: int) -> None:
        self.account, record = transfer(self.account, Transfer(USER, self._next_key(), symbol, units), self._at)
        self.movements.append(record)

    def _next_key(self) -> str:
        self._at += timedelta(microseconds=1)
        return f"key-{len(self.movements) + len(self.refusals)}"


@pytest.fixture
def book() -> Book:
    """Four movements: 100,000 USD in, 20 ETH bought, 0.5 BTC bought with 8⅓ of them, 10 USD out. And one refusal."""
    book = Book()
    book.transfer("USD", 100_000 * UNITS_PER_ONE)
    book.buy("ETH", "USD", 20, (ETH, USD))
    book.buy("BTC", "ETH", 5, (BTC, ETH), scale=1)
    book.buy("BTC", "USD", 1, (BTC, USD))
    book.transfer("USD", -10 * UNITS_PER_ONE)
    return book


def rewritten(movements: list[Record]) -> list[Record]:
    """A history with a chain that fits it: the work of somebody who knows how heads are made."""
    head = b""
    result = []
    for record in movements:
        assert record.movement is not None
        head = next_head(head, record, record.movement.sequence, record.movement.changes)
        result.append(replace(record, movement=replace(record.movement, head=head)))
    return result


def difference_in(book: Book) -> Difference:
    with pytest.raises(Difference) as raised:
        compare(replay(USER, book.movements), book.account)
    return raised.value


# What the engine writes.


@given(st.data())
def test_every_history_that_the_engine_writes_makes_its_account(data: st.DataObject) -> None:
    book = Book()
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            with suppress(TransferRefused):
                book.transfer(data.draw(symbols), data.draw(st.integers(-(10**25), 10**25).filter(bool)))
        else:
            symbol, pay_with = data.draw(st.permutations(["BTC", "ETH", "USD"]))[:2]
            scale = data.draw(scales)
            count = data.draw(st.integers(1, 10 ** data.draw(st.integers(0, 15 + scale))))
            book.buy(symbol, pay_with, count, (data.draw(prices), data.draw(prices)), scale)

    compare(replay(USER, book.movements), book.account)
    for refusal in book.refusals:
        check_refusal(refusal)


def test_no_records_make_the_account_that_nobody_funded() -> None:
    assert replay(USER, []) == Account(USER)


# Damage to what is stored.


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_a_record_that_is_gone_is_a_gap_in_the_sequence(book: Book, lost: int) -> None:
    del book.movements[lost]

    difference = difference_in(book)

    assert difference.kind == Kind.SEQUENCE
    assert difference.sequence == lost + 1
    assert f"movement {lost + 1} is missing" in str(difference)


def test_several_that_are_gone_are_named_as_a_range(book: Book) -> None:
    del book.movements[2:]

    assert str(difference_in(book)) == (
        "movements 3 to 4 are missing: the account is at 4. "
        "Were records deleted, or restored from an earlier time than the account?"
    )


def test_two_records_at_one_place_are_both_named(book: Book) -> None:
    book.movements.insert(2, replace(book.movements[1], key="order#other"))

    difference = difference_in(book)

    assert (difference.kind, difference.sequence, difference.key) == (Kind.SEQUENCE, 2, "order#other")
    assert str(difference) == "movement 2 stands twice: under order#key-1 and order#other"


@pytest.mark.parametrize("sequence", [0, -1])
def test_a_place_before_the_first_is_no_place(book: Book, sequence: int) -> None:
    movement = book.movements[0].movement
    assert movement is not None
    book.movements.insert(0, replace(book.movements[0], movement=replace(movement, sequence=sequence)))

    difference = difference_in(book)

    assert (difference.kind, str(difference)) == (Kind.SEQUENCE, f"movement {sequence} cannot be: the first is 1")


def reworded(reply: str, **fields: Any) -> str:
    return json.dumps(json.loads(reply) | fields)


ALTERATIONS: dict[str, Callable[[Record], Record]] = {
    "user_id": lambda record: replace(record, user_id=8),
    "key": lambda record: replace(record, key="order#another"),
    "fingerprint": lambda record: replace(record, fingerprint="BUY 21.00000000 ETH WITH USD"),
    "status": lambda record: replace(record, status=201),
    "reply": lambda record: replace(record, reply=reworded(record.reply, total_cost="0.00000001")),
    "prices": lambda record: replace(record, prices={"ETH": 1, "USD": 1}),
    "created_at": lambda record: replace(record, created_at="2025-01-01T00:00:00.000000Z"),
    "changes": lambda record: moved(record, changes={"ETH": 20 * UNITS_PER_ONE, "USD": -1}),
    "head": lambda record: moved(record, head=b"x" * 32),
}


def moved(record: Record, **fields: Any) -> Record:
    assert record.movement is not None
    return replace(record, movement=replace(record.movement, **fields))


@pytest.mark.parametrize("field", ALTERATIONS)
def test_a_record_that_was_altered_breaks_the_chain_at_its_place(book: Book, field: str) -> None:
    book.movements[1] = ALTERATIONS[field](book.movements[1])

    difference = difference_in(book)

    assert (difference.kind, difference.sequence) == (Kind.CHAIN, 2)
    assert str(difference) == "the record is not as it was written, or not the one that followed the movement before"


def test_a_history_is_nobody_elses(book: Book) -> None:
    with pytest.raises(Difference) as raised:
        replay(USER + 1, book.movements)

    assert (raised.value.kind, raised.value.sequence) == (Kind.CHAIN, 1)


def test_records_that_changed_places_break_the_chain(book: Book) -> None:
    book.movements[1:3] = [moved(book.movements[2], sequence=2), moved(book.movements[1], sequence=3)]

    difference = difference_in(book)

    assert (difference.kind, difference.sequence) == (Kind.CHAIN, 2)


def test_a_record_that_was_rewritten_head_and_all_breaks_the_chain_after_it(book: Book) -> None:
    forged = replace(book.movements[0], created_at="2025-01-01T00:00:00.000000Z")
    book.movements[0] = rewritten([forged])[0]

    difference = difference_in(book)

    assert (difference.kind, difference.sequence) == (Kind.CHAIN, 2)


def test_an_edited_balance_is_named_with_both_amounts(book: Book) -> None:
    book.account = replace(book.account, balances={**book.account.balances, "BTC": UNITS_PER_ONE})

    difference = difference_in(book)

    assert difference.kind == Kind.BALANCES
    assert str(difference) == "the account holds 1.00000000 BTC, its records give 0.50000000"


@pytest.mark.parametrize("balances", [{"DOGE": 1}, {"DOGE": 0}])
def test_a_balance_that_no_record_gives_is_a_difference(book: Book, balances: dict[str, int]) -> None:
    book.account = replace(book.account, balances={**book.account.balances, **balances})

    assert "records give no" in str(difference_in(book))


def test_an_edited_head_breaks_the_chain(book: Book) -> None:
    book.account = replace(book.account, head=b"x" * 32)

    difference = difference_in(book)

    assert difference.kind == Kind.CHAIN
    assert str(difference) == "the account's head is not the one that its last movement, 4, left"


BEHIND = (
    "the account is at 2, its records go on to 4. Was the account deleted, or restored from an earlier time than its records?"
)
AHEAD = "movement 5 is missing: the account is at 5. Were records deleted, or restored from an earlier time than the account?"


@pytest.mark.parametrize(("sequence", "first", "says"), [(5, 5, AHEAD), (2, 3, BEHIND)])
def test_an_account_at_another_place_than_its_last_record_is_a_difference(
    book: Book, sequence: int, first: int, says: str
) -> None:
    book.account = replace(book.account, sequence=sequence)

    difference = difference_in(book)

    assert (difference.kind, difference.sequence, str(difference)) == (Kind.SEQUENCE, first, says)


# Histories that are whole, and wrong: a bug of the engine's, or somebody who rewrote all of it.


def test_a_balance_below_zero_at_any_time_is_found(book: Book) -> None:
    debit, funding = moved(book.movements[3], sequence=1), moved(book.movements[0], sequence=2)

    with pytest.raises(Difference) as raised:
        replay(USER, rewritten([debit, funding]))

    assert (raised.value.kind, raised.value.sequence) == (Kind.BALANCES, 1)
    assert "-10.00000000 USD" in str(raised.value)


def test_a_reply_that_says_something_else_than_was_done_is_found(book: Book) -> None:
    lies = {
        "status": "ORDER_PLACED",
        "symbol": "BTC",
        "quantity_filled": "21",
        "execution_price": "3000.00000001",
        "total_cost": "60000.00000001",
        "paid_with": "ETH",
        "remaining_balance": "40000.00000001",
        "executed_at": "2026-01-01T00:00:00.000009Z",
        "sequence": 3,
    }
    for name, lie in lies.items():
        first, fill, *_ = book.movements
        lied = replace(fill, reply=reworded(fill.reply, **{name: lie}))

        with pytest.raises(Difference) as raised:
            replay(USER, rewritten([first, lied]))

        assert (raised.value.kind, raised.value.sequence) == (Kind.REPLY, 2), name
        assert str(raised.value).startswith(f"its reply says {name} ")
        assert str(lie) in str(raised.value)


@pytest.mark.parametrize("shown", ["3000", "3000.0", "03000.00000000 ", None])
def test_a_price_that_is_not_shown_as_amounts_are_is_found(book: Book, shown: str | None) -> None:
    first, fill, *_ = book.movements
    lied = replace(fill, reply=reworded(fill.reply, execution_price=shown))

    with pytest.raises(Difference) as raised:
        replay(USER, rewritten([first, lied]))

    assert str(raised.value) == f"its reply says execution_price {str(shown)!r}"


@pytest.mark.parametrize("index", [0, 3])
def test_a_reply_that_says_something_else_than_was_transferred_is_found(book: Book, index: int) -> None:
    for name, lie in {"status": "ACCOUNT_OPENED", "symbol": "BTC", "amount": "10.00000001"}.items():
        transferred = book.movements[index]
        lied = replace(transferred, reply=reworded(transferred.reply, **{name: lie}))

        with pytest.raises(Difference) as raised:
            replay(USER, rewritten([*book.movements[:index], lied]))

        assert str(raised.value).startswith(f"its reply says {name} {lie!r}, the record gives ")


def test_a_reply_that_says_something_else_than_was_refused_is_found(book: Book) -> None:
    (refusal,) = book.refusals
    for name, lie in {"status": 403, "error_code": "ERR_BROKE", "timestamp": "2026-01-01"}.items():
        with pytest.raises(Difference) as raised:
            check_refusal(replace(refusal, reply=reworded(refusal.reply, **{name: lie})))

        assert str(raised.value).startswith(f"its reply says {name} {lie!r}, the record gives ")


def test_a_fill_that_nothing_was_paid_for_is_found(book: Book) -> None:
    first, fill, *_ = book.movements

    with pytest.raises(Difference) as raised:
        replay(USER, rewritten([first, moved(fill, changes={"ETH": 20 * UNITS_PER_ONE})]))

    assert str(raised.value) == "it moved {'ETH': 2000000000} units, what it stands for is {'ETH': 2000000000, 'USD': 0}"


def test_a_fill_at_no_price_is_found(book: Book) -> None:
    """What costs nothing is worth nothing: but for the price, this record agrees with itself."""
    first, fill, *_ = book.movements
    free = moved(replace(fill, prices={"ETH": 0, "USD": USD}), changes={"ETH": 20 * UNITS_PER_ONE, "USD": 0})
    said = {"total_cost": "0.00000000", "execution_price": "0.00000000", "remaining_balance": "100000.00000000"}
    free = replace(free, reply=reworded(free.reply, **said))

    with pytest.raises(Difference) as raised:
        replay(USER, rewritten([first, free]))

    assert str(raised.value) == "it holds the prices {'ETH': 0, 'USD': 100000000}"


def test_a_price_is_shown_rounded_half_up() -> None:
    """At half a unit exactly: 10⁻⁸ USD for one, paid with what costs 2 USD."""
    book = Book()
    book.transfer("USD", UNITS_PER_ONE)
    book.buy("BTC", "USD", 1, (1, 2 * UNITS_PER_ONE))
    funding, fill = book.movements
    assert json.loads(fill.reply)["execution_price"] == "0.00000001"
    rounded_down = replace(fill, reply=reworded(fill.reply, execution_price="0.00000000"))

    replay(USER, book.movements)

    with pytest.raises(Difference, match="execution_price"):
        replay(USER, rewritten([funding, rounded_down]))


@pytest.mark.parametrize("reply", ["", "[]", "{", "null", "[" * 100_000])
def test_a_reply_that_is_no_object_is_found(book: Book, reply: str) -> None:
    book.movements[1] = replace(book.movements[1], reply=reply)

    with pytest.raises(Difference) as raised:
        replay(USER, rewritten(book.movements))

    assert (raised.value.kind, str(raised.value)) == (Kind.REPLY, "its reply is no JSON object")


@pytest.mark.parametrize("off", [-1, 1])
def test_a_cost_that_is_a_unit_off_is_found_in_either_favour(book: Book, off: int) -> None:
    """0.5 BTC cost 8.33333334 ETH, rounded up; the reply and the amounts agree with each other, and not with the prices."""
    cost = 833_333_334 + off
    fill = moved(book.movements[2], changes={"BTC": UNITS_PER_ONE // 2, "ETH": -cost})
    remaining = text_from(20 * UNITS_PER_ONE - cost)
    fill = replace(fill, reply=reworded(fill.reply, total_cost=text_from(cost), remaining_balance=remaining))

    with pytest.raises(Difference) as raised:
        replay(USER, rewritten([*book.movements[:2], fill]))

    assert (raised.value.kind, raised.value.sequence) == (Kind.REPLY, 3)
    assert "cost" in str(raised.value)


@pytest.mark.parametrize(
    ("index", "change", "says"),
    [
        (0, {"key": "order#key-0"}, "'FUND 100000.00000000 USD' may not stand under the key 'order#key-0'"),
        (0, {"fingerprint": "FUND 100001.00000000 USD"}, "what it stands for is {'USD': 10000100000000}"),
        (0, {"fingerprint": "DEBIT 100000.00000000 USD"}, "what it stands for is {'USD': -10000000000000}"),
        (0, {"fingerprint": "GIVE 100000.00000000 USD"}, "'GIVE 100000.00000000 USD' is nothing that moves money"),
        (0, {"status": 402}, "it moved money with status 402"),
        (1, {"key": "funding#key-1"}, "'BUY 20.00000000 ETH WITH USD' may not stand under the key 'funding#key-1'"),
        (1, {"fingerprint": "BUY 21.00000000 ETH WITH USD"}, "is {'ETH': 2100000000, 'USD': -6000000000000}"),
        (1, {"fingerprint": "BUY 20.00000000 USD WITH ETH"}, "is {'USD': 2000000000, 'ETH': 2000000000}"),
        (1, {"prices": {"ETH": ETH, "USD": USD, "BTC": BTC}}, "it holds the prices {'ETH': 300000000000, 'USD': 100000000, "),
        (1, {"prices": {"ETH": ETH}}, "it holds the prices {'ETH': 300000000000}"),
        (1, {"prices": {"ETH": 0, "USD": 0}}, "it holds the prices {'ETH': 0, 'USD': 0}"),
        (1, {"prices": {"ETH": ETH + 1, "USD": USD}}, "it cost 60000.00000000 USD, which its quantity and prices do not give"),
    ],
)
def test_a_record_that_does_not_agree_with_itself_is_found(book: Book, index: int, change: dict[str, Any], says: str) -> None:
    book.movements[index] = replace(book.movements[index], **change)

    with pytest.raises(Difference) as raised:
        replay(USER, rewritten(book.movements))

    assert (raised.value.kind, raised.value.sequence) == (Kind.REPLY, index + 1)
    assert says in str(raised.value)


NEED = "Need 50000.00000000 USD but only have 40000.00000000 USD"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": 200}, "it moved nothing, yet it is no refusal: 'BUY 1.00000000 BTC WITH USD' with status 200"),
        ({"fingerprint": "FUND 1.00000000 BTC"}, "it moved nothing, yet it is no refusal: 'FUND 1.00000000 BTC' with status 402"),
        ({"fingerprint": "BUY 2.00000000 BTC WITH USD"}, "it cost 50000.00000000 USD, which its quantity and prices do not give"),
        (
            {"fingerprint": "BUY 1.00000000 BTC WITH ETH"},
            f"its message is '{NEED}', which does not refuse 'BUY 1.00000000 BTC WITH ETH'",
        ),
        ({"key": "funding#key-3"}, "'BUY 1.00000000 BTC WITH USD' may not stand under the key 'funding#key-3'"),
        ({"created_at": "2026-01-01T00:00:00.000000Z"}, "the record gives '2026-01-01T00:00:00.000000Z'"),
        ({"prices": {"BTC": BTC, "USD": 2 * USD}}, "it cost 50000.00000000 USD, which its quantity and prices do not give"),
        ({"prices": {}}, "it holds the prices {}"),
        ({"reply": "{}"}, "its reply says status None, the record gives 402"),
    ],
)
def test_a_refusal_that_does_not_agree_with_itself_is_found(book: Book, change: dict[str, Any], says: str) -> None:
    (refusal,) = book.refusals

    with pytest.raises(Difference) as raised:
        check_refusal(replace(refusal, **change))

    assert (raised.value.kind, raised.value.key) == (Kind.REPLY, change.get("key", "order#key-3"))
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("status", "message", "says"),
    [
        (200, NEED, "it moved nothing, yet it is no refusal"),
        (402, NEED.replace("USD", "ETH"), "have 40000.00000000 ETH', which does not refuse 'BUY 1.00000000 BTC WITH USD'"),
        (402, NEED[:-3] + "ETH", "have 40000.00000000 ETH', which does not refuse 'BUY 1.00000000 BTC WITH USD'"),
        (402, NEED.replace("00 USD but", "01 USD but"), "it cost 50000.00000001 USD, which its quantity and prices do not give"),
    ],
)
def test_a_refusal_of_something_else_is_found(book: Book, status: int, message: str, says: str) -> None:
    (refusal,) = book.refusals

    with pytest.raises(Difference) as raised:
        check_refusal(replace(refusal, status=status, reply=reworded(refusal.reply, status=status, message=message)))

    assert says in str(raised.value)


def test_a_refusal_of_what_the_balance_covers_is_found(book: Book) -> None:
    (refusal,) = book.refusals
    covered = reworded(refusal.reply, message="Need 50000.00000000 USD but only have 50000.00000000 USD")

    with pytest.raises(Difference, match="covers"):
        check_refusal(replace(refusal, reply=covered))


@given(st.data())
def test_no_field_of_any_record_can_be_altered_unseen(data: st.DataObject) -> None:
    book = Book()
    book.transfer("USD", 10**20)
    for _ in range(data.draw(st.integers(1, 5))):
        book.buy("BTC", "USD", data.draw(st.integers(1, 10**6)), (BTC, data.draw(prices)))
    index = data.draw(st.integers(0, len(book.movements) - 1))
    record = book.movements[index]
    altered = data.draw(st.sampled_from(list(ALTERATIONS.values())))(record)

    book.movements[index] = altered

    assert difference_in(book).sequence == index + 1

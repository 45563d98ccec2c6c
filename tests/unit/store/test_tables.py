"""Items: what is stored is read back as the same, what another version stored is refused by name, and records stay small."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.account import Account
from chalicelib.domain.asset import MAX_FEE_BPS, MAX_PRICE, Asset
from chalicelib.domain.facts import Circumstances, Decision, Fill, OrderOutcome, Price, Refusal, Transfer, Transferred
from chalicelib.domain.money import MAX_BALANCE_UNITS, PRICE_PER_USD
from chalicelib.domain.order import Amount, Order, Side
from chalicelib.domain.position import Books
from chalicelib.domain.record import Record, UnsupportedForm, instruction_of, text_of
from chalicelib.store.connection import Item
from chalicelib.store.tables import Tables, account_from, asset_from, item_from_account, item_from_record, record_from

AT = "2026-01-01T12:00:00.000007Z"


def test_a_stages_tables_are_named_after_it() -> None:
    assert Tables.of("hft-x") == Tables(
        assets="hft-x-assets", accounts="hft-x-accounts", idempotency="hft-x-idempotency", candles="hft-x-candles"
    )


# Assets.

PLAIN: Item = {"symbol": {"S": "BTC"}, "price_usd": {"S": "50000.00000000"}, "price_at": {"S": AT}, "version": {"N": "1"}}


def test_an_asset_without_rules_of_its_own_is_traded_by_the_unit_and_free_of_charge() -> None:
    assert asset_from(PLAIN) == Asset("BTC", 50_000 * PRICE_PER_USD, AT)


@pytest.mark.parametrize(
    ("stored", "halted"), [({}, False), ({"halted": {"BOOL": False}}, False), ({"halted": {"BOOL": True}}, True)]
)
def test_an_asset_is_traded_unless_it_was_halted(stored: Item, *, halted: bool) -> None:
    assert asset_from(PLAIN | stored).halted is halted


def test_an_assets_rules_are_read_in_units() -> None:
    rules: Item = {
        "min_quantity": {"S": "0.001"},
        "quantity_step": {"S": "0.0001"},
        "min_notional_usd": {"S": "10.00"},
        "fee_bps": {"S": "25.5"},
    }

    assert asset_from(PLAIN | rules) == Asset("BTC", 50_000 * PRICE_PER_USD, AT, False, 100_000, 10_000, 10 * 10**8, 2_550)  # noqa: FBT003


@pytest.mark.parametrize("price", ["0.0000000000000001", "1000000000000", "49999.9999999999999999"])
def test_an_assets_price_is_exact_to_16_decimals(price: str) -> None:
    whole, _, decimals = price.partition(".")

    assert asset_from(PLAIN | {"price_usd": {"S": price}}).price == int(whole + decimals.ljust(16, "0"))


# Accounts.

ACCOUNT = Account(7, Books({"BTC": 5, "USD": 90}, {"BTC": 4}, -3), sequence=3, head=b"third")
ACCOUNT_ITEM: Item = {
    "user_id": {"N": "7"},
    "v": {"N": "2"},
    "balances": {"M": {"BTC": {"N": "5"}, "USD": {"N": "90"}}},
    "cost_basis": {"M": {"BTC": {"S": "4"}}},
    "realized_pl": {"S": "-3"},
    "sequence": {"N": "3"},
    "head": {"B": b"third"},
}


def test_an_account_is_stored_whole() -> None:
    assert item_from_account(ACCOUNT) == ACCOUNT_ITEM
    assert account_from(ACCOUNT_ITEM) == ACCOUNT


@given(
    st.dictionaries(st.sampled_from(["USD", "BTC", "ETH"]), st.integers(0, MAX_BALANCE_UNITS)),
    st.integers(-(10**50), 10**50),
    st.integers(0, 10**50),
)
def test_an_account_is_read_back_as_it_was(balances: dict[str, int], realized: int, basis: int) -> None:
    """Cost and gain have more digits than DynamoDB's numbers: they are text."""
    account = Account(7, Books(balances, dict.fromkeys(balances, basis), realized), sequence=10**20, head=b"h")

    item = item_from_account(account)

    assert account_from(item) == account
    assert all(len(units["N"]) <= 38 for units in item["balances"]["M"].values())


# Records.


def fill(order: Order, price: int = 50_000 * PRICE_PER_USD, **facts: Any) -> Fill:
    prices = {order.symbol: Price(price, AT), order.other: Price(facts.pop("other_price", PRICE_PER_USD), AT)}
    circumstances = Circumstances(AT, facts.pop("by", "MainThread"), prices, **facts.pop("circumstances", {}))
    figures = {"quantity_units": 10**8, "other_units": 50_000 * 10**8, "fee_units": 0} | facts
    balances = {order.symbol: figures.pop("symbol_after", 10**8), order.other: figures.pop("other_after", 50_000 * 10**8)}
    return Fill(order, circumstances, **figures, balances=balances)


def stored(decision: Decision, sequence: int = 3, user_id: int = 7) -> Record:
    return Record(user_id, instruction_of(decision).record_key, sequence, b"h" * 32, text_of(decision, sequence), decision)


PLAIN_ORDER = Order(7, "k", "BTC", "USD", quantity=Amount(10**8, "1.0"))
EXPIRED = Refusal(
    Order(7, "l", "BTC", "USD", Amount(10**8, "1"), expires_at=AT), Circumstances(AT, "t", {}), OrderOutcome.EXPIRED
)
DECISIONS = [fill(PLAIN_ORDER), EXPIRED, Transferred(Transfer(7, "k", "USD", 5), AT, 5)]


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_record_is_read_back_as_it_was_stored(decision: Decision) -> None:
    record = stored(decision)

    read = record_from(item_from_record(record))

    assert (read, read.decision) == (record, decision)


def test_a_records_item_is_its_keys_its_place_in_the_chain_and_its_text() -> None:
    record = stored(fill(PLAIN_ORDER))

    assert item_from_record(record) == {
        "user_id": {"N": "7"},
        "idempotency_key": {"S": "order#k"},
        "sequence": {"N": "3"},
        "head": {"B": b"h" * 32},
        "record": {"S": record.text},
    }


# What another version stored.


def without(item: Item, *names: str) -> Item:
    return {name: value for name, value in item.items() if name not in names}


RECORD_ITEM = item_from_record(stored(fill(PLAIN_ORDER)))
OLD_RECORD: Item = {"user_id": {"N": "7"}, "idempotency_key": {"S": "order#k"}, "fingerprint": {"S": "BUY"}, "reply": {"S": "{}"}}
OLD_ASSET: Item = {"symbol": {"S": "BTC"}, "price": {"N": "5000000000000"}}
MOVE_ON = r"was stored by version 1\.x\. Version 2 does not carry data of 1\.x over: give it tables .* HFT_TABLE_PREFIX"
NEWER = "Run the release that wrote it"


@pytest.mark.parametrize(
    ("read", "item", "says"),
    [
        (account_from, without(ACCOUNT_ITEM, "v", "cost_basis", "realized_pl"), f"The account 7 {MOVE_ON}"),
        (record_from, OLD_RECORD, f"The record order#k of user 7 {MOVE_ON}"),
        (asset_from, OLD_ASSET, f"The asset BTC {MOVE_ON}"),
        (account_from, ACCOUNT_ITEM | {"v": {"N": "3"}}, f"The account 7 has form 3; this release reads 2. {NEWER}"),
        (
            record_from,
            RECORD_ITEM | {"record": {"S": RECORD_ITEM["record"]["S"].replace('"v":2', '"v":3')}},
            f"A record has form 3; this release reads form 2. {NEWER}",
        ),
    ],
)
def test_what_another_version_stored_is_refused_and_says_what_to_do(read: Callable[[Item], Any], item: Item, says: str) -> None:
    with pytest.raises(UnsupportedForm, match=says):
        read(item)


# Sizes. A write of up to 1 KB costs one unit (two in a transaction), and one more each further KB.

KB = 1024
LONG_KEY = "k" * 64
BELOW = 10**15 * 10**8 - 1
"""Almost 10¹⁵."""

SMALL: dict[str, Decision] = {
    "a plain fill": fill(
        Order(7, LONG_KEY, "BTC", "USD", Amount(BELOW, "999999999999999.99999999")),
        quantity_units=BELOW,
        other_units=BELOW,
        symbol_after=BELOW,
        other_after=BELOW,
    ),
    "a refusal": Refusal(
        Order(7, LONG_KEY, "BTC", "USD", Amount(BELOW, "999999999999999.99999999")),
        Circumstances(AT, "MainThread", {"BTC": Price(50_000 * PRICE_PER_USD, AT), "USD": Price(PRICE_PER_USD, AT)}),
        OrderOutcome.LIQUIDITY,
        needed_units=BELOW,
        held_units=BELOW,
        unfunded=True,
    ),
    "a fill with all there is to an order": fill(
        Order(
            7,
            LONG_KEY,
            "ETH",
            "BTC",
            notional=Amount(BELOW, "999999999999999.99999999"),
            limit_price=PRICE_PER_USD,
            expires_at=AT,
        ),
        quantity_units=BELOW,
        other_units=BELOW,
        fee_units=BELOW,
        symbol_after=BELOW,
        other_after=BELOW,
        circumstances={"fee_rate": 2_555, "step_units": 1, "linked": (10**12, 99)},
    ),
    "a transfer": Transferred(Transfer(7, LONG_KEY, "BTC", BELOW), AT, BELOW, Price(50_000 * PRICE_PER_USD, AT)),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_record_with_a_key_of_64_characters_and_amounts_below_10_to_the_15_stays_under_a_kilobyte(name: str) -> None:
    assert size_bytes(item_from_record(stored(SMALL[name], sequence=10**12, user_id=2**53))) < KB


def test_a_plain_fill_takes_some_650_bytes() -> None:
    order = Order(1, "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "BTC", "USD", Amount(10**8, "1.0"))

    assert 550 <= size_bytes(item_from_record(stored(fill(order), sequence=1_000))) <= 650


def longest(key: str) -> Fill:
    """Each fact of a fill at its longest."""
    amount = Amount(10**23, "1000000000000000.00000000")
    order = Order(2**63 - 1, key, "A" * 10, "B" * 10, None, amount, Side.BUY, limit_price=10**44 - 1, expires_at=AT)
    return fill(
        order,
        price=MAX_PRICE - 1,
        other_price=MAX_PRICE - 1,
        by="Thread-4294967295 (process_request_thread)",
        circumstances={"fee_rate": 100 * MAX_FEE_BPS - 1, "step_units": 10**23, "linked": (10**15, 99)},
        quantity_units=MAX_BALANCE_UNITS,
        other_units=MAX_BALANCE_UNITS,
        fee_units=MAX_BALANCE_UNITS,
        symbol_after=MAX_BALANCE_UNITS,
        other_after=MAX_BALANCE_UNITS,
    )


@pytest.mark.parametrize(("key", "size"), [("k" * 128, 1_310), ('"' * 128, 1_438)])
def test_no_record_is_longer_than_this(key: str, size: int) -> None:
    """Its second kilobyte costs three units: two for the record, one for the index. JSON writes a quote with two characters."""
    assert size_bytes(item_from_record(stored(longest(key), sequence=10**15, user_id=2**63 - 1))) == size


def test_an_account_of_20_assets_stays_under_a_kilobyte() -> None:
    names = [f"ASSET{number:02}" for number in range(20)]
    books = Books(dict.fromkeys(names, 10**15), dict.fromkeys(names, 10**15), 10**15)

    assert size_bytes(item_from_account(Account(2**53, books, 10**6, b"h" * 32))) < KB


def size_bytes(item: Item) -> int:
    """An item's size by DynamoDB's published rules: names and strings in UTF-8, a number a byte per two digits and one more."""

    def of(value: dict[str, Any]) -> int:
        kind: str
        content: Any
        ((kind, content),) = value.items()
        match kind:
            case "S":
                return len(str(content).encode())
            case "B":
                return len(bytes(content))
            case "N":
                return (len(str(content).lstrip("-")) + 1) // 2 + 1 + str(content).startswith("-")
            case "M":
                return 3 + sum(1 + len(name.encode()) + of(inner) for name, inner in content.items())
            case _:
                raise AssertionError(f"no {kind} is stored")

    return sum(len(name.encode()) + of(value) for name, value in item.items())

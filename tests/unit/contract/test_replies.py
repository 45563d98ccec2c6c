"""Replies: rendered from facts alone, with the contract's fields in the contract's spelling."""

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.contract.replies import assets_body, order_reply_of, portfolio_body, preview_body, record_body, reply_of
from chalicelib.domain.account import Account, append
from chalicelib.domain.asset import Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Decision, Transfer, Void, Voided
from chalicelib.domain.order import Order
from chalicelib.domain.portfolio import value
from chalicelib.domain.position import Books
from chalicelib.domain.record import Record, decision_from
from chalicelib.domain.transfer import transfer
from tests.unit.domain.builders import AT, AT_TEXT, PRICE_AT, SEED, account, buy, sell, spend, units


def recorded(decision: Decision, held: Account | None = None) -> Record:
    _, record = append(held or account(USD="100000", BTC="2", ETH="50"), decision)
    return record


def ordered(order: Order, held: Account | None = None) -> Record:
    held = held or account(USD="100000", BTC="2", ETH="50")
    return recorded(decide(order, held, SEED, AT, "MainThread"), held)


def body(record: Record) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(reply_of(record)[1])
    return shown


def test_a_buys_reply_has_the_contracts_fields_in_their_order() -> None:
    status, reply = reply_of(ordered(buy("1.0"), account(USD="100000")))

    assert status == 200
    assert list(json.loads(reply).items()) == [
        ("status", "ORDER_FILLED"),
        ("symbol", "BTC"),
        ("quantity_filled", "1.0"),
        ("execution_price", "50000.00000000"),
        ("total_cost", "50000.00000000"),
        ("paid_with", "USD"),
        ("remaining_balance", "50000.00000000"),
        ("executed_at", AT_TEXT),
        ("executed_by_thread", "MainThread"),
        ("side", "buy"),
        ("fee", "0.00000000"),
        ("balances", {"BTC": "1.00000000", "USD": "50000.00000000"}),
        ("sequence", 4),
    ]


def test_a_sales_reply_shows_proceeds_and_what_remains_of_the_symbol() -> None:
    shown = body(ordered(sell("0.5"), account(BTC="1")))

    assert (shown["total_proceeds"], shown["received"], shown["remaining_balance"]) == ("25000.00000000", "USD", "0.50000000")
    assert not {"total_cost", "paid_with"} & shown.keys()


@pytest.mark.parametrize(
    ("order", "echo"),
    [
        (buy("1.0"), "1.0"),
        (buy("1.00"), "1.00"),
        (sell("1"), "1"),
        (sell("all"), "2.00000000"),
        (spend("250"), "0.00500000"),
        (spend("all"), "2.00000000"),
    ],
)
def test_a_quantity_is_echoed_at_the_clients_own_scale_where_the_client_gave_one(order: Order, echo: str) -> None:
    assert body(ordered(order))["quantity_filled"] == echo


@pytest.mark.parametrize(
    ("order", "held", "status", "code", "parts"),
    [
        (buy("3"), account(USD="100000"), 402, "ERR_LIQUIDITY", ["Need 150000.00000000 USD", "have 100000.00000000 USD"]),
        (buy("3"), Account(7), 402, "ERR_LIQUIDITY", ["Need 150000.00000000 USD", "never funded"]),
        (sell("all"), account(USD="1"), 402, "ERR_LIQUIDITY", ["no BTC"]),
        (buy("1", expires_at=PRICE_AT), account(USD="100000"), 410, "ERR_ORDER_EXPIRED", [PRICE_AT]),
        (buy("1", limit_price="49999.5"), account(USD="100000"), 412, "ERR_PRICE_LIMIT", ["50000.00000000", "49999.50000000"]),
    ],
)
def test_a_refusals_reply_is_the_contracts_error(order: Order, held: Account, status: int, code: str, parts: list[str]) -> None:
    rendered_status, reply = reply_of(ordered(order, held))

    shown = json.loads(reply)
    assert list(shown) == ["timestamp", "status", "error_code", "message"]
    assert (rendered_status, shown["status"], shown["error_code"], shown["timestamp"]) == (status, status, code, AT_TEXT)
    assert all(part in shown["message"] for part in parts), shown["message"]
    assert ("never funded" in shown["message"]) == (not held.balances)


@pytest.mark.parametrize(
    ("change", "status", "amount", "balance"),
    [("1.5", "ACCOUNT_FUNDED", "1.50000000", "3.50000000"), ("-1.5", "ACCOUNT_DEBITED", "1.50000000", "0.50000000")],
)
def test_a_transfers_reply_shows_amount_and_balance(change: str, status: str, amount: str, balance: str) -> None:
    held = account(BTC="2")
    record = recorded(transfer(held, Transfer(7, "k", "BTC", units(change)), SEED["BTC"], AT), held)

    assert reply_of(record) == (
        200,
        json.dumps({"status": status, "symbol": "BTC", "amount": amount, "balance": balance, "sequence": 4}),
    )


VOID = Voided(Void(7, "k"), AT_TEXT)


def test_a_voids_reply_is_one_to_the_void_and_another_to_the_order() -> None:
    record = recorded(VOID)

    assert body(record) == {"status": "ORDER_VOIDED", "idempotency_key": "k", "voided_at": AT_TEXT, "sequence": 4}
    status, reply = order_reply_of(record)
    assert (status, json.loads(reply)["error_code"], json.loads(reply)["timestamp"]) == (410, "ERR_ORDER_VOIDED", AT_TEXT)


@pytest.mark.parametrize("order", [buy("1"), buy("9"), sell("all"), spend("all")])
def test_a_reply_is_made_of_what_is_stored_and_nothing_else(order: Order) -> None:
    """The same bytes at once and at every replay."""
    record = ordered(order)
    replayed = replace(record, decision=decision_from(record.text))

    assert reply_of(replayed) == reply_of(record) == order_reply_of(record)


def test_a_previews_reply_is_the_orders_without_what_only_an_execution_has() -> None:
    status, reply = reply_of(ordered(buy("1.0")))

    shown = json.loads(preview_body("ORDER_FILLED", status, reply))

    full = json.loads(reply)
    assert (shown["would"], shown["status"]) == ("ORDER_FILLED", 200)
    assert full.keys() - shown["reply"].keys() == {"executed_at", "executed_by_thread", "sequence"}
    assert shown["reply"].items() <= full.items()


@pytest.mark.parametrize(
    ("record", "kind", "extra"),
    [
        (ordered(buy("1.0")), "order", {"order": {"side": "buy", "symbol": "BTC", "pay_with": "USD", "quantity": "1.0"}}),
        (recorded(VOID), "void", {}),
        (
            recorded(transfer(account(USD="1"), Transfer(7, "k", "USD", -5), None, AT), account(USD="1")),
            "transfer",
            {"transfer": {"symbol": "USD", "amount": "0.00000005"}},
        ),
    ],
)
def test_a_record_in_the_history_has_its_exact_text_and_the_head(record: Record, kind: str, extra: dict[str, Any]) -> None:
    assert record_body(record) == {
        "sequence": 4,
        "idempotency_key": "k",
        "kind": kind,
        **extra,
        "outcome": record.decision.outcome,
        "status": 200,
        "decided_at": AT_TEXT,
        "reply": body(record),
        "record": record.text,
        "head": record.head.hex(),
    }


# Portfolios.


def shown_portfolio(held: Account, listed: dict[str, Asset] = SEED) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(portfolio_body(value(held, listed, AT)))
    return shown


def holding(balances: dict[str, str], basis: dict[str, str], realized: str = "0") -> Account:
    books = Books({s: units(t) for s, t in balances.items()}, {s: units(t) for s, t in basis.items()}, units(realized))
    return Account(7, books, sequence=3, head=b"\x9f\x2c")


def test_a_portfolio_shows_balances_values_and_gains() -> None:
    shown = shown_portfolio(holding({"BTC": "2", "USD": "50000"}, {"BTC": "80000"}, realized="30000"))

    assert shown["positions"]["BTC"] == {
        "quantity": "2.00000000",
        "price": "50000.00000000",
        "price_at": PRICE_AT,
        "value_usd": "100000.00000000",
        "cost_basis_usd": "80000.00000000",
        "average_price_usd": "40000.00000000",
        "unrealized_pl_usd": "20000.00000000",
        "share": "0.6667",
    }
    assert {name: shown[name] for name in shown if name != "positions"} == {
        "user_id": 7,
        "total_valuation_usd": "150000.00",
        "holdings": {"BTC": "2.00000000", "USD": "50000.00000000"},
        "usd_values": {"BTC": "100000.00000000", "USD": "50000.00000000"},
        "sequence": 3,
        "head": "9f2c",
        "valued_at": AT_TEXT,
        "net_deposits_usd": "100000.00000000",
        "realized_pl_usd": "30000.00000000",
    }


def test_a_loss_has_its_sign() -> None:
    shown = shown_portfolio(holding({"BTC": "1"}, {"BTC": "60000.00000001"}, realized="-0.5"))

    assert shown["positions"]["BTC"]["unrealized_pl_usd"] == "-10000.00000001"
    assert shown["realized_pl_usd"] == "-0.50000000"


def test_what_has_no_price_has_null_and_never_0() -> None:
    shown = shown_portfolio(holding({"GONE": "2", "USD": "1"}, {"GONE": "3"}))

    gone = shown["positions"]["GONE"]
    assert {name for name, shown_as in gone.items() if shown_as is None} == {
        "price",
        "price_at",
        "value_usd",
        "unrealized_pl_usd",
        "share",
    }
    assert (gone["cost_basis_usd"], gone["average_price_usd"]) == ("3.00000000", "1.50000000")
    assert shown["usd_values"]["GONE"] is None
    assert shown["total_valuation_usd"] == "1.00"


def test_nothing_has_no_average_price_and_no_share_of_nothing() -> None:
    nothing = shown_portfolio(holding({"BTC": "0"}, {}))["positions"]["BTC"]

    assert (nothing["average_price_usd"], nothing["share"], nothing["value_usd"]) == (None, None, "0.00000000")


def test_an_account_that_nobody_funded_is_an_empty_portfolio() -> None:
    shown = shown_portfolio(Account(7))

    assert (shown["total_valuation_usd"], shown["holdings"], shown["positions"], shown["sequence"], shown["head"]) == (
        "0.00",
        {},
        {},
        0,
        "",
    )


@pytest.mark.parametrize(("usd", "total"), [("0.00499999", "0.00"), ("0.005", "0.01"), ("1.00500000", "1.01")])
def test_a_total_is_rounded_half_up_to_cents(usd: str, total: str) -> None:
    assert shown_portfolio(holding({"USD": usd}, {}))["total_valuation_usd"] == total


def test_an_average_has_as_many_decimals_as_8_digits_take() -> None:
    shown = shown_portfolio(holding({"BTC": "65432"}, {"BTC": "1"}))

    assert shown["positions"]["BTC"]["average_price_usd"] == "0.000015283042"


# Assets.


def test_an_asset_is_shown_with_its_rules() -> None:
    asset = Asset(
        "BTC",
        12_345_678_901_234_567,
        PRICE_AT,
        halted=True,
        min_quantity_units=100,
        quantity_step_units=10,
        min_notional_usd_units=10**9,
        fee_rate=2_550,
    )

    assert json.loads(assets_body([asset, SEED["USD"]])) == [
        {
            "symbol": "BTC",
            "price": "1.2345678901234567",
            "price_at": PRICE_AT,
            "halted": True,
            "min_quantity": "0.00000100",
            "quantity_step": "0.00000010",
            "min_notional_usd": "10.00000000",
            "fee_bps": "25.5",
        },
        {
            "symbol": "USD",
            "price": "1.00000000",
            "price_at": PRICE_AT,
            "halted": False,
            "min_quantity": "0.00000001",
            "quantity_step": "0.00000001",
            "min_notional_usd": "0.00000000",
            "fee_bps": "0",
        },
    ]

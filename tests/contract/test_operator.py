"""The operator's routes: prices, transfers, assets and halts, as an operator and its traders see them."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
import requests

from tests.support.market import TIMEOUT_S, Market, new_key, new_user_id, order

OPERATOR = "/api/v1/operator"
SYMBOL = "OPTEST"
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def shown_at(seconds: float) -> str:
    return f"{(START + timedelta(seconds=seconds)).isoformat(timespec='microseconds').removesuffix('+00:00')}Z"


def put_prices(market: Market, prices: Any, process: int = 0, **more: Any) -> requests.Response:
    url = f"{market.urls[process % len(market.urls)]}{OPERATOR}/prices"
    return requests.put(url, json={"prices": prices, **more}, headers=market.headers, timeout=TIMEOUT_S)


def results(response: requests.Response) -> dict[str, str]:
    assert response.status_code == 200, response.text
    found: dict[str, str] = response.json()["results"]
    return found


def set_price(market: Market, price: str, **more: Any) -> str:
    """The outcome of one price."""
    return results(put_prices(market, {SYMBOL: price}, **more))[SYMBOL]


def put_asset(market: Market, symbol: str = SYMBOL, **body: Any) -> requests.Response:
    return market.send("PUT", f"{OPERATOR}/assets/{symbol}", body)


def shown(market: Market, symbol: str = SYMBOL) -> dict[str, Any]:
    """An asset as the market's list shows it."""
    response = market.get("/api/v1/trading/assets")
    (found,) = [asset for asset in response.json() if asset["symbol"] == symbol]
    return dict(found)


def stored(market: Market, symbol: str = SYMBOL) -> tuple[str, str]:
    """The price and its time, as they are stored."""
    item = market.dynamodb.get_item(TableName=market.tables.assets, Key={"symbol": {"S": symbol}}, ConsistentRead=True)["Item"]
    return item["price_usd"]["S"], item["price_at"]["S"]


def make_transfer(market: Market, body: Any, key: str | None = None, process: int = 0) -> requests.Response:
    url = f"{market.urls[process % len(market.urls)]}{OPERATOR}/transfers"
    keyed = {"X-Idempotency-Key": key} if key is not None else {}
    return requests.post(url, json=body, headers={**market.headers, **keyed}, timeout=TIMEOUT_S)


def transfer(user: int, amount: Any, symbol: str = "USD") -> dict[str, Any]:
    return {"user_id": user, "symbol": symbol, "amount": amount}


def refused(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    assert (response.status_code, response.json()["error_code"]) == (status, code), response.text
    body: dict[str, Any] = response.json()
    return body


def wrong_fields(response: requests.Response) -> list[str]:
    return [detail["field"] for detail in refused(response, 422, "ERR_VALIDATION")["details"]]


@pytest.fixture
def asset(market: Market) -> Iterator[str]:
    """An asset that only this test knows, at 100 USD as of `START`."""
    market.list_new_asset(SYMBOL, "100.00000000", price_at=shown_at(0))
    yield SYMBOL
    market.remove_asset(SYMBOL)


@pytest.fixture
def unlisted(market: Market) -> Iterator[str]:
    """A symbol that is not listed, and is not listed afterwards."""
    market.remove_asset(SYMBOL)
    yield SYMBOL
    market.remove_asset(SYMBOL)


# Prices.


@pytest.mark.usefixtures("asset")
def test_a_newer_price_is_set(market: Market) -> None:
    assert set_price(market, "101.5", as_of=at(1), source="a feed") == "set"
    assert stored(market) == ("101.50000000", shown_at(1))


@pytest.mark.usefixtures("asset")
def test_a_price_without_a_time_is_of_now(market: Market) -> None:
    before = datetime.now(UTC)

    assert set_price(market, "101") == "set"

    assert before <= datetime.fromisoformat(stored(market)[1]) <= datetime.now(UTC)


@pytest.mark.usefixtures("asset")
def test_the_same_price_is_unchanged_and_its_time_moves_on(market: Market) -> None:
    assert set_price(market, "100.00", as_of=at(5)) == "unchanged"
    assert stored(market) == ("100.00000000", shown_at(5))


@pytest.mark.usefixtures("asset")
def test_an_older_price_changes_nothing(market: Market) -> None:
    assert set_price(market, "101", as_of=at(-1)) == "older"
    assert set_price(market, "100", as_of=at(-1)) == "older"
    assert stored(market)[1] == shown_at(0)


@pytest.mark.usefixtures("asset")
def test_of_two_prices_of_one_moment_the_first_stays(market: Market) -> None:
    assert set_price(market, "101", as_of=at(1)) == "set"
    assert set_price(market, "102", as_of=at(1)) == "older"
    assert set_price(market, "101", as_of=at(1)) == "unchanged"
    assert stored(market) == ("101.00000000", shown_at(1))


def test_an_asset_that_is_not_listed_is_unknown_and_stays_so(market: Market, unlisted: str) -> None:
    assert set_price(market, "1", allow_move=[unlisted]) == "unknown"
    assert unlisted not in [each["symbol"] for each in market.get("/api/v1/trading/assets").json()]


@pytest.mark.usefixtures("asset")
@pytest.mark.parametrize(("within", "beyond"), [("120", "120.0000000000000001"), ("80", "79.9999999999999999")])
def test_a_move_beyond_the_guard_is_held_unless_it_is_allowed_by_name(market: Market, within: str, beyond: str) -> None:
    assert set_price(market, beyond, as_of=at(1)) == "held"
    assert set_price(market, beyond, as_of=at(1), allow_move=["BTC"]) == "held"
    assert stored(market)[1] == shown_at(0)
    assert set_price(market, within, as_of=at(1)) == "set"
    assert set_price(market, "100000", as_of=at(2), allow_move=[SYMBOL.lower()]) == "set"
    assert stored(market) == ("100000.00000000", shown_at(2))


@pytest.mark.usefixtures("asset")
def test_each_price_is_set_by_itself(market: Market) -> None:
    many = {f"NOWHERE{number:02}": "1" for number in range(97)}

    found = results(put_prices(market, {SYMBOL.lower(): "101", "USD": "1", "ETH": "1", **many}))

    assert {name: found.pop(name) for name in (SYMBOL, "USD", "ETH")} == {SYMBOL: "set", "USD": "unchanged", "ETH": "held"}
    assert found == dict.fromkeys(many, "unknown")


@pytest.mark.usefixtures("asset")
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["prices"]),
        ({"prices": {}}, ["prices"]),
        ({"prices": []}, ["prices"]),
        ({"prices": None}, ["prices"]),
        ({"prices": {f"A{number}": "1" for number in range(101)}}, ["prices"]),
        *(
            ({"prices": {SYMBOL: price, "BTC": "50000"}}, ["prices"])
            for price in (50_000, 101.5, "0", "-1", "1e3", "NaN", "", " 1", "1.", None, True)
        ),
        *(
            ({"prices": {"BTC": "50000", SYMBOL: price}}, ["prices"])
            for price in ("0.00000000000000001", "1000000000000.0000000000000001")
        ),
        ({"prices": {"USD": "2"}}, ["prices"]),
        ({"prices": {"not a symbol": "1"}}, ["prices"]),
        ({"prices": {SYMBOL: "101", SYMBOL.lower(): "102"}}, ["prices"]),
        ({"prices": {SYMBOL: "101"}, "as_of": "yesterday"}, ["as_of"]),
        ({"prices": {SYMBOL: "101"}, "as_of": "2026-01-01T00:00:00"}, ["as_of"]),
        ({"prices": {SYMBOL: "101"}, "as_of": None}, ["as_of"]),
        ({"prices": {SYMBOL: "101"}, "source": ""}, ["source"]),
        ({"prices": {SYMBOL: "101"}, "source": 7}, ["source"]),
        ({"prices": {SYMBOL: "101"}, "source": "x" * 65}, ["source"]),
        ({"prices": {SYMBOL: "101"}, "allow_move": SYMBOL}, ["allow_move"]),
        ({"prices": {SYMBOL: "101"}, "allow_move": [7]}, ["allow_move"]),
        ({"prices": {SYMBOL: "101"}, "force": True}, ["force"]),
        ({"prices": {SYMBOL: "x"}, "as_of": 1, "source": 2, "x": 4}, ["prices", "as_of", "source", "x"]),
    ],
)
def test_prices_that_are_not_right_name_their_fields_and_none_is_set(market: Market, body: Any, fields: list[str]) -> None:
    assert wrong_fields(market.send("PUT", f"{OPERATOR}/prices", body)) == fields
    assert stored(market) == ("100.00000000", shown_at(0))


@pytest.mark.usefixtures("asset")
def test_a_price_may_be_a_little_ahead_of_the_engines_clock_and_no_more(market: Market) -> None:
    ahead = [(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat() for seconds in (60, 3)]

    assert wrong_fields(put_prices(market, {SYMBOL: "101"}, as_of=ahead[0])) == ["as_of"]
    assert set_price(market, "101", as_of=ahead[1]) == "set"


@pytest.mark.usefixtures("asset")
def test_of_writers_at_the_same_moment_the_newest_price_wins(market: Market) -> None:
    prices = [(f"{100 + number / 10:.1f}", at(number)) for number in range(1, 13)]

    with ThreadPoolExecutor(len(prices)) as threads:
        sent = list(
            threads.map(
                lambda each: results(put_prices(market, {SYMBOL: each[1][0]}, process=each[0], as_of=each[1][1]))[SYMBOL],
                enumerate(reversed(prices)),
            )
        )

    assert set(sent) <= {"set", "older"}
    assert sent[0] == "set", "the newest is set whenever it comes"
    assert stored(market) == ("101.20000000", shown_at(12))


# Transfers.


def test_a_transfer_funds_or_debits_and_is_a_link_of_the_accounts_chain(market: Market) -> None:
    user = new_user_id()

    funded = make_transfer(market, transfer(user, "1000.00"), new_key())
    debited = make_transfer(market, transfer(user, "-0.5"), new_key())

    assert (funded.status_code, debited.status_code) == (200, 200), funded.text + debited.text
    expected = {"status": "ACCOUNT_FUNDED", "symbol": "USD", "amount": "1000.00000000", "balance": "1000.00000000", "sequence": 1}
    assert funded.json() == expected
    assert debited.json() == {
        "status": "ACCOUNT_DEBITED",
        "symbol": "USD",
        "amount": "0.50000000",
        "balance": "999.50000000",
        "sequence": 2,
    }
    page = market.get(f"/api/v1/trading/history/{user}?after=0").json()
    assert [(each["kind"], each["outcome"], each["reply"]) for each in page["records"]] == [
        ("transfer", "ACCOUNT_FUNDED", funded.json()),
        ("transfer", "ACCOUNT_DEBITED", debited.json()),
    ]
    head = b""
    for record in page["records"]:
        head = sha256(head + record["record"].encode()).digest()
    portfolio = market.portfolio(user)
    assert (portfolio["head"], portfolio["holdings"]) == (head.hex(), {"USD": "999.50000000"})


def test_a_transfer_is_made_once_per_key_and_replayed(market: Market) -> None:
    user, key = new_user_id(), new_key()

    first = make_transfer(market, transfer(user, "10"), key)
    again = make_transfer(market, transfer(user, "10.00"), key, process=1)

    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert market.portfolio(user)["holdings"] == {"USD": "10.00000000"}


def test_duplicates_at_the_same_moment_are_one_transfer(market: Market) -> None:
    user, key = new_user_id(), new_key()

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda process: make_transfer(market, transfer(user, "10"), key, process), range(10)))

    assert {(each.status_code, each.text) for each in answers} == {(200, answers[0].text)}
    assert [each.headers.get("Idempotent-Replayed") for each in answers].count("true") == 9
    assert market.portfolio(user)["holdings"] == {"USD": "10.00000000"}


@pytest.mark.parametrize("another", [("10.00000001", "USD"), ("-10", "USD"), ("10", "BTC")])
def test_another_transfer_under_a_key_that_was_used_is_refused(market: Market, another: tuple[str, str]) -> None:
    user, key = new_user_id(), new_key()
    make_transfer(market, transfer(user, "10"), key)

    body = refused(make_transfer(market, transfer(user, *another), key), 422, "ERR_IDEMPOTENCY_KEY_REUSED")

    assert "another transfer: it stands for FUND 10.00000000 USD, this is " in body["message"]
    assert [detail["field"] for detail in body["details"]] == ["X-Idempotency-Key"]
    assert market.portfolio(user)["holdings"] == {"USD": "10.00000000"}


def test_orders_keys_and_transfers_keys_are_apart(market: Market) -> None:
    user, key = new_user_id(), new_key()

    assert make_transfer(market, transfer(user, "50000"), key).status_code == 200
    assert market.post(order(user), key).status_code == 200


def test_a_debit_that_would_overdraw_decides_nothing(market: Market) -> None:
    user, key = market.new_user(USD="10"), new_key()

    body = refused(make_transfer(market, transfer(user, "-10.00000001"), key), 402, "ERR_LIQUIDITY")

    assert "10.00000001" in body["message"]
    assert market.portfolio(user)["sequence"] == 1
    market.fund(user, "USD", "1")
    late = make_transfer(market, transfer(user, "-10.00000001"), key)
    assert (late.status_code, late.json()["balance"]) == (200, "0.99999999")


@pytest.mark.parametrize(
    "amount",
    [
        *("0", "-0", "0.00000000", "", "-", "--1", "+1", "- 1", " 1", "1.", "-.5", "1e3", "1_000", "NaN", "all", "-all"),
        *("0.000000001", "-0.000000001", "1000000000000000.00000001", "-1000000000000001", 0, None, True, [], {}),
    ],
)
def test_an_amount_is_a_decimal_other_than_zero(market: Market, amount: Any) -> None:
    user = market.new_user(USD="10")

    assert wrong_fields(make_transfer(market, transfer(user, amount), new_key())) == ["amount"]
    assert market.portfolio(user)["sequence"] == 1


@pytest.mark.parametrize(("amount", "text"), [(b"2.50", "2.50000000"), (b"-2.5", "2.50000000"), (b"0.00000001", "0.00000001")])
def test_an_amount_may_be_a_number_read_digit_for_digit(market: Market, amount: bytes, text: str) -> None:
    user = market.new_user(USD="10")
    body = b'{"user_id": %d, "symbol": "usd", "amount": %b}' % (user, amount)

    status, found = market.raw("POST", f"{OPERATOR}/transfers", [("X-Idempotency-Key", new_key())], body)

    assert (status, found["amount"]) == (200, text)


def test_a_balance_has_a_limit(market: Market) -> None:
    user = market.new_user(USD="99999999999999999999999999999")  # 10^29 less 1

    assert make_transfer(market, transfer(user, "1"), new_key()).status_code == 200
    assert wrong_fields(make_transfer(market, transfer(user, "0.00000001"), new_key())) == ["amount"]


def test_what_is_not_listed_is_not_transferred(market: Market, unlisted: str) -> None:
    user = new_user_id()

    refused(make_transfer(market, transfer(user, "1", unlisted), new_key()), 404, "ERR_ASSET_NOT_FOUND")

    assert market.portfolio(user)["sequence"] == 0


@pytest.mark.parametrize("key", [None, "", '""'])
def test_a_transfer_needs_a_key(market: Market, key: str | None) -> None:
    refused(make_transfer(market, transfer(new_user_id(), "1"), key), 400, "ERR_IDEMPOTENCY_REQUIRED")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["user_id", "symbol", "amount"]),
        ({"user_id": 0, "symbol": "", "amount": "x"}, ["user_id", "symbol", "amount"]),
        ({"user_id": True, "symbol": "USD", "amount": "1"}, ["user_id"]),
        ({"user_id": 2, "symbol": "USD", "amount": "1", "quantity": "1"}, ["quantity"]),
    ],
)
def test_a_transfer_that_is_not_right_names_its_fields(market: Market, body: Any, fields: list[str]) -> None:
    assert wrong_fields(make_transfer(market, body, new_key())) == fields


def test_a_field_that_appears_twice_is_refused(market: Market) -> None:
    body = b'{"user_id": 2, "symbol": "USD", "amount": "1", "amount": "2"}'

    status, found = market.raw("POST", f"{OPERATOR}/transfers", [("X-Idempotency-Key", new_key())], body)

    assert (status, [detail["field"] for detail in found["details"]]) == (422, ["amount"])


# Assets.

RULES = {"min_quantity": "0.01000000", "quantity_step": "0.00500000", "min_notional_usd": "10.00000000", "fee_bps": "12.5"}


def test_an_asset_is_listed_with_its_price_and_rules(market: Market, unlisted: str) -> None:
    before = datetime.now(UTC)

    response = put_asset(market, unlisted.lower(), price="0.0000000000000001", **RULES, max_move="0.5")

    assert response.status_code == 200, response.text
    listed = response.json()
    assert before <= datetime.fromisoformat(listed["price_at"]) <= datetime.now(UTC)
    expected = {"symbol": unlisted, "price": "0.0000000000000001", "price_at": listed["price_at"], "halted": False, **RULES}
    assert {name: listed[name] for name in expected} == expected
    market.outlast_copies()
    assert {name: shown(market)[name] for name in expected} == expected


@pytest.mark.usefixtures("asset")
def test_rules_that_are_absent_stay_and_so_does_the_price(market: Market) -> None:
    put_asset(market, **RULES)

    changed = put_asset(market, fee_bps="30").json()

    assert {name: changed[name] for name in RULES} == {**RULES, "fee_bps": "30"}
    assert (changed["price"], changed["price_at"]) == ("100.00000000", shown_at(0))
    assert put_asset(market).json() == changed


@pytest.mark.usefixtures("asset")
def test_the_guard_is_a_rule_and_holds_for_an_assets_new_price_too(market: Market) -> None:
    assert wrong_fields(put_asset(market, price="121")) == ["price"]
    put_asset(market, max_move="0.21")
    assert put_asset(market, price="121").json()["price"] == "121.00000000"
    assert set_price(market, "200") == "held"


def test_what_is_not_listed_needs_a_price(market: Market, unlisted: str) -> None:
    refused(put_asset(market, unlisted, fee_bps="1"), 404, "ERR_ASSET_NOT_FOUND")
    for action in ("halt", "resume"):
        refused(market.send("POST", f"{OPERATOR}/assets/{unlisted}/{action}", None), 404, "ERR_ASSET_NOT_FOUND")


def test_the_unit_of_account_is_as_it_is(market: Market) -> None:
    assert wrong_fields(put_asset(market, "USD", price="2")) == ["symbol"]
    for action in ("halt", "resume"):
        assert wrong_fields(market.send("POST", f"{OPERATOR}/assets/usd/{action}", None)) == ["symbol"]
    assert shown(market, "USD")["price"] == "1.00000000"


@pytest.mark.usefixtures("asset")
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        *(({"price": price}, ["price"]) for price in (0, "0", "x", None, "1000000000001")),
        *(({"fee_bps": fee}, ["fee_bps"]) for fee in ("1000.01", "-1", "0.001", 5, None)),
        *(({"min_quantity": least}, ["min_quantity"]) for least in ("0", "0.000000001", "x")),
        *(({"quantity_step": step}, ["quantity_step"]) for step in ("0", "-1", 1)),
        *(({"min_notional_usd": least}, ["min_notional_usd"]) for least in ("-1", "x")),
        *(({"max_move": move}, ["max_move"]) for move in ("0", "0.00001")),
        ({"halted": True}, ["halted"]),
        ({"price": "x", "fee_bps": "x", "Fee": "1"}, ["price", "fee_bps", "Fee"]),
    ],
)
def test_a_listing_that_is_not_right_names_its_fields_and_changes_nothing(market: Market, body: Any, fields: list[str]) -> None:
    assert wrong_fields(put_asset(market, **body)) == fields
    assert stored(market) == ("100.00000000", shown_at(0))


def test_the_symbol_in_the_path_is_one(market: Market) -> None:
    for method, path in [("PUT", "NO-SYMBOL"), ("POST", "NO-SYMBOL/halt"), ("POST", "ELEVENCHARS/resume")]:
        assert wrong_fields(market.send(method, f"{OPERATOR}/assets/{path}", {})) == ["symbol"]


@pytest.mark.usefixtures("asset")
def test_a_halt_stops_orders_until_trading_resumes(market: Market) -> None:
    user, key = market.new_user(USD="1000"), new_key()

    halted = market.send("POST", f"{OPERATOR}/assets/{SYMBOL}/halt", None)
    assert (halted.status_code, halted.json()["halted"]) == (200, True)
    market.outlast_copies()
    refused(market.post(order(user, SYMBOL), key), 409, "ERR_ASSET_HALTED")
    assert set_price(market, "101") == "set", "the market goes on without trading"
    resumed = market.send("POST", f"{OPERATOR}/assets/{SYMBOL}/resume", {})
    assert (resumed.status_code, resumed.json()["halted"], resumed.json()["price"]) == (200, False, "101.00000000")
    market.outlast_copies()
    assert market.post(order(user, SYMBOL), key).json()["execution_price"] == "101.00000000"


# What an operator sets is what orders meet.


def test_a_new_price_is_what_orders_pay(market: Market, asset: str) -> None:
    user = market.new_user(USD="1000")
    set_price(market, "110")
    market.outlast_copies()

    assert market.post(order(user, asset), new_key()).json()["total_cost"] == "110.00000000"


@pytest.mark.usefixtures("unlisted")
@pytest.mark.parametrize(
    ("rules", "terms", "says"),
    [
        ({"quantity_step": "0.25"}, {"quantity": "0.30"}, "quantity_step"),
        ({"min_quantity": "0.5"}, {"quantity": "0.49999999"}, "min_quantity"),
        ({"min_notional_usd": "100"}, {"quantity": "0.00199999"}, "min_notional_usd"),
        ({"min_notional_usd": "100"}, {"notional": "99.99999999"}, "min_notional_usd"),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused_by_the_rules_name(
    market: Market, rules: dict[str, str], terms: dict[str, str], says: str
) -> None:
    put_asset(market, price="50000", **rules)
    user = market.new_user(USD="100000")

    response = market.post({"user_id": user, "symbol": SYMBOL, "pay_with": "USD", **terms}, new_key())

    body = refused(response, 422, "ERR_ORDER_RULE")
    assert f"rule {says}" in body["message"]
    assert [detail["field"] for detail in body["details"]] == list(terms)


@pytest.mark.usefixtures("unlisted")
def test_the_fee_is_part_of_what_an_order_costs(market: Market) -> None:
    put_asset(market, price="50000", fee_bps="25")
    user = market.new_user(USD="50375")
    notional = {"user_id": user, "symbol": SYMBOL, "pay_with": "USD", "notional": "250"}

    whole = market.post(order(user, SYMBOL), new_key()).json()
    part = market.post(notional, new_key()).json()

    assert (whole["total_cost"], whole["fee"], whole["remaining_balance"]) == ("50125.00000000", "125.00000000", "250.00000000")
    assert (part["quantity_filled"], part["total_cost"]) == ("0.00498753", "249.99994125")
    assert json.loads(market.records(user)[1].text)["fee_bps"] == "25"

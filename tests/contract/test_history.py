"""History, look-up, void and preview: what became of an order, and how to make sure that nothing does."""

import json
from hashlib import sha256
from typing import Any

import pytest

from tests.support.market import Market, new_key, new_user_id, order


def history(market: Market, user: int, query: str = "") -> dict[str, Any]:
    response = market.get(f"/api/v1/trading/history/{user}{query}")
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


def numbers(page: dict[str, Any]) -> list[int]:
    return [record["sequence"] for record in page["records"]]


def void(market: Market, user: int, key: Any) -> Any:
    return market.send("POST", f"/api/v1/trading/orders/{user}/void", {"idempotency_key": key})


def lookup(market: Market, user: int, key: str) -> Any:
    return market.get(f"/api/v1/trading/orders/{user}/lookup?idempotency_key={key}")


def test_every_decision_is_in_the_history_and_the_chain_can_be_verified_with_the_pages_alone(market: Market) -> None:
    user = market.new_user(USD="1000")
    filled, refused, voided = new_key(), new_key(), new_key()
    fill = market.post(order(user, quantity="0.001"), filled)
    refusal = market.post(order(user, quantity="1"), refused)
    void(market, user, voided)

    page = history(market, user)

    newest_first = [(record["sequence"], record["kind"], record["outcome"], record["status"]) for record in page["records"]]
    assert newest_first == [
        (4, "void", "ORDER_VOIDED", 200),
        (3, "order", "ERR_LIQUIDITY", 402),
        (2, "order", "ORDER_FILLED", 200),
        (1, "transfer", "ACCOUNT_FUNDED", 200),
    ]
    assert [record["reply"] for record in page["records"]][1:3] == [refusal.json(), fill.json()]
    assert page["records"][2]["order"] == {"side": "buy", "symbol": "BTC", "pay_with": "USD", "quantity": "0.001"}
    assert (page["next"], page["sequence"]) == (None, 4)
    head = b""
    for record in reversed(page["records"]):
        head = sha256(head + record["record"].encode()).digest()
        assert record["head"] == head.hex()
        assert json.loads(record["record"])["sequence"] == record["sequence"]
    assert head.hex() == market.portfolio(user)["head"]


def test_pages_go_both_ways_and_cover_everything_once(market: Market) -> None:
    user = market.new_user(USD="1000")
    for _ in range(6):
        market.post(order(user, quantity="0.001"), new_key())

    def all_pages(query: str) -> list[int]:
        seen: list[int] = []
        following: str | None = query
        while following is not None:
            page = history(market, user, f"?limit=3&{following}")
            seen += numbers(page)
            following = page["next"]
        return seen

    assert all_pages("before=8") == [7, 6, 5, 4, 3, 2, 1]
    assert all_pages("after=0") == [1, 2, 3, 4, 5, 6, 7]
    assert numbers(history(market, user, "?after=7")) == []
    assert numbers(history(market, user, "?before=1")) == []
    assert numbers(history(market, user, "?limit=2")) == [7, 6]


def test_an_account_that_nobody_funded_has_an_empty_history(market: Market) -> None:
    assert history(market, new_user_id()) == {"records": [], "next": None, "sequence": 0}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("?limit=0", ["limit"]),
        ("?limit=101", ["limit"]),
        ("?before=x", ["before"]),
        ("?before=0", ["before"]),
        ("?after=-1", ["after"]),
        ("?after=1&before=2", ["after"]),
        ("?page=2", ["page"]),
        ("?limit=1&limit=2", ["limit"]),
    ],
)
def test_a_page_that_cannot_be_is_refused(market: Market, query: str, fields: list[str]) -> None:
    response = market.get(f"/api/v1/trading/history/1{query}")

    assert response.status_code == 422
    assert [detail["field"] for detail in response.json()["details"]] == fields


@pytest.mark.parametrize("path", ["assets", "portfolio/1"])
def test_an_unknown_parameter_is_refused(market: Market, path: str) -> None:
    response = market.get(f"/api/v1/trading/{path}?verbose=1")

    assert (response.status_code, response.json()["details"][0]["field"]) == (422, "verbose")


def test_a_look_up_shows_what_the_history_shows_and_executes_nothing(market: Market) -> None:
    user, key = market.new_user(USD="1000"), new_key()
    before = lookup(market, user, key)
    market.post(order(user, quantity="0.001"), key)

    assert (before.status_code, before.json()["error_code"]) == (404, "ERR_ORDER_NOT_FOUND")
    assert lookup(market, user, key).json() == history(market, user)["records"][0]
    assert lookup(market, user, "").status_code == 400
    assert lookup(market, user, "x" * 129).status_code == 422


def test_a_voided_key_never_executes_whatever_the_order(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    first, again = void(market, user, key), void(market, user, f' "{key}" ')
    late = [market.post(order(user, quantity=quantity), key) for quantity in ("0.1", "0.2")]

    assert (first.status_code, first.json()["status"], first.json()["sequence"]) == (200, "ORDER_VOIDED", 2)
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    for response in late:
        assert (response.status_code, response.json()["error_code"]) == (410, "ERR_ORDER_VOIDED")
        assert response.headers["Idempotent-Replayed"] == "true"
    assert late[0].json() == late[1].json()
    assert "BTC" not in market.portfolio(user)["holdings"]


def test_a_void_of_what_was_decided_comes_too_late_and_shows_it(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()
    fill = market.post(order(user), key)

    response = void(market, user, key)

    assert (response.status_code, response.json()["error_code"]) == (409, "ERR_ORDER_DECIDED")
    assert response.json()["order"] == history(market, user)["records"][0]
    assert market.post(order(user), key).json() == fill.json()


def test_a_refusal_cannot_be_voided_either(market: Market) -> None:
    user, key = market.new_user(USD="1"), new_key()
    market.post(order(user), key)

    assert void(market, user, key).json()["order"]["outcome"] == "ERR_LIQUIDITY"


@pytest.mark.parametrize(
    ("body", "status"), [({}, 400), ({"idempotency_key": " "}, 400), ({"idempotency_key": 1}, 422), ({"x": 1}, 422)]
)
def test_a_void_names_a_key(market: Market, body: dict[str, Any], status: int) -> None:
    assert market.send("POST", "/api/v1/trading/orders/1/void", body).status_code == status


@pytest.mark.parametrize(
    ("change", "would", "status"),
    [
        ({}, "ORDER_FILLED", 200),
        ({"quantity": "9"}, "ERR_LIQUIDITY", 402),
        ({"symbol": "NOPE"}, "ERR_ASSET_NOT_FOUND", 404),
        ({"limit_price": "1"}, "ERR_PRICE_LIMIT", 412),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "ERR_ORDER_EXPIRED", 410),
        ({"symbol": "USD", "pay_with": "BTC", "quantity": "0.00000001"}, "ERR_ORDER_RULE", 422),
    ],
)
def test_a_preview_is_what_execute_would_answer_and_stores_nothing(
    market: Market, change: dict[str, str], would: str, status: int
) -> None:
    user = market.new_user(USD="100000")
    wanted = order(user, quantity="0.5") | change

    preview = market.send("POST", "/api/v1/trading/preview", wanted)
    assert market.portfolio(user)["sequence"] == 1
    executed = market.post(wanted, new_key())

    assert preview.status_code == 200, preview.text
    assert (preview.json()["would"], preview.json()["status"]) == (would, status)
    assert executed.status_code == status
    only_executed = {"timestamp", "executed_at", "executed_by_thread", "sequence"}
    assert preview.json()["reply"] == {name: value for name, value in executed.json().items() if name not in only_executed}


def test_a_preview_of_what_is_not_an_order_is_refused(market: Market) -> None:
    assert market.send("POST", "/api/v1/trading/preview", {"user_id": 1}).status_code == 422

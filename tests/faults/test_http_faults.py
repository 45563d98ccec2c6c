"""What an HTTP client sees while the datastore fails: an answer in time, in the contract's shape, that says what to do."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chalicelib.config import Settings
from chalicelib.contract.errors import Contention, DatastoreUnavailable, EngineError
from harness.processes import chalice_local
from harness.proxy import Proxy, Rule
from tests.support.audit import assert_audit
from tests.support.market import Market, batched, new_key, order

TABLE_PREFIX = "hft-dev"
"""What the default stage of .chalice/config.json sets for `chalice local`."""

BUDGET_MS = 2_400
ON_TOP_S = 0.5
"""What HTTP and a busy machine may add to a request's time."""

CUT_OFF: Rule = {"response": {"abort_frac": 0.0}}
"""The datastore does what it is asked to, and the reply does not arrive."""

CONFLICT: Rule = {
    "error": {
        "code": "TransactionCanceledException",
        "fields": {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]},
    }
}


@pytest.fixture(scope="module")
def market(proxied: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """`chalice local` behind the proxy; what is set up and looked at from behind does not pass through it."""
    env = {
        "AWS_ENDPOINT_URL_DYNAMODB": proxied.url,
        "HFT_CONNECT_TIMEOUT_MS": "200",
        "HFT_READ_TIMEOUT_MS": "400",
        "HFT_REQUEST_BUDGET_MS": str(BUDGET_MS),
    }
    with chalice_local(tmp_path_factory.mktemp("engine") / "log", **env) as server:
        yield Market([server.url], Settings(table_prefix=TABLE_PREFIX, datastore_endpoint=proxied.upstream))


def broken(user: int, rule: Rule, operation: str = "TransactWriteItems") -> Rule:
    return {"operation": operation, "body": f"contains(to_string(@), '{user}')", **rule}


def assert_refused(reply: requests.Response, error: type[EngineError]) -> None:
    """The contract's error, to the letter, and nothing beside it."""
    body: dict[str, Any] = reply.json()
    assert body.pop("timestamp")
    assert (reply.status_code, body) == (
        error.status,
        {"status": error.status, "error_code": error.code, "message": str(error())},
    )
    assert reply.headers["Retry-After"] == "1"
    assert reply.headers["X-Request-Id"]
    assert reply.elapsed.total_seconds() <= BUDGET_MS / 1000 + ON_TOP_S


def unreadable(user: int) -> Rule:
    """Breaks the read of keys with which a request out of time ends."""
    return broken(user, CUT_OFF, "BatchGetItem")


def test_an_unknown_outcome_is_a_503_whose_key_finds_it_out(market: Market, proxied: Proxy) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    with proxied.fault(broken(user, CUT_OFF), unreadable(user)):
        assert_refused(market.post(order(user), key), DatastoreUnavailable)
    found, again = market.post(order(user), key), market.post(order(user), key)

    assert (found.status_code, found.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.text == found.text
    assert market.portfolio(user)["holdings"] == {"BTC": "1.00000000", "USD": "50000.00000000"}
    assert_audit(market, user)


def test_an_outcome_that_no_commit_was_answered_with_is_read_in_time(market: Market, proxied: Proxy) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    with proxied.fault(broken(user, CUT_OFF)):
        reply = market.post(order(user), key)

    assert (reply.status_code, reply.headers.get("Idempotent-Replayed")) == (200, None)
    assert reply.elapsed.total_seconds() <= BUDGET_MS / 1000 + ON_TOP_S
    assert market.post(order(user), key).text == reply.text
    assert market.portfolio(user)["holdings"] == {"BTC": "1.00000000", "USD": "50000.00000000"}
    assert_audit(market, user)


def test_a_reply_lost_on_the_way_to_the_engine_is_none_of_the_clients_business(market: Market, proxied: Proxy) -> None:
    user = market.new_user(USD="100000")

    with proxied.fault(broken(user, {"times": 1, **CUT_OFF})):
        reply = market.post(order(user), new_key())

    assert (reply.status_code, reply.headers.get("Idempotent-Replayed")) == (200, None)
    assert market.portfolio(user)["holdings"] == {"BTC": "1.00000000", "USD": "50000.00000000"}


def test_an_account_that_stays_busy_is_a_409_and_its_key_is_free(market: Market, proxied: Proxy) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    with proxied.fault(broken(user, CONFLICT)):
        assert_refused(market.post(order(user), key), Contention)
    reply = market.post(order(user), key)

    assert (reply.status_code, reply.headers.get("Idempotent-Replayed")) == (200, None)
    assert_audit(market, user)


def test_an_account_that_stays_busy_hides_no_outcome(market: Market, proxied: Proxy) -> None:
    user, key = market.new_user(USD="100000"), new_key()
    filled = market.post(order(user), key)

    with proxied.fault(broken(user, CONFLICT)):
        reply = market.post(order(user), key)

    assert (reply.status_code, reply.headers["Idempotent-Replayed"], reply.text) == (200, "true", filled.text)


# Batches: each order is answered as it would be by itself.


def assert_each_refused(reply: requests.Response, orders: list[dict[str, Any]], error: type[EngineError]) -> None:
    results = reply.json()["results"]
    assert [(result["idempotency_key"], result["status"], result["replayed"]) for result in results] == [
        (each["idempotency_key"], error.status, False) for each in orders
    ]
    for result in results:
        assert result["body"].pop("timestamp")
        assert result["body"] == {"status": error.status, "error_code": error.code, "message": str(error())}
    assert reply.elapsed.total_seconds() <= BUDGET_MS / 1000 + ON_TOP_S


def test_what_became_of_a_batch_without_an_answer_is_found_out_by_its_keys(market: Market, proxied: Proxy) -> None:
    user = market.new_user(USD="100000")
    first, dear, last = orders = [batched(quantity=quantity) for quantity in ("1", "2", "0.5")]

    with proxied.fault(broken(user, CUT_OFF), unreadable(user)):
        assert_each_refused(market.post_batch({"user_id": user, "orders": orders}), orders, DatastoreUnavailable)
    found = market.batch_results(user, [last, first])
    alone = market.post(order(user, quantity="2"), dear["idempotency_key"])

    assert [(result["status"], result["replayed"]) for result in found] == [(200, True), (200, True)]
    assert (alone.status_code, alone.headers["Idempotent-Replayed"]) == (402, "true")
    assert market.portfolio(user)["holdings"] == {"BTC": "1.50000000", "USD": "25000.00000000"}
    assert_audit(market, user)


def test_a_batchs_reply_lost_on_the_way_to_the_engine_is_none_of_the_clients_business(market: Market, proxied: Proxy) -> None:
    user = market.new_user(USD="100000")

    with proxied.fault(broken(user, {"times": 1, **CUT_OFF})):
        results = market.batch_results(user, [batched(quantity=quantity) for quantity in ("1", "2")])

    assert [(result["status"], result["replayed"]) for result in results] == [(200, False), (402, False)]
    assert market.portfolio(user)["holdings"] == {"BTC": "1.00000000", "USD": "50000.00000000"}


def test_a_batch_on_an_account_that_stays_busy_is_a_409_for_each_that_needs_it(market: Market, proxied: Proxy) -> None:
    user = market.new_user(USD="100000")
    orders = [batched(), batched()]
    unknown, wrong = batched("NOSUCH"), batched(quantity="0")

    with proxied.fault(broken(user, CONFLICT)):
        reply = market.post_batch({"user_id": user, "orders": [unknown, *orders, wrong]})
    told = market.batch_results(user, orders)

    assert [result["status"] for result in reply.json()["results"]] == [404, 409, 409, 422]
    assert [(result["status"], result["replayed"]) for result in told] == [(200, False), (200, False)]
    assert_audit(market, user)


def test_what_only_looks_is_refused_in_time_too(market: Market, proxied: Proxy) -> None:
    user = market.new_user(USD="1")

    with proxied.fault(broken(user, {"reset": True}, "GetItem")):
        assert_refused(market.get(f"/api/v1/trading/portfolio/{user}"), DatastoreUnavailable)
    with proxied.fault({"operation": "Scan", "error": {"code": "ThrottlingException"}}):
        assert_refused(market.get("/api/v1/trading/assets"), DatastoreUnavailable)
        assert market.get("/health").status_code == 200

    assert market.portfolio(user)["total_valuation_usd"] == "1.00"

"""Both clients over a proxy that loses, cuts and forges what passes: one order, one fill, and the truth about it."""

from collections.abc import Callable
from dataclasses import replace
from time import monotonic

import pytest

from hft_client import (
    Client,
    DatastoreUnavailable,
    NoAnswer,
    Order,
    OutcomeUnknown,
    RetryPolicy,
    Unauthenticated,
    UnexpectedAnswer,
    Voided,
)
from tests.client.conftest import MakeClient, done
from tests.support.audit import assert_audit
from tests.support.faulty_http import Fault, FaultyProxy, Forward, Reply, answers, none, page, reply_cut, reply_lost, request_lost
from tests.support.market import Market

HASTY = RetryPolicy(deadline_s=0.4, attempt_timeout_s=0.2)


class Clock:
    """A clock that a fault may put forward, so that a deadline passes at once and the next call has all of its time."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.policy = RetryPolicy(deadline_s=30.0, attempt_timeout_s=5.0, monotonic_s=lambda: monotonic() + self.ahead_s)

    def after(self, fault: Fault) -> Fault:
        """Returns the fault, at the end of the client's deadline."""

        def late(forward: Forward) -> Reply | None:
            self.ahead_s += self.policy.deadline_s
            return fault(forward)

        return late


@pytest.fixture
def client(client_of: MakeClient, moto_market: Market, faulty: FaultyProxy) -> Client:
    return client_of(moto_market.new_user(USD="100000"), url=faulty.url)


@pytest.mark.parametrize(
    "fault",
    [
        request_lost,
        reply_lost,
        reply_cut,
        answers(503, "ERR_DATASTORE_UNAVAILABLE"),
        answers(503, "ERR_DATASTORE_UNAVAILABLE", after_deciding=True),
        answers(500, "ERR_INTERNAL", after_deciding=True),
        answers(429, "ERR_THROTTLED"),
        answers(409, "ERR_CONTENTION"),
        page(502),
    ],
)
def test_an_order_is_filled_once_through_a_fault(client: Client, faulty: FaultyProxy, moto_market: Market, fault: Fault) -> None:
    faulty.fail(fault, fault)

    fill = client.buy("BTC", "0.5")

    assert len(faulty.requests) == 3
    assert next(iter(client.history())).fill == fill
    assert client.portfolio().sequence == 2
    assert_audit(moto_market, client.user_id)


def test_a_batch_is_filled_once_through_a_fault(client: Client, faulty: FaultyProxy, moto_market: Market) -> None:
    faulty.fail(reply_lost, reply_cut)

    results = client.batch([Order.buy("ETH", 1), Order.buy("BTC", 500)])

    assert [result.get().replayed for result in results[:1]] == [True]
    assert client.portfolio().sequence == 3
    assert_audit(moto_market, client.user_id)


def test_an_order_that_arrives_late_is_found_though_the_engine_rejected_the_next_attempt(
    client: Client, faulty: FaultyProxy, moto_market: Market
) -> None:
    def arrives_now(forward: Forward) -> Reply | None:
        faulty.deliver_late()
        return forward()

    faulty.fail(faulty.delay, answers(409, "ERR_ASSET_HALTED"), none, arrives_now)

    fill = client.buy("BTC", "0.5")

    assert (fill.replayed, client.portfolio().sequence) == (True, 2)
    assert [path.rpartition("/")[2].partition("?")[0] for _, path, _ in faulty.requests[:5]] == [
        *("execute", "execute"),
        *("lookup", "lookup"),
        "execute",
    ]
    assert_audit(moto_market, client.user_id)


def test_an_order_that_was_voided_is_refused_when_it_arrives_late(
    client_of: MakeClient, moto_market: Market, faulty: FaultyProxy
) -> None:
    clock = Clock()
    client = client_of(moto_market.new_user(USD="100000"), url=faulty.url, policy=clock.policy)
    faulty.choose = lambda: clock.after(faulty.delay)
    with pytest.raises(OutcomeUnknown) as unknown:
        client.buy("BTC", "0.5")
    faulty.choose = lambda: none

    done(client, unknown.value.void())
    faulty.deliver_late()

    assert client.order(unknown.value.key).kind == "void"
    assert client.portfolio().holdings == {"USD": 100_000}


def test_a_server_that_hangs_ends_at_the_deadline_and_is_resolved_later(
    client_of: MakeClient, moto_market: Market, faulty: FaultyProxy
) -> None:
    clock = Clock()
    client = client_of(moto_market.new_user(USD="100000"), url=faulty.url, policy=replace(clock.policy, attempt_timeout_s=0.5))
    faulty.choose = lambda: clock.after(faulty.hang)

    with pytest.raises(OutcomeUnknown) as unknown:
        client.buy("BTC", "0.5")
    faulty.choose = lambda: none

    assert done(client, unknown.value.resolve()).replayed
    assert client.portfolio().sequence == 2


def test_an_order_that_never_arrived_is_voided(client_of: MakeClient, moto_market: Market, faulty: FaultyProxy) -> None:
    clock = Clock()
    client = client_of(moto_market.new_user(USD="100000"), url=faulty.url, policy=clock.policy)
    faulty.choose = lambda: clock.after(request_lost)

    with pytest.raises(OutcomeUnknown) as unknown:
        client.buy("BTC", "0.5")
    faulty.choose = lambda: none
    voided = done(client, unknown.value.void())

    assert isinstance(voided, Voided)
    assert voided.idempotency_key == unknown.value.key
    assert client.order(unknown.value.key).kind == "void"


def test_an_engine_that_is_not_there_leaves_no_order_in_doubt(client_of: MakeClient) -> None:
    client = client_of(1, url="http://127.0.0.1:1", policy=HASTY)

    with pytest.raises(NoAnswer, match="cannot be reached"):
        client.buy("BTC", 1)


@pytest.mark.parametrize("ask", [lambda client: client.portfolio(), lambda client: client.assets()])
def test_a_read_goes_through_faults_or_says_what_it_met(
    client: Client, faulty: FaultyProxy, ask: Callable[[Client], object]
) -> None:
    faulty.fail(reply_lost, answers(503, "ERR_DATASTORE_UNAVAILABLE"), reply_cut)
    assert ask(client)

    faulty.fail(page(200))
    with pytest.raises(UnexpectedAnswer, match="text/html"):
        ask(client)


def test_a_read_ends_at_the_deadline(client_of: MakeClient, faulty: FaultyProxy) -> None:
    client = client_of(1, url=faulty.url, policy=HASTY)
    faulty.choose = lambda: answers(503, "ERR_DATASTORE_UNAVAILABLE", retry_after="1")

    with pytest.raises(DatastoreUnavailable):
        client.portfolio()


def test_a_token_is_sent_and_may_be_renewed(client_of: MakeClient, moto_market: Market, faulty: FaultyProxy) -> None:
    tokens = iter(["first", "second"])
    client = client_of(moto_market.new_user(USD="1"), url=faulty.url, token=lambda: next(tokens))

    for _ in range(2):
        with pytest.raises(Unauthenticated):  # an open run takes no token
            client.portfolio()

    assert [headers["Authorization"] for headers in faulty.headers] == ["Bearer first", "Bearer second"]


def test_a_token_with_a_line_end_is_refused_before_it_is_sent(client_of: MakeClient) -> None:
    with pytest.raises(ValueError, match="token"):
        client_of(1, token="a\n").portfolio()


def test_an_engine_on_this_machine_is_reached_past_the_environments_proxy(
    client_of: MakeClient, moto_market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert client_of(moto_market.new_user(USD="1"), policy=HASTY).portfolio().holdings == {"USD": 1}

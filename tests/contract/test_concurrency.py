"""Real threads and real processes at one account, at the same moment: nothing is lost, nothing happens twice."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from chalicelib.audit import replay
from chalicelib.domain.money import text_from
from tests.support.market import Market, batched, new_key, order


def assert_audit(market: Market, user: int) -> None:
    """The records, replayed in order, make the account: balances, sequence 1…n without gaps, and head."""
    account = market.account(user)
    replay.compare(replay.replay(user, market.records(user)), account)


def test_of_100_orders_for_1_btc_with_100_000_usd_exactly_2_fill(market: Market) -> None:
    user = market.new_user(USD="100000")

    replies = market.post_all([(order(user), new_key()) for _ in range(100)])

    assert Counter(reply.status_code for reply in replies) == {200: 2, 402: 98}
    assert market.portfolio(user)["holdings"] == {"BTC": "2.00000000", "USD": "0.00000000"}
    assert market.portfolio(user)["total_valuation_usd"] == "100000.00"
    assert_audit(market, user)


def test_fractions_at_the_same_moment_all_fill_exactly(market: Market) -> None:
    user = market.new_user(USD="100000")
    quantities = [f"0.0{n:07d}" for n in range(1, 21)]

    replies = market.post_all([(order(user, quantity=quantity), new_key()) for quantity in quantities])

    assert [reply.status_code for reply in replies] == [200] * 20
    bought = sum(map(Decimal, quantities))
    assert market.holdings(user) == {"BTC": bought, "USD": 100_000 - bought * 50_000}
    remaining = {reply.json()["remaining_balance"] for reply in replies}
    assert len(remaining) == 20, "each fill saw an account of its own"
    assert min(remaining, key=Decimal) == text_from(market.account(user).balances["USD"])
    assert_audit(market, user)


def test_duplicates_at_the_same_moment_fill_once_and_all_get_that_reply(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    replies = market.post_all([(order(user), key) for _ in range(10)])

    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    assert Counter(reply.headers.get("Idempotent-Replayed") for reply in replies) == {None: 1, "true": 9}
    assert market.portfolio(user)["holdings"] == {"BTC": "1.00000000", "USD": "50000.00000000"}
    assert_audit(market, user)


def test_one_key_for_two_orders_at_the_same_moment_stands_for_one_of_them(market: Market) -> None:
    user, key = market.new_user(USD="100000"), new_key()

    replies = market.post_all([(order(user, quantity=quantity), key) for quantity in ["0.1", "0.2"] * 5])

    assert Counter(reply.status_code for reply in replies) == {200: 5, 422: 5}
    filled = {reply.json()["quantity_filled"] for reply in replies if reply.status_code == 200}
    assert len(filled) == 1
    assert market.holdings(user)["BTC"] == Decimal(filled.pop())


def at_once(market: Market, user: int, batches: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """What became of batches, each sent from a thread of its own, over all processes in turn."""
    with ThreadPoolExecutor(len(batches)) as threads:
        return list(threads.map(lambda each: market.batch_results(user, each[1], process=each[0]), enumerate(batches)))


def test_one_batch_ten_times_at_the_same_moment_is_filled_once(market: Market) -> None:
    user = market.new_user(USD="100000")
    orders = [batched("SOL", quantity="1") for _ in range(20)]

    told = at_once(market, user, [orders] * 10)

    for results in zip(*told, strict=True):
        assert {result["status"] for result in results} == {200}
        assert len({str(result["body"]) for result in results}) == 1
        assert Counter(result["replayed"] for result in results) == {False: 1, True: 9}
    assert market.holdings(user) == {"SOL": Decimal(20), "USD": Decimal(98_000)}
    assert_audit(market, user)


def test_batches_that_overlap_share_what_they_have_in_common(market: Market) -> None:
    """Each order is in two of the batches, which have it at different places."""
    user = market.new_user(USD="100000")
    orders = [batched("SOL", quantity="1") for _ in range(24)]
    batches = [[orders[(start + step) % 24] for step in range(8)][::way] for start in range(0, 24, 4) for way in (1, -1)]

    told = at_once(market, user, batches)

    replies: dict[str, list[tuple[str, bool]]] = {}
    for result in (result for results in told for result in results):
        assert result["status"] == 200
        replies.setdefault(result["idempotency_key"], []).append((str(result["body"]), result["replayed"]))
    assert len(replies) == 24
    for several in replies.values():
        assert len({body for body, _ in several}) == 1
        assert sorted(replayed for _, replayed in several) == [False, True, True, True]
    assert market.holdings(user) == {"SOL": Decimal(24), "USD": Decimal(97_600)}
    assert_audit(market, user)


def test_batches_and_single_orders_spend_the_same_money_once(market: Market) -> None:
    user = market.new_user(USD="100000")

    with ThreadPoolExecutor(24) as threads:
        batches = [
            threads.submit(market.batch_results, user, [batched(quantity="0.1") for _ in range(5)], number) for number in range(8)
        ]
        singles = [threads.submit(market.post, order(user, quantity="0.1"), new_key(), number) for number in range(16)]
    told = [result["status"] for batch in batches for result in batch.result()]
    told += [single.result().status_code for single in singles]

    assert Counter(told) == {200: 20, 402: 36}
    assert market.holdings(user) == {"BTC": Decimal(2), "USD": Decimal(0)}
    assert_audit(market, user)


def test_money_goes_round_at_the_same_moment_and_its_value_is_conserved(market: Market) -> None:
    """Every cost here is exact, so that nothing is lost to rounding: what the account is worth cannot change."""
    user = market.new_user(USD="10000", BTC="1", ETH="10")
    worth = market.portfolio(user)["total_valuation_usd"]
    orders = [
        order(user, "BTC", "USD", "0.01"),
        order(user, "USD", "BTC", "500"),
        order(user, "ETH", "USD", "0.1"),
        order(user, "ETH", "BTC", "0.5"),
        order(user, "BTC", "ETH", "0.03"),
    ]

    replies = market.post_all([(each, new_key()) for each in orders * 8])

    assert {reply.status_code for reply in replies} == {200}
    assert market.portfolio(user)["total_valuation_usd"] == worth
    assert_audit(market, user)


def test_a_portfolio_is_never_half_of_a_trade(market: Market) -> None:
    user = market.new_user(USD="1000")
    orders = [(order(user, quantity="0.001"), new_key()) for _ in range(20)]

    with ThreadPoolExecutor(24) as threads:
        trading = [threads.submit(market.post, *each) for each in orders]
        looking = [threads.submit(market.portfolio, user) for _ in range(40)]
    assert {future.result().status_code for future in trading} == {200}
    assert {future.result()["total_valuation_usd"] for future in looking} == {"1000.00"}


def test_orders_of_different_accounts_do_not_touch_each_other(market: Market) -> None:
    users = [market.new_user(USD="100000") for _ in range(20)]

    replies = market.post_all([(order(user), new_key()) for user in users for _ in range(3)])

    assert Counter(reply.status_code for reply in replies) == {200: 40, 402: 20}
    for user in users:
        assert_audit(market, user)

"""The feed's loop: what is sent, what is shown, what is tried again, and what ends it. The clock is not a real one."""

import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from chalicelib.domain.money import price_text
from chalicelib.store.tables import asset_key, number
from harness.processes import free_port
from ops.failure import Failure
from ops.feed.backoff import MAX_S
from ops.feed.board import PAUSE_S, Board
from ops.feed.engine import EngineApi
from ops.feed.loop import Feed
from ops.feed.source import SourceUnavailable, Tick
from ops.feed.views import LineView, TableView
from tests.support.market import Market, new_user_id
from tests.unit.ops.feeds import START, Answer, Clock, Scripted, Steps, scripted, taking_all

LONG_AGO = "2026-01-01T00:00:00.000000Z"


def run(url: str, source: Any, clock: Clock, *, board: Board | None = None, changed: Callable[[], None] = lambda: None) -> Board:
    """Runs a feed to its end."""
    board = board or Board()
    Feed(source, EngineApi(url, None, "test"), board, every_s=1, changed=changed, world=clock.world).run()
    return board


def shown(board: Board) -> dict[str, tuple[str, str]]:
    """The price and the result of each asset."""
    return {row.symbol: (price_text(row.price), row.result) for row in board.rows.values()}


@pytest.fixture
def url(moto_market: Market) -> str:
    return moto_market.urls[0]


@pytest.fixture
def symbol(moto_market: Market) -> str:
    return listed(moto_market)


def listed(market: Market, price: str = "100") -> str:
    """An asset of one test's own, whose price is old."""
    symbol = f"T{new_user_id() % 10**9}"
    market.dynamodb.put_item(
        TableName=market.tables.assets,
        Item={
            **asset_key(symbol),
            "price_usd": {"S": price},
            "price_at": {"S": LONG_AGO},
            "halted": {"BOOL": False},
            "version": number(1),
        },
    )
    return symbol


def price_of(market: Market, symbol: str) -> tuple[str, str]:
    item = market.dynamodb.get_item(TableName=market.tables.assets, Key=asset_key(symbol), ConsistentRead=True)["Item"]
    return item["price_usd"]["S"], item["price_at"]["S"]


# Against the engine.


def test_each_step_is_set_as_of_its_time(moto_market: Market, url: str, symbol: str) -> None:
    clock = Clock()

    board = run(url, Steps({symbol: "101"}, {symbol: "102.50"}), clock)

    assert shown(board) == {symbol: ("102.50000000", "set")}
    assert board.rows[symbol].taken == 2
    price, at = price_of(moto_market, symbol)
    assert price == "102.50000000"
    assert at == (START + timedelta(seconds=1001)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_the_same_price_is_confirmed(moto_market: Market, url: str, symbol: str) -> None:
    """An engine that refuses stale prices needs to know that it has not changed."""
    board = run(url, Steps({symbol: "101"}, {symbol: "101"}), Clock())

    assert shown(board) == {symbol: ("101.00000000", "unchanged")}
    assert price_of(moto_market, symbol)[1] != LONG_AGO


def test_a_held_price_is_shown_and_not_sent_again_and_the_next_one_follows_after_a_pause(
    moto_market: Market, url: str, symbol: str
) -> None:
    steps = [{symbol: "39"}, *({symbol: f"{50 + n}"} for n in range(5)), *({symbol: "101"} for _ in range(int(PAUSE_S)))]

    board = run(url, Steps(*steps), Clock())

    row = board.rows[symbol]
    assert (row.held, row.taken, row.failed, row.result) == (1, 6, 0, "unchanged")
    assert price_of(moto_market, symbol)[0] == "101.00000000"


def test_an_unlisted_symbol_does_not_stop_the_others(url: str, symbol: str) -> None:
    board = run(url, Steps({"NOTLISTED": "1", symbol: "101"}, {"NOTLISTED": "1", symbol: "102"}), Clock())

    assert shown(board) == {"NOTLISTED": ("1.00000000", "unknown"), symbol: ("102.00000000", "set")}
    assert board.rows["NOTLISTED"].failed == 1


def test_a_price_that_another_feed_has_overtaken_is_shown(url: str, symbol: str) -> None:
    ahead, behind = Clock(), Clock()
    ahead.seconds += 60
    run(url, Steps({symbol: "101"}), ahead)

    assert shown(run(url, Steps({symbol: "102"}), behind)) == {symbol: ("102.00000000", "older")}


@pytest.mark.parametrize(
    ("symbol", "price"),
    [
        ("BTC/USD", "50000"),
        ("", "50000"),
        ("BTC", ""),
        ("BTC", "0"),
        ("BTC", "-1"),
        ("BTC", "NaN"),
        ("BTC", "1e5"),
        ("BTC", "50,000"),
        ("BTC", "1" + "0" * 13),
        ("BTC", "0.00000000000000001"),
        ("BTC", "9" * 5000),
        ("USD", "1.01"),
    ],
)
def test_what_the_engine_would_refuse_is_not_sent_with_the_others(symbol: str, price: str) -> None:
    with scripted(taking_all) as engine:
        board = run(engine.url, Steps({symbol: price, "ETH": "3000"}), Clock())

    assert engine.puts == [{"ETH": "3000.00000000"}]
    assert board.invalid == 1
    assert "is not sent" in board.problems["price"]


def test_a_price_keeps_each_of_its_sixteen_decimals() -> None:
    with scripted(taking_all) as engine:
        run(engine.url, Steps({"A": "64250.1200000000026193999", "B": "0.0000000000000001", "C": "999999999999.99"}), Clock())

    assert engine.puts == [{"A": "64250.1200000000026193", "B": "0.0000000000000001", "C": "999999999999.99000000"}]


def test_prices_of_one_time_travel_together_and_others_apart() -> None:
    at = Clock().now()
    step = [Tick("A", "1", at), Tick("B", "2", at - timedelta(seconds=7)), Tick("C", "3", at)]

    with scripted(taking_all) as engine:
        run(engine.url, Steps(step), Clock())

    assert engine.puts == [{"B": "2.00000000"}, {"A": "1.00000000", "C": "3.00000000"}]


def test_more_assets_than_a_request_takes_are_sent_in_several() -> None:
    with scripted(taking_all) as engine:
        run(engine.url, Steps({f"S{n}": "1" for n in range(230)}), Clock())

    assert [len(prices) for prices in engine.puts] == [100, 100, 30]


def test_a_price_that_is_older_than_a_newer_one_is_dropped() -> None:
    at = Clock().now()
    step = [Tick("A", "2", at), Tick("A", "1", at - timedelta(seconds=1))]

    with scripted(taking_all) as engine:
        run(engine.url, Steps(step, [Tick("A", "1", at - timedelta(seconds=2))], [Tick("A", "2", at)]), Clock())

    assert engine.puts == [{"A": "2.00000000"}]


# An engine that does not answer.


def test_a_feed_that_begins_before_the_engine_waits_for_it() -> None:
    port = free_port()
    with ExitStack() as stack:
        engines: list[Scripted] = []

        def start_at_the_third_attempt(_: float) -> None:
            if len(clock.sleeps) == 3:
                engines.append(stack.enter_context(scripted(taking_all, port)))

        clock = Clock(start_at_the_third_attempt)
        board = run(f"http://127.0.0.1:{port}", Steps({"A": "1"}), clock)

        assert engines[0].puts == [{"A": "1.00000000"}]
    assert board.problems == {}
    assert clock.sleeps[:3] == [0.5, 1.0, 2.0]


def test_the_waits_grow_to_a_bound() -> None:
    with pytest.raises(TimeoutError):
        run(f"http://127.0.0.1:{free_port()}", Steps(), clock := Clock(_give_up_after(100)))

    assert clock.sleeps[4:] == [8.0, *[MAX_S] * (len(clock.sleeps) - 5)]


def test_after_an_answer_the_waits_are_short_again() -> None:
    clock, statuses, sent_s = Clock(), iter([503, 503, 200, 503, 200]), list[float]()

    def answer(method: str, path: str, body: Any) -> Answer:
        if method == "GET":
            return taking_all(method, path, body)
        sent_s.append(clock.seconds - 1000)
        return taking_all(method, path, body) if next(statuses) == 200 else (503, {})

    with scripted(answer) as engine:
        run(engine.url, Steps({"A": "1"}, {}, {}, {"A": "2"}), clock)

    assert sent_s == [0.0, 0.5, 1.5, 3.0, 3.5]


def _give_up_after(sleeps: int) -> Callable[[float], None]:
    left = itertools.count(sleeps, -1)

    def slept(_: float) -> None:
        if next(left) == 0:
            raise TimeoutError

    return slept


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((503, {"message": "throttled"}), "The engine answers 503: throttled"),
        ((500, b"<html>"), "The engine answers 500: Internal Server Error"),
        ((429, {"message": "Too many"}), "The engine answers 429: Too many"),
        ((302, b""), "The engine answers 302: Found"),
        ((200, b"<html>"), "The engine answers something that is not JSON"),
        ((200, {"result": {}}), "The engine answers without results"),
        ((200, []), "The engine answers without results"),
    ],
)
def test_only_the_newest_prices_are_sent_when_the_engine_answers_again(answer: Answer, problem: str) -> None:
    """A feed keeps one price an asset, however long it lasts."""
    statuses = iter([answer] * 4)
    problems: set[str] = set()

    def fail_four_times(method: str, path: str, body: Any) -> Answer:
        return taking_all(method, path, body) if method == "GET" else next(statuses, None) or taking_all(method, path, body)

    board = Board()
    with scripted(fail_four_times) as engine:
        steps = [{"A": str(n), "B": "7"} for n in range(1, 11)]
        run(engine.url, Steps(*steps), Clock(), board=board, changed=lambda: problems.update(board.problems.values()))

    assert problems == {problem}
    assert board.problems == {}
    assert [int(float(prices["A"])) for prices in engine.puts[:4]] == [1, 1, 2, 4]
    assert engine.puts[-1] == {"A": "10.00000000", "B": "7.00000000"}
    assert all(prices.keys() == {"A", "B"} for prices in engine.puts)
    assert board.rows["A"].failed == 4


def test_the_last_prices_are_sent_even_if_the_source_has_ended() -> None:
    answers: Iterator[Answer] = iter([(503, {})] * 6)

    def answer(method: str, path: str, body: Any) -> Answer:
        return taking_all(method, path, body) if method == "GET" else next(answers, None) or taking_all(method, path, body)

    with scripted(answer) as engine:
        board = run(engine.url, Steps({"A": "1"}), Clock())

    assert shown(board) == {"A": ("1.00000000", "set")}
    assert len(engine.puts) == 7


# An engine that refuses.


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "it wants a token in HFT_TOKEN"),
        (403, "is not an operator's"),
        (404, "the operator's API is off"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_refusal_of_the_caller_ends_the_feed_in_one_line(status: int, says: str, method: str) -> None:
    def answer(of: str, path: str, body: Any) -> Answer:
        return (status, {"message": "No."}) if of == method else taking_all(of, path, body)

    with scripted(answer) as engine, pytest.raises(Failure, match=says) as ended:
        run(engine.url, Steps({"A": "1"}, {"A": "2"}), Clock())

    assert "\n" not in str(ended.value)
    assert str(ended.value).endswith("No.")


def test_a_symbol_that_the_engine_alone_refuses_does_not_stop_the_others() -> None:
    def answer(method: str, path: str, body: Any) -> Answer:
        if method == "PUT" and "BAD" in body["prices"]:
            return 422, {"message": "prices: BAD: is not what it should be"}
        return taking_all(method, path, body)

    with scripted(answer) as engine:
        board = run(engine.url, Steps(*({"A": str(n), "BAD": "1", "C": "2"} for n in range(1, 4))), Clock())

    assert shown(board) == {
        "A": ("3.00000000", "set"),
        "BAD": ("1.00000000", "refused"),
        "C": ("2.00000000", "set"),
    }
    assert (board.rows["A"].taken, board.rows["BAD"].failed) == (3, 1)
    assert board.problems["price"].endswith("prices: BAD: is not what it should be")


def test_the_token_is_sent_to_the_engine_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Neither a redirect nor the proxy of the environment gets it; ~/.netrc does not replace it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with scripted(lambda method, *_: (302, b"") if method == "PUT" else (200, [])) as engine:
        api = EngineApi(engine.url, "the-token", "test")
        with pytest.raises(TimeoutError):
            Feed(Steps({"A": "1"}), api, Board(), every_s=1, changed=lambda: None, world=Clock(_give_up_after(3)).world).run()

    assert {(path, token) for _, path, _, token in engine.requests} == {
        ("/api/v1/trading/assets", "Bearer the-token"),
        ("/api/v1/operator/prices", "Bearer the-token"),
    }


@pytest.mark.parametrize("token", ["a b\nc", "tökén"])
def test_what_cannot_be_a_token_is_refused(token: str) -> None:
    with pytest.raises(Failure, match="HFT_TOKEN"):
        EngineApi("https://engine.example", token, "test")


def test_no_token_travels_in_the_clear() -> None:
    with pytest.raises(Failure, match="https"):
        EngineApi("http://engine.example", "token", "test")


@pytest.mark.parametrize("wrong", ["localhost:8000", "nonsense", "ftp://engine.example", "http://"])
def test_a_url_that_is_none_ends_the_feed(wrong: str) -> None:
    with pytest.raises(Failure, match="--url must be a URL"):
        run(wrong, Steps({"A": "1"}), Clock())


# A source that does not answer.


def test_a_source_that_does_not_answer_is_asked_again_less_and_less_often() -> None:
    clock, down = Clock(), SourceUnavailable("is on fire")
    problems: list[Mapping[str, str]] = []
    board = Board()

    with scripted(taking_all) as engine:
        steps: Sequence[Any] = [{"A": "1"}, *[down] * 6, {"A": "2"}]
        run(engine.url, Steps(*steps), clock, board=board, changed=lambda: problems.append(board.problems.copy()))

    assert clock.sleeps == [1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 15.0, 1.0]
    assert {"source": "The source is on fire"} in problems
    assert board.problems == {}
    assert engine.puts == [{"A": "1.00000000"}, {"A": "2.00000000"}]


# What is shown.


def lines_of(*steps: Any, answer: Callable[[str, str, Any], Answer] = taking_all) -> Iterator[str]:
    """The lines of a run without their times."""
    clock, board, lines = Clock(), Board(), list[str]()
    view = LineView(board, "Feed", clock.world, lines.append)
    with scripted(answer) as engine, view:
        run(engine.url, Steps(*steps), clock, board=board, changed=view.changed)
    return (line.partition(" ")[2] for line in lines)


def test_lines_say_what_begins_and_goes_wrong_and_add_it_up_each_minute() -> None:
    answers = iter([(200, {"results": {"A": "set"}}), (503, {"message": "Busy"}), (200, {"results": {"A": "held"}})])

    def answer(method: str, path: str, body: Any) -> Answer:
        return taking_all(method, path, body) if method == "GET" else next(answers, None) or taking_all(method, path, body)

    steps: list[Any] = [{"A": "1"}, {"A": "2"}, {"A": "3"}, {"A": "0"}, *({"A": "4"} for _ in range(60))]

    assert list(lines_of(*steps, answer=answer)) == [
        "Feed: begins",
        "A set at 1.00000000",
        "The engine answers 503: Busy",
        "The engine answers",
        "A held at 2.00000000",
        "'A' at '0' is not sent: it must be from 0.0000000000000001 to 1000000000000.00000000",
        "A set at 4.00000000",
        "50 sent, 1 held, 1 failed, 1 not sent",
        "Feed: ends. 53 sent, 1 held, 1 failed, 1 not sent",
    ]


def test_the_table_shows_each_asset_and_each_problem() -> None:
    clock, board = Clock(), Board()
    results = {"BTC": "set", "ETH": "held", "XYZ": "unknown"}

    def answer(method: str, *_: Any) -> Answer:
        return (200, []) if method == "GET" else (200, {"results": results})

    with scripted(answer) as engine:
        run(engine.url, Steps({"BTC": "50123.45", "ETH": "9000", "XYZ": "1"}), clock, board=board)
    board.problems["engine"] = "The engine does not answer: Connection refused"
    clock.seconds += 12.34

    console = Console(width=100, record=True, file=io.StringIO())
    console.print(TableView(board, "Feed walk → URL", console, clock.world).drawn())
    title, header, *rows, problem = console.export_text().splitlines()

    assert "Feed walk → URL" in title
    assert header.split() == ["symbol", "price", "age", "result", "sent", "held", "failed"]
    assert [row.split() for row in rows] == [
        ["BTC", "50123.45000000", "13.3", "s", "set", "1"],
        ["ETH", "9000.00000000", "13.3", "s", "held", "0", "1"],
        ["XYZ", "1.00000000", "13.3", "s", "unknown", "0", "1"],
    ]
    assert problem == "The engine does not answer: Connection refused"

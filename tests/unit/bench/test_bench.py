"""What the measurements stand on, where it could break and nobody would see it in the figures. No time is asserted."""

import json
import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from itertools import chain, islice
from threading import Thread

import pytest

from bench import chart, report
from bench.__main__ import main as bench_main
from bench.circumstances import circumstances
from bench.contenders import fills
from bench.figures import Figure, of_rounds
from bench.load import Plan, send
from bench.orders import BATCH, Batches, Singles
from bench.spread import percentile
from bench.targets import at_least, at_most, none
from bench.wire import Response, parse, post
from chalicelib.contract.batch import read_batch
from chalicelib.contract.caller import Caller
from tests.support.market import Market

URL = "http://127.0.0.1:8000"


def answer(body: bytes, status: int = 200) -> bytes:
    return f"HTTP/1.1 {status} OK\r\nServer: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def test_a_response_is_complete_when_its_last_byte_is_there() -> None:
    whole = answer(b'{"status": "ok"}', 402)

    assert [parse(whole[:end]) for end in range(len(whole))] == [None] * len(whole)
    response = parse(whole)

    assert response == Response(402, b'{"status": "ok"}')
    assert response.json() == {"status": "ok"}


def test_a_response_without_a_body_is_complete_with_its_head() -> None:
    assert parse(answer(b"", 204)) == Response(204, b"")


@pytest.mark.parametrize(
    "received",
    [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", answer(b"{}") + b"HTTP/1.1 200 OK"],
    ids=["no length", "more than its length"],
)
def test_what_cannot_be_read_is_an_error(received: bytes) -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        parse(received)


def test_no_two_orders_have_the_same_key() -> None:
    sent = [*islice(Singles(URL, 1), 50), *islice(Singles(URL, 1), 50)]

    keys = {line for request in sent for line in request.split(b"\r\n") if line.startswith(b"X-Idempotency-Key")}
    assert len(keys) == len(sent)


def test_a_batch_is_one_that_the_engine_reads() -> None:
    request = next(iter(Batches(URL, 7, 99)))
    head, _, body = request.partition(b"\r\n\r\n")

    read = read_batch(body, Caller(7, 0))

    assert head.startswith(f"POST {BATCH} HTTP/1.1\r\n".encode())
    assert read.user_id == 7
    assert len({order.idempotency_key for order in read.orders}) == 99


@contextmanager
def server(replies: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Takes one connection, and answers each request on it with the next reply, in two pieces; yields its URL and what it got."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for reply in replies:
                    got.append(connection.recv(65536))
                    connection.sendall(reply[:25])
                    connection.sendall(reply[25:])
                connection.recv(1)  # until the other side hangs up

        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", got
        thread.join()


def test_a_load_sends_each_request_once_and_keeps_each_answer() -> None:
    with server([answer(b'{"n": 1}'), answer(b'{"n": 2}', 402), answer(b'{"n": 3}')]) as (url, got):
        requests = [post(f"{url}/execute", {"n": n}) for n in range(3)]
        answers = send(Plan([url], 1, requests, warm_up_s=0, counted_s=3600))

    assert got == requests
    assert [(response.status, response.json()["n"]) for response in answers.responses] == [(200, 1), (402, 2), (200, 3)]
    assert answers.statuses == {200: 2, 402: 1}
    assert len(answers.latencies_ms) == len(answers.counted) == 3


def test_nothing_is_sent_when_the_time_is_over_and_nothing_before_it_counts() -> None:
    with server([answer(b"{}")]) as (url, got):
        answers = send(Plan([url], 1, [post(url, {})] * 2, warm_up_s=0, counted_s=0))

    assert len(got) == 1
    assert len(answers.responses) == 1
    assert answers.counted == []


def test_no_more_is_sent_than_was_asked_for() -> None:
    with server([answer(b"{}")] * 2) as (url, got):
        answers = send(Plan([url], 1, Singles(url, 1), warm_up_s=0, counted_s=3600, count=2))

    assert len(got) == len(answers.responses) == 2


def test_a_connection_that_ends_early_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()

        thread = Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConnectionError):
            send(Plan([url], 1, [post(url, {})], warm_up_s=0, counted_s=3600))
        thread.join()


def test_the_load_agrees_with_the_engine_on_what_was_filled(market: Market) -> None:
    """One order alone and a batch, as the measurements send them and read their answers."""
    url, user = market.urls[0], market.new_user(USD="1")

    requests = chain(islice(Singles(url, user), 1), islice(Batches(url, user, 3), 1))
    answers = send(Plan([url], 1, requests, warm_up_s=0, counted_s=3600))
    filled = [fill for response in answers.responses for fill in fills(response)]

    assert [fill["quantity_filled"] for fill in filled] == ["0.0001"] * 4
    assert market.holdings(user) == {"SOL": Decimal("0.0004"), "USD": Decimal("0.96")}


def test_a_refusal_is_no_fill() -> None:
    refused = {"idempotency_key": "k", "status": 402, "replayed": False, "body": {"error_code": "ERR_LIQUIDITY"}}

    assert fills(Response(402, b"{}")) == []
    assert fills(Response(200, json.dumps({"results": [refused]}).encode())) == []


def test_the_median_stands_between_the_lowest_and_the_highest() -> None:
    figure = of_rounds("part", "name", [9, 1, 2], "/s")

    assert (figure.low, figure.value, figure.high) == (1, 2, 9)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, expected: float) -> None:
    assert percentile(range(100, 0, -1), percent) == expected


def test_a_percentile_of_little() -> None:
    assert percentile([], 99) == 0
    assert percentile([7], 50) == percentile([7], 99) == 7
    assert percentile([1, 2], 50) == 1


def test_a_target_is_met_at_its_bound() -> None:
    figure = Figure("part", "name", 2.0, "×")

    assert at_least(figure, 2).met
    assert not at_least(figure, 2.1).met
    assert at_most(figure, 2).met
    assert not at_most(figure, 1.9).met
    assert none("part", "lost", 0).met
    assert not none("part", "lost", 1).met


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0421, "0.042"),
        (0.9, "0.90"),
        (1.4, "1.40"),
        (18, "18"),
        (18.04, "18.0"),
        (99.97, "100"),
        (107.6, "108"),
        (12345.6, "12,346"),
    ],
)
def test_a_number_has_three_digits(value: float, text: str) -> None:
    assert report.number(value) == text


FIGURES = [
    of_rounds("over HTTP", "moto, 1 connection: fills", [63.3, 60], "/s"),
    of_rounds("over HTTP", "moto, 1 connection: fills beside the peer", [2.5], "×"),
    Figure("over HTTP", "the peer, 1 connection: fills", 25, "/s"),
    Figure("hot account", "8 processes: fills", 100, "/s"),
    Figure("hot account", "8 processes: slowest, of an equal share", 0.9, "×", target="≥ 0.5", met=True),
    Figure("elsewhere", "<&>: a part that no panel shows", 1, ""),
]


def test_the_chart_is_well_formed_and_shows_each_bar_with_what_stands_beside_it() -> None:
    drawn = ET.fromstring(chart.draw(FIGURES, "a machine & a <commit>"))

    texts = ["".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Orders over HTTP", "One hot account, several processes", "a machine & a <commit>", "1 connection"} <= {*texts}
    assert {"61.62.50×", "25", "100slowest 0.90×"} <= {*texts}
    assert "Batches over one connection" not in texts


def test_ratios_come_first_in_a_table() -> None:
    assert [figure.unit for figure in report.by_part(FIGURES)["over HTTP"]] == ["×", "/s", "/s"]
    assert "| moto, 1 connection: fills beside the peer | 2.50× | 2.50 – 2.50 |  |" in report.markdown(FIGURES)
    assert "| 8 processes: slowest, of an equal share | 0.90× |  | ≥ 0.5 ✓ |" in report.markdown(FIGURES)


def test_figures_stand_below_the_circumstances_they_were_measured_under() -> None:
    under = circumstances(datetime(2026, 11, 22, tzinfo=UTC), rounds=3)

    assert under.sentence().startswith("Medians of 3 rounds, with the lowest and the highest; 2026-11-22, commit ")
    for package in ("chalice", "botocore", "pynamodb", "moto", "ministack"):
        assert f"{package} {version(package)}" in under.sentence()
    assert under.line().startswith("2026-11-22 · commit ")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9", "no engine answers at http://127.0.0.1:9"),
        ("http://127.0.0.1:x", "must be an http:// URL"),
        ("ftp://peer", "must be an http:// URL"),
        ("http://", "must be an http:// URL"),
    ],
)
def test_a_peer_that_is_not_there_ends_a_run_before_it_begins(url: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench_main(["--peer", url])

    assert ended.value.code == 2
    assert says in capsys.readouterr().err.splitlines()[-1]

"""Answers of price sources: a price comes of a good one, and of all others a problem in words, in bounded time and memory."""

import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.money import price_text
from chalicelib.market.answer import UnusableAnswer, median, price_in
from chalicelib.market.fetch import fetch
from chalicelib.runtime import fetch as fetching
from chalicelib.runtime.sockets import TimeLeft
from chalicelib.runtime.world import World
from harness.processes import ROOT, free_port
from tests.support.certificates import self_signed
from tests.support.tickers import Reply, http, tickers
from tests.unit.market.answers import REFUSED, SLOW, TAKEN, Case

TIME_S = 5.0
SHORT_S = 0.3
"""The time for an answer that never comes: some thirty bytes of one that drips."""


def ask(case: Case) -> str:
    """Returns the price that comes of an answer."""
    with tickers({case.path: case.reply}) as server:
        time = TimeLeft(World(), SHORT_S if case.comes == SLOW else TIME_S)
        return price_text(price_in(fetch(server.url + case.path, time), case.pointer))


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.words)
def test_the_price_is_taken_digit_for_digit(case: Case) -> None:
    assert ask(case) == case.comes


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.words)
def test_what_is_not_a_price_is_refused_in_words(case: Case) -> None:
    with pytest.raises(UnusableAnswer) as refused:
        ask(case)

    assert str(refused.value) == case.comes


def test_the_documented_table_is_this_one() -> None:
    rows = [line for line in (ROOT / "docs" / "feeds.md").read_text().splitlines() if line.startswith("| ")]
    cases = [f"| {case.words} | {case.comes} |" for case in [*TAKEN, *REFUSED]]

    assert [row for row in rows if row in cases] == cases


def test_a_reply_that_drips_takes_no_longer_than_its_time() -> None:
    with tickers({"/price": Reply(http('{"price": 64250}'), drips=True)}) as server:
        world = World()
        started_s = world.monotonic_s()
        with pytest.raises(UnusableAnswer, match=SLOW):
            fetch(f"{server.url}/price", TimeLeft(world, SHORT_S))

        assert SHORT_S <= world.monotonic_s() - started_s < SHORT_S + 0.5


def test_a_redirect_is_not_followed() -> None:
    with tickers({"/price": http("", "301 Moved Permanently", Location="/elsewhere"), "/elsewhere": http("64250")}) as server:
        with pytest.raises(UnusableAnswer, match="answers 301"):
            fetch(f"{server.url}/price", TimeLeft(World(), TIME_S))

        assert len(server.asked) == 1


def test_a_request_asks_for_plain_json_and_names_its_host() -> None:
    with tickers({"/a?b=c%20d": http("1")}) as server:
        fetch(f"{server.url}/a?b=c%20d", TimeLeft(World(), TIME_S))

        (head,) = server.asked
        assert head.split(b"\r\n")[0] == b"GET /a?b=c%20d HTTP/1.1"
        host = server.url.removeprefix("http://").encode()
        assert {b"Host: " + host, b"Accept-Encoding: identity", b"Connection: close"} <= set(head.split(b"\r\n"))


def test_nobody_listens() -> None:
    with pytest.raises(UnusableAnswer, match="does not answer: ConnectionRefusedError"):
        fetch(f"http://127.0.0.1:{free_port()}/price", TimeLeft(World(), TIME_S))


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(UnusableAnswer, match="does not answer: gaierror"):
        fetch("https://nowhere.example/price", TimeLeft(World(), TIME_S))


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same certificate is taken where the system trusts it, and only for the name that it is for."""
    certificate = self_signed(tmp_path, "localhost")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)

    def ask_at(url: str) -> bytes:
        fetching._tls.cache_clear()  # noqa: SLF001  (as a new process)
        try:
            return fetch(url, TimeLeft(World(), TIME_S))
        finally:
            fetching._tls.cache_clear()  # noqa: SLF001

    with tickers({"/price": http("64250")}, served) as server:
        with pytest.raises(UnusableAnswer, match="SSLCertVerificationError"):
            ask_at(f"{server.url}/price")

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask_at(f"{server.url}/price") == b"64250"
        with pytest.raises(UnusableAnswer, match="SSLCertVerificationError"):
            ask_at(f"{server.url}/price".replace("localhost", "127.0.0.1"))


# Pointers: the examples of RFC 6901, section 5, with numbers.

RFC_6901 = b'{"foo": [1, 2], "": 3, "a/b": 4, "c%d": 5, "e^f": 6, "g|h": 7, "i\\\\j": 8, "k\\"l": 9, " ": 10, "m~n": 11}'


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/foo/0", 1),
        ("/foo/1", 2),
        ("/", 3),
        ("/a~1b", 4),
        ("/c%d", 5),
        ("/e^f", 6),
        ("/g|h", 7),
        ("/i\\j", 8),
        ('/k"l', 9),
        ("/ ", 10),
        ("/m~0n", 11),
    ],
)
def test_a_pointer_finds_what_rfc_6901_says(pointer: str, value: int) -> None:
    assert price_text(price_in(RFC_6901, pointer)) == f"{value}.00000000"


@pytest.mark.parametrize("pointer", ["/foo/2", "/foo/00", "/foo/-", "/foo/-1", "/foo/0/0", "/foo/1e0", "/nothing", "/foo/¹"])
def test_a_pointer_to_nothing(pointer: str) -> None:
    with pytest.raises(UnusableAnswer, match="has nothing at"):
        price_in(RFC_6901, pointer)


def test_the_whole_document_may_be_the_price() -> None:
    assert price_text(price_in(b"64250.5", "")) == "64250.50000000"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from(["", "/price", "/0"]))
def test_no_document_ends_in_anything_but_a_price_or_words(body: bytes, pointer: str) -> None:
    with suppress(UnusableAnswer):
        assert price_in(body, pointer) > 0


# The median.


@pytest.mark.parametrize(
    ("prices", "middle"),
    [
        ([5], 5),
        ([1, 9], 5),
        ([1, 2], 1),
        ([3, 1, 2], 2),
        ([1, 1, 9], 1),
        ([4, 1, 3, 2], 2),
        ([1, 2, 5, 100], 3),
        ([7, 1, 900, 5, 6], 6),
    ],
)
def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two_rounded_down(prices: list[int], middle: int) -> None:
    assert median(prices) == middle


@given(st.lists(st.integers(1, 10**28), min_size=2, max_size=8), st.integers(1, 10**28))
def test_one_wrong_answer_beside_two_others_never_leaves_their_range(others: list[int], wrong: int) -> None:
    assert min(others) <= median([*others, wrong]) <= max(others)

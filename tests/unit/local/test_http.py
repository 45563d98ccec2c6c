"""HTTP/1 on a local run's socket, as RFC 9112 asks."""

import json
from http.client import HTTPConnection
from socket import SHUT_WR, create_connection, socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.market import Market, new_key

ORDER: dict[str, Any] = {"user_id": 1, "symbol": "BTC", "pay_with": "USD", "quantity": "0.00000001"}
BODY = json.dumps(ORDER).encode()
POST = b"POST /api/v1/trading/execute HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


def connect(market: Market) -> socket:
    url = urlsplit(market.urls[0])
    assert url.hostname
    assert url.port
    return create_connection((url.hostname, url.port), timeout=30)


def all_of(connection: socket) -> bytes:
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def answer_to(market: Market, sent: bytes) -> bytes:
    """Sends bytes and ends the sending; returns all that comes back."""
    with connect(market) as connection:
        connection.sendall(sent)
        connection.shutdown(SHUT_WR)
        return all_of(connection)


def test_requests_on_one_connection_wait_for_nothing(moto_market: Market) -> None:
    """Headers and body leave in one piece: in two, Nagle's algorithm and a delayed ACK put 40 ms between them."""
    url = urlsplit(moto_market.urls[0])
    assert url.hostname
    assert url.port
    with create_connection((url.hostname, url.port), timeout=30) as connection:
        connection.sendall(GET + b"\r\n")
        first_piece = connection.recv(65536)
    assert first_piece.endswith(b"}\n"), "the body came with the headers"


def test_a_body_in_chunks_is_read(moto_market: Market) -> None:
    connection = HTTPConnection(urlsplit(moto_market.urls[0]).netloc, timeout=30)
    body = json.dumps(ORDER | {"quantity": "0.00000001"}).encode()
    for key in ("chunks-1", "chunks-2"):  # the second shows that the first was read to its end
        pieces = iter([body[:10], body[10:]])
        connection.request("POST", "/api/v1/trading/execute", pieces, {"X-Idempotency-Key": key}, encode_chunked=True)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["status"]) == (200, "ORDER_FILLED")
    connection.close()


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        (b"nonsense\r\n\r\n", 400, "does not begin with a line such as"),
        (b"GET /health\r\n\r\n", 400, "does not begin with a line such as"),
        (b"GET  /health HTTP/1.1\r\nHost: a\r\n\r\n", 400, "does not begin with a line such as"),
        (b"GET health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "is not for a path that begins with /"),
        (b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", 400, "this server takes HTTP/1.1"),
        (b"GET /health HTTP/1.1\r\n\r\n", 400, "Host: is required, once"),
        (GET + b"Host: localhost\r\n\r\n", 400, "Host: is required, once"),
        (GET + b"X-Idempotency-Key : k\r\n\r\n", 400, "without a space before the colon"),
        (GET + b"a: b\r\n folded\r\n\r\n", 400, "without a space before the colon"),
        (GET + b"no colon\r\n\r\n", 400, "is not `Name: value`"),
        (GET + b"a: \0\r\n\r\n", 400, "control character"),
        (GET + b"a: b\rc: d\r\n\r\n", 400, "control character"),
        (GET + b"a: b\r\n", 400, "ends before its headers do"),
        (GET + b"a: b\r\n" * 100 + b"\r\n", 413, "has more than 100 headers"),
        (GET + b"a: " + b"b" * 70_000 + b"\r\n\r\n", 413, "are larger than 65536 bytes"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 413, "are larger than 65536 bytes"),
        (POST + b"Content-Length: x\r\n\r\n", 400, "must be one number of bytes"),
        (POST + b"Content-Length: -1\r\n\r\n", 400, "must be one number of bytes"),
        (POST + b"Content-Length:\r\n\r\n", 400, "must be one number of bytes"),
        (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400, "must be one number of bytes"),
        (POST + b"Content-Length: 2, 3\r\n\r\n{} ", 400, "must be one number of bytes"),
        (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "cannot be combined"),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "can only be chunked"),
        (POST + b"Transfer-Encoding: identity\r\n\r\n", 400, "can only be chunked"),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "can only be chunked"),
        (POST + b"Transfer-Encoding:\r\n\r\n", 400, "can only be chunked"),
        (POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "can only be chunked"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n", 400, "is not in chunks as announced"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n", 400, "is not in chunks as announced"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}", 400, "is shorter than announced: 2 of 5 bytes"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", 400, "is not in chunks as announced"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", 400, "ends before it is complete"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413, "The body is larger than 16384 bytes"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffff\r\n", 413, "The body is larger than 16384 bytes"),
        (POST + b"Content-Length: 99999999999\r\n\r\n", 413, "The body is larger than 16384 bytes"),
        (POST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n", 413, "The body is larger than 16384 bytes"),
        (POST.replace(b"execute", b"execute/batch") + b"Content-Length: 99999999\r\n\r\n", 413, "larger than 65536 bytes"),
    ],
)
def test_what_is_not_http_is_refused_in_words_and_ends_the_connection(
    moto_market: Market, sent: bytes, status: int, says: str
) -> None:
    head, _, body = answer_to(moto_market, sent).partition(b"\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"X-Request-Id:" in head
    assert b"Connection: close" in head
    error = json.loads(body)
    assert (error["status"], error["error_code"]) == (status, "ERR_TOO_LARGE" if status == 413 else "ERR_VALIDATION")
    assert says in error["message"]


def test_a_body_that_is_cut_short_trades_nothing(moto_market: Market) -> None:
    """The first bytes of a body may be an order by themselves."""
    user = moto_market.new_user(USD="1")
    body = json.dumps(ORDER | {"user_id": user}).encode()
    head = POST + f"X-Idempotency-Key: {new_key()}\r\nContent-Length: {len(body) + 1}\r\n\r\n".encode()

    assert answer_to(moto_market, head + body).startswith(b"HTTP/1.1 400 ")
    assert moto_market.portfolio(user)["holdings"] == {"USD": "1.00000000"}


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n" + GET + b"\r\n",
        b"\n" + GET.replace(b"\r\n", b"\n") + b"\n",
        GET + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        GET + b"Content-Length: 0000000000000000000000002\r\n\r\n{}",
        GET + b"Transfer-Encoding: Chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nA-Trailer: x\r\n\r\n",
        GET + b"a: b\r\n" * 99 + b"\r\n",
        GET.replace(b"/health", b"http://127.0.0.1/health") + b"\r\n",
        GET.replace(b"/health", b"//health") + b"\r\n",
        GET.replace(b"localhost", b"[::1]:8000") + b"\r\n",
        GET.replace(b"/health", b"http://[::1]:8000/health") + b"\r\n",
        b"GET /health HTTP/1.0\r\n\r\n",
    ],
)
def test_what_is_http_is_answered_and_read_to_its_end(moto_market: Market, sent: bytes) -> None:
    once = answer_to(moto_market, sent)
    assert once.startswith(b"HTTP/1.1 200 ")
    if b"HTTP/1.0" not in sent:
        assert answer_to(moto_market, sent + sent).count(b"HTTP/1.1 200 ") == 2


def test_a_client_of_1_0_keeps_its_connection_where_it_asks_to(moto_market: Market) -> None:
    with connect(moto_market) as connection:
        for _ in range(2):
            connection.sendall(b"GET /health HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert b"\r\nConnection: keep-alive\r\n" in connection.recv(65536)
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in all_of(connection)


def test_a_client_that_wants_to_close_is_answered_and_closed(moto_market: Market) -> None:
    with connect(moto_market) as connection:
        connection.sendall(GET + b"Connection: te, close\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in all_of(connection)


def test_an_answer_arrives_though_the_client_is_still_sending(moto_market: Market) -> None:
    with connect(moto_market) as connection:
        connection.sendall(POST + b"Content-Length: 20000000\r\n\r\n" + b"x" * 20_000_000)
        connection.shutdown(SHUT_WR)
        assert all_of(connection).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_waits_is_asked_for_the_body_at_once(moto_market: Market) -> None:
    with connect(moto_market) as connection:
        connection.sendall(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 422 ")


def test_a_client_that_waits_is_not_asked_for_a_body_that_is_refused(moto_market: Market) -> None:
    with connect(moto_market) as connection:
        connection.sendall(POST + b"Content-Length: 20000000\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "QUERY", "BREW"])
def test_an_unsupported_method_is_answered_with_those_that_the_route_takes(moto_market: Market, method: str) -> None:
    connection = HTTPConnection(urlsplit(moto_market.urls[0]).netloc, timeout=30)
    connection.request(method, "/api/v1/trading/assets")
    response = connection.getresponse()
    body = response.read()
    connection.close()

    assert (response.status, response.headers["Allow"]) == (405, "GET")
    assert response.headers["X-Request-Id"]
    assert json.loads(body)["error_code"] == "ERR_METHOD_NOT_ALLOWED"
    assert body.endswith(b"}\n")

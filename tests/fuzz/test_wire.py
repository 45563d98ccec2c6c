"""Bytes at the socket of a local run: whatever they are, each answer is one, in the contract's shape, and none is a 5xx.

On a deployed stage API Gateway reads the socket. The other tests of this package try what it passes on.
"""

import json
import re
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.document import BATCH, EXECUTE
from tests.fuzz.effort import inputs
from tests.fuzz.texts import ORDER, PIECES
from tests.support.market import Market

BODY = json.dumps(ORDER | {"user_id": 2**62 + 1}).encode()
METHODS = st.sampled_from([b"POST", b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"post", b"\xff", b""])
TARGETS = st.sampled_from(
    [
        *(
            EXECUTE.encode(),
            BATCH.encode(),
            b"/api/v1/trading/portfolio/1",
            b"/api/v1/trading/assets",
            b"/health",
            b"/docs",
            b"*",
            b"/",
            b"//",
        ),
        *(b"/api/v1/trading/portfolio/%ff", b"/health?a=%&&a", b"http://localhost/health", b"/docs/..%2fapp.py", b"/\xc3\xa9"),
    ]
)
VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/9", b"FTP/1.1", b""])
HOSTS = st.sampled_from([[b"Host: localhost"]] * 9 + [[], [b"Host: localhost"] * 2, [b"Host: example.com"]])
HEADERS = st.sampled_from(
    [
        *(b"X-Idempotency-Key: k", b"x-idempotency-key:", b"Idempotency-Key: \xff", b"Content-Type: text/xml; charset=\x01"),
        *(b"Connection: close", b"Connection: keep-alive", b"Expect: 100-continue", b"Transfer-Encoding: chunked"),
        *(b"Content-Length: 5", b"Content-Length: +5", b"Content-Length: 1e9", b"Authorization: Bearer a.b.c", b"Authorization:"),
        *(
            b"Host: localhost",
            b"Host: evil.example",
            b"Origin: null",
            b"Host: \x00",
            b": no name",
            b" folded",
            b"no colon",
            b"N" * 300 + b": v",
            b"Cookie: " + b"c" * 9_000,
        ),
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """An HTTP request, or nearly one."""
    head = [b" ".join([draw(METHODS), draw(TARGETS), draw(VERSIONS)]), *draw(HOSTS), *draw(st.lists(HEADERS, max_size=5))]
    if draw(st.booleans()):
        head.append(b"Content-Length: %d" % len(BODY))
    request = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n"])).join([*head, b"", BODY])
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        place = draw(st.integers(0, len(request)))
        request = request[:place] + draw(PIECES) + request[place + draw(st.integers(0, 3)) :]
    return request


def answer(url: str, sent: bytes) -> bytes:
    """All that comes back. A server that has read enough may hang up before all is sent, and while its answer is read."""
    address = urlsplit(url)
    received = b""
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as connection:
        with suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while piece := connection.recv(65536):
                received += piece
    return received


def test_whatever_is_sent_each_answer_is_one_in_the_contracts_shape(moto_market: Market) -> None:
    statuses: set[int] = set()

    @inputs(150)
    @given(requests())
    @example(b"")
    @example(b"\r\n" * 100)
    @example(b"GET /health HTTP/1.1\r\n\r\n")
    @example(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    @example(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
    @example(b"GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n")
    @example(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 200 + b"\r\n")
    @example(b"GET /health HTTP/1.1\r\nHost: localhost\r\na: " + b"b" * 70_000 + b"\r\n\r\n")
    @example(b"POST " + EXECUTE.encode() + b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnull")
    @example(
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nX-Idempotency-Key: k\r\nContent-Length: %d\r\n\r\n%s"
        % (EXECUTE.encode(), len(BODY), BODY)
    )
    def look(sent: bytes) -> None:
        received = answer(moto_market.urls[0], sent)
        assert not re.search(rb"HTTP/1\.[01] 5", received)
        head, _, body = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
        if not head or not head.startswith(b"HTTP/"):
            return  # half a request; or one of HTTP 0.9, which has no status
        status = int(head.split()[1])
        statuses.add(status)
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in head.splitlines()[1:])}
        assert headers[b"x-request-id"]
        if status >= 400 and not sent.startswith(b"HEAD"):
            error = json.loads(body[: int(headers[b"content-length"])])
            assert headers[b"content-type"] == b"application/json"
            assert error["status"] == status
            assert error["error_code"].startswith("ERR_")

    look()
    assert {200, 400, 402, 403, 404, 405, 413, 422} <= statuses

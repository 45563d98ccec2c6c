"""One GET request: HTTP/1.1 with an end, by the standard library.

Each step is bounded: the time from connecting to the last byte, and the bytes of the whole reply, headers included. Only a 200
that is whole and plain is taken. A redirect is not followed, since nobody chose the place that it names.
"""

import socket
import ssl
from functools import cache
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import SplitResult, urlsplit

from chalicelib.runtime.sockets import TimedStream, TimeLeft, connect


class FetchFailed(Exception):
    """No answer, or none that can be used. The message completes the sentence "The server …"."""


@cache
def _tls() -> ssl.SSLContext:
    """Returns the process's context, which checks certificates and host names."""
    return ssl.create_default_context()


def fetch(url: str, time: TimeLeft, max_bytes: int) -> bytes:
    """Returns the body of a reply, which with its headers is at most so large.

    Raises:
        FetchFailed: there is no such body in time.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None, "settings have no URL without a host"
    tls = _tls() if parts.scheme == "https" else None
    try:
        connection = connect(parts.hostname.encode("ascii"), parts.port or (443 if tls else 80), tls, time)
        with connection:
            stream = _BoundedStream(connection, time, max_bytes)
            stream.send(_request(parts))
            with HTTPResponse(stream, method="GET") as reply:  # type: ignore[arg-type]  # of a socket, it uses `makefile` alone
                reply.begin()
                _require_whole_and_plain(reply)
                body = reply.read(max_bytes)
    except TimeoutError:
        raise FetchFailed("does not answer in time") from None
    except (OSError, HTTPException, ValueError) as error:  # a ValueError: a chunk of a negative size
        raise FetchFailed(f"does not answer: {type(error).__name__}") from error
    if reply.length:  # the rest of what was announced
        raise FetchFailed("answers less than it announced")
    return body


class _BoundedStream(TimedStream):
    """An exchange in which only so much is received."""

    def __init__(self, connection: socket.socket, time: TimeLeft, max_bytes: int) -> None:
        super().__init__(connection, time)
        self._max_bytes = max_bytes
        self._received = 0

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        count = super().readinto(buffer)
        self._received += count
        if self._received > self._max_bytes:
            raise FetchFailed(f"answers more than {self._max_bytes} bytes")
        return count


def _request(parts: SplitResult) -> bytes:
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "User-Agent: hft-trading-engine",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _require_whole_and_plain(reply: HTTPResponse) -> None:
    if reply.status != HTTPStatus.OK:
        raise FetchFailed(f"answers {reply.status}")
    if reply.getheader("Content-Encoding", "identity").lower() != "identity":
        raise FetchFailed("answers something compressed, though nobody asked for it")
    if reply.length is None and not reply.chunked:
        raise FetchFailed("states no length, so that its answer could be cut short")

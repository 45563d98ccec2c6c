"""The way to DynamoDB and back: HTTP/1.1 over connections that are kept, with an end to each call.

A call has two times of its own (see `chalicelib.runtime.sockets`): one to connect, to all addresses and through the handshake,
and one from the first byte sent to the last received.

    resolve the name      as long as it takes: the system's resolver has no time-out
    connect, TLS          `connect_timeout_s` together, shared among the addresses; nothing where a kept connection serves
    send, head, body      `read_timeout_s` together
"""

import socket
import ssl
from collections.abc import Iterator
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import HTTPClientError
from urllib3.util import wait_for_read

from chalicelib.runtime.sockets import TimedStream, TimeLeft, connect
from chalicelib.runtime.world import Moment, World

MAX_IDLE_S = 30.0
"""The longest time that a connection is kept unused, by either clock.

Much longer means a Lambda that was frozen: what became of its connections is anybody's guess, and an order sent into a dead one
is an attempt without an answer.
"""

MAX_KEPT = 64
"""Unused connections that are kept."""


class Transport:
    """The connections to one host. Its threads share it; a connection is one thread's at a time."""

    def __init__(self, connect_timeout_s: float, read_timeout_s: float, tls: ssl.SSLContext | None, world: World) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._tls = tls
        self._world = world
        self._kept: list[tuple[socket.socket, Moment]] = []

    def send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """Sends a request and returns the whole reply: the handler of botocore's event `before-send`.

        Raises:
            HTTPClientError: there was no whole reply in time.
        """
        target = _target(request.url)
        connection = None
        try:
            connection = self._kept_connection() or self._connect(target)
            stream = TimedStream(connection, TimeLeft(self._world, self._read_timeout_s))
            stream.send(_message(request, target))
            reply = HTTPResponse(stream, method=request.method)  # type: ignore[arg-type]  # of a socket, it uses `makefile` alone
            reply.begin()
            body = reply.read()
        except (OSError, HTTPException) as error:
            if connection is not None:
                connection.close()
            raise HTTPClientError(error=error) from error
        if reply.will_close or len(self._kept) >= MAX_KEPT:
            connection.close()
        else:
            self._kept.append((connection, self._world.moment()))
        return AWSResponse(request.url, reply.status, reply.headers, _Body(body))

    def _kept_connection(self) -> socket.socket | None:
        """Takes the connection that was used last; those that are too old, or that the host has closed, are closed."""
        while True:
            try:
                connection, since = self._kept.pop()
            except IndexError:
                return None
            # Something to read where nothing was asked: mostly, that the host has closed the connection.
            if self._world.age_s(since) <= MAX_IDLE_S and not wait_for_read(connection, timeout=0):
                return connection
            connection.close()

    def _connect(self, target: "_Target") -> socket.socket:
        assert self._tls is not None or not target.tls, "made for an endpoint with TLS"
        time = TimeLeft(self._world, self._connect_timeout_s)
        return connect(target.hostname, target.port, self._tls if target.tls else None, time)


class _Body:
    """A body that has been read, as botocore takes one."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


class _Target(NamedTuple):
    """A URL, taken apart. `host`: as the request names it, and as botocore has signed it.

    `hostname` is bytes, since Python loads its tables of Unicode names for a text: a sixth of a process's first request.
    """

    tls: bool
    hostname: bytes
    port: int
    host: str
    path: str


@lru_cache(maxsize=1)
def _target(url: str) -> _Target:
    parts = urlsplit(url)
    assert parts.hostname is not None, "botocore takes no endpoint without a host"
    tls = parts.scheme == "https"
    default = 443 if tls else 80
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.port not in (None, default):
        host += f":{parts.port}"
    return _Target(tls, parts.hostname.encode("ascii"), parts.port or default, host, parts.path or "/")


def _message(request: AWSPreparedRequest, target: _Target) -> bytes:
    lines = [f"{request.method} {target.path} HTTP/1.1\r\nHost: {target.host}\r\nAccept-Encoding: identity".encode()]
    for name, value in request.headers.items():
        lines.append(b"%b: %b" % (name.encode(), value if isinstance(value, bytes) else value.encode()))
    return b"\r\n".join((*lines, b"", request.body or b""))

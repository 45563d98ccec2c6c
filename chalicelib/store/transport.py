"""The way to DynamoDB and back: HTTP/1.1 over connections that are kept, with an end to each call.

A socket's time-out starts anew at each read, at each address of a host and at the TLS handshake, so a reply that drips in, or a
host with several addresses, takes a multiple of it. Here a call has two times of its own: one to connect, to all addresses and
through the handshake, and one from the first byte sent to the last received. Before each step the socket gets what is left.

    resolve the name      as long as it takes: the system's resolver has no time-out
    connect, TLS          `connect_timeout_s` together, shared among the addresses; nothing where a kept connection serves
    send, head, body      `read_timeout_s` together
"""

import socket
import ssl
from collections.abc import Iterator
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import HTTPClientError
from urllib3.util import wait_for_read

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
            stream = _TimedStream(connection, self._world, self._read_timeout_s)
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
        addresses = socket.getaddrinfo(target.hostname, target.port, type=socket.SOCK_STREAM)
        time = _TimeLeft(self._world, self._connect_timeout_s)
        failure: OSError | None = None
        for left, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            connection = socket.socket(family, kind, protocol)
            try:
                time_here = _TimeLeft(self._world, time.left_s() / left)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(time_here.left_s())
                connection.connect(address)
                if target.tls:
                    assert self._tls is not None, "made for an endpoint with TLS"
                    connection.settimeout(time_here.left_s())
                    connection = self._tls.wrap_socket(connection, server_hostname=target.hostname)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        raise failure or OSError(f"{target.host} has no address")


class _TimeLeft:
    """A time that runs out."""

    def __init__(self, world: World, seconds: float) -> None:
        self._monotonic_s = world.monotonic_s
        self._ends_s = world.monotonic_s() + seconds

    def left_s(self) -> float:
        """Returns the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        left_s = self._ends_s - self._monotonic_s()
        if left_s <= 0:
            raise TimeoutError("the call's time is up")
        return left_s


class _TimedStream(RawIOBase):
    """One exchange on a connection, sending and receiving, in a time of its own."""

    def __init__(self, connection: socket.socket, world: World, timeout_s: float) -> None:
        super().__init__()
        self._connection = connection
        self._time = _TimeLeft(world, timeout_s)

    def send(self, message: bytes) -> None:
        """Sends the message whole."""
        rest = memoryview(message)
        while rest:
            self._connection.settimeout(self._time.left_s())
            rest = rest[self._connection.send(rest) :]

    def makefile(self, _mode: str) -> BufferedReader:
        """Returns what is received, as `http.client` reads it."""
        return BufferedReader(self)

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        self._connection.settimeout(self._time.left_s())
        return self._connection.recv_into(buffer)


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

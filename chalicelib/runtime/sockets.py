"""Sockets whose use has an end.

A socket's time-out starts anew at each read, at each address of a host and at the TLS handshake, so a reply that drips in, or a
host with several addresses, takes a multiple of it. Here the socket gets what is left of a total time before each step.
"""

import socket
import ssl
from io import BufferedReader, RawIOBase
from typing import Any

from chalicelib.runtime.world import World


class TimeLeft:
    """A time that runs out."""

    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._ends_s = world.monotonic_s() + seconds

    def part(self, parts: int) -> "TimeLeft":
        """Returns an equal part of what is left, as a time of its own.

        Raises:
            TimeoutError: nothing is left.
        """
        return TimeLeft(self._world, self.left_s() / parts)

    def left_s(self) -> float:
        """Returns the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        left_s = self._ends_s - self._world.monotonic_s()
        if left_s <= 0:
            raise TimeoutError("the call's time is up")
        return left_s


def connect(hostname: bytes, port: int, tls: ssl.SSLContext | None, time: TimeLeft) -> socket.socket:
    """Connects to a host, through the TLS handshake where `tls` is given; its addresses share the time.

    The system's resolver has no time-out, so resolving the name takes as long as it takes.

    Raises:
        OSError: no address took the connection in time.
    """
    addresses = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for left, (family, kind, protocol, _, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        connection = socket.socket(family, kind, protocol)
        try:
            time_here = time.part(left)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(time_here.left_s())
            connection.connect(address)
            if tls is not None:
                connection.settimeout(time_here.left_s())
                connection = tls.wrap_socket(connection, server_hostname=hostname)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure or OSError(f"{hostname!r} has no address")


class TimedStream(RawIOBase):
    """One exchange on a connection, sending and receiving, until its time is up."""

    def __init__(self, connection: socket.socket, time: TimeLeft) -> None:
        super().__init__()
        self._connection = connection
        self._time = time

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

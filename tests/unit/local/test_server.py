"""The local server: where it listens, clients that pause, logs that nobody reads, Ctrl-C."""

import errno
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from io import StringIO
from socket import AF_INET6, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET, create_connection, create_server, socket
from threading import Event, Thread
from typing import Any, TextIO

import pytest
from chalice.app import Chalice, Response
from chalice.config import Config

from chalicelib.contract.errors import Forbidden
from chalicelib.local.http import Head
from chalicelib.local.server import Handler, Server, interrupts_kept_for
from chalicelib.telemetry import log

GET = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST_GET = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

application = Chalice("paused")


@application.route("/{size}")
def text(size: str) -> Response:
    log.info("text")
    return Response("x" * int(size), {"Content-Type": "text/plain"})


class ObservedServer(Server):
    """A server that reports the end of its connection."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.closed = Event()

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed.set()


def pass_all(_: Head) -> None:
    pass


def refuse_all(head: Head) -> None:
    raise Forbidden("x" * int(head.target[1:]))


def listening(guard: Any, host: str = "127.0.0.1") -> ObservedServer:
    """Returns a server whose connections hold a few KB in the kernel. It accepts none yet."""
    handler = partial(Handler, app_object=application, config=Config.create(), guard=guard, cors=False)
    server = ObservedServer((host, 0), handler)
    server.socket.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
    return server


@contextmanager
def running(server: ObservedServer) -> Iterator[None]:
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def serving(guard: Any, host: str = "127.0.0.1") -> Iterator[ObservedServer]:
    """Runs a server."""
    with listening(guard, host) as server, running(server):
        yield server


def client(server: Server) -> socket:
    """Returns a connection that holds a few KB in the kernel."""
    connection = socket()
    connection.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(server.server_address[:2])
    return connection


def all_of(connection: socket) -> bytes:
    return b"".join(iter(partial(connection.recv, 65536), b""))


def is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    (length,) = re.findall(rb"Content-Length: ([0-9]+)", head)
    return len(body) == int(length)


@pytest.mark.parametrize("guard", [pass_all, refuse_all])
@pytest.mark.parametrize("size", [1_000, 100_000], ids=["smaller than the buffer", "larger"])
def test_an_answer_that_a_client_does_not_read_in_time_is_the_last_and_closes_the_connection(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], size: int, guard: Any
) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.1)
    sent = 100

    with listening(guard) as server, client(server) as connection:
        connection.sendall(GET % size * sent)  # before the server's short time for reading begins
        with running(server):
            assert server.closed.wait(30), "the connection is closed though its client reads nothing"
            received = all_of(connection)

    answers = re.split(rb"(?=HTTP/1\.1 [0-9])", received)[1:]
    assert all(map(is_whole, answers[:-1])), "nothing follows an answer that was cut"
    access_log = capsys.readouterr().err
    executed = access_log.count(f'"GET /{size} HTTP/1.1"')
    assert executed == sum(map(is_whole, answers)) + 1, "no later request is executed"
    assert executed < sent, "the answers were too many for the kernel's buffers"
    assert "Traceback" not in access_log


@contextmanager
def pipe_that_nobody_reads() -> Iterator[TextIO]:
    reader, writer = os.pipe()
    os.close(reader)
    with suppress(BrokenPipeError), os.fdopen(writer, "w", buffering=1) as stream:
        yield stream


class FullDisk(StringIO):
    """A file on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("logs", [pipe_that_nobody_reads, FullDisk, nullcontext])
def test_a_request_is_answered_though_no_log_can_be_written(
    monkeypatch: pytest.MonkeyPatch, logs: Callable[[], AbstractContextManager[TextIO | None]]
) -> None:
    log.configure()
    handler = next(each for each in logging.getLogger("hft").handlers if isinstance(each.formatter, log.JsonLines))

    with serving(pass_all) as server, client(server) as connection, logs() as stream:
        monkeypatch.setattr(handler, "stream", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        connection.sendall(GET % 4 + LAST_GET % 4)
        received = all_of(connection)
        monkeypatch.undo()

    assert received.count(b"HTTP/1.1 200 OK") == received.count(b"\r\n\r\nxxxx") == 2


@pytest.fixture
def python_s_own_interrupts() -> Iterator[None]:
    """Ctrl-C as a run in the foreground finds it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_s_own_interrupts")
def test_a_second_ctrl_c_ends_a_run_whose_loop_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)

    with ObservedServer(("127.0.0.1", 0), Handler) as server, interrupts_kept_for(server):  # its loop does not run
        signal.raise_signal(signal.SIGINT)
        assert ended == []
        signal.raise_signal(signal.SIGINT)

    assert ended == [130]


def has_ipv6() -> bool:
    try:
        create_server(("::1", 0), family=AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(("host", "reached_at"), [("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1")])
def test_a_host_of_ipv6_is_listened_on(host: str, reached_at: str) -> None:
    with serving(pass_all, host) as server, create_connection((reached_at, server.server_address[1]), timeout=30) as connection:
        connection.sendall(LAST_GET % 4)
        assert all_of(connection).startswith(b"HTTP/1.1 200 OK")

"""The local server's connections and its end: clients that pause, logs that nobody reads, Ctrl-C."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from socket import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET, socket
from threading import Event, Thread
from typing import Any

import pytest
from chalice.app import Chalice, Response
from chalice.config import Config

from chalicelib.contract.errors import Forbidden
from chalicelib.local.http import Head
from chalicelib.local.server import Handler, Server

application = Chalice("paused")


@application.route("/{size}")
def text(size: str) -> Response:
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


@contextmanager
def serving(guard: Any) -> Iterator[ObservedServer]:
    """Runs a server whose connections hold a few KB in the kernel."""
    handler = partial(Handler, app_object=application, config=Config.create(), guard=guard, cors=False)
    with ObservedServer(("127.0.0.1", 0), handler) as server:
        server.socket.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def client(server: Server) -> socket:
    """Returns a connection that holds a few KB in the kernel."""
    connection = socket()
    connection.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(server.server_address[:2])
    return connection


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
    received, sent = b"", 100

    with serving(guard) as server, client(server) as connection:
        connection.sendall(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % size * sent)
        assert server.closed.wait(5), "the connection is closed though its client reads nothing"
        while piece := connection.recv(65536):
            received += piece

    answers = re.split(rb"(?=HTTP/1\.1 [0-9])", received)[1:]
    assert all(map(is_whole, answers[:-1])), "nothing follows an answer that was cut"
    log = capsys.readouterr().err
    executed = log.count(f'"GET /{size} HTTP/1.1"')
    assert executed == sum(map(is_whole, answers)) + 1, "no later request is executed"
    assert executed < sent, "the answers were too many for the kernel's buffers"
    assert "Traceback" not in log

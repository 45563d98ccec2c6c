"""A proxy between a client and an engine that breaks what passes: it loses requests and replies, cuts them, answers by itself."""

import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

UPSTREAM_TIMEOUT_S = 60


class Reply(NamedTuple):
    """A reply. `cut`: bytes of the body that are missing at its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int = 0


Forward = Callable[[], Reply]
Fault = Callable[[Forward], Reply | None]
"""Returns what the client gets; `None` closes the connection instead. It forwards the request, or does not."""


def none(forward: Forward) -> Reply | None:
    return forward()


def request_lost(_: Forward) -> Reply | None:
    return None


def reply_lost(forward: Forward) -> Reply | None:
    forward()
    return None


def reply_cut(forward: Forward) -> Reply | None:
    return forward()._replace(cut=10)


def answers(status: int, code: str, *, after_deciding: bool = False, retry_after: str = "0") -> Fault:
    """Returns a fault that gives an answer in the contract's shape. `after_deciding`: the engine got the request first."""

    def fault(forward: Forward) -> Reply | None:
        if after_deciding:
            forward()
        body = {"timestamp": "2026-01-01T00:00:00.000000Z", "status": status, "error_code": code, "message": f"a planted {code}"}
        headers = {"Content-Type": "application/json", "Retry-After": retry_after}
        return Reply(status, headers, json.dumps(body).encode())

    return fault


def page(status: int) -> Fault:
    """Returns a fault that answers with a page, as a proxy does."""
    return lambda _: Reply(status, {"Content-Type": "text/html"}, b"<html>Welcome to the hotel</html>")


class FaultyProxy:
    """A running proxy. The next requests meet `faults`, those after them what `choose` returns."""

    def __init__(self, url: str, upstream: str) -> None:
        self.url = url
        self.upstream = upstream
        self.faults: deque[Fault] = deque()
        self.choose: Callable[[], Fault] = lambda: none
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.over = Event()
        self.late = Event()
        self._delayed: list[Thread] = []
        self._changed = Condition()

    def fail(self, *faults: Fault) -> None:
        self.faults.extend(faults)

    def hang(self, forward: Forward) -> Reply | None:
        """A fault: decides, and never answers."""
        forward()
        self.over.wait()
        return None

    def delay(self, forward: Forward) -> Reply | None:
        """A fault: closes the connection now, and forwards the request when `late` is set, as a slow network does."""
        thread = Thread(target=lambda: (self.late.wait(), forward()))
        with self._changed:
            self._delayed.append(thread)
        thread.start()
        return None

    def deliver_late(self) -> None:
        """Forwards the requests that were delayed, and returns when they are answered."""
        self.late.set()
        with self._changed:
            delayed, self._delayed = self._delayed, []
        for thread in delayed:
            thread.join()
        self.late.clear()

    def wait_for_requests(self, more: int, timeout_s: float) -> bool:
        """Returns once so many more requests came, or False when the time is over."""
        with self._changed:
            enough = len(self.requests) + more
            return self._changed.wait_for(lambda: len(self.requests) >= enough, timeout_s)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply | None:
        with self._changed:
            self.requests.append((method, path, body))
            self.headers.append(headers)
            fault = self.faults.popleft() if self.faults else self.choose()
            self._changed.notify_all()
        return fault(lambda: self._forward(method, path, headers, body))

    def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        connection = HTTPConnection(urlsplit(self.upstream).netloc, timeout=UPSTREAM_TIMEOUT_S)
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())
        finally:
            connection.close()


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[FaultyProxy]:
    """Runs a proxy in front of an engine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            passed = ("content-type", "x-idempotency-key", "authorization", "accept", "user-agent")
            headers = {name: value for name, value in self.headers.items() if name.lower() in passed}
            reply = proxy.answer(self.command, self.path, headers, body)
            if reply is None:
                self._reset()
                return
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body[: len(reply.body) - reply.cut])
            if reply.cut:
                self._reset()

        do_GET = do_POST = do_PUT = do  # noqa: N815

        def _reset(self) -> None:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 100

        def handle_error(self, *_: Any) -> None:
            """A client that was killed is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    proxy = FaultyProxy(f"http://127.0.0.1:{server.server_address[1]}", upstream)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        proxy.deliver_late()
        server.shutdown()
        thread.join()
        server.server_close()

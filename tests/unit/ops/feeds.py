"""What tests of the feed share: a clock that nobody waits for, a source of given steps, an engine that answers as scripted."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from chalicelib.runtime.world import World
from ops.feed.source import SourceEnded, SourceUnavailable, Tick

START = datetime.now(UTC) - timedelta(hours=6)
"""Long enough ago that no price of these tests is ahead of the engine's clock."""


class Clock:
    """A clock that sleeping moves on. `on_sleep` is called with the seconds of each sleep."""

    def __init__(self, on_sleep: Callable[[float], None] = lambda _: None) -> None:
        self.seconds = 1000.0
        self.sleeps: list[float] = []
        self._on_sleep = on_sleep
        self.world = World(monotonic_s=lambda: self.seconds, sleep_s=self._sleep, random=lambda: 1.0, now=self.now)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += seconds
        self._on_sleep(seconds)


class Steps:
    """A source of given steps: prices by symbol, ticks as they are, or an error to raise."""

    def __init__(self, *steps: Mapping[str, str] | Sequence[Tick] | SourceUnavailable) -> None:
        self._steps = iter(steps)

    def start(self, listed: Mapping[str, str]) -> None:
        pass

    def poll(self, now: datetime) -> Sequence[Tick]:
        step = next(self._steps, None)
        if step is None:
            raise SourceEnded
        if isinstance(step, SourceUnavailable):
            raise step
        return [Tick(symbol, price, now) for symbol, price in step.items()] if isinstance(step, Mapping) else step


Answer = tuple[int, Any]
"""A status, and a body: bytes as they are, anything else as JSON."""


class Scripted:
    """An engine whose answers a function gives, from the method, the path and the body of each request."""

    def __init__(self, answer: Callable[[str, str, Any], Answer], port: int = 0) -> None:
        self.requests: list[tuple[str, str, Any, str | None]] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # headers and body in one piece

            def _respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sent = json.loads(body) if body else None
                scripted.requests.append((self.command, self.path, sent, self.headers.get("Authorization")))
                status, reply = answer(self.command, self.path, sent)
                content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = _respond  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def puts(self) -> list[Mapping[str, str]]:
        """The prices of each request that set some."""
        return [body["prices"] for method, _, body, _ in self.requests if method == "PUT"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def scripted(answer: Callable[[str, str, Any], Answer], port: int = 0) -> Iterator[Scripted]:
    engine = Scripted(answer, port)
    try:
        yield engine
    finally:
        engine.close()


def taking_all(method: str, _: str, body: Any) -> Answer:
    """The answers of an engine that sets every price."""
    return (200, []) if method == "GET" else (200, {"results": dict.fromkeys(body["prices"], "set")})

"""A load: requests over a number of connections, each with one request under way at any time.

Python's HTTP clients would use as much of a small machine as the measured engine. This one is a loop over raw sockets in a
separate process, so that it shares no interpreter lock with anything else.

    connect ──▶ │ warm-up: not counted │ answers count │ the last answers, for the books only │
                                       from            until: no further request
"""

import multiprocessing
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import urlsplit

from bench.processes import leave_interrupts_to_parent
from bench.spread import percentile
from bench.wire import Response, parse

SILENCE_S = 60.0
"""The silence on all connections after which the load fails."""
RECEIVE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """The requests to send. `urls`: used by the connections in turn; `count`: the largest number of requests, if any."""

    urls: Sequence[str]
    connections: int
    requests: Iterable[bytes]
    warm_up_s: float
    counted_s: float
    count: int | None = None


@dataclass(slots=True)
class Answers:
    """The answers to a load. `responses`: all; `latencies_ms` and `counted`: those of the counted time, which took `seconds`."""

    seconds: float
    responses: list[Response] = field(default_factory=list)
    counted: list[Response] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        """The number of responses of each status."""
        return Counter(response.status for response in self.responses)

    def latency_ms(self, percent: float) -> float:
        """Returns the latency of an answer."""
        return percentile(self.latencies_ms, percent)


@contextmanager
def generator() -> Iterator["Generator"]:
    """Runs a process that sends loads."""
    forks = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, forks, initializer=leave_interrupts_to_parent) as process:
        yield Generator(process)


@dataclass(frozen=True, slots=True)
class Generator:
    """A sender of loads in a separate process."""

    _process: ProcessPoolExecutor

    def send(self, plan: Plan) -> Answers:
        """Sends a load, and waits for all answers.

        Raises:
            OSError, ValueError: a connection was refused, ended early, or sent something other than HTTP.
        """
        return self._process.submit(send, plan).result()


class _Connection:
    """One connection: the time of its request, and the received part of the answer."""

    __slots__ = ("received", "sent_s", "socket")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=SILENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_s = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_s = time.monotonic()
        self.socket.sendall(request)

    def receive(self) -> Response | None:
        """Reads the available bytes. Returns the response once it is complete."""
        chunk = self.socket.recv(RECEIVE_BYTES)
        if not chunk:
            raise ConnectionError(f"the connection ended before the answer did; it began with {self.received[:200]!r}")
        self.received += chunk
        return parse(self.received)


def send(plan: Plan) -> Answers:
    """Sends a load from this process (see `Generator.send`)."""
    requests = islice(plan.requests, plan.count)
    with ExitStack() as open_sockets, selectors.DefaultSelector() as selector:
        connections = [_Connection(plan.urls[number % len(plan.urls)]) for number in range(plan.connections)]
        for connection in connections:
            open_sockets.enter_context(connection.socket)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        # Requests are made while answers are awaited, never while an answer waits to be read.
        ahead = deque(islice(requests, plan.connections))
        from_s = time.monotonic() + plan.warm_up_s
        until_s = from_s + plan.counted_s
        answers = Answers(plan.counted_s)
        under_way = len(ahead)
        for connection in connections[:under_way]:
            connection.send(ahead.popleft())
        while under_way:
            ahead.extend(islice(requests, plan.connections - len(ahead)))
            ready = selector.select(SILENCE_S)
            if not ready:
                raise TimeoutError(f"no answer for {SILENCE_S:.0f} s")
            for key, _ in ready:
                connection = key.data
                response = connection.receive()
                if response is None:
                    continue
                now_s = time.monotonic()
                answers.responses.append(response)
                if from_s <= now_s < until_s:
                    answers.counted.append(response)
                    answers.latencies_ms.append((now_s - connection.sent_s) * 1000)
                if now_s < until_s and ahead:
                    connection.send(ahead.popleft())
                else:
                    under_way -= 1
    return answers

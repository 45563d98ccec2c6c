"""A datastore that counts its calls and fails on request, over a real one; and a world in which waiting takes no real time."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.exceptions import CancellationReason

from chalicelib.runtime.world import World
from chalicelib.store.connection import Cancelled, Datastore, Throttled, Unanswered

WRITE = "TransactWriteItems"
Fault = Callable[[Callable[[], dict[str, Any]]], dict[str, Any]]


def request_lost(_: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    raise Unanswered("the request was lost")


def reply_lost(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    send()
    raise Unanswered("the reply was lost")


def throttled(_: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    raise Throttled("too much")


def conflict(_: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    raise Cancelled([None, CancellationReason("TransactionConflict")])


def none(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return send()


def before(action: Callable[[], Any]) -> Fault:
    """Returns a fault that runs another client's action just before the call arrives."""

    def fault(send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        action()
        return send()

    return fault


@dataclass
class FaultyDatastore:
    """A datastore that records its calls. The next calls of an operation meet its `faults`, then its fault `for_ever`."""

    inner: Datastore
    calls: list[str] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    for_ever: dict[str, Fault] = field(default_factory=dict)

    def fail(self, operation: str, *faults: Fault) -> None:
        self.faults.setdefault(operation, deque()).extend(faults)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        queue = self.faults.get(operation)
        fault = queue.popleft() if queue else self.for_ever.get(operation, none)
        return fault(lambda: self.inner.call(operation, request))


class VirtualTime:
    """Time that passes only by waiting, without real time."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.waits_s: list[float] = []
        self.world = World(monotonic_s=lambda: self.elapsed_s, sleep_s=self._sleep, random=lambda: 0.5, now=self._now)

    def _sleep(self, seconds: float) -> None:
        self.waits_s.append(seconds)
        self.elapsed_s += max(seconds, 0.000_001)

    def _now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed_s)

"""Requests that race each other, from one thread: the first is under way when the second is sent, by a known head start."""

import json
import os
from enum import StrEnum
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.support.market import TIMEOUT_S, Market

RACES = int(os.environ.get("RACES", "200"))
"""The number of races of a test on each engine: ``RACES=1000 make test ARGS=tests/contract/test_void_races.py`` for more."""


class HeadStart(StrEnum):
    """The lead of a race's first request."""

    NONE = "none"
    """Both wait at the engine for their bodies, which are sent one right after the other."""
    CONNECTION = "a connection"
    """The second connects when the first is sent."""
    ANSWER = "an answer"
    """The second is sent when the first is answered: it has lost."""


class Sent(NamedTuple):
    """A request to be sent. `process`: the number of the engine's process that gets it."""

    path: str
    body: dict[str, Any]
    process: int
    key: str | None = None


class Received(NamedTuple):
    """A response: its status, its body, and whether it is a replay."""

    status: int
    body: dict[str, Any]
    replayed: bool


def head_start(number: int) -> HeadStart:
    """Returns the head start of a race by its number: none in seven of ten."""
    return [HeadStart.ANSWER, *[HeadStart.CONNECTION] * 2, *[HeadStart.NONE] * 7][number % 10]


def race(market: Market, first: Sent, second: Sent, lead: HeadStart) -> tuple[Received, Received]:
    """Sends two requests, the first with a head start. Returns the responses."""
    one, other = _Request(market, first), _Request(market, second)
    try:
        one.announce()
        if lead is HeadStart.NONE:
            other.announce()
        one.send_body()
        answer = one.receive() if lead is HeadStart.ANSWER else None
        if lead is not HeadStart.NONE:
            other.announce()
        other.send_body()
        return answer or one.receive(), other.receive()
    finally:
        one.close()
        other.close()


class _Request:
    """A request on a connection of its own, sent in two parts: an engine does nothing until it has the body."""

    def __init__(self, market: Market, sent: Sent) -> None:
        self._sent = sent
        self._headers = {**market.headers, **({} if sent.key is None else {"X-Idempotency-Key": sent.key})}
        self._body = json.dumps(sent.body).encode()
        url = urlsplit(market.urls[sent.process % len(market.urls)])
        self._connection = HTTPConnection(url.netloc, timeout=TIMEOUT_S)

    def announce(self) -> None:
        """Sends everything before the body."""
        self._connection.putrequest("POST", self._sent.path)
        for name, value in {**self._headers, "Content-Type": "application/json", "Content-Length": len(self._body)}.items():
            self._connection.putheader(name, str(value))
        self._connection.endheaders()

    def send_body(self) -> None:
        self._connection.send(self._body)

    def receive(self) -> Received:
        response = self._connection.getresponse()
        replayed = response.headers.get("Idempotent-Replayed") == "true"
        return Received(response.status, json.loads(response.read()), replayed)

    def close(self) -> None:
        self._connection.close()

"""Requests and answers without I/O. Operations are generators that yield steps; a client of either kind performs them.

flow ── Request ──► client sends it        ──► Answer | Unanswered
     ── Pause   ──► client waits           ──► None
     ── Local   ──► client calls a function that may block, such as a write to the journal ──► its result
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from hft_client.errors import ApiError, NoAnswer, UnexpectedAnswer, error_class

TRADING = "/api/v1/trading"
OPERATOR = "/api/v1/operator"


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `timeout_s`: the longest wait for any part of its answer; `key`: the idempotency key's header."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    key: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0

    @property
    def target(self) -> str:
        """The path with the query."""
        return f"{self.path}?{urlencode(self.query, quote_via=quote)}" if self.query else self.path

    def within(self, timeout_s: float) -> "Request":
        """Returns the request with another time-out."""
        return replace(self, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Local:
    """A call on this machine that may block."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer. `was_sent`: the engine may have received the request."""

    reason: str
    was_sent: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The engine's answer, or something that came in its place. `body`: parsed JSON, or `None` where it is none."""

    status: int
    body: Any
    replayed: bool = False
    retry_after_s: float = 0.0
    request_id: str | None = None
    description: str = ""

    @property
    def is_ok(self) -> bool:
        """True for a result of the engine's."""
        return self.status == HTTPStatus.OK and isinstance(self.body, dict | list)

    @property
    def code(self) -> str:
        """The contract's error code, or an empty string where there is none."""
        code = self.body.get("error_code") if isinstance(self.body, dict) else None
        return code if isinstance(code, str) else ""


Step = Request | Pause | Local
Result = TypeVar("Result")
Flow = Generator[Step, Any, Result]
"""An operation that yields steps, takes the result of each, and returns its own."""


def read_answer(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """Reads a response. `headers`: by names of any case, as httpx has them."""
    try:
        body = json.loads(content, parse_float=Decimal)
    except ValueError:
        body = None
    try:
        retry_after_s = max(0.0, float(headers.get("Retry-After", "0")))
    except ValueError:  # a date: the pauses grow anyway
        retry_after_s = 0.0
    where = f", to {headers['Location']}" if "Location" in headers else ""
    return Answer(
        status,
        body,
        replayed=headers.get("Idempotent-Replayed") == "true",
        retry_after_s=retry_after_s,
        request_id=headers.get("X-Request-Id"),
        description=f"HTTP status {status}, {headers.get('Content-Type', 'no content type')}{where}",
    )


def error_of(
    answer: Answer | Unanswered, *, key: str | None = None, of_transfer: bool = False
) -> ApiError | NoAnswer | UnexpectedAnswer:
    """Returns the error that an answer stands for."""
    if isinstance(answer, Unanswered):
        return NoAnswer(answer.reason)
    if not answer.code:
        return UnexpectedAnswer(f"This is not an answer of the engine's ({answer.description}): is the URL right?")
    kind = error_class(answer.status, answer.code, of_transfer=of_transfer)
    message = str(answer.body.get("message", answer.code))
    return kind(answer.status, answer.code, message, answer.body, request_id=answer.request_id, key=key)


def send(request: Request) -> Flow[Answer | Unanswered]:
    """Sends a request."""
    answer: Answer | Unanswered = yield request
    return answer


def call(function: Callable[[], Result]) -> Flow[Result]:
    """Calls a function that may block."""
    result: Result = yield Local(function)
    return result

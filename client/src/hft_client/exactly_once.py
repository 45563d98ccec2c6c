"""Sending an instruction until its outcome is known.

      send ──► a decision ──────────────────────────────────────────────► known
       ▲ │
       │ ├──► decided nothing yet (contention, 429, never sent) ──► wait ──► send
       │ │
       │ ├──► no answer, 5xx: the engine may have decided ──► wait ──► send    (from here on the part is uncertain)
       │ │
       │ └──► rejected ──► the part is certain: that is its end
       │                   it is uncertain: the rejection says nothing of the earlier attempt ──► ask
       │
       └───── ask: a look-up, or a void, until the key has an outcome; then sending again replays that outcome

An answer is the outcome only if it is the answer to the instruction itself. So after a look-up or a void the instruction is sent
once more: its key has an outcome now, so that sending cannot execute it, and a key of another order shows itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from urllib.parse import quote

from hft_client.errors import ApiError, NoAnswer, UnexpectedAnswer
from hft_client.instructions import ORDER, Batch, Instruction, is_undecided_yet
from hft_client.results import Result
from hft_client.retry import Attempts
from hft_client.wire import TRADING, Answer, Flow, Pause, Request, Unanswered, error_of, send

DENIED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

Reason = ApiError | NoAnswer | UnexpectedAnswer


class Ask(Enum):
    """The way to learn of a key without sending its instruction. A look-up changes nothing; a void makes sure of an outcome."""

    LOOK_UP = "look up"
    VOID = "void"


@dataclass(slots=True)
class Part:
    """The state of one part of an instruction."""

    keys: Sequence[str]
    is_uncertain: bool = False
    """The engine may have decided it, by an attempt whose answer did not arrive."""
    asks: bool = False
    """It is asked for, not sent, until its keys have an outcome."""
    has_outcome: bool = False
    """Its keys have an outcome, as a look-up or a void showed."""
    gives_up: bool = False
    """Another attempt would end as the last one did."""
    results: Sequence[Result] = ()
    reason: Reason | None = None
    """Why there are no results yet."""

    @property
    def is_open(self) -> bool:
        """True while another attempt can help."""
        return not self.results and not self.gives_up


@dataclass(slots=True)
class Exchange:
    """The attempts for one instruction. `ask`: how to learn of a part that is rejected and uncertain."""

    instruction: Instruction
    attempts: Attempts
    ask: Ask = Ask.LOOK_UP
    parts: list[Part] = field(default_factory=list)
    retry_after_s: float = 0.0

    def run(self, *, is_uncertain: bool = False, asks_first: bool = False, asks_once: bool = False) -> Flow[Sequence[Part]]:
        """Sends until every part has results, or no attempt can help, or the deadline has passed.

        `is_uncertain`: it may have been sent before. `asks_first`: it is not sent before its keys have an outcome. `asks_once`: a
        key that has none now ends its part.
        """
        self.parts = [Part(keys, is_uncertain, asks=asks_first) for keys in self.instruction.parts]
        while True:
            self.retry_after_s = 0.0
            yield from self._send([part for part in self.parts if part.is_open and not part.asks])
            found = False
            for part in self.parts:
                if part.is_open and part.asks:
                    found |= yield from self._ask(part, once=asks_once)
            if not any(part.is_open for part in self.parts):
                return self.parts
            pause_s = 0.0 if found else self.attempts.pause_s(self.retry_after_s)
            if pause_s is None:
                return self.parts
            yield Pause(pause_s)

    def _send(self, parts: Sequence[Part]) -> Flow[None]:
        if not parts:
            return
        request = self.instruction.request([part.keys[0] for part in parts])
        answer = yield from self._answer(request)
        try:
            answers = self.instruction.split(answer, len(parts))
        except UnexpectedAnswer as error:
            for part in parts:
                self._cannot_read(part, error)
            return
        of_whole = None
        if isinstance(answer, Unanswered) or not answer.is_ok:
            key = None if isinstance(self.instruction, Batch) else parts[0].keys[0]
            of_whole = error_of(answer, key=key, of_transfer=self.instruction.space != ORDER)
        for part, each in zip(parts, answers, strict=True):
            self._take(part, each, of_whole)

    def _answer(self, request: Request) -> Flow[Answer | Unanswered]:
        answer = yield from send(request.within(self.attempts.timeout_s()))
        if isinstance(answer, Answer):
            self.retry_after_s = max(self.retry_after_s, answer.retry_after_s)
        return answer

    def _take(self, part: Part, answer: Answer | Unanswered, of_whole: Reason | None) -> None:
        """Takes the answer to a part that was sent. `of_whole`: the error of the request as a whole."""
        if isinstance(answer, Answer) and self.instruction.is_decision(answer):
            try:
                part.results = self.instruction.results(part.keys, answer)
            except UnexpectedAnswer as error:
                self._cannot_read(part, error)
            return
        part.reason = of_whole or error_of(answer, key=part.keys[0])
        if isinstance(answer, Unanswered):
            part.is_uncertain |= answer.was_sent
        elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            part.is_uncertain = True
        elif is_undecided_yet(answer):
            pass
        elif isinstance(part.reason, UnexpectedAnswer):
            self._cannot_read(part, part.reason)
        elif not part.is_uncertain or part.has_outcome or answer.status in DENIED:
            part.gives_up = True
        elif self.instruction.space == ORDER:
            part.asks = True

    def _cannot_read(self, part: Part, error: UnexpectedAnswer) -> None:
        part.is_uncertain = part.gives_up = True
        part.reason = error

    def _ask(self, part: Part, *, once: bool) -> Flow[bool]:
        """Asks for a part. Returns whether all of its keys have an outcome now."""
        is_void = True
        for key in part.keys:
            request = (lookup_request if self.ask is Ask.LOOK_UP else void_request)(self.instruction.user_id, key)
            answer = yield from self._answer(request)
            if isinstance(answer, Unanswered):
                part.reason = error_of(answer)
                return False
            if answer.is_ok or answer.code == "ERR_ORDER_DECIDED":
                is_void &= answer.is_ok and self.ask is Ask.VOID
                continue
            if answer.code == "ERR_ORDER_NOT_FOUND":
                part.gives_up = once
                part.reason = part.reason or error_of(answer, key=key)
                return False
            part.gives_up = answer.status < HTTPStatus.INTERNAL_SERVER_ERROR and not is_undecided_yet(answer)
            part.reason = error_of(answer, key=key)
            return False
        part.asks = False
        part.has_outcome = True
        part.is_uncertain &= not is_void  # a voided key never executes, nor has it
        return True


def lookup_request(user_id: int, key: str) -> Request:
    """Returns the request for the record under an order's key."""
    return Request("GET", f"{TRADING}/orders/{user_id}/lookup", query={"idempotency_key": key})


def void_request(user_id: int, key: str) -> Request:
    """Returns the request that voids an order's key."""
    return Request("POST", f"{TRADING}/orders/{user_id}/void", {"idempotency_key": key})


def symbol_path(symbol: str) -> str:
    """Returns a symbol as a part of a path."""
    return quote(symbol, safe="")

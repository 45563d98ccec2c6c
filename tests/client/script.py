"""Flows without a network: an engine of scripted answers, and time that passes only by waiting."""

import json
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from hft_client import MemoryHeads, RetryPolicy
from hft_client.journal import Journal
from hft_client.operations import Operations
from hft_client.wire import Answer, Flow, Local, Pause, Request, Unanswered

Done = TypeVar("Done")
Scripted = Answer | Unanswered | Callable[[Request], Answer | Unanswered]

USER = 7
LOST = Unanswered("the reply was lost", was_sent=True)
UNREACHED = Unanswered("nobody listens", was_sent=False)
FILL = {
    "status": "ORDER_FILLED",
    "symbol": "BTC",
    "quantity_filled": "1.0",
    "execution_price": "50000.00000000",
    "total_cost": "50000.00000000",
    "paid_with": "USD",
    "remaining_balance": "50000.00000000",
    "executed_at": "2026-02-21T14:01:48.011301Z",
    "executed_by_thread": "MainThread",
    "side": "buy",
    "fee": "0.00000000",
    "balances": {"BTC": "1.00000000", "USD": "50000.00000000"},
    "sequence": 2,
}
FILLED = Answer(200, FILL)
REPLAYED = Answer(200, FILL, replayed=True)
VOIDED = Answer(
    200, {"status": "ORDER_VOIDED", "idempotency_key": "k", "voided_at": "2026-02-21T14:01:48.011301Z", "sequence": 3}
)
PAGE = Answer(404, None, description="HTTP status 404, text/html")


def refusal(status: int, code: str, *, retry_after_s: float = 0.0, **more: Any) -> Answer:
    """Returns an error of the contract."""
    body = {"timestamp": "2026-01-01T00:00:00.000000Z", "status": status, "error_code": code, "message": f"a scripted {code}"}
    return Answer(status, body | more, retry_after_s=retry_after_s)


CONTENTION = refusal(409, "ERR_CONTENTION", retry_after_s=1.0)
THROTTLED = refusal(429, "ERR_THROTTLED")
UNAVAILABLE = refusal(503, "ERR_DATASTORE_UNAVAILABLE", retry_after_s=1.0)
BUG = refusal(500, "ERR_INTERNAL", retry_after_s=1.0)
HALTED = refusal(409, "ERR_ASSET_HALTED")
RULE = refusal(422, "ERR_ORDER_RULE")
NO_FUNDS = refusal(402, "ERR_LIQUIDITY")
REUSED = refusal(422, "ERR_IDEMPOTENCY_KEY_REUSED")
NOT_FOUND = refusal(404, "ERR_ORDER_NOT_FOUND")
DECIDED = refusal(409, "ERR_ORDER_DECIDED")
VOID_REFUSAL = refusal(410, "ERR_ORDER_VOIDED")
DENIED = refusal(401, "ERR_UNAUTHENTICATED")
BAD_GATEWAY = Answer(502, None, description="HTTP status 502, text/html")


def of_orders(*answers: Answer) -> Answer:
    """Returns a batch's answer."""
    results = [
        {"idempotency_key": str(place), "status": each.status, "replayed": each.replayed, "body": each.body}
        for place, each in enumerate(answers)
    ]
    return Answer(200, {"results": results})


class Script:
    """Runs operations against scripted answers. The last answer repeats for ever."""

    def __init__(self, *answers: Scripted, journal: Journal | None = None, user_id: int | None = USER) -> None:
        self.answers = deque(answers)
        self.requests: list[Request] = []
        self.pauses_s: list[float] = []
        self.now_s = 0.0
        policy = RetryPolicy(20.0, attempt_timeout_s=5.0, monotonic_s=lambda: self.now_s, random=lambda: 0.5)
        self.heads = MemoryHeads()
        self.operations = Operations(user_id, policy, journal, journal or self.heads, self.run)

    def run(self, flow: Flow[Done]) -> Done:
        outcome: Any = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as end:
                done: Done = end.value
                return done
            match step:
                case Request():
                    json.dumps(step.body)
                    self.requests.append(step)
                    answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
                    outcome = answer(step) if callable(answer) else answer
                    if isinstance(outcome, Unanswered) and outcome.was_sent:
                        self.now_s += step.timeout_s
                case Pause(seconds):
                    self.pauses_s.append(seconds)
                    self.now_s += seconds
                    outcome = None
                case Local(function):
                    outcome = function()

    @property
    def sent(self) -> list[str]:
        """What was asked for, by the end of its path."""
        return [request.path.rpartition("/")[2] for request in self.requests]

    @property
    def keys(self) -> list[str | None]:
        return [request.key for request in self.requests]

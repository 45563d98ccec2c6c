"""Instructions, each executed once under its key, and their requests: an order, a batch of orders, a linked batch, a transfer.

An instruction consists of parts. Each part has one outcome: each order of a batch, all orders of a linked batch together.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, ClassVar

from hft_client.errors import DECISIONS, UnexpectedAnswer
from hft_client.orders import Order
from hft_client.results import Fill, Outcome, Result, Transferred
from hft_client.wire import OPERATOR, TRADING, Answer, Request, Unanswered, error_of

ORDER, TRANSFER = "order", "transfer"
"""The two name spaces of keys."""


class Instruction(ABC):
    """A request that is sent until its outcome is known. `user_id`: the account; `space`: the name space of its keys."""

    user_id: int
    space: ClassVar[str] = ORDER

    @property
    @abstractmethod
    def terms(self) -> Mapping[str, Mapping[str, str]]:
        """The fields of each order or transfer, by its key."""

    @property
    def parts(self) -> Sequence[Sequence[str]]:
        """The keys of each part."""
        return [[key] for key in self.terms]

    @property
    def is_linked(self) -> bool:
        """True where all orders fill or none does."""
        return False

    def part(self, keys: Sequence[str]) -> "Instruction":
        """Returns one part as an instruction of its own."""
        del keys
        return self

    @abstractmethod
    def request(self, keys: Sequence[str]) -> Request:
        """Returns the request for some of the parts, by their first keys."""

    def split(self, answer: Answer | Unanswered, count: int) -> Sequence[Answer | Unanswered]:
        """Returns the answer to each of the parts that a request contained."""
        return [answer] * count

    def is_decision(self, answer: Answer) -> bool:
        """Returns whether an answer is the outcome of a part for good."""
        return answer.is_ok or (answer.status in DECISIONS and bool(answer.code)) or answer.code == "ERR_IDEMPOTENCY_KEY_REUSED"

    @abstractmethod
    def results(self, keys: Sequence[str], answer: Answer) -> Sequence[Result]:
        """Returns the result of each order of a decided part."""

    def _result(self, key: str, answer: Answer) -> Result:
        outcome: Outcome
        if answer.is_ok:
            kind = Transferred if self.space == TRANSFER else Fill
            outcome = kind.read(answer.body, key=key, replayed=answer.replayed)
        else:
            outcome = error_of(answer, key=key, of_transfer=self.space == TRANSFER)
        return Result(key, self.user_id, outcome)


@dataclass(frozen=True, slots=True)
class SingleOrder(Instruction):
    """One order."""

    user_id: int
    order: Order

    @property
    def terms(self) -> Mapping[str, Mapping[str, str]]:
        """See `Instruction`."""
        return {self.order.key: self.order.terms}

    def request(self, keys: Sequence[str]) -> Request:
        """See `Instruction`."""
        (key,) = keys
        return Request("POST", f"{TRADING}/execute", {"user_id": self.user_id, **self.order.terms}, key)

    def results(self, keys: Sequence[str], answer: Answer) -> Sequence[Result]:
        """See `Instruction`."""
        return [self._result(keys[0], answer)]


@dataclass(frozen=True, slots=True)
class Batch(Instruction):
    """Several orders, each for itself."""

    user_id: int
    orders: Sequence[Order]

    @property
    def terms(self) -> Mapping[str, Mapping[str, str]]:
        """See `Instruction`."""
        return {order.key: order.terms for order in self.orders}

    def request(self, keys: Sequence[str]) -> Request:
        """See `Instruction`. A part that has its outcome is left out: sent again, what was rejected could fill unnoticed."""
        wanted = set(keys)
        return self._request([order for order in self.orders if order.key in wanted])

    def part(self, keys: Sequence[str]) -> Instruction:
        """See `Instruction`."""
        (order,) = (order for order in self.orders if order.key == keys[0])
        return SingleOrder(self.user_id, order)

    def split(self, answer: Answer | Unanswered, count: int) -> Sequence[Answer | Unanswered]:
        """See `Instruction`."""
        if isinstance(answer, Unanswered) or not answer.is_ok:
            return [answer] * count
        return answers_in(answer, count)

    def results(self, keys: Sequence[str], answer: Answer) -> Sequence[Result]:
        """See `Instruction`."""
        return [self._result(keys[0], answer)]

    def _request(self, orders: Sequence[Order], **more: Any) -> Request:
        fields = [{"idempotency_key": order.key, **order.terms} for order in orders]
        return Request("POST", f"{TRADING}/execute/batch", {"user_id": self.user_id, "orders": fields, **more})


@dataclass(frozen=True, slots=True)
class LinkedBatch(Batch):
    """Several orders, of which all fill or none does: one part, always sent whole."""

    @property
    def parts(self) -> Sequence[Sequence[str]]:
        """See `Instruction`."""
        return [[order.key for order in self.orders]]

    @property
    def is_linked(self) -> bool:
        """See `Instruction`."""
        return True

    def part(self, keys: Sequence[str]) -> Instruction:
        """See `Instruction`."""
        del keys
        return self

    def request(self, keys: Sequence[str]) -> Request:
        """See `Instruction`."""
        del keys
        return self._request(self.orders, all_or_nothing=True)

    def split(self, answer: Answer | Unanswered, count: int) -> Sequence[Answer | Unanswered]:
        """See `Instruction`."""
        return [answer] * count

    def results(self, keys: Sequence[str], answer: Answer) -> Sequence[Result]:
        """See `Instruction`."""
        if not answer.is_ok:
            error = error_of(answer)
            return [Result(key, self.user_id, error) for key in keys]
        return [self._result(key, of_order) for key, of_order in zip(keys, answers_in(answer, len(keys)), strict=True)]


@dataclass(frozen=True, slots=True)
class Transfer(Instruction):
    """A transfer to an account, or from it where the amount is negative. `fields`: `symbol` and `amount`."""

    user_id: int
    key: str
    fields: Mapping[str, str]
    space: ClassVar[str] = TRANSFER

    @property
    def terms(self) -> Mapping[str, Mapping[str, str]]:
        """See `Instruction`."""
        return {self.key: self.fields}

    def request(self, keys: Sequence[str]) -> Request:
        """See `Instruction`."""
        return Request("POST", f"{OPERATOR}/transfers", {"user_id": self.user_id, **self.fields}, keys[0])

    def is_decision(self, answer: Answer) -> bool:
        """See `Instruction`. No refusal of a transfer is stored."""
        return answer.is_ok or answer.code == "ERR_IDEMPOTENCY_KEY_REUSED"

    def results(self, keys: Sequence[str], answer: Answer) -> Sequence[Result]:
        """See `Instruction`."""
        return [self._result(keys[0], answer)]


def answers_in(batch: Answer, count: int) -> Sequence[Answer]:
    """Returns the answer to each order of a batch, as a single order would have got it.

    Raises:
        UnexpectedAnswer: there are not so many.
    """
    try:
        results = batch.body["results"]
        answers = [
            replace(batch, status=result["status"], body=result["body"], replayed=result["replayed"] is True)
            for result in results
        ]
    except (KeyError, TypeError) as error:
        raise UnexpectedAnswer(f"The engine's answer is not that of a batch: {error!r}") from error
    if len(answers) != count or not all(isinstance(each.status, int) for each in answers):
        raise UnexpectedAnswer(f"The engine's answer is for {len(answers)} orders, not for {count}")
    return answers


def is_undecided_yet(answer: Answer) -> bool:
    """Returns whether this attempt decided nothing and another one may decide."""
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.code == "ERR_CONTENTION"

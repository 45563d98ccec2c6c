"""Everything that a client can do, as flows without I/O. `Client` and `AsyncClient` run them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from hft_client.amounts import Amount, amount_text, time_text
from hft_client.errors import ApiError, BrokenChain, HftError, OutcomeUnknown, UnexpectedAnswer
from hft_client.exactly_once import Ask, Exchange, Part, Reason, lookup_request, symbol_path, void_request
from hft_client.heads import Heads
from hft_client.instructions import ORDER, Batch, Instruction, LinkedBatch, SingleOrder, Transfer, is_undecided_yet
from hft_client.journal import Journal
from hft_client.orders import Order, checked_key, new_key
from hft_client.results import (
    Asset,
    Candle,
    Fill,
    Portfolio,
    Position,
    Preview,
    PreviewedFill,
    Record,
    Result,
    Transferred,
    Verified,
    Voided,
)
from hft_client.retry import RetryPolicy
from hft_client.verification import Chain
from hft_client.wire import OPERATOR, TRADING, Answer, Flow, Pause, Request, Unanswered, call, error_of, send

PAGE = 100
"""The most records of a page of the history."""

Interval = Literal["1m", "5m", "1h", "1d"]
Recovery = Literal["send", "void", "look_up"]
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the history. `sequence`: how far the account is."""

    records: Sequence[Record]
    sequence: int


class Cursor:
    """The way through a history, page by page. See `Client.history`."""

    def __init__(self, before: int | None, after: int | None, limit: int | None) -> None:
        if before is not None and after is not None:
            raise ValueError("Give before, for the newest first, or after, for the oldest first, not both")
        self._before = before
        self._after = after
        self._left = limit
        self.is_over = limit == 0

    @property
    def paging(self) -> dict[str, Any]:
        """The arguments of the next page."""
        limit = PAGE if self._left is None else min(PAGE, self._left)
        return {"limit": limit, "before": self._before, "after": self._after}

    def take(self, page: Page) -> Sequence[Record]:
        """Takes a page. Returns its records."""
        if self._left is not None:
            self._left -= len(page.records)
        if not page.records or self._left == 0:
            self.is_over = True
            return page.records
        reached = page.records[-1].sequence
        if self._after is None:
            self._before, self.is_over = reached, reached == 1
        else:
            self._after, self.is_over = reached, reached >= page.sequence
        return page.records


class Operations:
    """The operations on one engine, for one account.

    `user_id`: the account, or `None` for an operator without one; `run`: runs a flow the way the client does.
    """

    def __init__(
        self, user_id: int | None, policy: RetryPolicy, journal: Journal | None, heads: Heads, run: Callable[[Flow[Any]], Any]
    ) -> None:
        self._user_id = user_id
        self._policy = policy
        self._journal = journal
        self._heads = heads
        self._run = run

    @property
    def user_id(self) -> int:
        """The account.

        Raises:
            ValueError: the client was made without one.
        """
        if self._user_id is None:
            raise ValueError("This client has no account: make it with user_id=…, or use for_user(…)")
        return self._user_id

    # Orders.

    def buy(
        self,
        symbol: str,
        quantity: Amount | None = None,
        *,
        spend: Amount | None = None,
        pay_with: str = "USD",
        limit_price: Amount | None = None,
        expires_at: datetime | str | None = None,
        key: str | None = None,
    ) -> Flow[Fill]:
        """Buys a `quantity`, or as much as `spend` pays for, the fee included. Returns the fill. See `Order.buy`.

        Raises:
            Refused: the engine decided against the order, for good.
            Rejected, Unauthenticated, Forbidden, Unavailable, NoAnswer: nothing was decided.
            OutcomeUnknown: an attempt had no answer, and the deadline has passed.
        """
        order = Order.buy(
            symbol, quantity, spend=spend, pay_with=pay_with, limit_price=limit_price, expires_at=expires_at, key=key
        )
        return (yield from self.execute(order))

    def sell(
        self,
        symbol: str,
        quantity: Amount,
        *,
        receive: str = "USD",
        limit_price: Amount | None = None,
        expires_at: datetime | str | None = None,
        key: str | None = None,
    ) -> Flow[Fill]:
        """Sells a `quantity`, or ``"all"``. Returns the fill. See `Order.sell`; errors as of `buy`."""
        order = Order.sell(symbol, quantity, receive=receive, limit_price=limit_price, expires_at=expires_at, key=key)
        return (yield from self.execute(order))

    def execute(self, order: Order) -> Flow[Fill]:
        """Executes an order, once. Returns the fill. Errors as of `buy`."""
        return (yield from self._one(SingleOrder(self.user_id, order), Fill))

    def preview(self, order: Order) -> Flow[Preview]:
        """Returns the answer that an order would get now. Stores nothing."""
        body = yield from self._read(Request("POST", f"{TRADING}/preview", {"user_id": self.user_id, **order.terms}))
        try:
            would, status, reply = body["would"], body["status"], body["reply"]
        except (KeyError, TypeError) as error:
            raise UnexpectedAnswer(f"The engine's answer is not a preview: {error!r}") from error
        if status == HTTPStatus.OK:
            return Preview(would=would, status=status, fill=PreviewedFill.read(reply), error=None, raw=body)
        reason = error_of(Answer(status, {"error_code": would, **reply}), key=order.key)
        assert isinstance(reason, ApiError), "an answer with an error code is the engine's"
        return Preview(would=would, status=status, fill=None, error=reason, raw=body)

    def batch(self, orders: Iterable[Order], *, all_or_nothing: bool = False) -> Flow[list[Result]]:
        """Executes 1 to 99 orders, in their sequence. Returns the result of each, in its place; a refusal is a result, too.

        `all_or_nothing`: all fill or none does.

        Raises:
            Rejected, Unauthenticated, Forbidden, Unavailable, NoAnswer: the batch as a whole; nothing was decided.
            OutcomeUnknown: of a batch that is all or nothing.
        """
        listed = list(orders)
        if len({order.key for order in listed}) != len(listed):
            raise ValueError("Two orders of a batch have the same key")
        instruction = (LinkedBatch if all_or_nothing else Batch)(self.user_id, listed)
        return _each(instruction, (yield from self._once(instruction)))

    def order(self, key: str) -> Flow[Record]:
        """Returns the record under an order's key. Never executes anything.

        Raises:
            OrderNotFound: nothing is stored under it now.
        """
        return Record.read((yield from self._read(lookup_request(self.user_id, checked_key(key)))))

    def void(self, key: str) -> Flow[Voided]:
        """Makes sure that an order never executes.

        Raises:
            OrderDecided: it has an outcome, which is in `record`.
        """
        return Voided.read((yield from self._read(void_request(self.user_id, checked_key(key)))))

    def recover(self, then: Recovery = "send") -> Flow[list[Result]]:
        """Finds out what became of every intent in the journal whose outcome is unknown. Returns a result for each.

        `then`: ``"send"`` sends each again with its key, and voids it where the engine rejects it now; ``"void"`` makes sure that
        none executes any more; ``"look_up"`` only reads, and leaves open what has no outcome. A transfer cannot be voided or
        looked up: it is sent again, except with ``"look_up"``. An intent whose outcome stays unknown stays open.

        Raises:
            ValueError: the client has no journal.
        """
        journal = self._journal
        if journal is None:
            raise ValueError("This client has no journal: make it with journal=…")
        results: list[Result] = []
        for instruction in (yield from call(journal.open_instructions)):
            results += yield from self._recovered(instruction, then)
        return results

    # Accounts and the market.

    def portfolio(self) -> Flow[Portfolio]:
        """Returns the account's holdings, their values and gains."""
        body = yield from self._read(Request("GET", f"{TRADING}/portfolio/{self.user_id}"))
        positions: dict[str, Any] = _field(body, "positions", {})
        return Portfolio.read(body, positions={symbol: Position.read(position) for symbol, position in positions.items()})

    def page(self, *, limit: int = PAGE, before: int | None = None, after: int | None = None) -> Flow[Page]:
        """Returns a page of the history: newest first, below `before`; or with `after`, oldest first, above it.

        A page is complete: what the engine's index does not show yet is asked for again.
        """
        paging = {
            name: str(value) for name, value in (("limit", limit), ("before", before), ("after", after)) if value is not None
        }
        request = Request("GET", f"{TRADING}/history/{self.user_id}", query=paging)
        attempts = self._policy.start()
        while True:
            body = yield from self._read(request)
            records: list[Any] = _field(body, "records", [])
            page = Page([Record.read(record) for record in records], _field(body, "sequence", 0))
            is_behind = after is not None and not page.records and after < page.sequence
            if not (is_behind or body.get("missing")):
                return page
            pause_s = attempts.pause_s()
            if pause_s is None:
                missing = (body.get("missing") or [(after or 0) + 1])[0]
                raise BrokenChain(missing, f"The history does not show decision {missing}")
            yield Pause(pause_s)

    def assets(self) -> Flow[list[Asset]]:
        """Returns the assets with their prices and rules, by symbol."""
        body = yield from self._read(Request("GET", f"{TRADING}/assets"))
        return [Asset.read(each) for each in body]

    def candles(
        self, symbol: str, interval: Interval = "1m", *, limit: int = 200, before: datetime | str | None = None
    ) -> Flow[list[Candle]]:
        """Returns an asset's candles, oldest first. A minute without a price has none. `before`: an exclusive end."""
        query = {"interval": interval, "limit": str(limit)}
        if before is not None:
            query["before"] = time_text("before", before)
        body = yield from self._read(Request("GET", f"{TRADING}/candles/{symbol_path(symbol)}", query=query))
        return [Candle.read(each) for each in body]

    def verify(self, *, from_start: bool = False, progress: Callable[[int, int], None] | None = None) -> Flow[Verified]:
        """Verifies the account's history by its hash chain, up to the head that the portfolio shows. Returns what was verified.

        It starts where the last verification ended, and that must still be there. `from_start`: it starts at 1 all the same.
        `progress`: called with the sequence that was reached and the last one.

        Raises:
            HistoryRewritten: the history no longer contains what was verified before.
            BrokenChain: a link does not hold.
        """
        portfolio = yield from self.portfolio()
        end, user_id, heads = portfolio.sequence, self.user_id, self._heads
        chain = Chain(user_id, (yield from call(lambda: heads.last_verified(user_id))))
        chain.start(end, portfolio.head, at_one=from_start)
        while chain.sequence < end:
            page = yield from self.page(limit=min(PAGE, end - chain.sequence), after=chain.sequence)
            if not page.records:
                break
            for record in page.records:
                chain.follow(record)
            if progress is not None:
                progress(chain.sequence, end)
        verified = chain.end(end, portfolio.head)
        yield from call(lambda: heads.keep_verified(verified))
        return verified

    # The operator.

    def set_prices(
        self,
        prices: Mapping[str, Amount],
        *,
        as_of: datetime | str | None = None,
        source: str | None = None,
        allow_move: Iterable[str] = (),
    ) -> Flow[dict[str, str]]:
        """Sets prices in USD. Returns ``set``, ``unchanged``, ``older``, ``held`` or ``unknown`` for each symbol.

        `as_of`: the time of the prices. Without one it is the moment at which the engine receives them, and so they are not sent
        again after an attempt without an answer: they could replace newer ones. `allow_move`: symbols that may move beyond their
        guard.
        """
        body: dict[str, Any] = {"prices": {symbol: amount_text(symbol, price) for symbol, price in prices.items()}}
        if as_of is not None:
            body["as_of"] = time_text("as_of", as_of)
        if source is not None:
            body["source"] = source
        if allowed := list(allow_move):
            body["allow_move"] = allowed
        reply = yield from self._read(Request("PUT", f"{OPERATOR}/prices", body), is_repeatable=as_of is not None)
        return dict(_field(reply, "results", {}))

    def transfer(self, symbol: str, amount: Amount, *, key: str | None = None) -> Flow[Transferred]:
        """Funds the account, or debits it by a negative amount, once per key. Errors as of `buy`."""
        fields = {"symbol": symbol, "amount": amount_text("amount", amount)}
        instruction = Transfer(self.user_id, checked_key(new_key() if key is None else key), fields)
        return (yield from self._one(instruction, Transferred))

    def list_asset(
        self,
        symbol: str,
        price: Amount,
        *,
        min_quantity: Amount | None = None,
        quantity_step: Amount | None = None,
        min_notional_usd: Amount | None = None,
        fee_bps: Amount | None = None,
        max_move: Amount | None = None,
    ) -> Flow[Asset]:
        """Lists an asset at a price in USD, with its rules: see `set_rules`."""
        rules = {
            "min_quantity": min_quantity,
            "quantity_step": quantity_step,
            "min_notional_usd": min_notional_usd,
            "fee_bps": fee_bps,
            "max_move": max_move,
        }
        return (yield from self._put_asset(symbol, {"price": price, **rules}))

    def set_rules(
        self,
        symbol: str,
        *,
        min_quantity: Amount | None = None,
        quantity_step: Amount | None = None,
        min_notional_usd: Amount | None = None,
        fee_bps: Amount | None = None,
        max_move: Amount | None = None,
    ) -> Flow[Asset]:
        """Sets rules of an asset; the others stay.

        `min_quantity`, `quantity_step`: of the asset. `min_notional_usd`: in USD. `fee_bps`: in basis points. `max_move`: the
        guard, which holds a price that moves further.
        """
        rules = {
            "min_quantity": min_quantity,
            "quantity_step": quantity_step,
            "min_notional_usd": min_notional_usd,
            "fee_bps": fee_bps,
            "max_move": max_move,
        }
        return (yield from self._put_asset(symbol, rules))

    def halt(self, symbol: str) -> Flow[Asset]:
        """Halts trading in an asset."""
        return Asset.read((yield from self._read(Request("POST", f"{OPERATOR}/assets/{symbol_path(symbol)}/halt"))))

    def resume(self, symbol: str) -> Flow[Asset]:
        """Resumes trading in an asset."""
        return Asset.read((yield from self._read(Request("POST", f"{OPERATOR}/assets/{symbol_path(symbol)}/resume"))))

    def _put_asset(self, symbol: str, fields: Mapping[str, Amount | None]) -> Flow[Asset]:
        body = {name: amount_text(name, value) for name, value in fields.items() if value is not None}
        return Asset.read((yield from self._read(Request("PUT", f"{OPERATOR}/assets/{symbol_path(symbol)}", body))))

    def _read(self, request: Request, *, is_repeatable: bool = True) -> Flow[Any]:
        """Sends a request that may be sent any number of times. Returns the body of a 200.

        `is_repeatable`: also where an attempt may have reached the engine.
        """
        attempts = self._policy.start()
        while True:
            answer = yield from send(request.within(attempts.timeout_s()))
            retry_after_s = 0.0
            if isinstance(answer, Unanswered):
                is_over = answer.was_sent and not is_repeatable
            elif answer.is_ok:
                return answer.body
            else:
                retry_after_s = answer.retry_after_s
                is_server_error = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                is_over = not (is_undecided_yet(answer) or (is_server_error and is_repeatable))
            pause_s = None if is_over else attempts.pause_s(retry_after_s)
            if pause_s is None:
                raise error_of(answer)
            yield Pause(pause_s)

    def _one(self, instruction: Instruction, kind: type[Read]) -> Flow[Read]:
        """Sends an instruction of one part. Returns its result."""
        (result,) = yield from self._once(instruction)
        outcome = result.get()
        assert isinstance(outcome, kind), "an order is answered by a fill, a transfer by a transfer"
        return outcome

    def _once(self, instruction: Instruction, *, ask: Ask = Ask.LOOK_UP, **how: bool) -> Flow[Sequence[Result]]:
        """Sends an instruction until its outcome is known. Returns a result for each order. `how`: see `Exchange.run`."""
        journal = self._journal
        if journal is not None:
            yield from call(lambda: journal.write(instruction))
        try:
            parts = yield from Exchange(instruction, self._policy.start(), ask).run(**how)
            results = [result for part in parts for result in self._results(instruction, part)]
            if journal is not None:
                yield from call(lambda: journal.settle(results, instruction.space))
            return results
        finally:
            if journal is not None:
                journal.land(instruction)

    def _recovered(self, instruction: Instruction, then: Recovery) -> Flow[Sequence[Result]]:
        if instruction.space == ORDER:
            ask = Ask.LOOK_UP if then == "look_up" else Ask.VOID
            how = {"asks_first": then != "send", "asks_once": then == "look_up"}
            return (yield from self._once(instruction, ask=ask, is_uncertain=True, **how))
        if then == "look_up":
            return [
                Result(key, instruction.user_id, self._unknown(instruction, [key], "a transfer cannot be looked up"))
                for key in instruction.terms
            ]
        return (yield from self._once(instruction, is_uncertain=True))

    def _results(self, instruction: Instruction, part: Part) -> Sequence[Result]:
        if part.results:
            return part.results
        assert part.reason is not None, "a part without results has a reason"
        outcome = self._unknown(instruction.part(part.keys), part.keys, part.reason) if part.is_uncertain else part.reason
        return [Result(key, instruction.user_id, outcome) for key in part.keys]

    def _unknown(self, instruction: Instruction, keys: Sequence[str], reason: Reason | str) -> OutcomeUnknown:
        unknown = OutcomeUnknown(
            keys,
            instruction.user_id,
            str(reason),
            resolve=lambda: self._run(self._resolve(instruction)),
            void=lambda: self._run(self._void(instruction)),
        )
        unknown.__cause__ = reason if isinstance(reason, Exception) else None
        return unknown

    def _resolve(self, instruction: Instruction) -> Flow[Any]:
        results = yield from self._once(instruction, is_uncertain=True)
        return _each(instruction, results) if instruction.is_linked else results[0].get()

    def _void(self, instruction: Instruction) -> Flow[Any]:
        if instruction.space != ORDER:
            raise TypeError("A transfer cannot be voided: resolve() sends it again")
        for result in (yield from self._once(instruction, ask=Ask.VOID, is_uncertain=True, asks_first=True)):
            if isinstance(result.outcome, OutcomeUnknown):
                raise result.outcome
        voided = []
        for key in instruction.terms:
            request = void_request(instruction.user_id, key)
            voided.append(Voided.read((yield from self._read(request))))
        return voided if instruction.is_linked else voided[0]


def _each(instruction: Instruction, results: Sequence[Result]) -> list[Result]:
    """Returns the results of a batch.

    Raises:
        HftError: they are one, of the batch as a whole.
    """
    first = results[0].outcome
    if isinstance(first, HftError) and all(result.outcome is first for result in results):
        is_whole = instruction.is_linked if isinstance(first, OutcomeUnknown) else getattr(first, "key", None) is None
        if is_whole:
            raise first
    return list(results)


def _field(body: Any, name: str, default: Read) -> Read:
    """Returns a field of a body.

    Raises:
        UnexpectedAnswer: it is missing or of another type.
    """
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, type(default)):
        raise UnexpectedAnswer(f"The engine's answer has no {name}")
    return value

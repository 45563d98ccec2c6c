"""Sessions of a client over HTTP, held against a model of the market that fits on a page: exact fractions and two dictionaries.

Fundings, orders in many spellings, alone and in batches, the same orders again, keys used for other orders, portfolios: the
engine says just what the model gives, and says it again whenever it is asked again.
"""

import json
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, ClassVar

import requests
import schemathesis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from chalicelib.api.openapi import document
from tests.fuzz.document import BATCH, EXECUTE
from tests.fuzz.effort import inputs
from tests.support.market import Market, new_key

PRICES = {"FUZZA": "7.25", "FUZZB": "0.00000003", "FUZZC": "123456.78900001", "FUZZD": "1"}
PORTFOLIO = "/api/v1/trading/portfolio/{user_id}"
UNIT = Decimal("1E-8")

symbols = st.sampled_from(sorted(PRICES))
quantities = st.integers(1, 10**6) | st.integers(1, 10**13)  # units
spellings = st.randoms(use_true_random=False)
described = schemathesis.openapi.from_dict(document())


@dataclass(frozen=True)
class Instruction:
    """An order."""

    symbol: str
    pay_with: str
    units: int


@dataclass(frozen=True)
class Answer:
    """What the engine said to one."""

    status: int
    reply: dict[str, Any]
    replayed: bool


@dataclass(frozen=True)
class Told:
    """What the engine said under a key, and to which order."""

    key: str
    wanted: Instruction
    status: int
    reply: dict[str, Any]


orders = st.builds(Instruction, symbols, symbols | st.just("FUZZD"), quantities)


class Sessions(RuleBasedStateMachine):
    """One account, and everything that may happen to it."""

    market: ClassVar[Market]
    statuses: ClassVar[Counter[int]]

    def __init__(self) -> None:
        super().__init__()
        self.user = self.market.new_user()
        self.units: dict[str, int] = {}
        self.told: list[Told] = []
        self.movements = 0

    @initialize(units=quantities)
    def open(self, units: int) -> None:
        self.fund("FUZZD", 10**12)
        self.fund("FUZZA", units)

    @rule(symbol=symbols, units=quantities)
    def fund(self, symbol: str, units: int) -> None:
        self.market.fund(self.user, symbol, str(units * UNIT))
        self.units[symbol] = self.units.get(symbol, 0) + units
        self.movements += 1

    @rule(wanted=orders, spelling=spellings)
    def order(self, wanted: Instruction, spelling: Any) -> None:
        key = new_key()
        response = self.send(key, wanted, spelling)
        self.decided(key, wanted, Answer(response.status_code, response.json(), "Idempotent-Replayed" in response.headers))

    def decided(self, key: str, wanted: Instruction, answer: Answer) -> None:
        """A new order, and what it does."""
        reply, held = dict(answer.reply), self.units.get(wanted.pay_with, 0)
        assert not answer.replayed
        if wanted.symbol == wanted.pay_with:
            assert answer.status == 422
            return
        cost = ceil(Fraction(PRICES[wanted.symbol]) * wanted.units / Fraction(PRICES[wanted.pay_with]))
        if held < cost:
            assert answer.status == 402
            assert reply["message"] == f"Need {shown(cost)} {wanted.pay_with} but only have {shown(held)} {wanted.pay_with}"
        else:
            self.units[wanted.pay_with] -= cost
            self.units[wanted.symbol] = self.units.get(wanted.symbol, 0) + wanted.units
            self.movements += 1
            assert answer.status == 200
            assert Decimal(reply["quantity_filled"]) == wanted.units * UNIT
            del reply["executed_at"], reply["executed_by_thread"], reply["quantity_filled"]
            price = half_up(Fraction(PRICES[wanted.symbol]) / Fraction(PRICES[wanted.pay_with]) * 10**8)
            assert reply == {
                "status": "ORDER_FILLED",
                "symbol": wanted.symbol,
                "execution_price": shown(price),
                "total_cost": shown(cost),
                "paid_with": wanted.pay_with,
                "remaining_balance": shown(held - cost),
                "sequence": self.movements,
            }
        self.told.append(Told(key, wanted, answer.status, answer.reply))

    @rule(data=st.data(), spelling=spellings)
    def batch(self, data: st.DataObject, spelling: Any) -> None:
        """New orders, some of those that were sent before, and others under their keys, in any order."""
        earlier = (
            data.draw(st.lists(st.sampled_from(self.told), max_size=3, unique_by=lambda told: told.key)) if self.told else []
        )
        sent: list[tuple[str, Instruction, Told | None]] = []
        sent += [(told.key, data.draw(st.just(told.wanted) | orders), told) for told in earlier]
        sent += [(new_key(), wanted, None) for wanted in data.draw(st.lists(orders, min_size=not earlier, max_size=5))]
        sent = data.draw(st.permutations(sent))

        texts = [f'{{"idempotency_key": "{key} ", {self.spelled(wanted, spelling)}}}' for key, wanted, _ in sent]
        response = self.market.post_batch(f'{{"orders": [{", ".join(texts)}], "user_id": {self.user}}}'.encode())

        described[BATCH]["POST"].validate_response(response)
        for (key, wanted, told), result in zip(sent, response.json()["results"], strict=True):
            assert result["idempotency_key"] == key
            answer = Answer(result["status"], result["body"], result["replayed"])
            self.statuses[answer.status] += 1
            if told is None:
                self.decided(key, wanted, answer)
            elif wanted == told.wanted:
                assert answer == Answer(told.status, told.reply, replayed=True)
            elif wanted.symbol == wanted.pay_with:
                assert (answer.status, answer.reply["error_code"]) == (422, "ERR_VALIDATION")
            else:
                assert (answer.status, answer.reply["error_code"]) == (422, "ERR_IDEMPOTENCY_KEY_REUSED")

    @precondition(lambda self: self.told)
    @rule(data=st.data(), spelling=spellings)
    def the_same_again(self, data: st.DataObject, spelling: Any) -> None:
        told = data.draw(st.sampled_from(self.told))
        response = self.send(told.key, told.wanted, spelling)
        assert (response.status_code, response.json()) == (told.status, told.reply)
        assert response.headers["Idempotent-Replayed"] == "true"

    @precondition(lambda self: self.told)
    @rule(data=st.data(), other=orders, spelling=spellings)
    def another_under_its_key(self, data: st.DataObject, other: Instruction, spelling: Any) -> None:
        told = data.draw(st.sampled_from(self.told))
        if other.symbol != other.pay_with and other != told.wanted:
            response = self.send(told.key, other, spelling)
            assert (response.status_code, response.json()["error_code"]) == (422, "ERR_IDEMPOTENCY_KEY_REUSED")

    @rule()
    def look(self) -> None:
        response = self.market.get(PORTFOLIO.format(user_id=self.user))
        described[PORTFOLIO]["GET"].validate_response(response)
        portfolio = response.json()
        worth = {symbol: Fraction(PRICES[symbol]) * units for symbol, units in self.units.items()}
        assert portfolio["holdings"] == {symbol: shown(units) for symbol, units in self.units.items()}
        assert portfolio["usd_values"] == {symbol: shown(half_up(exact)) for symbol, exact in worth.items()}
        assert portfolio["total_valuation_usd"] == f"{half_up(sum(worth.values(), Fraction()) / 10**6) * Decimal('0.01'):f}"
        assert portfolio["sequence"] == self.movements

    def teardown(self) -> None:
        self.look()

    def send(self, key: str, wanted: Instruction, spelling: Any) -> requests.Response:
        """Sends an order by itself, under one of the names that its key may have."""
        name = spelling.choice(["X-Idempotency-Key", "Idempotency-Key"])
        body = f'{{"user_id": {self.user}, {self.spelled(wanted, spelling)}}}'.encode()
        response = self.market.post(body, headers={name: f"{key} "})
        described[EXECUTE]["POST"].validate_response(response)
        self.statuses[response.status_code] += 1
        return response

    def spelled(self, wanted: Instruction, spelling: Any) -> str:
        """The fields of an order, written in one of the ways that mean the same."""
        symbol, pay_with = wanted.symbol, wanted.pay_with
        quantity = f"{(wanted.units * UNIT).normalize():f}"
        if spelling.random() < 0.5:
            quantity = shown(wanted.units)
        if spelling.random() < 0.5:
            quantity = f'"{quantity}"'
        if spelling.random() < 0.5:
            symbol, pay_with = symbol.lower(), f" {pay_with.title()}\t"
        return f'"symbol": {json.dumps(symbol)}, "pay_with": {json.dumps(pay_with)}, "quantity": {quantity}'


def shown(units: int) -> str:
    return f"{units * UNIT:.8f}"


def half_up(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


def test_every_session_goes_as_the_model_says(moto_market: Market) -> None:
    for symbol, price in PRICES.items():
        moto_market.list_asset(symbol, price)
    Sessions.market = moto_market
    Sessions.statuses = Counter()

    run_state_machine_as_test(Sessions, settings=settings(inputs(8), stateful_step_count=12))

    assert min(Sessions.statuses[status] for status in (200, 402, 422)) > 3, Sessions.statuses

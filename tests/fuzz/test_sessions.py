"""Sessions of a client over HTTP, held against a model of the market that fits on a page: exact fractions and two dictionaries.

Fundings, orders in many spellings, the same orders again, keys used for other orders, portfolios: the engine says just what
the model gives, and says it again whenever it is asked again.
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

from chalicelib.openapi import document
from tests.fuzz.document import EXECUTE
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
class Told:
    """What the engine said under a key, and to which order."""

    key: str
    symbol: str
    pay_with: str
    units: int
    status: int
    reply: dict[str, Any]


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

    @rule(symbol=symbols, pay_with=symbols | st.just("FUZZD"), units=quantities, spelling=spellings)
    def order(self, symbol: str, pay_with: str, units: int, spelling: Any) -> None:
        key = new_key()
        response = self.send(key, symbol, pay_with, units, spelling)
        if symbol == pay_with:
            assert response.status_code == 422
            return
        cost = ceil(Fraction(PRICES[symbol]) * units / Fraction(PRICES[pay_with]))
        held = self.units.get(pay_with, 0)
        reply = response.json()
        if held < cost:
            assert response.status_code == 402
            assert reply["message"] == f"Need {shown(cost)} {pay_with} but only have {shown(held)} {pay_with}"
        else:
            self.units[pay_with] -= cost
            self.units[symbol] = self.units.get(symbol, 0) + units
            self.movements += 1
            assert response.status_code == 200
            assert Decimal(reply["quantity_filled"]) == units * UNIT
            del reply["executed_at"], reply["executed_by_thread"], reply["quantity_filled"]
            assert reply == {
                "status": "ORDER_FILLED",
                "symbol": symbol,
                "execution_price": shown(half_up(Fraction(PRICES[symbol]) / Fraction(PRICES[pay_with]) * 10**8)),
                "total_cost": shown(cost),
                "paid_with": pay_with,
                "remaining_balance": shown(held - cost),
                "sequence": self.movements,
            }
        assert "Idempotent-Replayed" not in response.headers
        self.told.append(Told(key, symbol, pay_with, units, response.status_code, response.json()))

    @precondition(lambda self: self.told)
    @rule(data=st.data(), spelling=spellings)
    def the_same_again(self, data: st.DataObject, spelling: Any) -> None:
        told = data.draw(st.sampled_from(self.told))
        response = self.send(told.key, told.symbol, told.pay_with, told.units, spelling)
        assert (response.status_code, response.json()) == (told.status, told.reply)
        assert response.headers["Idempotent-Replayed"] == "true"

    @precondition(lambda self: self.told)
    @rule(data=st.data(), symbol=symbols, units=quantities, spelling=spellings)
    def another_under_its_key(self, data: st.DataObject, symbol: str, units: int, spelling: Any) -> None:
        told = data.draw(st.sampled_from(self.told))
        if symbol != told.pay_with and (symbol, units) != (told.symbol, told.units):
            response = self.send(told.key, symbol, told.pay_with, units, spelling)
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

    def send(self, key: str, symbol: str, pay_with: str, units: int, spelling: Any) -> requests.Response:
        """Sends an order, written in one of the ways that mean the same."""
        quantity = f"{(units * UNIT).normalize():f}"
        if spelling.random() < 0.5:
            quantity = shown(units)
        if spelling.random() < 0.5:
            quantity = f'"{quantity}"'
        if spelling.random() < 0.5:
            symbol, pay_with = symbol.lower(), f" {pay_with.title()}\t"
        name = spelling.choice(["X-Idempotency-Key", "Idempotency-Key"])
        fields = json.dumps({"user_id": self.user, "symbol": symbol, "pay_with": pay_with})
        body = f'{fields[:-1]}, "quantity": {quantity}}}'.encode()
        response = self.market.post(body, headers={name: f"{key} "})
        described[EXECUTE]["POST"].validate_response(response)
        self.statuses[response.status_code] += 1
        return response


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

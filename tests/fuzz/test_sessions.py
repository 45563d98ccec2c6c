"""Sessions of a client over HTTP, held against a model of the market that fits on a page: exact fractions and dictionaries.

Fundings, orders in many spellings, alone and in batches, the same orders again, keys used for other orders, portfolios: the
engine answers just what the model gives, and answers it again whenever it is asked again.
"""

import json
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, ClassVar, Literal

import requests
import schemathesis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from chalicelib.api.openapi import document
from tests.fuzz.document import BATCH, EXECUTE
from tests.fuzz.effort import inputs
from tests.support.audit import assert_audit
from tests.support.market import Market, new_key

PRICES = {"FUZZA": "7.25", "FUZZB": "0.00000003", "FUZZC": "123456.78900001", "FUZZD": "1"}
PORTFOLIO = "/api/v1/trading/portfolio/{user_id}"
UNIT = Decimal("1E-8")

symbols = st.sampled_from(sorted(PRICES))
quantities = st.integers(1, 10**6) | st.integers(1, 10**13)  # units
limits = st.sampled_from(["0.00000004", "0.5", "7.25", "100000", "16000000000"])
spellings = st.randoms(use_true_random=False)
described = schemathesis.openapi.from_dict(document())


@dataclass(frozen=True)
class Instruction:
    """An order: to buy or to sell so many units, or to buy for so many; `None` is all there is."""

    form: Literal["buy", "spend", "sell"]
    symbol: str
    other: str
    units: int | None
    limit: str | None

    @property
    def given(self) -> str:
        return self.symbol if self.form == "sell" else self.other


@dataclass(frozen=True)
class Answer:
    """The answer to an order."""

    status: int
    reply: dict[str, Any]
    replayed: bool


@dataclass(frozen=True)
class Told:
    """The answer that is stored under a key, and the order that it answers."""

    key: str
    wanted: Instruction
    status: int
    reply: dict[str, Any]


orders = st.builds(
    Instruction,
    st.just("buy"),
    symbols,
    symbols | st.just("FUZZD"),
    quantities,
    st.none() | st.none() | limits,
) | st.builds(
    Instruction,
    st.sampled_from(["spend", "sell"]),
    symbols,
    symbols | st.just("FUZZD"),
    quantities | quantities | st.none(),
    st.none() | st.none() | limits,
)


class Sessions(RuleBasedStateMachine):
    """One account, and everything that may happen to it."""

    market: ClassVar[Market]
    statuses: ClassVar[Counter[int]]

    def __init__(self) -> None:
        super().__init__()
        self.user = self.market.new_user()
        self.units: dict[str, int] = {}
        self.basis: dict[str, int] = {}
        self.deposits = 0
        self.told: list[Told] = []
        self.unused: list[str] = []
        """Keys of orders that broke a rule."""
        self.decisions = 0

    @initialize(units=quantities)
    def open(self, units: int) -> None:
        self.fund("FUZZD", 10**12)
        self.fund("FUZZA", units)

    @rule(symbol=symbols, units=quantities)
    def fund(self, symbol: str, units: int) -> None:
        self.market.fund(self.user, symbol, str(units * UNIT))
        value = half_up(Fraction(PRICES[symbol]) * units)
        self.receive(symbol, units, value)
        self.deposits += value
        self.decisions += 1

    def receive(self, symbol: str, units: int, value: int) -> None:
        self.units[symbol] = self.units.get(symbol, 0) + units
        self.basis[symbol] = self.basis.get(symbol, 0) + value

    def give(self, symbol: str, units: int) -> None:
        self.basis[symbol] -= half_up(Fraction(self.basis[symbol] * units, self.units[symbol]))
        self.units[symbol] -= units

    @rule(wanted=orders, spelling=spellings)
    def order(self, wanted: Instruction, spelling: Any) -> None:
        self.send_new(new_key(), wanted, spelling)

    @precondition(lambda self: self.unused)
    @rule(wanted=orders, spelling=spellings)
    def under_an_unused_key(self, wanted: Instruction, spelling: Any) -> None:
        self.send_new(self.unused.pop(), wanted, spelling)

    def send_new(self, key: str, wanted: Instruction, spelling: Any) -> None:
        response = self.send(key, wanted, spelling)
        self.decided(key, wanted, Answer(response.status_code, response.json(), "Idempotent-Replayed" in response.headers))

    def decided(self, key: str, wanted: Instruction, answer: Answer) -> None:
        """Checks the answer to an order under an unused key, and does to the model what the order does."""
        assert not answer.replayed
        said = (answer.status, answer.reply.get("error_code"))
        refusal, quantity, moved = self.outcome_of(wanted)
        if refusal is not None:
            assert said == refusal
        if answer.status == 422:
            self.unused.append(key)
            return
        self.decisions += 1
        if refusal is None:
            self.filled(wanted, quantity, moved, answer)
        elif wanted.units is not None and answer.status == 402:
            needed, held = quantity if wanted.form == "sell" else moved, self.units.get(wanted.given, 0)
            assert answer.reply["message"] == f"Need {shown(needed)} {wanted.given} but only have {shown(held)} {wanted.given}"
        self.told.append(Told(key, wanted, answer.status, answer.reply))

    def outcome_of(self, wanted: Instruction) -> tuple[tuple[int, str] | None, int, int]:
        """Returns the refusal of an order, if there is one, and how much of its two assets it moves."""
        held = self.units.get(wanted.given, 0)
        if wanted.symbol == wanted.other:
            return (422, "ERR_VALIDATION"), 0, 0
        if wanted.units is None and held == 0:
            return (402, "ERR_LIQUIDITY"), 0, 0
        price = Fraction(PRICES[wanted.symbol]) / Fraction(PRICES[wanted.other])
        units = held if wanted.units is None else wanted.units
        quantity = floor(units / price) if wanted.form == "spend" else units
        exact = price * quantity
        moved = floor(exact) if wanted.form == "sell" else ceil(exact)
        if quantity == 0 or moved == 0 or abs(moved - exact) * 100 > exact:
            return (422, "ERR_ORDER_RULE"), quantity, moved
        if wanted.limit is not None and (
            price < Fraction(wanted.limit) if wanted.form == "sell" else price > Fraction(wanted.limit)
        ):
            return (412, "ERR_PRICE_LIMIT"), quantity, moved
        if (quantity if wanted.form == "sell" else moved) > held:
            return (402, "ERR_LIQUIDITY"), quantity, moved
        return None, quantity, moved

    def filled(self, wanted: Instruction, quantity: int, moved: int, answer: Answer) -> None:
        reply = dict(answer.reply)
        value = half_up(Fraction(PRICES[wanted.other]) * moved)
        if wanted.form == "sell":
            self.give(wanted.symbol, quantity)
            self.units.setdefault(wanted.other, 0)
            self.receive(wanted.other, moved, value)
        else:
            self.give(wanted.other, moved)
            self.receive(wanted.symbol, quantity, value)
        assert answer.status == 200
        assert Decimal(reply["quantity_filled"]) == quantity * UNIT
        del reply["executed_at"], reply["executed_by_thread"], reply["quantity_filled"]
        cost, other = ("total_proceeds", "received") if wanted.form == "sell" else ("total_cost", "paid_with")
        assert reply == {
            "status": "ORDER_FILLED",
            "symbol": wanted.symbol,
            "execution_price": quotient(Fraction(PRICES[wanted.symbol]) / Fraction(PRICES[wanted.other])),
            cost: shown(moved),
            other: wanted.other,
            "remaining_balance": shown(self.units[wanted.given]),
            "side": "sell" if wanted.form == "sell" else "buy",
            "fee": "0.00000000",
            "balances": {symbol: shown(self.units[symbol]) for symbol in (wanted.symbol, wanted.other)},
            "sequence": self.decisions,
        }

    @rule(data=st.data(), spelling=spellings)
    def batch(self, data: st.DataObject, spelling: Any) -> None:
        """Sends new orders, some of those that were sent before, and others under their keys, in any order."""
        earlier = (
            data.draw(st.lists(st.sampled_from(self.told), max_size=3, unique_by=lambda told: told.key)) if self.told else []
        )
        sent: list[tuple[str, Instruction, Told | None]] = []
        sent += [(told.key, data.draw(st.just(told.wanted) | orders), told) for told in earlier]
        new = data.draw(st.lists(orders, min_size=not earlier, max_size=5))
        sent += [(self.unused.pop() if self.unused else new_key(), wanted, None) for wanted in new]
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
            elif wanted.symbol == wanted.other:
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
        if other.symbol != other.other and other != told.wanted:
            response = self.send(told.key, other, spelling)
            assert (response.status_code, response.json()["error_code"]) == (422, "ERR_IDEMPOTENCY_KEY_REUSED")

    @rule()
    def look(self) -> None:
        response = self.market.get(PORTFOLIO.format(user_id=self.user))
        described[PORTFOLIO]["GET"].validate_response(response)
        portfolio = response.json()
        values = {symbol: half_up(Fraction(PRICES[symbol]) * units) for symbol, units in self.units.items()}
        total = sum(values.values())
        assert portfolio["holdings"] == {symbol: shown(units) for symbol, units in self.units.items()}
        assert portfolio["usd_values"] == {symbol: shown(value) for symbol, value in values.items()}
        assert portfolio["total_valuation_usd"] == f"{half_up(Fraction(total, 10**6)) * Decimal('0.01'):f}"
        assert portfolio["sequence"] == self.decisions
        assert portfolio["net_deposits_usd"] == shown(self.deposits)
        assert portfolio["realized_pl_usd"] == shown(sum(self.basis.values()) - self.deposits)
        for position in portfolio["positions"].values():
            del position["price_at"]
        assert portfolio["positions"] == {
            symbol: {
                "quantity": shown(units),
                "price": f"{Decimal(PRICES[symbol]):.8f}",
                "value_usd": shown(values[symbol]),
                "cost_basis_usd": shown(self.basis[symbol]),
                "average_price_usd": quotient(Fraction(self.basis[symbol], units)) if units else None,
                "unrealized_pl_usd": shown(values[symbol] - self.basis[symbol]),
                "share": f"{half_up(Fraction(values[symbol] * 10**4, total)) * Decimal('0.0001'):.4f}" if total else None,
            }
            for symbol, units in self.units.items()
        }

    def teardown(self) -> None:
        self.look()
        assert_audit(self.market, self.user)

    def send(self, key: str, wanted: Instruction, spelling: Any) -> requests.Response:
        """Sends an order by itself, under one of the names that its key may have."""
        name = spelling.choice(["X-Idempotency-Key", "Idempotency-Key"])
        body = f'{{"user_id": {self.user}, {self.spelled(wanted, spelling)}}}'.encode()
        response = self.market.post(body, headers={name: f"{key} "})
        described[EXECUTE]["POST"].validate_response(response)
        self.statuses[response.status_code] += 1
        return response

    def spelled(self, wanted: Instruction, spelling: Any) -> str:
        """Returns the fields of an order, written in one of the ways that mean the same."""
        symbol, other = wanted.symbol, wanted.other
        amount = '"all"'
        if wanted.units is not None:
            amount = shown(wanted.units) if spelling.random() < 0.5 else f"{(wanted.units * UNIT).normalize():f}"
            if spelling.random() < 0.5:
                amount = f'"{amount}"'
        if spelling.random() < 0.5:
            symbol, other = symbol.lower(), f" {other.title()}\t"
        sells = wanted.form == "sell"
        fields = {
            "symbol": json.dumps(symbol),
            "receive" if sells else "pay_with": json.dumps(other),
            "notional" if wanted.form == "spend" else "quantity": amount,
        }
        if sells or spelling.random() < 0.5:
            fields["side"] = json.dumps(spelling.choice(["sell", "SELL"] if sells else ["buy", "Buy"]))
        if wanted.limit is not None:
            fields["limit_price"] = json.dumps(wanted.limit if spelling.random() < 0.5 else f"0{Decimal(wanted.limit):.16f}")
        names = spelling.sample(list(fields), len(fields))
        return ", ".join(f'"{name}": {fields[name]}' for name in names)


def shown(units: int) -> str:
    return f"{units * UNIT:.8f}"


def quotient(exact: Fraction) -> str:
    """Writes a quotient out: 8 decimals, or as many more as 8 significant digits take."""
    decimals = 8
    while 0 < exact * 10**decimals < 10**7:
        decimals += 1
    text = f"{Decimal(half_up(exact * 10**decimals)).scaleb(-decimals):.{decimals}f}"
    point = text.index(".") + 9
    return text[:point] + text[point:].rstrip("0")


def half_up(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


def test_every_session_goes_as_the_model_says(moto_market: Market) -> None:
    for symbol, price in PRICES.items():
        moto_market.list_asset(symbol, price)
    Sessions.market = moto_market
    Sessions.statuses = Counter()

    run_state_machine_as_test(Sessions, settings=settings(inputs(20), stateful_step_count=12))

    assert min(Sessions.statuses[status] for status in (200, 402, 412, 422)) > 3, Sessions.statuses

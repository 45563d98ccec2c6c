"""The text of a record as facts, by a grammar of the audit's own.

Strict: a text is what the engine writes, a JSON object with each name once. A missing or unknown field, another type, an amount
without its 8 decimals: each is a finding. A new kind or outcome is one more entry of `_FORMS`.

Amounts are integers in units of 10⁻⁸, prices and limits in units of 10⁻¹⁶, fee rates in 10⁻⁶.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from chalicelib.audit.discrepancy import Kind

FORM = 2
"""The form of accounts and records that this release reads."""

USD = "USD"
PRICE_OF_USD = 10**16
MAX_PRICE = 10**28
MAX_LIMIT_PRICE = 10**44
MAX_ORDERED_UNITS = 10**23
MAX_BALANCE_UNITS = 10**37
MAX_FEE_RATE = 10**5
MAX_BATCH_SIZE = 99


class Malformed(Exception):
    """A text cannot be read; the message names the field. `kind`: `UNREADABLE`, or `FORM` where another release wrote it."""

    def __init__(self, message: str, kind: Kind = Kind.UNREADABLE) -> None:
        super().__init__(message)
        self.kind = kind


class Order(NamedTuple):
    """An order's terms, and what it was decided on.

    Exactly one of `quantity` and `notional` is an amount, or both are `None` and the order was for all of the balance.
    `step`: the quantity's step, where a notional made the quantity.
    """

    buys: bool
    symbol: str
    other: str
    quantity: int | None
    notional: int | None
    limit_price: int | None
    expires_at: str | None
    symbol_price: int
    other_price: int
    fee_rate: int
    step: int | None

    @property
    def given(self) -> str:
        """The asset that the client gives away."""
        return self.other if self.buys else self.symbol

    @property
    def takes_all(self) -> bool:
        """The order was for all of the balance."""
        return self.quantity is None and self.notional is None


class Fill(NamedTuple):
    """An executed order: signed changes of both assets, their balances after it, and the fee."""

    order: Order
    symbol_change: int
    other_change: int
    symbol_balance: int
    other_balance: int
    fee: int


class Refusal(NamedTuple):
    """A refused order; amounts are of the asset given. `needed`, `held`, `unfunded` are of a 402 alone."""

    order: Order
    outcome: str
    needed: int | None
    held: int
    unfunded: bool


class LinkedRefusal(NamedTuple):
    """An order that was refused for another one of its all-or-nothing batch. `failed`: that one's place in the batch, from 0."""

    order: Order
    failed: int


class Transfer(NamedTuple):
    """A transfer in (`units` above zero) or out (below), the balance after it, and the price of the basis that it brings."""

    symbol: str
    units: int
    balance: int
    price: int | None


class Void(NamedTuple):
    """An order's key that never executes: it changes nothing."""


Decision = Fill | Refusal | LinkedRefusal | Transfer | Void


class Entry(NamedTuple):
    """A record's text as facts. `record_key`: where a record of this kind and key is stored.

    `linked`: of an order in an all-or-nothing batch, the first sequence and the number of orders.
    """

    user_id: int
    sequence: int
    record_key: str
    at: str
    decision: Decision
    linked: tuple[int, int] | None


class _Form(NamedTuple):
    """Fields of one kind and outcome besides the common ones, and the function that reads them."""

    prefix: str
    required: frozenset[str]
    known: frozenset[str]
    read: Callable[[dict[str, Any]], Decision]


_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,59})\.[0-9]{8}").fullmatch
_CHANGE = re.compile(r"-?(?:0|[1-9][0-9]{0,59})\.[0-9]{8}").fullmatch
_PRICE = re.compile(r"(0|[1-9][0-9]{0,12})\.([0-9]{8}(?:[0-9]{0,7}[1-9])?)").fullmatch
_ORDERED = re.compile(r"([0-9]{1,999})(?:\.([0-9]{1,8}))?").fullmatch
_LIMIT_PRICE = re.compile(r"([0-9]{1,999})(?:\.([0-9]{1,16}))?").fullmatch
_FEE_BPS = re.compile(r"(0|[1-9][0-9]{0,3})(?:\.([0-9]?[1-9]))?").fullmatch
_SYMBOL = re.compile(r"[A-Z0-9]{1,10}").fullmatch
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?").fullmatch
_DAY = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = rf"{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_AT = re.compile(rf"{_TIME}\.[0-9]{{6}}Z").fullmatch
_PRICE_AT = re.compile(rf"{_TIME}(?:\.[0-9]{{1,9}})?(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})").fullmatch

_encode = json.JSONEncoder(separators=(",", ":")).encode


def read(text: str) -> Entry:
    """Reads a record's text.

    Raises:
        Malformed: it is not a text that version 2.0 writes.
    """
    facts = _facts(text)
    user_id, sequence, key = facts["user_id"], facts["sequence"], facts["key"]
    if type(user_id) is not int or type(sequence) is not int:
        _refuse("user_id" if type(user_id) is not int else "sequence", "an integer", facts)
    if type(key) is not str or not _KEY(key):
        _refuse("key", "a key", facts)
    at = facts["at"]
    if type(at) is not str or not _AT(at):
        _refuse("at", "a time", facts)
    form = _form(facts)
    names = facts.keys()
    if not form.required <= names:
        raise Malformed(f"its text lacks {_listed(form.required - names)}")
    if not names <= form.known:
        raise Malformed(f"its text has unknown fields: {_listed(names - form.known)}")
    linked = _linked(facts) if "linked" in facts else None
    return Entry(user_id, sequence, form.prefix + key, at, form.read(facts), linked)


def _facts(text: str) -> dict[str, Any]:
    """Parses a text, and makes sure that it says each thing once."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("its text is not JSON") from None
    if type(facts) is not dict:
        raise Malformed("its text is not a JSON object")
    form = facts.get("v")
    if type(form) is int and form > FORM:
        raise Malformed(f"its text has form {form}, written by a newer release; this audit reads form {FORM}", Kind.FORM)
    if type(form) is not int or form != FORM:
        _refuse("v", str(FORM), facts)
    if not facts.keys() >= _COMMON:
        raise Malformed(f"its text lacks {_listed(_COMMON - facts.keys())}")
    if not _has_plain_names(text, facts) and _encode(facts) != text:
        raise Malformed("its text is not compact JSON with each name once")
    return facts


def _has_plain_names(text: str, facts: dict[str, Any]) -> bool:
    """Returns whether each name of a text is certainly there once: a twentieth of what it costs to encode the facts and compare.

    A name ends in `":` where no blank stands between the two. A string may hold the same, so the answer may be a wrong no.
    """
    names_count = len(facts) + sum([len(value) for value in facts.values() if type(value) is dict])
    blank = '" ' in text or "\t" in text or "\n" in text or "\r" in text
    return not blank and text.count('":') == names_count


def _form(facts: dict[str, Any]) -> _Form:
    kind, outcome = facts["kind"], facts["outcome"]
    if type(kind) is not str or type(outcome) is not str:
        _refuse("kind" if type(kind) is not str else "outcome", "a string", facts)
    form = _FORMS.get((kind, outcome))
    if form is None:
        raise Malformed(f"its text is of a kind and outcome that this release does not know: {kind!r}, {outcome!r}")
    return form


def _order(facts: dict[str, Any]) -> Order:
    terms = facts["terms"]
    if type(terms) is not dict:
        _refuse("terms", "an object", facts)
    if type(facts["by"]) is not str:
        _refuse("by", "a string", facts)
    buys, of_quantity, other_name = _direction(terms)
    symbol, other = _symbol(terms, "symbol"), _symbol(terms, other_name)
    if symbol == other:
        raise Malformed(f"its terms trade {symbol} for itself")
    units = _ordered_units(terms, buys=buys, of_quantity=of_quantity)
    prices = _of_both(facts, "prices", symbol, other)
    return Order(
        buys,
        symbol,
        other,
        units if of_quantity else None,
        None if of_quantity else units,
        _limit_price(terms) if "limit_price" in terms else None,
        _expires_at(terms) if "expires_at" in terms else None,
        _price(symbol, prices[symbol]),
        _price(other, prices[other]),
        _fee_rate(facts) if "fee_bps" in facts else 0,
        _step(facts, of_quantity=of_quantity),
    )


def _linked(facts: dict[str, Any]) -> tuple[int, int]:
    value = facts["linked"]
    if type(value) is not list or len(value) != 2 or type(value[0]) is not int or type(value[1]) is not int:  # noqa: PLR2004
        _refuse("linked", "a sequence and a number", facts)
    first, count = value
    if first < 1 or not 1 <= count <= MAX_BATCH_SIZE:
        _refuse("linked", f"a sequence and a number up to {MAX_BATCH_SIZE}", facts)
    return first, count


def _direction(terms: dict[str, Any]) -> tuple[bool, bool, str]:
    """Returns whether an order buys, whether it names a quantity, and the name of the other asset's field."""
    side = terms.get("side")
    if side == "buy":
        of_quantity = "quantity" in terms
        known = _BUY_QUANTITY if of_quantity else _BUY_NOTIONAL
    elif side == "sell":
        of_quantity, known = True, _SELL
    else:
        _refuse("side", "buy or sell", terms)
    names = terms.keys()
    if not known <= names:
        raise Malformed(f"its terms lack {_listed(known - names)}")
    if not names - known <= _LIMITS:
        raise Malformed(f"its terms have unknown fields: {_listed(names - known - _LIMITS)}")
    return side == "buy", of_quantity, "pay_with" if side == "buy" else "receive"


def _ordered_units(terms: dict[str, Any], *, buys: bool, of_quantity: bool) -> int | None:
    """Returns the quantity or the notional; `None` for all of the balance."""
    name = "quantity" if of_quantity else "notional"
    ordered = terms[name]
    if ordered != "all":
        return _scaled(name, ordered, _ORDERED, 8, MAX_ORDERED_UNITS)
    if buys and of_quantity:
        raise Malformed("its terms buy a quantity of 'all'")
    return None


def _limit_price(terms: dict[str, Any]) -> int:
    return _scaled("limit_price", terms["limit_price"], _LIMIT_PRICE, 16, MAX_LIMIT_PRICE)


def _expires_at(terms: dict[str, Any]) -> str:
    value = terms["expires_at"]
    if type(value) is not str or not _AT(value):
        _refuse("expires_at", "a time", terms)
    return value


def _step(facts: dict[str, Any], *, of_quantity: bool) -> int | None:
    if of_quantity:
        if "step" in facts:
            raise Malformed("its text has a step, which only a notional has")
        return None
    if "step" not in facts:
        raise Malformed("its text lacks step")
    step = _amount("step", facts["step"])
    if step == 0:
        _refuse("step", "more than 0", facts)
    return step


def _fill(facts: dict[str, Any]) -> Fill:
    order = _order(facts)
    changes = _of_both(facts, "changes", order.symbol, order.other)
    balances = _of_both(facts, "balances", order.symbol, order.other)
    fee = 0
    if "fee" in facts:
        fee = _amount("fee", facts["fee"])
        if fee == 0:
            _refuse("fee", "more than 0", facts)
    return Fill(
        order,
        _change(order.symbol, changes[order.symbol]),
        _change(order.other, changes[order.other]),
        _amount("balance", balances[order.symbol]),
        _amount("balance", balances[order.other]),
        fee,
    )


def _refusal(facts: dict[str, Any]) -> Refusal:
    return Refusal(_order(facts), facts["outcome"], None, 0, unfunded=False)


def _linked_refusal(facts: dict[str, Any]) -> LinkedRefusal:
    failed = facts["failed"]
    if type(failed) is not int or not 0 <= failed < MAX_BATCH_SIZE:
        _refuse("failed", "a place in a batch", facts)
    return LinkedRefusal(_order(facts), failed)


def _void(_: dict[str, Any]) -> Void:
    return _VOID


def _liquidity_refusal(facts: dict[str, Any]) -> Refusal:
    if "unfunded" in facts and facts["unfunded"] is not True:
        _refuse("unfunded", "true", facts)
    needed = _amount("needed", facts["needed"]) if "needed" in facts else None
    held = _amount("held", facts["held"])
    return Refusal(_order(facts), facts["outcome"], needed, held, unfunded="unfunded" in facts)


def _transfer(facts: dict[str, Any]) -> Transfer:
    symbol = _symbol(facts, "symbol")
    units = _amount("amount", facts["amount"])
    if units == 0:
        _refuse("amount", "more than 0", facts)
    price = None
    if "prices" in facts:
        prices = facts["prices"]
        if symbol == USD:
            raise Malformed("its text has a price of USD, which brings its amount as its basis")
        if type(prices) is not dict or prices.keys() != {symbol}:
            _refuse("prices", f"an object of {symbol}", facts)
        price = _price(symbol, prices[symbol])
    sign = 1 if facts["outcome"] == "ACCOUNT_FUNDED" else -1
    return Transfer(symbol, sign * units, _amount("balance", facts["balance"]), price)


def _symbol(facts: dict[str, Any], name: str) -> str:
    value = facts[name]
    if type(value) is not str or not _is_symbol(value):
        _refuse(name, "a symbol", facts)
    return value


# Symbols and quotes come again and again: remembering the latest ones saves a tenth of an audit.
@lru_cache(maxsize=1024)
def _is_symbol(text: str) -> bool:
    return _SYMBOL(text) is not None


@lru_cache(maxsize=1024)
def _quoted_price(price: str, at: str) -> int:
    """Returns a quote's price; 0 where it is not a quote."""
    found = _PRICE(price)
    return int(found[1] + found[2].ljust(16, "0")) if found and _PRICE_AT(at) else 0


def _of_both(facts: dict[str, Any], name: str, symbol: str, other: str) -> dict[str, Any]:
    values = facts[name]
    if type(values) is not dict or len(values) != 2 or symbol not in values or other not in values:  # noqa: PLR2004  (a pair)
        _refuse(name, f"an object of {symbol} and {other}", facts)
    return values


def _amount(name: str, value: object) -> int:
    if type(value) is not str or not _AMOUNT(value):
        raise Malformed(f"its {name} is {_shown(value)}, not an amount with 8 decimals")
    return int(value.replace(".", "", 1))


def _change(symbol: str, value: object) -> int:
    if type(value) is not str or not _CHANGE(value):
        raise Malformed(f"its change of {symbol} is {_shown(value)}, not an amount with 8 decimals")
    return int(value.replace(".", "", 1))


def _price(symbol: str, value: object) -> int:
    if type(value) is list and len(value) == 2 and type(value[0]) is str and type(value[1]) is str:  # noqa: PLR2004  (a pair)
        price = _quoted_price(value[0], value[1])
        if 0 < price <= MAX_PRICE and (symbol != USD or price == PRICE_OF_USD):
            return price
    raise Malformed(f"its price of {symbol} is {_shown(value)}")


def _scaled(name: str, value: object, grammar: Callable[[str], re.Match[str] | None], decimals: int, most: int) -> int:
    """Reads a decimal as a client wrote it."""
    found = grammar(value) if type(value) is str else None
    units = int(found[1] + (found[2] or "").ljust(decimals, "0")) if found else 0
    if not 0 < units <= most:
        raise Malformed(f"its {name} is {_shown(value)}")
    return units


def _fee_rate(facts: dict[str, Any]) -> int:
    value = facts["fee_bps"]
    found = _FEE_BPS(value) if type(value) is str else None
    rate = int(found[1] + (found[2] or "").ljust(2, "0")) if found else 0
    if not 0 < rate <= MAX_FEE_RATE:
        _refuse("fee_bps", "a rate", facts)
    return rate


def _refuse(name: str, expected: str, facts: dict[str, Any]) -> NoReturn:
    raise Malformed(f"its {name} is {_shown(facts.get(name))}, not {expected}")


def _shown(value: object) -> str:
    """Shows a value, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  (of a line)


def _listed(names: "frozenset[str] | set[str]") -> str:
    return ", ".join(sorted(names))


_COMMON = frozenset({"v", "user_id", "sequence", "key", "kind", "outcome", "at"})
_ORDER = _COMMON | {"terms", "by", "prices"}
_ORDER_OPTIONS = {"fee_bps", "step", "linked"}
_TRANSFER = _COMMON | {"symbol", "amount", "balance"}
_VOID = Void()
_LIMITS = frozenset({"limit_price", "expires_at"})
_BUY_QUANTITY = frozenset({"side", "symbol", "pay_with", "quantity"})
_BUY_NOTIONAL = frozenset({"side", "symbol", "pay_with", "notional"})
_SELL = frozenset({"side", "symbol", "receive", "quantity"})

FILLED, LIQUIDITY, EXPIRED, PRICE_LIMIT = "ORDER_FILLED", "ERR_LIQUIDITY", "ERR_ORDER_EXPIRED", "ERR_PRICE_LIMIT"
LINKED = "ERR_LINKED_ORDER"
_FILL = _ORDER | {"changes", "balances"}
_SHORT = _ORDER | {"held"}
_FAILED_WITH_ANOTHER = _ORDER | {"linked", "failed"}
_FORMS = {
    ("order", FILLED): _Form("order#", _FILL, _FILL | _ORDER_OPTIONS | {"fee"}, _fill),
    ("order", LIQUIDITY): _Form("order#", _SHORT, _SHORT | _ORDER_OPTIONS | {"needed", "unfunded"}, _liquidity_refusal),
    ("order", EXPIRED): _Form("order#", _ORDER, _ORDER | _ORDER_OPTIONS, _refusal),
    ("order", PRICE_LIMIT): _Form("order#", _ORDER, _ORDER | _ORDER_OPTIONS, _refusal),
    ("order", LINKED): _Form("order#", _FAILED_WITH_ANOTHER, _FAILED_WITH_ANOTHER | _ORDER_OPTIONS, _linked_refusal),
    ("void", "ORDER_VOIDED"): _Form("order#", _COMMON, _COMMON, _void),
    ("transfer", "ACCOUNT_FUNDED"): _Form("transfer#", _TRANSFER, _TRANSFER | {"prices"}, _transfer),
    ("transfer", "ACCOUNT_DEBITED"): _Form("transfer#", _TRANSFER, _TRANSFER, _transfer),
}

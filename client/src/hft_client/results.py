"""Results as frozen dataclasses. Fields are named as in the contract; amounts are `Decimal`, times aware `datetime`.

An engine may send more fields than these: `raw` has the whole body.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Self, get_type_hints

from hft_client.errors import ApiError, NoAnswer, OutcomeUnknown, UnexpectedAnswer

Raw = Mapping[str, Any]


def _decimal(value: Any) -> Decimal:
    return Decimal(_str(value))


def _time(value: Any) -> datetime:
    return datetime.fromisoformat(_str(value))


def _exactly(kind: type) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is not a {kind.__name__}")
        return value

    return convert


_str = _exactly(str)


def _amounts(value: Any) -> Mapping[str, Decimal]:
    return {symbol: _decimal(amount) for symbol, amount in value.items()}


def _optional_amounts(value: Any) -> Mapping[str, Decimal | None]:
    return {symbol: None if amount is None else _decimal(amount) for symbol, amount in value.items()}


_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    str: _str,
    int: _exactly(int),
    bool: _exactly(bool),
    Decimal: _decimal,
    datetime: _time,
    Mapping[str, Decimal]: _amounts,
    Mapping[str, Decimal | None]: _optional_amounts,
    Mapping[str, str]: dict,
    Mapping[str, Any]: dict,
}
_CONVERTERS |= {kind | None: convert for kind, convert in _CONVERTERS.items()}


def reply_fields(kind: type["Reply"]) -> list[str]:
    """Returns the names of the fields that a result takes from the engine's body."""
    return [each.name for each in dataclasses.fields(kind) if not each.metadata.get("local")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A result of the engine's."""

    raw: Raw = field(repr=False, compare=False, metadata={"local": True})

    @classmethod
    def read(cls, body: Any, **local: Any) -> Self:
        """Reads a body. `local`: fields that it does not have.

        Raises:
            UnexpectedAnswer: a field is missing or of another type.
        """
        kind: Any = cls
        types = _types(kind)
        try:
            values = {
                name: None
                if body.get(name) is None and type(None) in _parts(types[name])
                else _CONVERTERS[types[name]](body[name])
                for name in reply_fields(cls)
            }
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnexpectedAnswer(f"The engine's answer is not a {cls.__name__.lower()}: {error!r}") from error
        return cls(**values, **local, raw=body)


@cache
def _types(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _parts(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__args__", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill(Reply):
    """An executed order.

    A buy has `total_cost`, fee included, and `paid_with`; a sell has `total_proceeds`, after the fee, and `received`. `fee` is in
    that other asset. `remaining_balance`: of the asset given away. `replayed`: an earlier request executed it.
    """

    symbol: str
    side: str
    quantity_filled: Decimal
    execution_price: Decimal
    fee: Decimal
    balances: Mapping[str, Decimal]
    remaining_balance: Decimal
    executed_at: datetime
    sequence: int
    total_cost: Decimal | None = None
    paid_with: str | None = None
    total_proceeds: Decimal | None = None
    received: str | None = None
    key: str = field(default="", metadata={"local": True})
    replayed: bool = field(default=False, compare=False, metadata={"local": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred(Reply):
    """A completed transfer. `status`: ``ACCOUNT_FUNDED`` or ``ACCOUNT_DEBITED``; `balance`: of `symbol`, after it."""

    status: str
    symbol: str
    amount: Decimal
    balance: Decimal
    sequence: int
    key: str = field(default="", metadata={"local": True})
    replayed: bool = field(default=False, compare=False, metadata={"local": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Voided(Reply):
    """A key that never executes."""

    idempotency_key: str
    voided_at: datetime
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The answer that an order would get now. `fill`: where it would fill; `error`: where it would not."""

    would: str
    status: int
    fill: "PreviewedFill | None"
    error: ApiError | None
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedFill(Reply):
    """A fill as it would be now: see `Fill`."""

    symbol: str
    side: str
    quantity_filled: Decimal
    execution_price: Decimal
    fee: Decimal
    balances: Mapping[str, Decimal]
    remaining_balance: Decimal
    total_cost: Decimal | None = None
    paid_with: str | None = None
    total_proceeds: Decimal | None = None
    received: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Reply):
    """A decision of the account, as its history shows it.

    `kind`: ``order``, ``transfer`` or ``void``; `outcome`: ``ORDER_FILLED``, an error code and so on. `order`, `transfer`: its
    terms. `record`: the stored text; SHA-256 over the previous `head` and this text is `head`.
    """

    sequence: int
    idempotency_key: str
    kind: str
    outcome: str
    status: int
    decided_at: datetime
    reply: Mapping[str, Any]
    record: str
    head: str
    order: Mapping[str, str] | None = None
    transfer: Mapping[str, str] | None = None

    @property
    def fill(self) -> Fill | None:
        """The fill, where the order was executed."""
        return Fill.read(self.reply, key=self.idempotency_key, replayed=True) if self.outcome == "ORDER_FILLED" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position(Reply):
    """A holding. Price, value, gain and share are `None` where the asset has no price."""

    quantity: Decimal
    cost_basis_usd: Decimal
    price: Decimal | None
    price_at: datetime | None
    value_usd: Decimal | None
    average_price_usd: Decimal | None
    unrealized_pl_usd: Decimal | None
    share: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio(Reply):
    """An account at one moment. `head` stands for its whole history; it is empty before the first decision."""

    user_id: int
    total_valuation_usd: Decimal
    holdings: Mapping[str, Decimal]
    usd_values: Mapping[str, Decimal | None]
    sequence: int
    head: str
    valued_at: datetime
    net_deposits_usd: Decimal
    realized_pl_usd: Decimal
    positions: Mapping[str, Position] = field(metadata={"local": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset(Reply):
    """An asset, with its price in USD and its trading rules. `max_move`: its price guard, which operators alone are shown."""

    symbol: str
    price: Decimal
    price_at: datetime
    halted: bool
    min_quantity: Decimal
    quantity_step: Decimal
    min_notional_usd: Decimal
    fee_bps: Decimal
    max_move: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle(Reply):
    """The prices of one interval, which starts at `at`."""

    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class Verified:
    """A history verified from 1 to `sequence`. `head`: the chain's value there, in hexadecimal."""

    user_id: int
    sequence: int
    head: str


Outcome = Fill | Transferred | ApiError | NoAnswer | OutcomeUnknown | UnexpectedAnswer


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one order of several, or of one intent that the journal held: a result, or the error instead of it."""

    key: str
    user_id: int
    outcome: Outcome

    @property
    def is_known(self) -> bool:
        """True where it is certain what became of the order."""
        return not isinstance(self.outcome, OutcomeUnknown)

    def get(self) -> Fill | Transferred:
        """Returns the fill or the completed transfer.

        Raises:
            HftError: the outcome is another.
        """
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

"""Facts of a decision: everything that is stored of it, typed. Text and replies are made from these and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.money import text_from
from chalicelib.domain.order import Order, Side


class OrderOutcome(StrEnum):
    """The outcomes of an order, in the contract's words."""

    FILLED = "ORDER_FILLED"
    LIQUIDITY = "ERR_LIQUIDITY"
    EXPIRED = "ERR_ORDER_EXPIRED"
    PRICE_LIMIT = "ERR_PRICE_LIMIT"
    LINKED = "ERR_LINKED_ORDER"


class TransferOutcome(StrEnum):
    """The outcomes of a transfer, in the contract's words."""

    FUNDED = "ACCOUNT_FUNDED"
    DEBITED = "ACCOUNT_DEBITED"


@dataclass(frozen=True, slots=True)
class Price:
    """A price in units of 10⁻¹⁶ USD, and when the market set it (RFC 3339)."""

    value: int
    at: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The circumstances of a decision: when, by which thread, at which prices, fee and step.

    `fee_rate` is in 10⁻⁶; `step_units` is the quantity's step where a notional made the quantity, else `None`. `linked`: of
    orders that were decided together, all or nothing, the first sequence and the number; `None` for an order by itself.
    """

    at: str
    by: str
    prices: Mapping[str, Price]
    fee_rate: int = 0
    step_units: int | None = None
    linked: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """An executed order. Amounts are in units of 10⁻⁸.

    `other_units`: a buy's total cost, or a sell's proceeds, of which `fee_units` are the fee. `balances`: of both assets, after.
    """

    order: Order
    circumstances: Circumstances
    quantity_units: int
    other_units: int
    fee_units: int
    balances: Mapping[str, int]

    @property
    def changes(self) -> dict[str, int]:
        """Signed units by symbol."""
        sign = 1 if self.order.side is Side.BUY else -1
        return {self.order.symbol: sign * self.quantity_units, self.order.other: -sign * self.other_units}

    @property
    def outcome(self) -> OrderOutcome:
        """The outcome's name."""
        return OrderOutcome.FILLED

    @property
    def at(self) -> str:
        """The time of the decision."""
        return self.circumstances.at


@dataclass(frozen=True, slots=True)
class Refusal:
    """An order refused for good.

    `needed_units` and `held_units` are of the asset given: where funds are short. Without `needed_units`, the whole of a zero
    balance was offered. `unfunded`: nobody ever funded the account. `failed`: where this order was refused for another that is
    linked to it, that one's place, from 0.
    """

    order: Order
    circumstances: Circumstances
    outcome: OrderOutcome
    needed_units: int | None = None
    held_units: int | None = None
    unfunded: bool = False
    failed: int | None = None

    @property
    def at(self) -> str:
        """The time of the decision."""
        return self.circumstances.at


@dataclass(frozen=True, slots=True)
class Transfer:
    """An operator's instruction: a funding (`units` above zero) or a debit (below), made once per `key`."""

    user_id: int
    key: str
    symbol: str
    units: int

    @property
    def outcome(self) -> TransferOutcome:
        """The outcome's name."""
        return TransferOutcome.FUNDED if self.units > 0 else TransferOutcome.DEBITED

    @property
    def fingerprint(self) -> str:
        """The transfer as text to be read: ``FUND 1.00000000 BTC``."""
        return f"{'FUND' if self.units > 0 else 'DEBIT'} {text_from(abs(self.units))} {self.symbol}"

    @property
    def record_key(self) -> str:
        """The key under which the transfer's record is stored. No order's key can take its place: those begin with ``order#``.

        A funding and a debit under one key share a record key on purpose: one of the two was a slip.
        """
        return f"transfer#{self.key}"


@dataclass(frozen=True, slots=True)
class Transferred:
    """A transfer that was made. `balance_units`: after it. `price`: what a funding's basis was made of, where there was one."""

    transfer: Transfer
    at: str
    balance_units: int
    price: Price | None = None

    @property
    def outcome(self) -> TransferOutcome:
        """The outcome's name."""
        return self.transfer.outcome


class VoidOutcome(StrEnum):
    """The outcome of a void, in the contract's words."""

    VOIDED = "ORDER_VOIDED"


@dataclass(frozen=True, slots=True)
class Void:
    """A client's instruction that an order's key never executes."""

    user_id: int
    idempotency_key: str

    @property
    def fingerprint(self) -> str:
        """The instruction as text to be read."""
        return "VOID"

    @property
    def record_key(self) -> str:
        """The key under which it is stored: that of the order."""
        return f"order#{self.idempotency_key}"


@dataclass(frozen=True, slots=True)
class Voided:
    """An order's key that never executes."""

    void: Void
    at: str

    @property
    def outcome(self) -> VoidOutcome:
        """The outcome's name."""
        return VoidOutcome.VOIDED


Decision = Fill | Refusal | Transferred | Voided

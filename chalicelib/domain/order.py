"""An order as its client meant it, and what makes two orders the same one."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.money import price_text, text_from

ALL = "all"


class Side(StrEnum):
    """The side of an order."""

    BUY = "buy"
    SELL = "sell"


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as a client wrote it: `units` of 10⁻⁸, and the text at the client's own scale (``"1.0"``).

    `units` is `None` for ``"all"``: the whole balance at the moment of the decision.
    """

    units: int | None
    text: str

    @property
    def value_text(self) -> str:
        """The amount with 8 decimals, or ``"all"``."""
        return ALL if self.units is None else text_from(self.units)


@dataclass(frozen=True, slots=True)
class Order:
    """Buys or sells `symbol` against `other` at the market price, once per `idempotency_key`.

    Exactly one of `quantity` (of `symbol`) and `notional` (of `other`, buys only) is given. `limit_price`: the worst price taken,
    `other` per one `symbol`, in units of 10⁻¹⁶. `expires_at`: RFC 3339 in UTC with microseconds.
    """

    user_id: int
    idempotency_key: str
    symbol: str
    other: str
    quantity: Amount | None = None
    notional: Amount | None = None
    side: Side = Side.BUY
    limit_price: int | None = None
    expires_at: str | None = None

    @property
    def given(self) -> str:
        """The asset that the client gives away."""
        return self.other if self.side is Side.BUY else self.symbol

    @property
    def received(self) -> str:
        """The asset that the client gets."""
        return self.symbol if self.side is Side.BUY else self.other

    @property
    def amount(self) -> Amount:
        """The quantity, or the notional."""
        amount = self.quantity or self.notional
        assert amount is not None, "an order has a quantity or a notional"
        return amount

    @property
    def fingerprint(self) -> str:
        """The order as text to be read: shown when a key comes back with another order.

        It compares values: ``1.0`` is ``1.00``, ``btc`` is ``BTC``.
        """
        if self.notional is not None:
            what = f"BUY {self.symbol} FOR {self.notional.value_text} {self.other}"
        elif self.side is Side.BUY:
            what = f"BUY {self.amount.value_text} {self.symbol} WITH {self.other}"
        else:
            what = f"SELL {self.amount.value_text} {self.symbol} FOR {self.other}"
        if self.limit_price is not None:
            what += f" LIMIT {price_text(self.limit_price)}"
        if self.expires_at is not None:
            what += f" UNTIL {self.expires_at}"
        return what

    @property
    def record_key(self) -> str:
        """The key under which the order's outcome is stored. The prefix keeps clients' keys apart from those of transfers."""
        return f"order#{self.idempotency_key}"

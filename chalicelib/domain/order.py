"""An order as its client meant it, and what makes two orders the same one."""

from dataclasses import dataclass

from chalicelib.domain.money import text_from


@dataclass(frozen=True, slots=True)
class Order:
    """Buy `quantity_units` of `symbol` with `pay_with`, at the market price, once per `idempotency_key`.

    `quantity_text` is the quantity at the client's own scale (``"1.0"``), which the reply echoes.
    """

    user_id: int
    idempotency_key: str
    symbol: str
    pay_with: str
    quantity_units: int
    quantity_text: str

    @property
    def fingerprint(self) -> str:
        """What the key stands for, as text to be read: stored, and shown when a key comes back with another order.

        It compares values: ``1.0`` is ``1.00``, ``btc`` is ``BTC``.
        """
        return f"BUY {text_from(self.quantity_units)} {self.symbol} WITH {self.pay_with}"

    @property
    def record_key(self) -> str:
        """Where the order's outcome is stored. The prefix keeps HTTP keys apart from the keys of fundings."""
        return f"order#{self.idempotency_key}"

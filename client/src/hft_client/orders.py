"""Orders and their keys."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hft_client.amounts import Amount, amount_text, time_text

MAX_KEY_LENGTH = 128


def new_key() -> str:
    """Returns an idempotency key that nobody has used."""
    return str(uuid.uuid4())


def checked_key(key: str) -> str:
    """Returns a key that the engine takes as it stands.

    Raises:
        ValueError: the key is empty, too long, or one that the engine would trim or refuse.
    """
    bare = key.strip()
    if bare[:1] == '"' == bare[-1:] and len(bare) > 1:
        bare = bare[1:-1].strip()
    if not key or key != bare or len(key) > MAX_KEY_LENGTH or not all(" " <= character <= "~" for character in key):
        raise ValueError(
            f"A key has 1 to {MAX_KEY_LENGTH} printable ASCII characters, without blanks or double quotes around it, not {key!r}"
        )
    return key


@dataclass(frozen=True, slots=True)
class Order:
    """A market order and its key. Made by `Order.buy` and `Order.sell`.

    `terms`: the fields that the engine is sent. Sent again with the same key, an order is executed at most once.
    """

    terms: Mapping[str, str]
    key: str = field(default_factory=new_key)

    def __post_init__(self) -> None:
        checked_key(self.key)

    @classmethod
    def buy(
        cls,
        symbol: str,
        quantity: Amount | None = None,
        *,
        spend: Amount | None = None,
        pay_with: str = "USD",
        limit_price: Amount | None = None,
        expires_at: datetime | str | None = None,
        key: str | None = None,
    ) -> "Order":
        """Returns an order to buy a `quantity`, or as much as `spend` pays for, the fee included.

        `spend`: an amount of `pay_with`, or ``"all"``. `limit_price`: the highest price accepted, in `pay_with` per `symbol`.
        `key`: the idempotency key; without one, the order gets a new one.

        Raises:
            TypeError: an amount is a float.
            ValueError: there is not exactly one of `quantity` and `spend`.
        """
        if (quantity is None) == (spend is None):
            raise ValueError("Give either the quantity to buy or the amount to spend")
        sizes = {"quantity": quantity, "notional": spend}
        return cls._made({"side": "buy", "symbol": symbol, "pay_with": pay_with}, sizes, limit_price, expires_at, key)

    @classmethod
    def sell(
        cls,
        symbol: str,
        quantity: Amount,
        *,
        receive: str = "USD",
        limit_price: Amount | None = None,
        expires_at: datetime | str | None = None,
        key: str | None = None,
    ) -> "Order":
        """Returns an order to sell a `quantity`, or ``"all"``, for `receive`.

        `limit_price`: the lowest price accepted, in `receive` per `symbol`. `key`: see `buy`.

        Raises:
            TypeError: an amount is a float.
        """
        sizes = {"quantity": quantity}
        return cls._made({"side": "sell", "symbol": symbol, "receive": receive}, sizes, limit_price, expires_at, key)

    @classmethod
    def _made(
        cls,
        terms: dict[str, str],
        sizes: Mapping[str, Amount | None],
        limit_price: Amount | None,
        expires_at: datetime | str | None,
        key: str | None,
    ) -> "Order":
        amounts = {**sizes, "limit_price": limit_price}
        terms |= {name: amount_text(name, value) for name, value in amounts.items() if value is not None}
        if expires_at is not None:
            terms["expires_at"] = time_text("expires_at", expires_at)
        return cls(terms, new_key() if key is None else key)

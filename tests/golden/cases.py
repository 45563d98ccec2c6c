"""The decisions behind the golden files: each is made anew by the rule book of today."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chalicelib.contract.replies import reply_of
from chalicelib.domain.account import Account
from chalicelib.domain.asset import Asset
from chalicelib.domain.decision import decide
from chalicelib.domain.facts import Decision, Transfer, Void, Voided
from chalicelib.domain.linked import append_linked
from chalicelib.domain.order import Order
from chalicelib.domain.record import EMPTY_HEAD, Record, decision_from, instruction_of, next_head, text_of
from chalicelib.domain.transfer import transfer
from tests.unit.domain.builders import AT, AT_TEXT, BEFORE, SEED, account, asset, buy, market, sell, spend, units

FOLDER = Path(__file__).parent / "records"


@dataclass(frozen=True)
class Golden:
    """A golden file's content."""

    record: str
    head: str
    status: int
    reply: str

    @classmethod
    def of(cls, text: str, sequence: int) -> "Golden":
        """Renders all that is in a file from a record's text."""
        decision = decision_from(text)
        instruction = instruction_of(decision)
        head = next_head(EMPTY_HEAD, text)
        status, reply = reply_of(Record(instruction.user_id, instruction.record_key, sequence, head, text, decision))
        return cls(text, head.hex(), status, reply)

    @classmethod
    def stored(cls, name: str) -> "Golden":
        """Reads a file."""
        lines = dict(line.split(" ", 1) for line in (FOLDER / f"{name}.txt").read_text("ascii").splitlines())
        return cls(lines["record"], lines["head"], int(lines["status"]), lines["reply"])

    def store(self, name: str) -> None:
        """Writes a file, where there is none."""
        lines = f"record {self.record}\nhead {self.head}\nstatus {self.status}\nreply {self.reply}\n"
        with (FOLDER / f"{name}.txt").open("x", encoding="ascii") as file:
            file.write(lines)


FEE = market(asset("BTC", "50000", fee_rate=2_550, quantity_step_units=10), asset("ETH", "3000"), asset("USD", "1"))
FINE = market(asset("MICRO", "0.0000000123456789"), asset("BTC", "49999.9999999999999999"), asset("USD", "1"))


def ordered(order: Order, held: Account, thread: str = "MainThread") -> Callable[[], Decision]:
    return lambda: decide(order, held, SEED, AT, thread)


def at(assets: Mapping[str, Asset], order: Order, held: Account) -> Callable[[], Decision]:
    return lambda: decide(order, held, assets, AT, "MainThread")


def transferred(change: str, symbol: str, held: Account, *, listed: bool = True) -> Callable[[], Decision]:
    instruction = Transfer(7, "transfer-1", symbol, units(change))
    return lambda: transfer(held, instruction, SEED[symbol] if listed else None, AT)


def voided(key: str) -> Callable[[], Decision]:
    return lambda: Voided(Void(7, key), AT_TEXT)


def linked(place: int, *orders: Order) -> Callable[[], Decision]:
    """The decision of one of several orders that either all fill or none does."""
    return lambda: append_linked(RICH, orders, SEED, AT, "MainThread")[1][place].decision


RICH = account(USD="100000", BTC="2", ETH="50")
QUOTED = replace(buy("1"), idempotency_key='say "a\\b" twice', user_id=2**63 - 1)

CASES: dict[str, Callable[[], Decision]] = {
    "order-filled-buy": ordered(buy("1.0"), account(USD="100000")),
    "order-filled-buy-quoted-key-and-thread": ordered(QUOTED, RICH, 'Thread-7 ("größte")'),
    "order-filled-buy-limit-and-expiry": ordered(buy("0.5", limit_price="50000.0000000000000001", expires_at=AT_TEXT), RICH),
    "order-filled-buy-with-another-asset": ordered(buy("0.00000083", "ETH", "BTC"), RICH),
    "order-filled-buy-at-prices-of-many-decimals": at(FINE, buy("1000000000", "MICRO", "BTC"), RICH),
    "order-filled-buy-fee": at(FEE, buy("1"), RICH),
    "order-filled-notional": ordered(spend("250.00"), RICH),
    "order-filled-notional-fee-and-step": at(FEE, spend("250.00"), RICH),
    "order-filled-notional-all": ordered(spend("all"), account(USD="0.00123456")),
    "order-filled-sell": ordered(sell("0.5"), RICH),
    "order-filled-sell-all": ordered(sell("all", "ETH", limit_price="3000"), RICH),
    "order-filled-sell-fee": at(FEE, sell("0.50"), RICH),
    "order-liquidity-buy": ordered(buy("3"), account(USD="100000")),
    "order-liquidity-buy-unfunded": ordered(buy("3"), Account(7)),
    "order-liquidity-notional": ordered(spend("100000.01"), RICH),
    "order-liquidity-notional-all-of-nothing": ordered(spend("all"), account(USD="0")),
    "order-liquidity-sell": ordered(sell("2.00000001"), RICH),
    "order-liquidity-sell-all-of-nothing-unfunded": ordered(sell("all"), Account(7)),
    "order-expired": ordered(buy("1", expires_at=BEFORE), RICH),
    "order-price-limit-buy": ordered(buy("1", limit_price="49999.9999999999999999"), RICH),
    "order-price-limit-sell": ordered(sell("1", limit_price="50000.0000000000000001"), RICH),
    "order-price-limit-fine-prices": at(FINE, buy("1000000000", "MICRO", "BTC", limit_price="0.0000000000002469"), RICH),
    "order-filled-linked": linked(0, buy("1"), sell("0.5")),
    "order-liquidity-linked": linked(1, buy("1"), buy("1.5"), sell("0.5")),
    "order-linked": linked(2, buy("1"), buy("1.5"), sell("0.5")),
    "transfer-funded-usd": transferred("100000", "USD", Account(7)),
    "transfer-funded-asset": transferred("1.5", "BTC", RICH),
    "transfer-funded-asset-without-a-price": transferred("1.5", "BTC", RICH, listed=False),
    "void-voided": voided("order-1"),
    "transfer-debited": transferred("-0.5", "BTC", RICH),
}


SEQUENCES = {"order-liquidity-linked": 5, "order-linked": 6}
"""Places in the account's history; those of the others are the fourth."""


def anew(name: str) -> Golden:
    """Makes a decision anew."""
    sequence = SEQUENCES.get(name, 4)
    return Golden.of(text_of(CASES[name](), sequence), sequence)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for missing in CASES.keys() - {file.stem for file in FOLDER.iterdir()}:
        anew(missing).store(missing)

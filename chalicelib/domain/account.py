"""An account, and what a decision does to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.domain.asset import UNIT_OF_ACCOUNT, value_usd_units
from chalicelib.domain.facts import Decision, Fill, Refusal, Transferred, Voided
from chalicelib.domain.money import MAX_BALANCE_UNITS
from chalicelib.domain.order import Side
from chalicelib.domain.position import Books, deposited, trade_value_units, traded, withdrawn
from chalicelib.domain.record import EMPTY_HEAD, Record, instruction_of, next_head, text_of


@dataclass(frozen=True, slots=True)
class Account:
    """A user's books, and how far their history has come. An account without a decision has sequence 0 and an empty head."""

    user_id: int
    books: Books = field(default_factory=lambda: Books({}, {}, 0))
    sequence: int = 0
    head: bytes = EMPTY_HEAD

    @property
    def balances(self) -> Mapping[str, int]:
        """Balances in units of 10⁻⁸ by symbol: everything ever held."""
        return self.books.balances

    def balance_units(self, symbol: str) -> int:
        """Returns the balance in units; what was never held is 0."""
        return self.books.balances.get(symbol, 0)


def append(account: Account, decision: Decision) -> tuple[Account, Record]:
    """Appends a decision to an account's history. Returns the account after it, and the record to be stored with it."""
    sequence = account.sequence + 1
    text = text_of(decision, sequence)
    head = next_head(account.head, text)
    after = Account(account.user_id, _books_after(account.books, decision), sequence, head)
    return after, Record(account.user_id, instruction_of(decision).record_key, sequence, head, text, decision)


def _books_after(books: Books, decision: Decision) -> Books:
    match decision:
        case Refusal() | Voided():
            return books
        case Fill(order, circumstances, quantity_units, other_units):
            other_price = circumstances.prices[order.other].value
            symbol, other = (order.symbol, quantity_units), (order.other, other_units)
            gave, got = (other, symbol) if order.side is Side.BUY else (symbol, other)
            after = traded(books, gave, got, trade_value_units(symbol, other, other_price))
        case Transferred(transfer, _, _, price):
            if transfer.units < 0:
                after = withdrawn(books, transfer.symbol, -transfer.units)
            elif transfer.symbol == UNIT_OF_ACCOUNT:
                after = deposited(books, transfer.symbol, transfer.units, transfer.units)
            else:
                value_units = 0 if price is None else value_usd_units(transfer.units, price.value)
                after = deposited(books, transfer.symbol, transfer.units, value_units)
    limit_units = max(MAX_BALANCE_UNITS, *books.balances.values(), 0)
    assert all(0 <= units <= limit_units for units in after.balances.values()), "the rule book keeps balances within bounds"
    return after

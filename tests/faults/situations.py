"""What an order can meet, so that each outcome there is comes about; set up anew, with a new key, as often as it is wanted."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from chalicelib.config import Settings
from chalicelib.domain.money import UNITS_PER_ONE, text_from
from chalicelib.domain.order import Order
from chalicelib.engine import Engine, build
from chalicelib.store.connection import DynamoDB
from tests.support.market import Market, new_key

PRICES, ITEM, COMMIT = "BatchGetItem", "GetItem", "TransactWriteItems"
"""The calls that an order makes. An item is the account, or the record where an order cannot be decided."""

REUSED, UNKNOWN, HALTED = "ERR_IDEMPOTENCY_KEY_REUSED", "ERR_ASSET_NOT_FOUND", "ERR_ASSET_HALTED"


class Desk:
    """A user with assets of their own, and two processes: `here`, whose calls may break, and `elsewhere`, whose calls do not.

    Whatever these calls say has the user's number in it, and nothing that other desks' calls say has.
    """

    def __init__(self, user_id: int, market: Market, breakable: DynamoDB) -> None:
        self.user_id = user_id
        self.market = market
        self._breakable = breakable
        market.list_asset(f"X{user_id}", "1")
        market.list_asset(f"H{user_id}", "1", halted=True)
        market.fund(user_id, "USD", "1000000")

    def start_processes(self, settings: Settings) -> None:
        """Both begin anew, and know neither prices nor accounts."""
        self.here = build(settings, self._breakable)
        self.elsewhere = build(self.market.settings, self.market.datastore)

    def order(self, units: int = UNITS_PER_ONE, symbol: str = "X") -> Order:
        return Order(self.user_id, new_key(), f"{symbol}{self.user_id}", "USD", units, text_from(units))


def sent(order: Order, process: Engine) -> Order:
    process.executor.execute(order, process.patience())
    return order


# Each leaves its desk as its name says, and returns the order that is to be sent from here.


def nothing_known(desk: Desk) -> Order:
    return desk.order()


def account_known(desk: Desk) -> Order:
    sent(desk.order(), desk.here)
    return desk.order()


def account_moved_on(desk: Desk) -> Order:
    sent(desk.order(), desk.here)
    sent(desk.order(), desk.elsewhere)
    return desk.order()


def too_dear(desk: Desk) -> Order:
    sent(desk.order(), desk.here)
    return desk.order(desk.market.account(desk.user_id).balance_units("USD") + 1)


def filled_before(desk: Desk) -> Order:
    return sent(desk.order(), desk.here)


def filled_before_account_moved_on(desk: Desk) -> Order:
    order = sent(desk.order(), desk.here)
    sent(desk.order(), desk.elsewhere)
    return order


def filled_before_asset_delisted(desk: Desk) -> Order:
    desk.market.list_asset(f"G{desk.user_id}", "1")
    order = sent(desk.order(symbol="G"), build(desk.market.settings, desk.market.datastore))
    desk.market.remove_asset(order.symbol)
    return order


def refused_before_account_topped_up(desk: Desk) -> Order:
    order = sent(too_dear(desk), desk.here)
    desk.market.fund(desk.user_id, "USD", "1")
    return order


def key_of_another(desk: Desk) -> Order:
    order = sent(desk.order(), desk.here)
    return replace(order, quantity_units=order.quantity_units + 1)


def never_listed(desk: Desk) -> Order:
    return desk.order(symbol="N")


def halted(desk: Desk) -> Order:
    return desk.order(symbol="H")


@dataclass(frozen=True)
class Situation:
    """What an order meets. `breaks`: the call that does. `right`: its answer, whatever happens: a status, or an error's code.

    `replayed`: whether its key has that outcome already. `stored`: the status under its key in the end, `None` for a free one.
    """

    prepared: Callable[[Desk], Order]
    breaks: str
    right: str
    stored: int | None
    replayed: bool = False

    def __str__(self) -> str:
        return f"{self.prepared.__name__}, {self.breaks} breaks"


SITUATIONS = [
    Situation(nothing_known, PRICES, "200", stored=200),
    Situation(nothing_known, ITEM, "200", stored=200),
    Situation(nothing_known, COMMIT, "200", stored=200),
    Situation(account_known, COMMIT, "200", stored=200),
    Situation(account_moved_on, COMMIT, "200", stored=200),
    Situation(too_dear, COMMIT, "402", stored=402),
    Situation(filled_before, COMMIT, "200", stored=200, replayed=True),
    Situation(filled_before_account_moved_on, COMMIT, "200", stored=200, replayed=True),
    Situation(filled_before_asset_delisted, ITEM, "200", stored=200, replayed=True),
    Situation(refused_before_account_topped_up, COMMIT, "402", stored=402, replayed=True),
    Situation(key_of_another, COMMIT, REUSED, stored=200),
    Situation(never_listed, PRICES, UNKNOWN, stored=None),
    Situation(never_listed, ITEM, UNKNOWN, stored=None),
    Situation(halted, ITEM, HALTED, stored=None),
]

"""What an order or a batch can meet, so that each outcome there is comes about; set up anew, with new keys, each time."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.config import Settings
from chalicelib.domain.money import UNITS_PER_ONE, text_from
from chalicelib.domain.order import Order
from chalicelib.engine import Engine, build
from chalicelib.contract.errors import Contention, DatastoreUnavailable
from chalicelib.store.connection import DynamoDB
from tests.support.market import Market, new_key


@dataclass(frozen=True)
class Call:
    """A kind of call that orders make: an operation, and a table that it names."""

    operation: str
    table: str

    def __str__(self) -> str:
        return f"{self.operation} of {self.table}"


PRICES = Call("BatchGetItem", "assets")
RECORDS = Call("BatchGetItem", "idempotency")  # of orders that cannot be decided: what is stored is their outcome
ACCOUNT = Call("GetItem", "accounts")
COMMIT = Call("TransactWriteItems", "accounts")


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
    """Sent until it is answered: on a busy machine that may take more than one request's time."""
    for _ in range(20):
        with suppress(Contention, DatastoreUnavailable):
            process.executor.execute(order, process.patience())
            return order
    raise AssertionError("nothing breaks yet, and still there is no answer")


# Each leaves its desk as its name says, and returns the order that is to be sent from here, or the orders of a batch.


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


def new_batch(desk: Desk) -> list[Order]:
    return [desk.order() for _ in range(3)]


def new_batch_account_moved_on(desk: Desk) -> list[Order]:
    return [account_moved_on(desk), desk.order()]


def batch_with_one_too_dear(desk: Desk) -> list[Order]:
    dear = too_dear(desk)
    return [desk.order(), dear, desk.order()]


def batch_filled_before(desk: Desk) -> list[Order]:
    return [filled_before(desk) for _ in range(3)]


def batch_with_some_decided_before(desk: Desk) -> list[Order]:
    refused = refused_before_account_topped_up(desk)
    return [desk.order(), refused, desk.order(), filled_before(desk)]


def batch_with_key_of_another(desk: Desk) -> list[Order]:
    return [desk.order(), key_of_another(desk), desk.order()]


def batch_with_assets_that_cannot_be_traded(desk: Desk) -> list[Order]:
    return [desk.order(), never_listed(desk), filled_before_asset_delisted(desk), halted(desk), desk.order()]


@dataclass(frozen=True)
class Right:
    """The right answer to an order, whatever happens. `said`: a status, or an error's code.

    `stored`: the status under its key in the end, `None` for a free one. `replayed`: whether its key has that outcome already.
    `looked_up`: its assets cannot be traded, so that what is stored is read, and the transaction is not for it.
    """

    said: str
    stored: int | None
    replayed: bool = False
    looked_up: bool = False

    @property
    def decides(self) -> bool:
        """Whether the transaction stores it."""
        return not self.replayed and self.said == str(self.stored)

    @property
    def cancels(self) -> bool:
        """Whether its key keeps a transaction from happening, until the answer is heard and it drops out."""
        return not self.decides and not self.looked_up


FILL, REFUSAL = Right("200", stored=200), Right("402", stored=402)
FILLED, REFUSED = Right("200", stored=200, replayed=True), Right("402", stored=402, replayed=True)
FILLED_ONCE = Right("200", stored=200, replayed=True, looked_up=True)
REUSED = Right("ERR_IDEMPOTENCY_KEY_REUSED", stored=200)
UNKNOWN = Right("ERR_ASSET_NOT_FOUND", stored=None, looked_up=True)
HALTED = Right("ERR_ASSET_HALTED", stored=None, looked_up=True)


class Situation:
    """What an order meets, or the orders of a batch. `breaks`: the call that does. `rights`: the right answer to each."""

    def __init__(self, prepared: Callable[[Desk], Order | list[Order]], breaks: Call, *rights: Right) -> None:
        self.prepared = prepared
        self.breaks = breaks
        self.rights = rights

    def __str__(self) -> str:
        return f"{self.prepared.__name__}, {self.breaks} breaks"


ORDERS = [
    Situation(nothing_known, PRICES, FILL),
    Situation(nothing_known, ACCOUNT, FILL),
    Situation(nothing_known, COMMIT, FILL),
    Situation(account_known, COMMIT, FILL),
    Situation(account_moved_on, COMMIT, FILL),
    Situation(too_dear, COMMIT, REFUSAL),
    Situation(filled_before, COMMIT, FILLED),
    Situation(filled_before_account_moved_on, COMMIT, FILLED),
    Situation(filled_before_asset_delisted, RECORDS, FILLED_ONCE),
    Situation(refused_before_account_topped_up, COMMIT, REFUSED),
    Situation(key_of_another, COMMIT, REUSED),
    Situation(never_listed, PRICES, UNKNOWN),
    Situation(never_listed, RECORDS, UNKNOWN),
    Situation(halted, RECORDS, HALTED),
]
BATCHES = [
    *(Situation(new_batch, breaks, FILL, FILL, FILL) for breaks in (PRICES, ACCOUNT, COMMIT)),
    Situation(new_batch_account_moved_on, COMMIT, FILL, FILL),
    Situation(batch_with_one_too_dear, COMMIT, FILL, REFUSAL, FILL),
    Situation(batch_filled_before, COMMIT, FILLED, FILLED, FILLED),
    Situation(batch_with_some_decided_before, COMMIT, FILL, REFUSED, FILL, FILLED),
    Situation(batch_with_key_of_another, COMMIT, FILL, REUSED, FILL),
    *(
        Situation(batch_with_assets_that_cannot_be_traded, breaks, FILL, UNKNOWN, FILLED_ONCE, HALTED, FILL)
        for breaks in (PRICES, RECORDS, ACCOUNT, COMMIT)
    ),
]

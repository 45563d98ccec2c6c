"""Situations of orders and batches, so that each outcome comes about; each is set up anew, with new keys, every time."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from chalicelib.config import Settings
from chalicelib.contract.errors import Contention, DatastoreUnavailable
from chalicelib.domain.facts import Void
from chalicelib.domain.money import UNITS_PER_ONE, text_from
from chalicelib.domain.order import Amount, Order, Side
from chalicelib.engine import Engine, build
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
RECORDS = Call("BatchGetItem", "idempotency")
"""The reads of orders that cannot be decided, and of all that is left at the end of the time: what is stored is their outcome."""

ACCOUNT = Call("GetItem", "accounts")
COMMIT = Call("TransactWriteItems", "accounts")


class Desk:
    """A user with assets of their own, and two processes: the calls of `breakable` may break, those of `sound` do not.

    What these calls contain has the user's number in it, and nothing in other desks' calls has.
    """

    def __init__(self, user_id: int, market: Market, settings: Settings, breaks: DynamoDB) -> None:
        self.user_id = user_id
        self.market = market
        self._settings = settings
        self._breaks = breaks
        market.list_new_asset(f"X{user_id}", "1")
        market.list_new_asset(f"H{user_id}", "1", halted=True)
        market.list_new_asset(f"M{user_id}", "1", min_quantity="1000")
        market.fund(user_id, "USD", "1000000")

    def start_processes(self, budget_ms: int) -> None:
        """Starts both anew: they have seen neither prices nor accounts."""
        settings = replace(self._settings, request_budget_ms=budget_ms)
        self.breakable = build(settings, self._breaks)
        self.sound = self.new_process()

    def new_process(self) -> Engine:
        """Returns a process whose calls do not break."""
        return build(replace(self.market.settings, price_age_ms=self._settings.price_age_ms), self.market.datastore)

    def order(self, units: int = UNITS_PER_ONE, symbol: str = "X") -> Order:
        """Returns an order with a new key."""
        return Order(self.user_id, new_key(), f"{symbol}{self.user_id}", "USD", Amount(units, text_from(units)))


def sent(order: Order, process: Engine) -> Order:
    """Sends an order until it is answered: on a busy machine that may take more than one request's time."""
    for _ in range(20):
        with suppress(Contention, DatastoreUnavailable):
            process.executor.execute(order, process.deadline())
            return order
    raise AssertionError("nothing breaks yet, and still there is no answer")


# Each leaves its desk as its name says, and returns the order, or the orders of a batch, to be sent by the process that breaks.


def nothing_known(desk: Desk) -> Order:
    return desk.order()


def account_known(desk: Desk) -> Order:
    sent(desk.order(), desk.breakable)
    return desk.order()


def account_moved_on(desk: Desk) -> Order:
    sent(desk.order(), desk.breakable)
    sent(desk.order(), desk.sound)
    return desk.order()


def too_dear(desk: Desk) -> Order:
    sent(desk.order(), desk.breakable)
    return desk.order(desk.market.account(desk.user_id).balance_units("USD") + 1)


def filled_before(desk: Desk) -> Order:
    return sent(desk.order(), desk.breakable)


def filled_before_account_moved_on(desk: Desk) -> Order:
    order = sent(desk.order(), desk.breakable)
    sent(desk.order(), desk.sound)
    return order


def filled_before_asset_delisted(desk: Desk) -> Order:
    desk.market.list_new_asset(f"G{desk.user_id}", "1")
    order = sent(desk.order(symbol="G"), desk.new_process())
    desk.market.remove_asset(order.symbol)
    return order


def refused_before_account_topped_up(desk: Desk) -> Order:
    order = sent(too_dear(desk), desk.breakable)
    desk.market.fund(desk.user_id, "USD", "1")
    return order


def key_of_another(desk: Desk) -> Order:
    order = sent(desk.order(), desk.breakable)
    return replace(order, quantity=Amount(2 * UNITS_PER_ONE, "2"))


def never_listed(desk: Desk) -> Order:
    return desk.order(symbol="N")


def halted(desk: Desk) -> Order:
    return desk.order(symbol="H")


def below_the_minimum(desk: Desk) -> Order:
    return desk.order(symbol="M")


def sells_all(desk: Desk) -> Order:
    bought = sent(desk.order(), desk.breakable)
    return replace(desk.order(), side=Side.SELL, quantity=Amount(None, "all"), symbol=bought.symbol)


def spends(desk: Desk) -> Order:
    sent(desk.order(), desk.sound)
    return replace(desk.order(), quantity=None, notional=Amount(UNITS_PER_ONE, "1"))


def expired(desk: Desk) -> Order:
    return replace(desk.order(), expires_at="2020-01-01T00:00:00.000000Z")


def beyond_its_limit(desk: Desk) -> Order:
    return replace(desk.order(), limit_price=1)


def voided_before(desk: Desk) -> Order:
    order = desk.order()
    desk.sound.voids.make(Void(order.user_id, order.idempotency_key), desk.sound.deadline())
    return order


def new_batch(desk: Desk) -> list[Order]:
    return [desk.order() for _ in range(3)]


def new_batch_account_moved_on(desk: Desk) -> list[Order]:
    return [account_moved_on(desk), desk.order()]


def batch_with_one_too_dear(desk: Desk) -> list[Order]:
    dear = too_dear(desk)
    return [desk.order(), dear, desk.order()]


def batch_of_conditions(desk: Desk) -> list[Order]:
    return [expired(desk), sells_all(desk), voided_before(desk), beyond_its_limit(desk)]


def batch_filled_before(desk: Desk) -> list[Order]:
    return [filled_before(desk) for _ in range(3)]


def batch_with_some_decided_before(desk: Desk) -> list[Order]:
    refused = refused_before_account_topped_up(desk)
    return [desk.order(), refused, desk.order(), filled_before(desk)]


def batch_with_key_of_another(desk: Desk) -> list[Order]:
    return [desk.order(), key_of_another(desk), desk.order()]


def batch_with_orders_that_cannot_be_decided(desk: Desk) -> list[Order]:
    return [
        desk.order(),
        never_listed(desk),
        filled_before_asset_delisted(desk),
        halted(desk),
        below_the_minimum(desk),
        desk.order(),
    ]


@dataclass(frozen=True)
class Right:
    """The right answer to an order, whatever happens. `said`: a status, or an error's code.

    `stored`: the status under its key in the end, `None` for an unused one. `replayed`: its key has that outcome already.
    `looked_up`: it cannot be decided, so that what is stored is read, and the transaction is not for it.
    """

    said: str
    stored: int | None
    replayed: bool = False
    looked_up: bool = False

    @property
    def decides(self) -> bool:
        """Returns whether the transaction stores it."""
        return not self.replayed and self.said == str(self.stored)

    @property
    def decided_before(self) -> bool:
        """Returns whether its key has an outcome already, its own or another order's."""
        return self.stored is not None and not self.decides

    @property
    def cancels(self) -> bool:
        """Returns whether its key keeps a transaction from happening, until an answer arrives and it drops out."""
        return self.decided_before and not self.looked_up


FILL, REFUSAL = Right("200", stored=200), Right("402", stored=402)
EXPIRED, BEYOND = Right("410", stored=410), Right("412", stored=412)
LINKED = Right("424", stored=424)
VOIDED = Right("410", stored=410, replayed=True)
FILLED, REFUSED = Right("200", stored=200, replayed=True), Right("402", stored=402, replayed=True)
FILLED_ONCE = Right("200", stored=200, replayed=True, looked_up=True)
REUSED = Right("ERR_IDEMPOTENCY_KEY_REUSED", stored=200)
UNKNOWN = Right("ERR_ASSET_NOT_FOUND", stored=None, looked_up=True)
HALTED = Right("ERR_ASSET_HALTED", stored=None, looked_up=True)
TOO_SMALL = Right("ERR_ORDER_RULE", stored=None, looked_up=True)


class Situation:
    """A situation of an order, or of a batch. `breaks`: the call that breaks. `rights`: the right answer to each order.

    `linked`: either every order of the batch fills or none does.
    """

    def __init__(
        self, prepared: Callable[[Desk], Order | list[Order]], breaks: Call, *rights: Right, linked: bool = False
    ) -> None:
        self.prepared = prepared
        self.breaks = breaks
        self.rights = rights
        self.linked = linked

    def __str__(self) -> str:
        return f"{self.prepared.__name__}{', linked' if self.linked else ''}, {self.breaks} breaks"


ORDERS = [
    Situation(nothing_known, PRICES, FILL),
    Situation(nothing_known, ACCOUNT, FILL),
    Situation(nothing_known, COMMIT, FILL),
    Situation(account_known, COMMIT, FILL),
    Situation(account_moved_on, COMMIT, FILL),
    Situation(too_dear, COMMIT, REFUSAL),
    Situation(sells_all, COMMIT, FILL),
    Situation(spends, COMMIT, FILL),
    Situation(expired, COMMIT, EXPIRED),
    Situation(beyond_its_limit, COMMIT, BEYOND),
    Situation(voided_before, COMMIT, VOIDED),
    Situation(filled_before, COMMIT, FILLED),
    Situation(filled_before_account_moved_on, COMMIT, FILLED),
    Situation(filled_before_asset_delisted, RECORDS, FILLED_ONCE),
    Situation(refused_before_account_topped_up, COMMIT, REFUSED),
    Situation(key_of_another, COMMIT, REUSED),
    Situation(never_listed, PRICES, UNKNOWN),
    Situation(never_listed, RECORDS, UNKNOWN),
    Situation(halted, RECORDS, HALTED),
    Situation(below_the_minimum, RECORDS, TOO_SMALL),
]
BATCHES = [
    *(Situation(new_batch, breaks, FILL, FILL, FILL) for breaks in (PRICES, ACCOUNT, COMMIT)),
    Situation(new_batch_account_moved_on, COMMIT, FILL, FILL),
    Situation(batch_with_one_too_dear, COMMIT, FILL, REFUSAL, FILL),
    Situation(batch_of_conditions, COMMIT, EXPIRED, FILL, VOIDED, BEYOND),
    Situation(batch_filled_before, COMMIT, FILLED, FILLED, FILLED),
    Situation(new_batch, COMMIT, FILL, FILL, FILL, linked=True),
    Situation(new_batch_account_moved_on, COMMIT, FILL, FILL, linked=True),
    Situation(batch_with_one_too_dear, COMMIT, LINKED, REFUSAL, LINKED, linked=True),
    Situation(batch_filled_before, COMMIT, FILLED, FILLED, FILLED, linked=True),
    Situation(batch_with_some_decided_before, COMMIT, FILL, REFUSED, FILL, FILLED),
    Situation(batch_with_key_of_another, COMMIT, FILL, REUSED, FILL),
    *(
        Situation(batch_with_orders_that_cannot_be_decided, breaks, FILL, UNKNOWN, FILLED_ONCE, HALTED, TOO_SMALL, FILL)
        for breaks in (PRICES, RECORDS, ACCOUNT, COMMIT)
    ),
]

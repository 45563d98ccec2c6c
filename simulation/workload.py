"""The plan of a run: who wants what, and when. Drawn from the seed, before anything runs.

Small numbers on purpose: few users, few keys, prices and amounts at which several orders fit an account and the next does not.
Most of a run happens in a few crowded moments, since what goes wrong goes wrong between requests that meet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random

from chalicelib.config import Settings
from chalicelib.domain.facts import Transfer, Void
from chalicelib.domain.money import PRICE_PER_USD, UNITS_PER_ONE, text_from
from chalicelib.domain.order import Amount, Order, Side
from chalicelib.domain.timestamps import rfc3339
from simulation.faults import LATE_FAULTS, Weather
from simulation.scheduler import US_PER_S

SYMBOLS = ("USD", "BTC", "ETH")
UNKNOWN_SYMBOL = "NOPE"
PAIRS = (
    ("BTC", "USD"),
    ("BTC", "USD"),
    ("ETH", "USD"),
    ("USD", "BTC"),
    ("ETH", "BTC"),
    ("USD", "ETH"),
    (UNKNOWN_SYMBOL, "USD"),
)
"""The pairs that orders trade: what is bought, and what with; some more often."""

BATCH_KEYS = ("k0", "k1", "k2", "k3", "k4", "b0", "b1", "b2", "b3")
"""The keys of orders in batches: orders sent by themselves use the first five."""

LINKED_KEYS = ("l0", "l1", "l2", "l3")
"""Keys of all-or-nothing batches, mostly: few of them are sent by themselves."""

PREFIX = "sim"

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
"""The moment at which every run begins."""

LATE_FEED_S = 600
"""The age of the first prices of a feed that has fallen behind."""

LONG_US = 5 * US_PER_S
"""Longer than a process waits for an answer: by then the world may have changed."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that somebody does at some time. `id` names it in every shortened version of its plan, too."""

    id: int
    at_us: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Several orders of one account in one request, each under a key of its own; `linked`: all or nothing."""

    user_id: int
    orders: tuple[Order, ...]
    linked: bool = False


@dataclass(frozen=True, slots=True)
class Ask(Action):
    """A client sends orders or voids one, or an operator sends a transfer: up to `sends` times.

    It goes on after a final answer if it `insists`.
    """

    wanted: Order | Batch | Transfer | Void
    sends: int
    insists: bool


@dataclass(frozen=True, slots=True)
class View:
    """A user's portfolio; or the list of assets, where there is no user."""

    user_id: int | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A price that a feed sends: in units of 10⁻¹⁶ USD, and as of when its source had it."""

    symbol: str
    price: int
    as_of: str
    allow_move: bool


Instruction = Order | Batch | Transfer | Void | View | Tick
"""All that can be asked of a process: an instruction, a view, or a price to be set."""


def each_of(wanted: Instruction) -> Sequence[Order | Transfer | Void]:
    """Returns what a request asks to happen, in its order: to each there is an answer."""
    match wanted:
        case Batch(orders=orders):
            return orders
        case View() | Tick():
            return ()
        case _:
            return (wanted,)


@dataclass(frozen=True, slots=True)
class Look(Action):
    """A client asks for a view, once."""

    view: View


@dataclass(frozen=True, slots=True)
class Feed(Action):
    """A feed sends a price, up to `sends` times where it gets no result."""

    tick: Tick
    sends: int


@dataclass(frozen=True, slots=True)
class ListAsset(Action):
    """An operator lists an asset, moves its price, or halts it; takes it off the list where `price_units` is `None`."""

    symbol: str
    price_units: int | None
    halted: bool


@dataclass(frozen=True, slots=True)
class Crash(Action):
    """A process dies, and a new one takes its place: it remembers nothing."""

    process: int


@dataclass(frozen=True, slots=True)
class Restore(Action):
    """An operator puts accounts and records back to how they were at `to_us`. The processes go on, with what they remember."""

    to_us: int


class Clock(StrEnum):
    """The oddity of a process's clocks: only one of them is odd, since both together show nothing."""

    STANDS_STILL = "its monotonic clock stands still between requests"
    JUMPS = "its wall clock is set once, forward or back"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `opening`: the prices it begins with, which are `opening_age_s` old by then.

    `clocks`: those of processes that have an odd one.

    What a shortened run leaves out: `spared` are spots at which no fault strikes though the weather would have it; without
    `asks_again` nobody asks once more when all is over.
    """

    seed: int
    settings: Settings
    processes: int
    weather: Weather
    opening: Mapping[str, int]
    actions: tuple[Action, ...]
    spared: frozenset[str] = frozenset()
    asks_again: bool = True
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    opening_age_s: int = 0


def amount(units: int | None) -> Amount:
    """Returns an amount as a client writes it; all of the balance where there are no units."""
    return Amount(None, "all") if units is None else Amount(units, text_from(units))


def plan(seed: int) -> Plan:
    """Draws the run that a seed stands for."""
    return _Drawing(seed).plan()


class _Drawing:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.actions: list[Action] = []
        self.span_us = self.random.choice((50_000, 500_000, LONG_US))
        self.moments = [self.random.randrange(self.span_us) for _ in range(self.random.randint(1, 4))]
        self.opening: dict[str, int] = {"USD": UNITS_PER_ONE} | {symbol: self.price() for symbol in SYMBOLS[1:]}

    def plan(self) -> Plan:
        random = self.random
        weather = Weather.drawn(random) if random.random() < 0.9 else Weather()
        theme = random.random()
        if theme < 0.75:
            self.market()
        elif theme < 0.9:
            self.restored_market()
        else:
            self.troubled_market()
            weather = weather.with_much(random, LATE_FAULTS)
        processes = random.randint(1, 4)
        if random.random() < 0.2:
            self.actions.append(Crash(self.id(), self.time(), random.randrange(processes)))
        settings = Settings(
            table_prefix=PREFIX,
            price_age_ms=random.choice((50, 100, 1_000, 1_000)),
            request_budget_ms=random.choice((6_500, 9_000, 20_000)),
            cached_accounts=random.choice((1, 2, 10_000)),
        )
        odd = {f"process {number}": random.choice(list(Clock)) for number in range(1, processes + 1) if random.random() < 0.4}
        opening_age_s = 0
        # A restore ends whatever is halfway through the database, and would leave a price without the candle that it closes.
        if not any(isinstance(action, Restore) for action in self.actions):
            opening_age_s, price_stale_s = self.feeds(Random(f"feeds of {self.seed}"))
            settings = replace(settings, price_stale_s=price_stale_s)
        actions = tuple(self.actions)
        return Plan(self.seed, settings, processes, weather, self.opening, actions, clocks=odd, opening_age_s=opening_age_s)

    def market(self) -> None:
        random = self.random
        for user_id in range(1, random.choice((1, 1, 1, 2, 3)) + 1):
            self.transfers(user_id)
            for number in range(random.randint(1, 5)):
                self.orders(user_id, f"k{number}")
            for _ in range(random.choice((0, 0, 1, 1, 2))):
                self.batches(user_id)
            for _ in range(random.randint(0, 2)):
                self.actions.append(Look(self.id(), self.time(), View(user_id)))
        for _ in range(random.choice((0, 1, 2, 4))):
            self.assets()
        for _ in range(random.choice((0, 0, 1))):
            self.actions.append(Look(self.id(), self.time(), View(None)))

    def restored_market(self) -> None:
        """Draws fills, some of them lost to a restore, and more fills: the account must not pass for the one it was."""
        random = self.random
        self.opened(1)
        to_us = self.span_us + random.randrange(self.span_us)
        restored_us = to_us + random.randrange(self.span_us)
        self.actions.append(Restore(self.id(), restored_us, to_us))
        for name, from_us in (("kept", 0), ("lost", to_us), ("after", restored_us)):
            for number in range(random.randint(1, 4)):
                at_us = from_us + random.randrange(self.span_us)
                self.small_orders(f"{name}-{number}", at_us, random.choice((1, 1, 1, 1, 1, 2)))

    def troubled_market(self) -> None:
        """Orders whose answers are long in coming, and which can no longer be decided by then."""
        random = self.random
        self.opened(1)
        for number in range(random.randint(1, 3)):
            at_us = number * 2 * LONG_US + random.randrange(LONG_US)
            self.small_orders(f"k{number}", at_us, random.choice((1, 1, 2, 3)))
            trouble_us = at_us + random.randrange(3 * US_PER_S)
            price = random.choice((None, self.opening["BTC"]))
            self.actions.append(ListAsset(self.id(), trouble_us, "BTC", price, halted=True))
            self.actions.append(ListAsset(self.id(), trouble_us + LONG_US, "BTC", self.opening["BTC"], halted=False))

    def feeds(self, random: Random) -> tuple[int, int | None]:
        """Draws the prices of one or two feeds of some assets, from randomness of their own.

        Some feeds are up to date. Others begin ten minutes late and catch up, so that many minutes end within a run. Returns the
        age of the opening prices and that at which a price is stale, in seconds.
        """
        catches_up = random.random() < 0.5
        stale_s = random.choice((None, None, 300)) if catches_up else random.choice((None, None, 1, 3))
        for symbol in SYMBOLS[1:]:
            price = self.opening[symbol] * PRICE_PER_USD // UNITS_PER_ONE
            for _ in range(random.choice((0, 1, 2, 2))):  # feeds of one asset
                for _ in range(random.randint(1, 6)):
                    at_us = random.randrange(self.span_us)
                    if random.random() < 0.5:
                        at_us = random.choice(self.moments) + random.randrange(20_000)
                    behind_us = random.randrange(random.choice((1_000, 100_000, 2 * US_PER_S)))
                    if catches_up:
                        behind_us += LATE_FEED_S * US_PER_S * max(0, self.span_us - at_us) // self.span_us
                    moved = price * random.choice((100, 100, random.randint(85, 115), random.randint(85, 115), 60, 200)) // 100
                    as_of = rfc3339(MIDNIGHT + timedelta(microseconds=at_us - behind_us))
                    tick = Tick(symbol, moved, as_of, allow_move=random.random() < 0.2)
                    self.actions.append(Feed(self.id(), at_us, tick, random.randint(1, 3)))
        return (LATE_FEED_S if catches_up else 0), stale_s

    def opened(self, user_id: int) -> None:
        self.actions.append(Ask(self.id(), 0, Transfer(user_id, "opening", "USD", 1_000 * UNITS_PER_ONE), sends=6, insists=False))

    def small_orders(self, key: str, at_us: int, count: int) -> None:
        """Draws an order that the account covers several times, or a batch of such."""
        orders = []
        for number in range(count):
            units = self.units_worth("BTC", self.random.randint(1, 150) * UNITS_PER_ONE)
            orders.append(Order(1, f"{key}.{number}", "BTC", "USD", amount(units)))
        wanted = orders[0] if len(orders) == 1 else Batch(1, tuple(orders))
        self.actions.append(Ask(self.id(), at_us, wanted, sends=2, insists=False))

    def id(self) -> int:
        return len(self.actions) + 1

    def time(self) -> int:
        if self.random.random() < 0.7:
            return self.random.choice(self.moments) + self.random.randrange(20_000)
        return self.random.randrange(self.span_us)

    def price(self) -> int:
        """Draws a price from a fraction of a cent to a few thousand USD, seldom round."""
        magnitude: int = self.random.choice((3, 70_000, UNITS_PER_ONE, 3_000 * UNITS_PER_ONE))
        return magnitude * self.random.randint(1, 20)

    def units_worth(self, symbol: str, usd_units: int) -> int:
        units: int = usd_units * UNITS_PER_ONE // self.opening[symbol]
        return max(1, units)

    def transfers(self, user_id: int) -> None:
        random = self.random
        if random.random() < 0.9:
            self.opened(user_id)
        for number in range(random.choice((0, 1, 2, 3))):
            symbol = random.choice(SYMBOLS)
            units = self.units_worth(symbol, random.randint(1, 500) * UNITS_PER_ONE)
            if random.random() < 0.5:
                symbol, units = "USD", -random.randint(1, 10) * 100 * UNITS_PER_ONE
            later = Transfer(user_id, f"later-{number}", symbol, units)
            at_us = self.time()
            for _ in range(random.choice((1, 1, 2))):  # the second is a duplicate
                self.actions.append(Ask(self.id(), at_us, later, random.randint(1, 3), insists=False))
                at_us += random.randrange(30_000)

    def orders(self, user_id: int, key: str) -> None:
        """Draws an order under a key, and whatever else is sent under it: the same again, or another order."""
        random = self.random
        order = self.order(user_id, key)
        at_us = self.time()
        for number in range(random.choice((1, 1, 2, 2, 3))):
            if number > 0:
                at_us = random.choice((at_us, at_us + random.randrange(30_000), self.time()))
                if random.random() < 0.1:
                    order = self.order(user_id, key)
            self.actions.append(Ask(self.id(), at_us, order, random.randint(1, 4), insists=random.random() < 0.3))
        if random.random() < 0.15:
            at_us = random.choice((at_us, at_us + random.randrange(30_000), self.time()))
            self.actions.append(Ask(self.id(), at_us, Void(user_id, key), random.randint(1, 3), insists=random.random() < 0.3))

    def batches(self, user_id: int) -> None:
        """Draws a batch, and maybe others of the same orders: some are sent by themselves and in other batches as well."""
        random = self.random
        asked = [each for action in self.actions if isinstance(action, Ask) for each in each_of(action.wanted)]
        sent = {each.idempotency_key: each for each in asked if isinstance(each, Order) and each.user_id == user_id}
        linked = random.random() < 0.3
        keys = random.sample(LINKED_KEYS if linked and random.random() < 0.7 else BATCH_KEYS, random.choice((1, 2, 2, 3, 4)))
        orders = [sent[key] if key in sent and random.random() < 0.9 else self.order(user_id, key) for key in keys]
        at_us = self.time()
        for number in range(random.choice((1, 1, 2))):
            if number > 0:
                at_us = random.choice((at_us, at_us + random.randrange(30_000), self.time()))
                orders = random.sample(orders, random.randint(1, len(orders)))
            batch = Batch(user_id, tuple(orders), linked)
            self.actions.append(Ask(self.id(), at_us, batch, random.randint(1, 4), insists=random.random() < 0.3))

    def order(self, user_id: int, key: str) -> Order:
        random = self.random
        symbol, pay_with = random.choice(PAIRS)
        usd_units = random.randint(1, 12) * 100 * UNITS_PER_ONE
        if symbol == UNKNOWN_SYMBOL:
            return Order(user_id, key, symbol, pay_with, amount(UNITS_PER_ONE))
        limit_price = expires_at = None
        if random.random() < 0.15:
            here = self.opening[symbol] * PRICE_PER_USD // self.opening[pay_with]
            limit_price = max(1, here * random.choice((50, 100, 100, 150)) // 100)
        if random.random() < 0.1:
            expires_at = rfc3339(MIDNIGHT + timedelta(microseconds=random.randrange(self.span_us + LONG_US)))
        form = random.random()
        if form < 0.15:
            spent = amount(None) if random.random() < 0.3 else amount(self.units_worth(pay_with, usd_units))
            return Order(user_id, key, symbol, pay_with, notional=spent, limit_price=limit_price, expires_at=expires_at)
        quantity = amount(self.units_worth(symbol, usd_units))
        if form < 0.35:
            sold = amount(None) if random.random() < 0.3 else quantity
            return Order(user_id, key, symbol, pay_with, sold, None, Side.SELL, limit_price, expires_at)
        return Order(user_id, key, symbol, pay_with, quantity, limit_price=limit_price, expires_at=expires_at)

    def assets(self) -> None:
        """Moves the market; now and then an asset is halted or taken off the list, as a rule not for good.

        It does so beside a request, or while that waits for an answer.
        """
        random = self.random
        symbol = random.choice(SYMBOLS[1:])
        at_us = random.choice(self.actions).at_us + random.choice((random.randrange(20_000), random.randrange(LONG_US)))
        opening = self.opening[symbol]
        price = random.choice((opening, max(1, opening // 2), opening * 3, self.price()))
        trouble = random.random()
        if trouble < 0.3:
            self.actions.append(ListAsset(self.id(), at_us, symbol, None, halted=False))
        elif trouble < 0.6:
            self.actions.append(ListAsset(self.id(), at_us, symbol, price, halted=True))
        if trouble > 0.1:
            self.actions.append(ListAsset(self.id(), at_us + random.randrange(LONG_US), symbol, price, halted=False))

"""Orders on a datastore with DynamoDB's latency: ministack behind a proxy that delays each reply.

DynamoDB's latency adds time, not work. One account's transactions follow each other, so their number in a second is limited for
any number of clients. Many accounts trade at the same time, and one transaction carries a batch of 99 orders.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from bench.contenders import Contender, Loaded, Orders, trade
from bench.figures import Figure, of_rounds
from bench.load import generator
from bench.orders import Batches, Singles
from bench.processes import engine
from bench.setting import Say, Setting
from bench.store import open_store
from bench.targets import none
from harness.processes import ministack
from harness.proxy import proxy

PART = "as far away as DynamoDB"
SLOW = {"service": "dynamodb", "latency": {"preset": "dynamodb"}}
ACCOUNTS = 32


@dataclass(frozen=True, slots=True)
class SideBySide:
    """An endless series of requests for one order each, of one account after the other."""

    url: str
    user_ids: Sequence[int]

    def __iter__(self) -> Iterator[bytes]:
        """Makes new keys each time."""
        return chain.from_iterable(zip(*(Singles(self.url, user_id) for user_id in self.user_ids), strict=True))


def measure(setting: Setting, say: Say) -> list[Figure]:
    """Loads the engine with one account and with many, with orders and with batches, in rounds."""
    say("starting the engine")
    loads: dict[str, list[Loaded]] = {}
    with (
        ministack(setting.log("ministack")) as datastore,
        proxy(datastore.url, setting.log("proxy")) as proxied,
        proxied.fault(SLOW),
        engine(setting.log("engine"), proxied.url) as own,
        generator() as load,
    ):
        store = open_store(datastore.url)
        contender = Contender("engine", own.url, store)
        others = [store.new_user(USD="100000") for _ in range(ACCOUNTS - 1)]

        def many_accounts(url: str, user_id: int) -> SideBySide:
            return SideBySide(url, [user_id, *others])

        plans: dict[str, tuple[Orders, int]] = {
            "one account, 1 connection": (Singles, 1),
            "one account, 8 connections": (Singles, 8),
            "one account, 32 connections": (Singles, 32),
            f"{ACCOUNTS} accounts, 32 connections": (many_accounts, 32),
            "one account, batches of 99 over 1 connection": (partial(Batches, size=99), 1),
        }
        for number in range(1, setting.rounds + 1):
            for what, (orders, connections) in plans.items():
                say(f"round {number} of {setting.rounds}: {what}")
                loads.setdefault(what, []).append(trade(contender, load, orders, connections))
    return _figures(loads)


def _figures(loads: dict[str, list[Loaded]]) -> list[Figure]:
    figures = []
    for what, rounds in loads.items():
        figures.append(of_rounds(PART, f"{what}: fills", [load.fills_a_second for load in rounds], "/s"))
        figures += [
            of_rounds(PART, f"{what}: p{percent}", [load.answers.latency_ms(percent) for load in rounds], "ms")
            for percent in (50, 99)
        ]
    unfilled = sum(load.unfilled for rounds in loads.values() for load in rounds)
    return [*figures, none(PART, "answers without a fill", unfilled)]

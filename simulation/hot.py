"""One hot account in calm weather: processes that all want it, all the time, and how they share it."""

from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import Any

from chalicelib import engine
from chalicelib.config import Settings
from chalicelib.domain.facts import Transfer
from chalicelib.domain.money import UNITS_PER_ONE
from chalicelib.domain.order import Order
from chalicelib.domain.timestamps import rfc3339
from chalicelib.store.tables import Tables, asset_key
from harness.shares import Shares
from simulation.database import Database
from simulation.faults import Faults, Weather
from simulation.history import Answer
from simulation.journal import Journal
from simulation.process import Process, Request
from simulation.scheduler import US_PER_S, Scheduler, Wait
from simulation.workload import MIDNIGHT, PREFIX, amount

USER_ID = 1
UNITS = 1_000
SETTLING_US = US_PER_S
"""The time before counting starts: until then the processes get to know of each other."""

MAX_EVENTS = 1_000_000


@dataclass(slots=True)
class Shift:
    """The work of one process while it counted. `calls`: to the datastore; `others`: answers that were not a fill."""

    fills: int = 0
    calls: int = 0
    others: int = 0


def trade(processes: int, seconds: int, seed: int) -> Shares[Shift]:
    """Has that many processes trade with one account, each sending its next order when the last one is answered."""
    scheduler = Scheduler(seed, MAX_EVENTS)
    journal = Journal(scheduler)
    database = Database(scheduler, PREFIX, journal)
    faults = Faults(Weather(), frozenset())
    settings = Settings(table_prefix=PREFIX, price_age_ms=3_600_000)
    for symbol, price in (("USD", 1), ("BTC", 50_000)):
        item = {**asset_key(symbol), "price_usd": {"S": str(price)}, "price_at": {"S": rfc3339(MIDNIGHT)}}
        database.put(Tables.of(PREFIX).assets, item)
    shifts = [Shift() for _ in range(processes)]

    def ask(process: Process, wanted: Order | Transfer, name: str) -> tuple[Request, Answer]:
        wait = Wait(scheduler)
        request = Request(name, scheduler.random.getrandbits(64), wait.end)
        process.serve(request, wanted)
        (answer,) = wait.result()
        return request, answer

    def work(place: int, process: Process) -> None:
        shift, end_us = shifts[place], SETTLING_US + seconds * US_PER_S
        for order in count(1):
            if scheduler.now_us >= end_us:
                return
            wanted = Order(USER_ID, f"{place}-{order}", "BTC", "USD", amount(UNITS))
            request, answer = ask(process, wanted, f"{place}.{order}")
            if SETTLING_US <= scheduler.now_us < end_us:
                shift.calls += request.calls
                if answer.status == HTTPStatus.OK:
                    shift.fills += 1
                else:
                    shift.others += 1

    def open_account() -> None:
        parts: dict[str, Any] = {
            "database": database,
            "scheduler": scheduler,
            "faults": faults,
            "journal": journal,
            "build": engine.build,
        }
        team = [Process(f"process {place}", settings, **parts) for place in range(processes)]
        ask(team[0], Transfer(USER_ID, "opening", "USD", 10**6 * UNITS_PER_ONE), "opening")
        for place, process in enumerate(team):
            scheduler.start(partial(work, place, process))

    scheduler.start(open_account)
    scheduler.run()
    return Shares(shifts)

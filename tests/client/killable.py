"""A bot for the test that kills it: each piece of work is an order of its own quantity, and is started once.

Its next piece of work follows from its journal alone: it is the number of intents that are written there.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

from hft_client import Client, HftError, Journal, Order, RetryPolicy
from hft_client.operations import Recovery

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["hft_client", "httpx", "anyio", __name__])

POLICY = RetryPolicy(deadline_s=1.5, attempt_timeout_s=0.5)
SMALLEST = Decimal("0.0001")
UNIT = Decimal("0.00000001")


def quantity(work: int) -> Decimal:
    """Returns the quantity of a piece of work, which no other has."""
    return SMALLEST + work * UNIT


def work_of(text: str) -> int:
    """Returns the piece of work that a quantity stands for."""
    return int((Decimal(text) - SMALLEST) / UNIT)


def run(path: Path, url: str, user_id: int, then: Recovery, seed: str) -> None:
    """Recovers, then works until it is killed."""
    random = Random(seed)
    journal = Journal(path)
    with Client(url, user_id, journal=journal, policy=POLICY) as client:
        client.recover(then)
        work = sum(1 for _ in journal.intents())
        while True:
            started = list(_orders(random, work))
            work += len(started)
            try:
                if len(started) == 1:
                    client.execute(started[0])
                else:
                    client.batch(started, all_or_nothing=random.random() < 0.5)
            except HftError:
                continue


def _orders(random: Random, work: int) -> Iterator[Order]:
    for number in range(work, work + random.choice((1, 1, 1, 2, 5))):
        kind = random.random()
        if kind < 0.6:
            yield Order.buy("BTC", quantity(number))
        elif kind < 0.8:
            yield Order.sell("BTC", quantity(number))
        elif kind < 0.9:
            yield Order.buy("BTC", quantity(number), limit_price=1)  # refused
        else:
            yield Order.buy("NOPE", quantity(number))  # rejected


class Bot:
    """A process of the bot, which can be killed."""

    def __init__(self, path: Path, url: str, user_id: int, then: Recovery, seed: str) -> None:
        self._process = FORKS.Process(target=run, args=(path, url, user_id, then, seed), daemon=True)
        self._process.start()

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        """Kills the process, between any two instructions."""
        pid = self._process.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL, f"it had ended by itself, with {self._process.exitcode}"

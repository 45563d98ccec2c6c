"""Processes killed at any moment, under load: what a client was told happened has happened, and happened once."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException
from itertools import chain
from pathlib import Path
from random import Random
from threading import Condition
from time import monotonic, sleep

from chalicelib.config import Settings
from chalicelib.domain.account import Account
from chalicelib.local.seed import PRICES_USD
from chalicelib.local.tables import create_missing
from tests.contract.test_concurrency import assert_audit
from tests.support.engines import EngineProcess
from tests.support.market import Market, new_key, order
from tests.support.processes import environment

SEED = int(os.environ.get("SEED", "1"))
"""Of who is killed after how many answers, and who orders what. At what pace they all run is nobody's to repeat."""

PROCESSES, CLIENTS, ACCOUNTS, KILLS = 3, 6, 3, 12
ANSWERS_BETWEEN_KILLS = range(3, 20)
MOMENT_S = 0.03
"""About what an order takes: a kill comes up to so much later than its signal, so that it meets orders at every stage."""
PATIENCE_S = 60
"""For what comes within a second on a machine with nothing else to do."""

HELD = {"USD": "10000", "BTC": "1", "ETH": "10"}
ORDERS = [
    # Their costs are exact, so that nothing is lost to rounding, and an account stays worth what it was.
    ("BTC", "USD", "0.01"),
    ("USD", "BTC", "500"),
    ("ETH", "USD", "0.1"),
    ("ETH", "BTC", "0.5"),
    ("BTC", "ETH", "0.03"),
    ("BTC", "USD", "1000"),  # nobody can pay this
]


@dataclass(frozen=True)
class Answered:
    """An order and its answer. `replayed`: it was decided already. `interrupted`: an attempt before ended without an answer."""

    body: dict[str, object]
    key: str
    status: int = 0
    reply: str = ""
    replayed: bool = False
    interrupted: bool = False


@dataclass
class Load:
    """What is going on: the requests in each process, by its port, and the answers so far."""

    in_flight: Counter[int] = field(default_factory=Counter)
    answers: int = 0
    over: bool = False
    _changed: Condition = field(default_factory=Condition)

    @contextmanager
    def request(self, port: int) -> Iterator[None]:
        with self._changed:
            self.in_flight[port] += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self.in_flight[port] -= 1

    def answered(self) -> None:
        with self._changed:
            self.answers += 1
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self.over = True
            self._changed.notify_all()

    def wait_for(self, more_answers: int, port: int) -> None:
        """Until there are so many more answers and a request in that process, or it is over."""
        with self._changed:
            enough = self.answers + more_answers
            came = self._changed.wait_for(
                lambda: self.over or (self.answers >= enough and self.in_flight[port] > 0), timeout=PATIENCE_S
            )
        assert came, f"{self.answers} answers, and then no more; seed {SEED}"


@dataclass
class Client:
    """Sends one order after the other, to any process, until it has its answer; and now and then an earlier one again."""

    random: Random
    users: list[int]
    ports: list[int]
    load: Load

    def run(self) -> list[Answered]:
        answered: list[Answered] = []
        try:
            while not self.load.over:
                body = order(self.random.choice(self.users), *self.random.choice(ORDERS))
                answered.append(self._insist(Answered(body, new_key())))
                if self.random.random() < 0.3:
                    earlier = self.random.choice(answered)
                    again = self._insist(earlier)
                    assert (again.replayed, again.status, again.reply) == (True, earlier.status, earlier.reply), f"seed {SEED}"
        finally:
            self.load.end()  # for all: a client that failed ends it too
        return answered

    def _insist(self, wanted: Answered) -> Answered:
        give_up_at = monotonic() + PATIENCE_S
        interrupted = False
        while monotonic() < give_up_at:
            port = self.random.choice(self.ports)
            connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            try:
                connection.connect()
            except ConnectionError:
                sleep(0.01)  # it is gone, or not there yet
                continue
            try:
                with self.load.request(port):
                    headers = {"X-Idempotency-Key": wanted.key}
                    connection.request("POST", "/api/v1/trading/execute", json.dumps(wanted.body), headers)
                    response = connection.getresponse()
                    reply = response.read().decode()
            except (OSError, HTTPException):
                interrupted = True
                continue
            finally:
                connection.close()
            if response.status in (200, 402):
                self.load.answered()
                replayed = response.headers.get("Idempotent-Replayed") == "true"
                return replace(wanted, status=response.status, reply=reply, replayed=replayed, interrupted=interrupted)
            assert response.status in (409, 503), reply
        raise AssertionError(f"no answer for {wanted}; seed {SEED}")


def worth(account: Account) -> int:
    return sum(PRICES_USD[symbol] * units for symbol, units in account.balances.items())


def test_processes_that_are_killed_lose_nothing_and_do_nothing_twice(
    ministack_url: str, tmp_path: Path, figures: list[str]
) -> None:
    settings = Settings(table_prefix="hft-kills", datastore_endpoint=ministack_url)
    market = Market([], settings)
    create_missing(market.dynamodb, settings.table_prefix)
    users = [market.new_user(**HELD) for _ in range(ACCOUNTS)]
    worth_before = {user: worth(market.account(user)) for user in users}
    env = environment(
        AWS_ENDPOINT_URL_DYNAMODB=ministack_url,
        AWS_ACCESS_KEY_ID="local",
        AWS_SECRET_ACCESS_KEY="local",
        HFT_TABLE_PREFIX=settings.table_prefix,
    )
    load, random = Load(), Random(SEED)
    in_flight: list[int] = []

    processes = [EngineProcess(tmp_path / f"engine-{number}", env) for number in range(PROCESSES)]
    try:
        ports = [process.port for process in processes]
        clients = [Client(Random(f"{SEED}-{number}"), users, ports, load) for number in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as threads:
            running = [threads.submit(client.run) for client in clients]
            try:
                for _ in range(KILLS):
                    victim = random.choice(processes)
                    load.wait_for(random.choice(ANSWERS_BETWEEN_KILLS), victim.port)
                    if load.over:
                        break
                    sleep(random.uniform(0, MOMENT_S))
                    in_flight.append(load.in_flight[victim.port])
                    victim.kill()
                    victim.start()
            finally:
                load.end()
        answered = list(chain.from_iterable(each.result() for each in running))
    finally:
        for process in processes:
            process.kill()

    for user in users:
        assert_audit(market, user)
        assert worth(market.account(user)) == worth_before[user], f"seed {SEED}"
        stored = {
            record.key.removeprefix("order#"): (record.status, record.reply + "\n", record.movement is not None)
            for record in market.records(user)
            if record.key.startswith("order#")
        }
        told = {each.key: (each.status, each.reply, each.status == 200) for each in answered if each.body["user_id"] == user}
        assert stored == told, f"seed {SEED}"

    interrupted = [each for each in answered if each.interrupted]
    fills = sum(each.status == 200 for each in answered)
    figures.append(
        f"killed: {KILLS} processes with SIGKILL (seed {SEED}), {sum(in_flight)} requests in them; {len(interrupted)} orders "
        f"were cut off, {sum(each.replayed for each in interrupted)} of them decided by then; "
        f"{len(answered)} orders answered, {fills} fills and {len(answered) - fills} refusals; lost: 0, twice: 0"
    )

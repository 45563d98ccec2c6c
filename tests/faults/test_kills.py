"""Processes killed at any moment, under load: what a client was told happened has happened, and happened once."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from http.client import HTTPConnection, HTTPException
from itertools import chain
from pathlib import Path
from random import Random
from threading import Condition
from time import monotonic, sleep

from chalicelib.config import Settings
from chalicelib.contract.replies import reply_of
from chalicelib.domain.account import Account
from chalicelib.domain.facts import Fill
from chalicelib.domain.money import price_from
from chalicelib.local.schema import create_missing
from chalicelib.local.seed import PRICES_USD, seed
from harness.processes import environment
from tests.support.audit import assert_audit
from tests.support.engines import EngineProcess
from tests.support.market import Market, new_key, order

SEED = int(os.environ.get("SEED", "1"))
"""Of who is killed after how many answers, and who orders what. At what pace they all run is nobody's to repeat."""

PROCESSES, CLIENTS, ACCOUNTS, KILLS = 3, 12, 2, 12
"""Few accounts for so many clients, so that in each process orders wait for each other and are committed together."""

ANSWERS_BETWEEN_KILLS = range(3, 20)
MOMENT_S = 0.03
"""About what an order takes: a kill comes up to so much later than its signal, so that it meets orders at every stage."""
PATIENCE_S = 60
"""For what comes within a second on a machine with nothing else to do."""

AT_ONCE = (1, 1, 2, 5, 10)
"""How many orders go together."""

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
    """An order and its answer. `replayed`: it was decided already. `interrupted`: an attempt before ended without an answer.

    `batched`: it went with others.
    """

    body: dict[str, object]
    key: str
    status: int = 0
    reply: str = ""
    replayed: bool = False
    interrupted: bool = False
    batched: bool = False


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
    """Sends orders, alone and in batches, to any process, until each has its answer; and now and then earlier ones again."""

    random: Random
    users: list[int]
    ports: list[int]
    load: Load

    def run(self) -> list[Answered]:
        answered: list[Answered] = []
        try:
            while not self.load.over:
                user = self.random.choice(self.users)
                wanted = [
                    Answered(order(user, *self.random.choice(ORDERS)), new_key()) for _ in range(self.random.choice(AT_ONCE))
                ]
                answered += self._insist(wanted)
                if self.random.random() < 0.3:
                    earlier = [each for each in answered if each.body["user_id"] == user]
                    earlier = self.random.sample(earlier, min(len(earlier), self.random.choice(AT_ONCE)))
                    again = self._insist(earlier)
                    assert all(each.replayed for each in again), f"seed {SEED}"
                    said = [[(each.key, each.status, each.reply) for each in told] for told in (again, earlier)]
                    assert said[0] == said[1], f"seed {SEED}"
        finally:
            self.load.end()  # for all: a client that failed ends it too
        return answered

    def _insist(self, wanted: list[Answered]) -> list[Answered]:
        """One order goes by itself, several go as a batch; those that have no answer then go again."""
        give_up_at = monotonic() + PATIENCE_S
        told = {each.key: replace(each, status=0, batched=len(wanted) > 1) for each in wanted}
        while waiting := [each for each in told.values() if not each.status]:
            assert monotonic() < give_up_at, f"no answer for {waiting}; seed {SEED}"
            port = self.random.choice(self.ports)
            connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            try:
                connection.connect()
            except ConnectionError:
                sleep(0.01)  # it is gone, or not there yet
                continue
            try:
                with self.load.request(port):
                    answers = sent(connection, waiting)
            except (OSError, HTTPException):
                told |= {each.key: replace(each, interrupted=True) for each in waiting}
                continue
            finally:
                connection.close()
            for each in answers:
                if each.status in (200, 402):
                    told[each.key] = each
                else:
                    assert each.status in (409, 503), each.reply
            self.load.answered()
        return list(told.values())


def sent(connection: HTTPConnection, orders: list[Answered]) -> list[Answered]:
    """What became of orders, one by itself or several as a batch."""
    if len(orders) == 1:
        (only,) = orders
        headers = {"X-Idempotency-Key": only.key}
        connection.request("POST", "/api/v1/trading/execute", json.dumps(only.body), headers)
        response = connection.getresponse()
        reply = response.read().decode().removesuffix("\n")
        replayed = response.headers.get("Idempotent-Replayed") == "true"
        return [replace(only, status=response.status, reply=reply, replayed=replayed)]
    user = orders[0].body["user_id"]
    fields = [
        {name: value for name, value in each.body.items() if name != "user_id"} | {"idempotency_key": each.key} for each in orders
    ]
    connection.request("POST", "/api/v1/trading/execute/batch", json.dumps({"user_id": user, "orders": fields}))
    response = connection.getresponse()
    reply = response.read().decode()
    assert response.status == 200, reply
    return [
        replace(each, status=result["status"], reply=json.dumps(result["body"]), replayed=result["replayed"])
        for each, result in zip(orders, json.loads(reply)["results"], strict=True)
    ]


def worth(account: Account) -> int:
    """Returns an account's value in units of 10⁻²⁴ USD."""
    return sum(price_from(Decimal(PRICES_USD[symbol])) * units for symbol, units in account.balances.items())


def together_in(log: Path) -> int:
    """Counts the lines of single orders whose transaction was for several requests."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    return sum(line.get("together", 1) > 1 for line in lines)


def test_processes_that_are_killed_lose_nothing_and_do_nothing_twice(
    ministack_url: str, tmp_path: Path, figures: list[str]
) -> None:
    settings = Settings(table_prefix="hft-kills", datastore_endpoint=ministack_url)
    market = Market([], settings)
    create_missing(market.dynamodb, settings.table_prefix)
    seed(market.engine, market.dynamodb)
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
            record.key.removeprefix("order#"): (*reply_of(record), isinstance(record.decision, Fill))
            for record in market.records(user)
            if record.key.startswith("order#")
        }
        told = {each.key: (each.status, each.reply, each.status == 200) for each in answered if each.body["user_id"] == user}
        assert stored == told, f"seed {SEED}"

    together = sum(together_in(tmp_path / f"engine-{number}") for number in range(PROCESSES))
    assert together > 0, "no request was committed together with another"
    interrupted = [each for each in answered if each.interrupted]
    fills = sum(each.status == 200 for each in answered)
    figures.append(
        f"killed: {KILLS} processes with SIGKILL (seed {SEED}), {sum(in_flight)} requests in them; {len(interrupted)} orders "
        f"were cut off, {sum(each.replayed for each in interrupted)} of them decided by then; "
        f"{len(answered)} orders answered, {sum(each.batched for each in answered)} of them in batches "
        f"and {together} that shared a transaction with another request, "
        f"{fills} fills and {len(answered) - fills} refusals; lost: 0, twice: 0"
    )

"""A local run that keeps its books, killed under load: nothing acknowledged is lost, and nothing happens twice."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Semaphore
from time import sleep
from typing import Any

import pytest
import requests

from harness.processes import environment
from tests.support.engines import EngineProcess

KILLS = 10
CLIENTS = 4
ANSWERS_BETWEEN_KILLS = 15
TIMEOUT_S = 60
SEED = int(os.environ.get("SEED", "1"))


class KeptBooks:
    """A run with a directory, and clients that send each order until they have its answer."""

    def __init__(self, directory: Path) -> None:
        env = environment(HFT_DATA=str(directory / "data"), HFT_TABLE_PREFIX="hft-dev")
        self.process = EngineProcess(directory / "log", env)
        self.answered = Semaphore(0)
        self.ended = False

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Sends a request again and again until there is an answer: the run is being killed and started."""
        for _ in range(10_000):
            try:
                response = requests.request(method, f"http://127.0.0.1:{self.process.port}{path}", timeout=TIMEOUT_S, **arguments)
            except requests.ConnectionError:
                sleep(0.01)  # it is gone, or not there yet
                continue
            if response.status_code < 500:
                return response
        pytest.fail("the run does not come back")

    def buy(self, key: str) -> requests.Response:
        order = {"user_id": 1, "symbol": "SOL", "pay_with": "USD", "quantity": "0.01"}
        return self.request("POST", "/api/v1/trading/execute", json=order, headers={"X-Idempotency-Key": key})

    def client(self, name: int) -> dict[str, dict[str, Any]]:
        """Buys until the end. Returns the replies by key."""
        replies: dict[str, dict[str, Any]] = {}
        while not self.ended:
            key = f"{name}-{len(replies)}"
            response = self.buy(key)
            assert response.status_code == 200, response.text
            replies[key] = response.json()
            self.answered.release()
        return replies


def test_ten_kills_under_load_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    books, random = KeptBooks(tmp_path), Random(SEED)
    with ThreadPoolExecutor(CLIENTS) as threads:
        clients = [threads.submit(books.client, name) for name in range(CLIENTS)]
        try:
            for _ in range(KILLS):
                for _ in range(random.randrange(1, ANSWERS_BETWEEN_KILLS)):
                    assert books.answered.acquire(timeout=TIMEOUT_S)
                books.process.kill()
                books.process.start()
        finally:
            books.ended = True
    replies = {key: reply for client in clients for key, reply in client.result().items()}
    books.process.kill()
    books.process.start()

    for key, reply in replies.items():
        again = books.buy(key)
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (reply, "true")
    portfolio = books.request("GET", "/api/v1/trading/portfolio/1").json()
    assert portfolio["sequence"] == 1 + len(replies)
    assert portfolio["holdings"]["SOL"] == f"{len(replies) / 100:.8f}"
    assert sorted(reply["sequence"] for reply in replies.values()) == list(range(2, 2 + len(replies)))
    books.process.kill()

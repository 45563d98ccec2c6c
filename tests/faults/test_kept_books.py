"""A local run that keeps its books, killed or without room: nothing acknowledged is lost, and nothing happens twice."""

import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Semaphore
from time import sleep
from typing import Any

import pytest
import requests

from tests.support.engines import LocalRun

KILLS = 10
CLIENTS = 4
ANSWERS_BETWEEN_KILLS = 15
TIMEOUT_S = 60
EXECUTE = "POST", "/api/v1/trading/execute"
ORDER = {"user_id": 1, "symbol": "SOL", "pay_with": "USD", "quantity": "0.01"}
SEED = int(os.environ.get("SEED", "1"))


class KeptBooks:
    """A run with a directory, and clients that send each order until they have its answer."""

    def __init__(self, directory: Path, process: LocalRun) -> None:
        self.journal = directory / "data" / "journal"
        self.process = process
        self.answered = Semaphore(0)
        self.ended = False

    def once(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return requests.request(method, f"http://127.0.0.1:{self.process.port}{path}", timeout=TIMEOUT_S, **arguments)

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Sends a request again and again until there is an answer: the run is being killed and started."""
        for _ in range(10_000):
            try:
                response = self.once(method, path, **arguments)
            except requests.ConnectionError:
                sleep(0.01)  # it is gone, or not there yet
                continue
            if response.status_code < 500:
                return response
        pytest.fail("the run does not come back")

    def buy(self, key: str) -> requests.Response:
        return self.request(*EXECUTE, json=ORDER, headers={"X-Idempotency-Key": key})

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


@pytest.fixture
def books(tmp_path: Path, log: Path) -> Iterator[KeptBooks]:
    with LocalRun(log, HFT_DATA=str(tmp_path / "data")) as process:
        yield KeptBooks(tmp_path, process)


def test_ten_kills_under_load_lose_nothing_and_double_nothing(books: KeptBooks) -> None:
    random = Random(SEED)
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


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="this system cannot limit the files of another process")
def test_a_run_whose_disk_is_full_ends_without_an_answer_and_the_next_one_goes_on(books: KeptBooks, log: Path) -> None:
    assert books.buy("stored").json()["sequence"] == 2
    room = books.journal.stat().st_size + 100
    assert log.stat().st_size < room / 2, "the log has room"
    resource.prlimit(books.process.pid, resource.RLIMIT_FSIZE, (room, room))

    with pytest.raises(requests.ConnectionError):
        books.once(*EXECUTE, json=ORDER, headers={"X-Idempotency-Key": "torn"})
    assert books.process.wait() == 1
    assert log.read_text().splitlines()[-1] == (f"A write may be missing from {books.journal}, so the run ends: File too large")

    books.process.start()
    again = books.buy("torn")
    assert again.json()["sequence"] == 3
    assert "Idempotent-Replayed" not in again.headers
    assert "Cut off a torn last line of 100 bytes: a write that was never acknowledged" in log.read_text()

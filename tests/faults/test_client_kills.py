"""A bot that is killed at any moment, over a network that fails: it learns what became of each order, and none is executed twice.

CLIENT_KILLS=50 kills as often as the figures in docs/client.md; SEED repeats who fails when, at whatever pace.
"""

import os
from pathlib import Path
from random import Random
from time import sleep
from typing import get_args

from hft_client import Client, Journal
from hft_client.operations import Recovery
from tests.client.killable import Bot, work_of
from tests.support.audit import assert_audit
from tests.support.faulty_http import Fault, answers, faulty_proxy, none, reply_cut, reply_lost, request_lost
from tests.support.market import Market

KILLS = int(os.environ.get("CLIENT_KILLS", "12"))
SEED = os.environ.get("SEED", "1")
REQUESTS_BETWEEN_KILLS = range(1, 25)
MOMENT_S = 0.02
"""About what an order takes: a kill comes up to so much later than its signal, so that it meets orders at every stage."""
PATIENCE_S = 60

FAULTS: list[tuple[Fault, int]] = [
    (none, 75),
    (request_lost, 5),
    (reply_lost, 5),
    (reply_cut, 2),
    (answers(503, "ERR_DATASTORE_UNAVAILABLE", after_deciding=True), 2),
    (answers(503, "ERR_DATASTORE_UNAVAILABLE"), 2),
    (answers(409, "ERR_CONTENTION"), 2),
    (answers(429, "ERR_THROTTLED"), 2),
]


def test_a_bot_that_is_killed_learns_what_became_of_every_order(moto_market: Market, tmp_path: Path, figures: list[str]) -> None:
    random, user = Random(SEED), moto_market.new_user(USD="1000000", BTC="1")
    path, left_open = tmp_path / "journal", 0

    with faulty_proxy(moto_market.urls[0]) as proxy:
        kinds, weights = zip(*FAULTS, (proxy.delay, 5), strict=True)
        proxy.choose = lambda: random.choices(kinds, weights)[0]
        for number in range(KILLS):
            then: Recovery = random.choice(get_args(Recovery))
            bot = Bot(path, proxy.url, user, then, f"{SEED}-{number}")
            assert proxy.wait_for_requests(random.choice(REQUESTS_BETWEEN_KILLS), PATIENCE_S), f"seed {SEED}, kill {number}"
            sleep(random.uniform(0, MOMENT_S))
            bot.kill()
            if random.random() < 0.5:
                proxy.deliver_late()  # before the next process asks; or else while it does, or long after
            journal = Journal(path)
            left_open += sum(intent.outcome is None for intent in journal.intents())
            journal.close()
        proxy.choose = lambda: none
        journal = Journal(path)
        with Client(proxy.url, user, journal=journal) as client:
            assert all(result.is_known for result in client.recover()), f"seed {SEED}"
            proxy.deliver_late()
            history = {record.idempotency_key: record for record in client.history() if record.kind != "transfer"}
            assert client.verify().sequence == len(history) + 2

    intents = {intent.key: intent for intent in journal.intents()}
    journal.close()
    assert_audit(moto_market, user)
    assert set(history) <= set(intents), f"the engine decided what the journal does not have; seed {SEED}"
    for key, intent in intents.items():
        assert intent.outcome is not None, f"seed {SEED}"
        record = history.get(key)
        if record is None:
            assert intent.outcome in ("ERR_ASSET_NOT_FOUND", "ERR_CONTENTION", "ERR_THROTTLED", "NoAnswer"), f"seed {SEED}"
        elif record.kind == "void":
            assert intent.outcome in ("ERR_ORDER_VOIDED", "ERR_ASSET_NOT_FOUND"), f"seed {SEED}"
        else:
            assert (intent.outcome, intent.status, intent.reply) == (record.outcome, record.status, record.reply), f"seed {SEED}"
    filled = [work_of(str(record.order and record.order["quantity"])) for record in history.values() if record.fill]
    started = sorted(work_of(intent.terms["quantity"]) for intent in intents.values())
    assert len(filled) == len(set(filled)), f"a piece of work was done twice; seed {SEED}"
    assert started == list(range(len(intents))), f"a piece of work was started twice, or left out; seed {SEED}"
    figures.append(
        f"a bot was killed {KILLS} times with SIGKILL (seed {SEED}): {len(intents)} intents, {left_open} open after the kills, "
        f"all resolved; {len(filled)} fills, {len(history) - len(filled)} refusals and voids; twice: 0"
    )

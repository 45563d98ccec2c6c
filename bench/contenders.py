"""The engines that are measured over HTTP, and loads on them.

After each load, the portfolio must follow from the acknowledged fills. Where the store can be reached, the account must follow
from its records. Figures of an engine that loses orders would be worthless.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import requests

from bench.load import Answers, Generator, Plan
from bench.orders import SEEDED_USER
from bench.processes import engine
from bench.setting import Setting
from bench.store import differs, open_store
from bench.wire import Response
from harness.processes import ministack
from harness.store import Store

MOTO, MINISTACK, PEER = "moto", "ministack", "the peer"
WARM_UP_S = 0.5
"""The time before counting, for connections and an engine's first work on an account."""
LOAD_S = 3.0
TIMEOUT_S = 60

Orders = Callable[[str, int], Iterable[bytes]]
"""A maker of requests, for an engine's URL and a user's account."""


class NothingFilled(Exception):
    """An engine that filled no order, and so has no pace."""


@dataclass(frozen=True, slots=True)
class Contender:
    """An engine to measure, and its store where that can be reached."""

    name: str
    url: str
    store: Store | None = None

    def new_account(self) -> int:
        """Returns a user with 100,000 USD. Where the store can be reached it is a new one, so that audits stay short."""
        return self.store.new_user(USD="100000") if self.store else SEEDED_USER

    def holdings(self, user_id: int) -> dict[str, Decimal]:
        """Returns an account's holdings as its portfolio shows them."""
        reply = requests.get(f"{self.url}/api/v1/trading/portfolio/{user_id}", timeout=TIMEOUT_S)
        reply.raise_for_status()
        return {symbol: Decimal(amount) for symbol, amount in reply.json()["holdings"].items()}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of a load.

    `fills_a_second`: filled orders; `unfilled`: answers without a fill; `missing`: by symbol, the portfolio's difference from the
    acknowledged fills, where there is one; `audit_differs`: whether the account differs from its records.
    """

    answers: Answers
    fills_a_second: float
    unfilled: int
    missing: Mapping[str, Decimal]
    audit_differs: bool


@contextmanager
def own_engines(setting: Setting) -> Iterator[list[Contender]]:
    """Runs this engine on moto and on a ministack, each in one process, as `make run` starts it."""
    with ExitStack() as started:
        moto = started.enter_context(engine(setting.log("engine-on-moto")))
        datastore = started.enter_context(ministack(setting.log("ministack")))
        on_ministack = started.enter_context(engine(setting.log("engine-on-ministack"), datastore.url))
        yield [Contender(MOTO, moto.url), Contender(MINISTACK, on_ministack.url, open_store(datastore.url))]


def trade(contender: Contender, generator: Generator, orders: Orders, connections: int) -> Loaded:
    """Sends a load of orders, and checks the books after it.

    Raises:
        NothingFilled: no order was filled during the counted time.
    """
    user_id = contender.new_account()
    before = contender.holdings(user_id)
    answers = generator.send(Plan([contender.url], connections, orders(contender.url, user_id), WARM_UP_S, LOAD_S))
    counted = sum(len(fills(response)) for response in answers.counted)
    if not counted:
        first = answers.responses[0]
        raise NothingFilled(
            f"{contender.name} at {contender.url} filled no order in time. It answered {first.status}: {first.body!r}"
        )
    expected = defaultdict(Decimal, before)
    for fill in (fill for response in answers.responses for fill in fills(response)):
        expected[fill["symbol"]] += Decimal(fill["quantity_filled"])
        expected[fill["paid_with"]] -= Decimal(fill["total_cost"])
    after = contender.holdings(user_id)
    missing = {symbol: after.get(symbol, Decimal(0)) - amount for symbol, amount in expected.items()}
    return Loaded(
        answers=answers,
        fills_a_second=counted / answers.seconds,
        unfilled=sum(not fills(response) for response in answers.responses),
        missing={symbol: amount for symbol, amount in missing.items() if amount},
        audit_differs=contender.store is not None and differs(contender.store, user_id),
    )


def fills(response: Response) -> list[dict[str, Any]]:
    """Returns the fills that a response to an order or to a batch acknowledges."""
    if response.status != HTTPStatus.OK:
        return []
    body = response.json()
    if "results" not in body:
        return [body]
    return [result["body"] for result in body["results"] if result["status"] == HTTPStatus.OK]

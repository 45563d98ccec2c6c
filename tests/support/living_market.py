"""A market that moves: clients trade while a walk sets the prices, and afterwards everything is compared with everything.

The walk is made again from its seed, and the engine's log has the time at which each of its steps was set.

    python -m tests.support.living_market 120 100       120 s of a local run with FEED=walk, and 100 orders from two clients
"""

import json
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import requests

from chalicelib.audit.replay import replay
from harness.processes import chalice_local
from ops.feed.walk import Walk

FIRST = {"BTC": "50000", "ETH": "3000", "SOL": "100"}
"""The prices of the seed, where a walk begins."""
QUANTITIES = {"BTC": "0.01", "ETH": "0.2", "SOL": "5"}
SEED = 1
"""The feed's own."""
PRICE_AGE = timedelta(seconds=1)
"""The longest time for which an engine may decide by a price that has a successor."""
TIMEOUT_S = 30


class Record(NamedTuple):
    """A record as the history shows it."""

    user_id: int
    key: str
    sequence: int
    head: bytes
    text: str


@dataclass(frozen=True)
class Figures:
    """What there was to compare."""

    steps: int
    fills: int
    stale_by_s: float
    """The longest time between a price's successor and a fill at the price."""
    candles: int


@dataclass(frozen=True)
class LivingMarket:
    """An engine with a walk beside it. `log`: the file with the engine's output."""

    url: str
    log: Path

    def trade(self, users: Sequence[int], orders: int, seconds: float) -> None:
        """Sends orders at a steady pace, shared by one client a user. Each must be filled."""
        with ThreadPoolExecutor(len(users)) as clients:
            for done in [clients.submit(self._client, user, orders // len(users), seconds) for user in users]:
                done.result()

    def _client(self, user: int, orders: int, seconds: float) -> None:
        begun_s, pause = time.monotonic(), Event()
        for n in range(orders):
            pause.wait(max(0.0, begun_s + n * seconds / orders - time.monotonic()))
            symbol = list(FIRST)[n // 2 % len(FIRST)]
            side: dict[str, str] = {"pay_with": "USD"} if n % 2 == 0 else {"side": "sell", "receive": "USD"}
            reply = requests.post(
                f"{self.url}/api/v1/trading/execute",
                json={"user_id": user, "symbol": symbol, "quantity": QUANTITIES[symbol], **side},
                headers={"X-Idempotency-Key": f"{user}-{n}"},
                timeout=TIMEOUT_S,
            )
            assert reply.status_code == 200, reply.text

    def get(self, path: str) -> Any:
        reply = requests.get(f"{self.url}{path}", timeout=TIMEOUT_S)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def compare(self, users: Sequence[int]) -> Figures:
        """Audits each account, and compares its fills and the candles with the walk."""
        asked_at = datetime.now(UTC)
        candles = {symbol: self.get(f"/api/v1/trading/candles/{symbol}?interval=1m") for symbol in FIRST}
        set_at = self._set_at()
        walk = Walk(SEED, ())
        walk.start(FIRST)
        prices = [{tick.symbol: Decimal(tick.price) for tick in walk.poll(at)} for at in set_at]
        late = [_lateness(fill, prices, set_at) for user in users for fill in self._audited(user)]
        for symbol, of_symbol in candles.items():
            _compare_candles(of_symbol, symbol, [step[symbol] for step in prices], [at for at in set_at if at < asked_at])
        stale_by_s = max(0.0, *(each.total_seconds() for each in late))
        return Figures(len(set_at), len(late), stale_by_s, sum(map(len, candles.values())))

    def _set_at(self) -> list[datetime]:
        """Returns the time by which each step of the walk was set."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{") and line.endswith("}"))
        steps = [line for line in lines if line["event"] == "prices"]
        assert {result for step in steps for result in step["results"].values()} <= {"set", "unchanged"}
        return [datetime.fromisoformat(step["time"]) for step in steps]

    def _audited(self, user: int) -> list[dict[str, Any]]:
        """Returns the facts of an account's fills. Its records must make the account that the portfolio shows."""
        records: list[Record] = []
        while True:
            after = records[-1].sequence if records else 0
            page = self.get(f"/api/v1/trading/history/{user}?limit=100&after={after}")["records"]
            if not page:
                break
            for shown in page:
                key = f"{'transfer' if shown['kind'] == 'transfer' else 'order'}#{shown['idempotency_key']}"
                records.append(Record(user, key, shown["sequence"], bytes.fromhex(shown["head"]), shown["record"]))
        replayed = replay(user, records)
        portfolio = self.get(f"/api/v1/trading/portfolio/{user}")
        assert (replayed.sequence, replayed.head.hex()) == (portfolio["sequence"], portfolio["head"])
        assert {symbol: Decimal(units).scaleb(-8) for symbol, units in replayed.balances.items()} == {
            symbol: Decimal(amount) for symbol, amount in portfolio["holdings"].items()
        }
        facts = [json.loads(record.text) for record in records]
        return [each for each in facts if each["outcome"] == "ORDER_FILLED"]


def _lateness(fill: Mapping[str, Any], prices: Sequence[Mapping[str, Decimal]], set_at: Sequence[datetime]) -> timedelta:
    """Returns the time from the successor of a fill's price to the decision; it is negative where there was none yet.

    A step's own time lies after the step before it was set, and before it was set itself.
    """
    symbol = fill["terms"]["symbol"]
    price, price_at = Decimal(fill["prices"][symbol][0]), datetime.fromisoformat(fill["prices"][symbol][1])
    decided_at = datetime.fromisoformat(fill["at"])
    step = bisect_left(set_at, price_at)
    if step == 0 and price == Decimal(FIRST[symbol]):  # set by the seed, before the walk began
        step = -1
    else:
        assert price == prices[step][symbol], f"{fill} has another price than step {step}: {prices[step]}"
    assert price_at <= decided_at
    late = decided_at - set_at[step + 1] if step + 1 < len(set_at) else timedelta(0)
    assert late <= PRICE_AGE, f"{fill} is at a price whose successor was {late} old"
    return late


def _compare_candles(
    candles: Sequence[Mapping[str, str]], symbol: str, prices: Sequence[Decimal], set_at: Sequence[datetime]
) -> None:
    """Compares candles of a minute with the walk. `set_at`: the times of the steps that the candles must contain."""
    minutes = {datetime.fromisoformat(candle["at"]): candle for candle in candles}
    for price, at in zip(prices, set_at, strict=False):
        # A step's own time is a few milliseconds earlier: at a minute's start it may be of the minute before.
        near = {(at - earlier).replace(second=0, microsecond=0) for earlier in (timedelta(0), timedelta(milliseconds=200))}
        spans = [(Decimal(minutes[each]["low"]), Decimal(minutes[each]["high"])) for each in near if each in minutes]
        assert any(low <= price <= high for low, high in spans), f"no candle has {price}, set at {at}"
    shown = {Decimal(candle[name]) for candle in candles for name in ("open", "high", "low", "close")}
    assert shown <= {*prices, Decimal(FIRST[symbol])}


def fund(url: str, user: int) -> None:
    """Gives a user 100,000 USD."""
    reply = requests.post(
        f"{url}/api/v1/operator/transfers",
        json={"user_id": user, "symbol": "USD", "amount": "100000"},
        headers={"X-Idempotency-Key": "opening"},
        timeout=TIMEOUT_S,
    )
    assert reply.status_code == 200, reply.text


def main() -> None:
    """Runs a market and prints what there was to compare."""
    seconds, orders = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch, chalice_local(Path(scratch) / "log", HFT_FEED="walk") as server:
        market = LivingMarket(server.url, Path(scratch) / "log")
        fund(server.url, 2)
        market.trade([1, 2], orders, seconds)
        print(datetime.now(UTC).isoformat(), market.compare([1, 2]))  # noqa: T201


if __name__ == "__main__":
    main()

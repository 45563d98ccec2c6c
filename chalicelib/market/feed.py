"""The feed: one run asks every source, takes each symbol's median, sets the prices, and reports.

A symbol with several sources needs two answers at least: one alone may be the wrong one. What is left out here is asked for again
by the next run, in a minute.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import NamedTuple

from chalicelib.domain.money import price_text
from chalicelib.market.answer import UnusableAnswer, median, price_in
from chalicelib.market.fetch import fetch
from chalicelib.market.sources import Source, Sources
from chalicelib.runtime.deadline import Deadline
from chalicelib.runtime.sockets import TimeLeft
from chalicelib.runtime.world import World
from chalicelib.telemetry import emf, log
from chalicelib.trading.listings import Listings, PriceResult

ANSWERS_OF_SEVERAL = 2
"""The answers that a symbol with several sources needs."""

MAX_AT_ONCE = 100
"""Sources that are asked at the same time. They wait, mostly: with fewer, an exchange that hangs would hold up the others."""

SOURCE_S = 5.0
"""The time of one source. A ticker answers within a few hundred milliseconds."""

ALL_SOURCES_S = 15.0
"""The time of all sources together."""

SETTING_S = 20.0
"""The time to set the prices and to read their ages."""

PROBLEMS = {
    PriceResult.HELD: "The price moves further than the asset's guard lets it",
    PriceResult.UNKNOWN: "The symbol is not listed",
}
"""The results that somebody should see to."""


class Answered(NamedTuple):
    """A source with its price, in units of 10⁻¹⁶ USD."""

    source: Source
    price: int


class PriceFeed:
    """The prices of one stage. `stage`: the prefix of its tables, by which its metrics are named."""

    def __init__(self, stage: str, sources: Sources, listings: Listings, world: World, call_worst_s: float) -> None:
        self._stage = stage
        self._sources = sources
        self._listings = listings
        self._world = world
        self._call_worst_s = call_worst_s

    def run(self) -> None:
        """Sets the prices once, and logs what became of them.

        Raises:
            DatastoreUnavailable: no answer in time; some prices may have been set.
        """
        as_of = self._world.now()  # before the first request: no price is older than it says
        answers = self._ask()
        prices = {symbol: median([each.price for each in answered]) for symbol, answered in answers.items()}
        deadline = Deadline(self._world, SETTING_S, self._call_worst_s)
        results = self._listings.set_prices(prices, as_of, (), deadline)
        for symbol, result in results.items():
            if result in PROBLEMS:
                _problem(PROBLEMS[result], symbol, price=price_text(prices[symbol]))
        self._report(answers, prices, results, self._ages_s(deadline))

    def _ask(self) -> dict[str, list[Answered]]:
        """Asks every source. Returns the answers of each symbol that has enough of them."""
        asked: dict[Future[int], tuple[str, Source]] = {}
        threads = ThreadPoolExecutor(MAX_AT_ONCE)
        for symbol, sources in self._sources.items():
            for source in sources:
                asked[threads.submit(self._price, source)] = symbol, source
        # Resolving a name has no time-out: who still waits for one then is left behind, and who still queues is not asked.
        wait(asked, timeout=ALL_SOURCES_S)
        threads.shutdown(wait=False, cancel_futures=True)
        answers: dict[str, list[Answered]] = defaultdict(list)
        for future, (symbol, source) in asked.items():
            try:
                answers[symbol].append(Answered(source, future.result(timeout=0)))
            except UnusableAnswer as unusable:
                _problem(f"The source {unusable}", symbol, source=source.name)
            except (TimeoutError, CancelledError):
                _problem("The source does not answer in time", symbol, source=source.name)
        return {symbol: answers[symbol] for symbol in self._sources if self._has_enough(symbol, answers[symbol])}

    def _price(self, source: Source) -> int:
        return price_in(fetch(source.url, TimeLeft(self._world, SOURCE_S)), source.pointer)

    def _has_enough(self, symbol: str, answers: Sequence[Answered]) -> bool:
        needed = min(ANSWERS_OF_SEVERAL, len(self._sources[symbol]))
        if len(answers) < needed:
            _problem("Too few sources have a price", symbol, answers=len(answers), needed=needed)
        return len(answers) >= needed

    def _ages_s(self, deadline: Deadline) -> dict[str, float]:
        """Returns the age of each price of the feed, whoever set it, in seconds."""
        listed, now = self._listings.assets.all(deadline), self._world.now()
        return {
            symbol: round((now - datetime.fromisoformat(listed[symbol].asset.price_at)).total_seconds(), 3)
            for symbol in self._sources
            if symbol in listed
        }

    def _report(
        self,
        answers: Mapping[str, Sequence[Answered]],
        prices: Mapping[str, int],
        results: Mapping[str, PriceResult],
        ages_s: Mapping[str, float],
    ) -> None:
        now = self._world.now()
        held = [symbol for symbol, result in results.items() if result is PriceResult.HELD]
        missing = [symbol for symbol in self._sources if symbol not in answers]
        for symbol, age_s in ages_s.items():
            log.info("price_age", **emf.of_price_age(self._stage, now, symbol, age_s))
        log.info(
            "price_feed",
            results=results,
            prices={symbol: price_text(price) for symbol, price in prices.items()},
            sources={symbol: [each.source.name for each in answered] for symbol, answered in answers.items()},
            held=held,
            missing=missing,
            **emf.of_price_feed(self._stage, now, len(held), len(missing), max(ages_s.values(), default=None)),
        )


def _problem(problem: str, symbol: str, **fields: object) -> None:
    log.info("price_problem", symbol=symbol, problem=problem, **fields)

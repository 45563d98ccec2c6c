"""Sources of prices, as the loop asks them: one module each."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol


class Tick(NamedTuple):
    """A price of an asset as of a time, as the source has it. `price`: text in USD, not checked yet."""

    symbol: str
    price: str
    at: datetime


class SourceUnavailable(Exception):
    """A source without prices at the moment. The message completes the sentence "The source …"."""


class SourceEnded(Exception):
    """The end of a source that has one."""


class Source(Protocol):
    """A source of prices."""

    def start(self, listed: Mapping[str, str]) -> None:
        """Begins. `listed`: the engine's prices by symbol, without the unit of account's.

        Raises:
            Failure: the source cannot work with these.
        """
        ...

    def poll(self, now: datetime) -> Iterable[Tick]:
        """Returns the prices of this step.

        Raises:
            SourceUnavailable, SourceEnded: see there.
            Failure: the source can never be read.
        """
        ...

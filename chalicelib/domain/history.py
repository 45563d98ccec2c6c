"""Pages of an account's history: decisions in the order of their numbers, 1, 2, 3 … without a gap."""

from collections.abc import Iterable
from typing import NamedTuple

from chalicelib.domain.record import Record

MAX_LIMIT = 100


class Paging(NamedTuple):
    """A wish for a page of at most `limit` records.

    `before`: newest first, those below this number; `after`: oldest first, those above it; neither: the newest.
    """

    limit: int = 50
    before: int | None = None
    after: int | None = None

    def numbers(self, sequence: int) -> range:
        """Returns the numbers that the page is to show of an account that has come to `sequence`, in their order."""
        if self.after is not None:
            return range(self.after + 1, min(sequence, self.after + self.limit) + 1)
        newest = sequence if self.before is None else min(sequence, self.before - 1)
        return range(newest, max(0, newest - self.limit), -1)


class Page(NamedTuple):
    """Part of a history. `next`: the paging of what follows; `sequence`: how far the account is; `missing`: numbers not shown."""

    records: list[Record]
    next: str | None
    sequence: int
    missing: list[int]


def page(paging: Paging, sequence: int, found: Iterable[Record]) -> Page:
    """Makes a page of the records that were found. What is not found yet is named, or where the oldest come first, waited for."""
    records = {record.sequence: record for record in found}
    numbers = paging.numbers(sequence)
    missing = [number for number in numbers if number not in records]
    if paging.after is not None:
        numbers = range(numbers.start, missing[0] if missing else numbers.stop)
        last = numbers[-1] if numbers else paging.after
        follows = f"after={last}" if last < sequence else None
        missing = []
    else:
        follows = f"before={numbers[-1]}" if numbers and numbers[-1] > 1 else None
    return Page([records[number] for number in numbers if number in records], follows, sequence, missing)

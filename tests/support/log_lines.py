"""The engine's log, read again."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.telemetry.log import JsonLines


class Lines(logging.Handler):
    """The log's lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    def of(self, event: str) -> list[dict[str, Any]]:
        """Returns the lines of an event."""
        return [line for line in self.lines if line["event"] == event]


@contextmanager
def log_lines() -> Iterator[Lines]:
    """Collects what is logged, until the end of the block."""
    handler = Lines()
    logger = logging.getLogger("hft")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def metrics_of(line: dict[str, Any]) -> dict[str, Any]:
    """Returns the metrics of a line by name, as CloudWatch reads them."""
    return {
        metric["Name"]: line[metric["Name"]] for directive in line["_aws"]["CloudWatchMetrics"] for metric in directive["Metrics"]
    }

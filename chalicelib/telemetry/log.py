"""The log: one line of JSON for each decided order, refusal and bug. It never contains a token or a body."""

import json
import logging
import sys
from datetime import UTC, datetime

from chalicelib.domain.timestamps import rfc3339

_logger = logging.getLogger("hft")
_encode = json.JSONEncoder(default=str).encode

# Python collects none of the record's fields that these lines do not show (Python's logging HOWTO, "Optimization").
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None  # noqa: SLF001  (the HOWTO's way to skip the search for the caller)


class JsonLines(logging.Formatter):
    """Formatter of log records as JSON objects: time, level, event, and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as one line."""
        line: dict[str, object] = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "event": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


def configure() -> None:
    """Sends the engine's log lines to standard output. A second call changes nothing."""
    if not _logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonLines())
        _logger.addHandler(handler)
        _logger.setLevel(logging.INFO)
        _logger.propagate = False


def info(event: str, **fields: object) -> None:
    """Logs an expected event."""
    _logger.info(event, extra={"fields": fields})


def bug(error: Exception, **fields: object) -> None:
    """Logs an unexpected error, with its traceback."""
    _logger.error("bug", exc_info=error, extra={"fields": fields})

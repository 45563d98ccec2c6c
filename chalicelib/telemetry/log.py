"""The log: one line of JSON for each order decided, refusal and bug. Never a token, never a body."""

import json
import logging
import sys
from datetime import UTC, datetime

from chalicelib.domain.timestamps import rfc3339

_logger = logging.getLogger("hft")
_encode = json.JSONEncoder(default=str).encode

# Of a record, what no line of ours shows (Python's logging HOWTO, "Optimization").
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None  # noqa: SLF001  (so says the HOWTO: no search of the stack for the caller)


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: time, level, event, and the fields that came with it."""

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
    """Sends the engine's lines to standard output, once."""
    if not _logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonLines())
        _logger.addHandler(handler)
        _logger.setLevel(logging.INFO)
        _logger.propagate = False


def info(event: str, **fields: object) -> None:
    """Logs something that happened as it should."""
    _logger.info(event, extra={"fields": fields})


def bug(error: Exception, **fields: object) -> None:
    """Logs what should not have happened, with its traceback."""
    _logger.error("bug", exc_info=error, extra={"fields": fields})

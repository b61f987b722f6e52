"""The log of every migrator process: one JSON object a line on stderr, with host, operation and epoch where known,
and what an audit has.
What others said stays inside its line (``untrusted/printable.py``)."""

import logging
import sys
import time

from migrator.untrusted import printable

_TAGS = ("host", "operation", "epoch", "phase", "incarnation")
_AUDIT = ("user", "project", "client", "method", "path", "action", "status", "reason", "request", "operations")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {tag: value for tag in (*_TAGS, *_AUDIT) if (value := getattr(record, tag, None)) is not None}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return printable.as_json(line)


def configure() -> None:
    """Log to stderr, unless the caller has set up logging already."""
    if logging.getLogger().handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every poll

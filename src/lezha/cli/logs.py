"""Logs of long-running commands: to stderr, a JSON object a line."""

import datetime as dt
import logging
import sys

import msgspec
import structlog

from lezha.node.clock import stamp


def to_stderr() -> None:
    """Send all logs of this process to stderr."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    others = logging.StreamHandler(sys.stderr)
    others.setFormatter(_Json())
    logging.basicConfig(handlers=[others], level=logging.WARNING)


class _Json(logging.Formatter):
    """Logs of libraries, in the form of our own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        told = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": stamp(dt.datetime.fromtimestamp(record.created, dt.UTC)),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told).decode()

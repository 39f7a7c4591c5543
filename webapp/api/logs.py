"""Log lines as JSON (RECJOBS_LOG=json): one object a line, with the id of the request that it is about."""

import json
import logging
import sys
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that this thread answers, or answered last."""


class JsonFormatter(logging.Formatter):
    """A line as one JSON object. secrets: texts that must not appear in it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The object, in one line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        members: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "catalog": None,
            "batch_id": None,
            "step": None,
            "request_id": REQUEST_ID.get(),
        }
        if record.exc_info:
            members["error"] = self.formatException(record.exc_info)
        line = json.dumps(members)
        for secret in self._secrets:
            line = line.replace(json.dumps(secret)[1:-1], "***")
        return line


def hide(secrets: Iterable[str]) -> None:
    """Leave secrets out of the message of every record of this process, whichever library writes it."""
    ordered = sorted(filter(None, secrets), key=len, reverse=True)

    def make(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = logging.LogRecord(*arguments, **options)
        with suppress(TypeError, ValueError, KeyError):  # of a message that does not fit its arguments
            message = record.getMessage()
            if any(secret in message for secret in ordered):
                for secret in ordered:
                    message = message.replace(secret, "***")
                record.msg, record.args = message, None
        return record

    logging.setLogRecordFactory(make)


def as_json(secrets: Iterable[str]) -> dict[str, Any]:
    """A configuration of `logging` by which every line of a process goes to stdout as JSON."""
    handlers = {"json": {"class": "logging.StreamHandler", "formatter": "json", "stream": sys.stdout}}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter, "secrets": list(secrets)}},
        "handlers": handlers,
        "root": {"handlers": ["json"], "level": "INFO"},
        "loggers": {"_granian": {"handlers": ["json"], "level": "INFO", "propagate": False}},
    }

"""Log lines, and what leads to them: catalog, batch_id and step of the work that is being done.

With RECJOBS_LOG=json each line is a JSON object with these members, null where they do not apply. No line has a
password or a key of the settings.
"""

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

IDS = ("catalog", "batch_id", "step", "request_id")
HIDDEN = "***"

_ids: ContextVar[dict[str, str]] = ContextVar("ids", default={})  # noqa: B039 - replaced, never changed


@contextmanager
def about(**ids: str | None) -> Iterator[None]:
    """Let the lines of a block, and that of an error which leaves it, have these ids."""
    token = _ids.set(_ids.get() | {name: value for name, value in ids.items() if value is not None})
    try:
        yield
    except Exception as error:
        if not hasattr(error, "log_ids"):
            error.log_ids = _ids.get()  # type: ignore[attr-defined]
        raise
    finally:
        _ids.reset(token)


class JsonFormatter(logging.Formatter):
    """A line as one JSON object. secrets: texts that must not appear in it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The object, in one line."""
        error = record.exc_info[1] if record.exc_info else None
        members = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **dict.fromkeys(IDS),
            **_ids.get(),
            **getattr(error, "log_ids", {}),
            **getattr(record, "members", {}),
        }
        if error is not None:
            members["error"] = f"{type(error).__name__}: {error}"
        line = json.dumps(members, default=str)
        for secret in self._secrets:
            line = line.replace(json.dumps(secret)[1:-1], HIDDEN)
        return line


class TextFormatter(logging.Formatter):
    """A line as text. secrets: texts that must not appear in it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The message, and below it the frames of an error."""
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return line


def hide(secrets: Iterable[str]) -> None:
    """Leave secrets out of the lines that this process writes as text."""
    if logging.lastResort:
        logging.lastResort.setFormatter(TextFormatter(secrets))


def hide_in_records(secrets: Iterable[str]) -> None:
    """Leave secrets out of the message of every record of this process from now on, whichever library writes it.

    For tasks: Airflow hides what it knows to be secret in their log files, but not where it copies their lines to the
    scheduler's output.
    """
    ordered = sorted(filter(None, secrets), key=len, reverse=True)

    def make(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = logging.LogRecord(*arguments, **options)
        with suppress(TypeError, ValueError, KeyError):  # of a message that does not fit its arguments
            message = record.getMessage()
            if any(secret in message for secret in ordered):
                for secret in ordered:
                    message = message.replace(secret, HIDDEN)
                record.msg, record.args = message, None
        return record

    logging.setLogRecordFactory(make)


def configure(secrets: Iterable[str]) -> None:
    """Write the lines of this process to stderr as JSON: stdout has the result of a command."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("recjobs").setLevel(logging.INFO)
    logging.captureWarnings(True)


def is_json() -> bool:
    """Whether this process writes its lines as JSON."""
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)

"""One line of JSON per request: the route, never the address, so that no user id reaches a log.

A request only notes what there is to say. A thread of its own writes the lines to stderr, up to 50 ms later: written at
once by the request, a line cost a fifth of the requests that four threads could answer. Whoever kills the process with
SIGKILL loses what was noted in the last 50 ms. While stderr takes nothing, requests go on and 100,000 lines wait.

`id` is what the caller sent as `X-Request-ID` where that is hexadecimal, as proxies make them (a free text might be a
user's id), else drawn here; the answer has it too. `key` is the name of the credential. `bytes` is the body's length.
"""

import contextlib
import os
import random
import re
import threading
import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from flask import Flask, g

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUEST_ID = re.compile(r"[0-9a-fA-F-]{16,64}")
LATER_SECONDS = 0.05
AT_ONCE = 4096
"""Bytes that the kernel puts into a pipe whole, whoever else writes to it."""

_noted: deque[str] = deque(maxlen=100_000)
_wanted = threading.Event()
_writer: threading.Thread | None = None
_one = threading.Lock()


def install(app: Flask) -> None:
    """Log each request when it is answered."""
    inner: WSGIApplication = app.wsgi_app

    def with_log(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        request_id = id_of(environ)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            rule, caller = environ["werkzeug.request"].url_rule, g.get("caller")
            method, route = (environ["REQUEST_METHOD"], rule.rule) if rule else (None, None)
            n_bytes = next((int(value) for name, value in headers if name == "Content-Length"), None)
            add(request_id, started, method, route, int(status[:3]), n_bytes, caller.name if caller else None)
            headers.append(("X-Request-ID", request_id))
            return start_response(status, headers, *more)

        return inner(environ, start)

    app.wsgi_app = with_log  # type: ignore[method-assign]


def id_of(environ: "WSGIEnvironment") -> str:
    """What names this request."""
    given: str | None = environ.get("HTTP_X_REQUEST_ID")
    return given if given and REQUEST_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"


def add(
    request_id: str,
    started: float,
    method: str | None,
    route: str | None,
    status: int,
    n_bytes: int | None,
    key: str | None,
) -> None:
    """Note a line. started: by `time.perf_counter`."""
    ms, (second, fraction) = (time.perf_counter() - started) * 1000, divmod(time.time(), 1)
    _noted.append(
        f'{{"time":"{_text_of(second)}.{int(fraction * 1000):03}Z","id":"{request_id}",{_place(method, route, key)},'
        f'"status":{status},"ms":{ms:.2f},"bytes":{"null" if n_bytes is None else n_bytes}}}\n'
    )
    if not _wanted.is_set():
        _wanted.set()
        if _writer is None or not _writer.is_alive():
            _begin()


def flush() -> None:
    """Write what was noted; all of it is written when this returns."""
    with _one:
        lines: list[str] = []
        size = 0
        while _noted:
            line = _noted.popleft()
            if size + len(line) > AT_ONCE:
                _write(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        _write(lines)


def _begin() -> None:
    global _writer
    with _one:
        if _writer is None or not _writer.is_alive():
            # Not a daemon: it ends after the main thread, when all has been written.
            _writer = threading.Thread(target=_write_on, name="request log")
            _writer.start()


def _write_on() -> None:
    while threading.main_thread().is_alive():
        if _wanted.wait(LATER_SECONDS * 4):
            time.sleep(LATER_SECONDS)
            _wanted.clear()
            flush()
    flush()


@lru_cache(maxsize=4)
def _text_of(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=1000)
def _place(method: str | None, route: str | None, key: str | None) -> str:
    return orjson.dumps({"method": method, "route": route, "key": key}).decode()[1:-1]


def _write(lines: list[str]) -> None:
    if lines:
        with contextlib.suppress(OSError):  # that nobody reads the log is no reason to fail
            os.write(2, "".join(lines).encode())

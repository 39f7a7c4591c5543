"""One line of JSON per request: the route, never the address, so that no user id reaches a log.

A request only queues its line. A thread writes the lines to stderr, up to 50 ms later: written at once by the request,
a line cost a fifth of the requests that four threads could answer. SIGKILL loses the lines of the last 50 ms. While
stderr is blocked, requests go on and up to 100,000 lines wait.

`id` is the client's `X-Request-ID` if that is hexadecimal, as proxies make them (a free text might be a user's id),
otherwise random; the response has it too. `key` is the name of the credential. `bytes` is the length of the body.
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

from webapp.api import logs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUEST_ID = re.compile(r"[0-9a-fA-F-]{16,64}")
DELAY_SECONDS = 0.05
PIPE_ATOMIC_BYTES = 4096
"""How many bytes the kernel writes to a pipe in one piece, also when others write to it."""

_stream = 2
"""Where lines go: stderr, or as JSON like all others stdout."""
_queue: deque[str] = deque(maxlen=100_000)
_queued = threading.Event()
_writer: threading.Thread | None = None
_lock = threading.Lock()


def install(app: Flask, as_json: bool = False) -> None:
    """Log each request when it is answered. as_json: on stdout, with the members of every other line of the process."""
    global _stream
    _stream = 1 if as_json else 2
    inner: WSGIApplication = app.wsgi_app

    def with_log(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        request_id = id_of(environ)
        logs.REQUEST_ID.set(request_id)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            rule, caller = environ["werkzeug.request"].url_rule, g.get("caller")
            method, route = (environ["REQUEST_METHOD"], rule.rule) if rule else (None, None)
            no_body = 0 if status.startswith("304") else None
            n_bytes = next((int(value) for name, value in headers if name == "Content-Length"), no_body)
            catalog = (environ["werkzeug.request"].view_args or {}).get("catalog") if status < "4" else None
            add(request_id, started, method, route, int(status[:3]), n_bytes, caller.name if caller else None, catalog)
            headers.append(("X-Request-ID", request_id))
            return start_response(status, headers, *more)

        return inner(environ, start)

    app.wsgi_app = with_log  # type: ignore[method-assign]


def id_of(environ: "WSGIEnvironment") -> str:
    """The id of a request."""
    sent: str | None = environ.get("HTTP_X_REQUEST_ID")
    return sent if sent and REQUEST_ID.fullmatch(sent) else f"{random.getrandbits(64):016x}"


def add(
    request_id: str,
    started: float,
    method: str | None,
    route: str | None,
    status: int,
    n_bytes: int | None,
    key: str | None,
    catalog: str | None = None,
) -> None:
    """Queue a line. started: by `time.perf_counter`. catalog: a known one; what a client calls so may be an id."""
    ms, (second, fraction) = (time.perf_counter() - started) * 1000, divmod(time.time(), 1)
    more = "" if _stream == 2 else _more(request_id, catalog)
    _queue.append(
        f'{{"time":"{_timestamp(second)}.{int(fraction * 1000):03}Z","id":"{request_id}",{_json(method, route, key)},'
        f'"status":{status},"ms":{ms:.2f},"bytes":{"null" if n_bytes is None else n_bytes}{more}}}\n'
    )
    if not _queued.is_set():
        _queued.set()
        if _writer is None or not _writer.is_alive():
            _start_writer()


def flush() -> None:
    """Write the queued lines; all are written when this returns."""
    with _lock:
        lines: list[str] = []
        size = 0
        while _queue:
            line = _queue.popleft()
            if size + len(line) > PIPE_ATOMIC_BYTES:
                _write(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        _write(lines)


def _start_writer() -> None:
    global _writer
    with _lock:
        if _writer is None or not _writer.is_alive():
            # Not a daemon, as are threads that the server's threads start: it ends when all lines are written, after
            # the main thread.
            _writer = threading.Thread(target=_write_queue, name="request log", daemon=False)
            _writer.start()


def _write_queue() -> None:
    while threading.main_thread().is_alive():
        if _queued.wait(DELAY_SECONDS * 4):
            time.sleep(DELAY_SECONDS)
            _queued.clear()
            flush()
    flush()


@lru_cache(maxsize=4)
def _timestamp(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _more(request_id: str, catalog: str | None) -> str:
    named = f'"{catalog}"' if catalog else "null"
    return (
        f',"level":"info","logger":"webapp.requests","message":"request","catalog":{named},'
        f'"batch_id":null,"step":null,"request_id":"{request_id}"'
    )


@lru_cache(maxsize=1000)
def _json(method: str | None, route: str | None, key: str | None) -> str:
    return orjson.dumps({"method": method, "route": route, "key": key}).decode()[1:-1]


def _write(lines: list[str]) -> None:
    if lines:
        with contextlib.suppress(OSError):  # a log that nobody reads must not fail a request
            os.write(_stream, "".join(lines).encode())

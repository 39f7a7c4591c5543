"""The audit of the web app: who signed in, and who looked at whose history, with their names.

(What changes rules or the pointer is noted by Postgres itself, in the same transaction.) A request only queues an
entry; a thread writes what has come within a second, with one statement. While Postgres is away up to 10,000 entries
wait for a minute; what is lost then, a line in the log says. A thread ends when nothing is left to write.
"""

import logging
import random
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Flask, current_app, request

from webapp.api.errors import ApiError, Unavailable
from webapp.postgres import editor
from webapp.settings import Settings

log = logging.getLogger("webapp.audit")

DELAY_SECONDS = 1.0
MOST_WAITING, MOST_AT_ONCE = 10_000, 1_000
TRY_SECONDS, LAST_TRY_SECONDS = 60.0, 5.0
"""For how long entries are tried to be written, and once the process ends."""


class Audit:
    """Queues and writes the entries of one app. Threads share it."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app, self._share = app, settings.audit_reads
        self._queue: deque[dict[str, Any]] = deque()
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None
        self._lost = 0

    def history_read(self, catalog: str, user_id: str, how: str, person: str) -> None:
        """Note, of the share that is to be noted, that somebody looked at what a user bought."""
        if self._share >= 1 or random.random() < self._share:  # noqa: S311 - a sample, no secret
            share = {"share": self._share} if self._share < 1 else {}
            self.add(action="read_history", catalog=catalog, user_id=user_id, about=how, person=person, details=share)

    def add(self, **entry: Any) -> None:
        """Queue an entry: the members that `public.record_audit` has, but `at`."""
        with self._lock:
            if len(self._queue) >= MOST_WAITING:
                self._lost += 1
                return
            self._queue.append(entry | {"at": datetime.now(UTC)})
            if self._writer is None:
                # Not a daemon, as are threads that the server's threads start: what is queued is still written.
                self._writer = threading.Thread(target=self._write, name="audit", daemon=False)
                self._writer.start()

    def _write(self) -> None:
        while True:
            _wait(DELAY_SECONDS)
            with self._lock:
                entries = [self._queue.popleft() for _ in range(min(len(self._queue), MOST_AT_ONCE))]
                lost, self._lost = self._lost, 0
                if not entries:
                    self._writer = None
                    return
            lost += 0 if self._is_written(entries) else len(entries)
            if lost:
                log.error("%d entries of the audit are lost", lost)

    def _is_written(self, entries: list[dict[str, Any]]) -> bool:
        began, pause = time.monotonic(), DELAY_SECONDS
        text = orjson.dumps(entries).decode()
        while True:
            try:
                with self._app.app_context():
                    editor.record_audit(text)
                return True
            except Unavailable as error:
                seconds = TRY_SECONDS if threading.main_thread().is_alive() else LAST_TRY_SECONDS
                if error.code == "not_migrated" or time.monotonic() - began > seconds:
                    return False
            except ApiError:
                return False
            _wait(pause)
            pause = min(2 * pause, 10.0)


def _wait(seconds: float) -> None:
    """Wait, for less if the process ends."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and threading.main_thread().is_alive():
        time.sleep(0.05)


def install(app: Flask, settings: Settings) -> None:
    """Add the audit to the app."""
    app.extensions["audit"] = Audit(app, settings)


def history_read(catalog: str, user_id: str, how: str, person: str | None) -> None:
    """Note that somebody looked at what a user bought, by a page or a trace; None: nobody who has signed in."""
    _audit().history_read(catalog, user_id, how, person or "anonymous")


def note(action: str, person: str, **details: Any) -> None:
    """Note what somebody did who is not, or no longer, the caller of Flask's request: signing in or out."""
    _audit().add(action=action, person=person, details=details | {"address": request.remote_addr})


def _audit() -> Audit:
    audit: Audit = current_app.extensions["audit"]
    return audit

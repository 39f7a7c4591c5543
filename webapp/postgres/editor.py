"""Changes in the database: one SQL function, called as recjobs_editor, which may call a few functions and no more.

Each change has a connection of its own, so that it is sent once, whatever happened to an idle connection.
"""

import logging
import time
from typing import Any

import psycopg2
from flask import g
from psycopg2.extensions import make_dsn

from webapp.api import tracing
from webapp.api.errors import Forbidden, Refused
from webapp.postgres.circuit_breaker import away
from webapp.postgres.connection import Connection, DeadlinePassed, Statement, first_ready
from webapp.postgres.connection_pool import connection_pool
from webapp.postgres.read_session import NOT_MIGRATED
from webapp.settings import current_settings

log = logging.getLogger("webapp.postgres")

REFUSALS = ("P0", "22", "23", "RJ")
"""Classes of SQLSTATE of a refusal: raised by our functions, bad value, broken constraint."""


def can_edit() -> bool:
    """Whether the web app can change anything: whether it has the editor's URL."""
    return current_settings().editor_url is not None


def call(catalog: str, function: str, *arguments: object, timeout_ms: int = 0) -> Any:
    """Call an SQL function and return its value; the view must be `editor_required` or `operator_required`.

    timeout_ms: how long it may take, if longer than a page usually does.

    Raises `Refused` with the database's own message where a function says no, `Forbidden` without an editor's URL,
    `NotFound` for an unknown catalog, `Unavailable` if Postgres is away or slow.
    """
    editor_url = current_settings().editor_url
    if editor_url is None:
        raise Forbidden("no_editor", "Nothing can be changed from here: set RECJOBS_EDITOR_URL")
    connection_pool().session(catalog)  # raises NotFound; the editor may not list the catalogs
    return _call(editor_url, catalog, function, arguments, timeout_ms)


def end_sign_in(sign_in_id: str) -> None:
    """Refuse a sign-in from now on, on all replicas; without an editor's URL the web app's own role notes it.

    Raises `Unavailable` if Postgres is away or slow.
    """
    settings = current_settings()
    _call(settings.editor_url or settings.database_url, "", "public.end_sign_in", (sign_in_id,))


def record_audit(entries: str) -> None:
    """Add a JSON array of entries to the audit. Raises `Unavailable` if Postgres is away, slow or not migrated."""
    settings = current_settings()
    url = make_dsn(settings.editor_url or settings.database_url, application_name="recjobs webapp audit")
    _call(url, "", "public.record_audit", (entries,))


def _call(url: str, catalog: str, function: str, arguments: tuple[object, ...], timeout_ms: int = 0) -> Any:
    limit_ms = max(timeout_ms, current_settings().page_timeout_ms)
    deadline = time.monotonic() + limit_ms / 1000
    # A change may take longer than a lookup, but must have ended, one way or the other, when we stop waiting for it.
    statement_ms = max(1, limit_ms * 3 // 4)
    caller = g.get("caller")
    person = caller.name if caller is not None and caller.grants else ""
    statement = Statement.of_change(function, len(arguments))
    connection = None
    try:
        connection = Connection(url, statement_ms, catalog, {function: statement})
        with tracing.statement(function, catalog):
            [[value]] = first_ready([connection], deadline).rows(function, (*arguments, person), deadline)
        return value
    except NOT_MIGRATED as error:
        log.warning("%s failed: %s %s", function, type(error).__name__, error.pgcode)
        raise connection_pool().missing(catalog) from None
    except psycopg2.Error as error:
        message = getattr(error.diag, "message_primary", None)
        if message and (error.pgcode or "")[:2] in REFUSALS:
            raise Refused("refused", message) from None
        log.warning("%s failed: %s %s", function, type(error).__name__, error.pgcode or "")
        raise away() from None
    except DeadlinePassed:
        log.warning("%s failed: DeadlinePassed", function)
        raise away() from None
    finally:
        if connection is not None:
            connection.close()

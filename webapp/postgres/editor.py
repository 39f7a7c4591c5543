"""What changes something in the database: one statement as recjobs_editor, which may call a few functions and no more.

Each change has a connection of its own, so that it is sent once whatever happens to a connection that lay idle.
"""

import logging
import time

import psycopg2

from webapp.api.errors import Forbidden, Refused, Unavailable
from webapp.postgres.connection import Connection, DeadlinePassed, Row, opened
from webapp.postgres.connection_pool import AWAY, database

log = logging.getLogger("webapp.editing")

REFUSALS = ("P0", "22", "23", "RJ")
"""Classes of SQLSTATE by which a function or a constraint says no: raised by us, bad value, broken constraint."""


def offered() -> bool:
    """Whether anything can be changed from here."""
    return database().settings.editor_url is not None


def change(catalog: str, name: str, *parameters: object, timeout_ms: int = 0) -> list[Row]:
    """Run a statement of sql/queries/webapp and return its rows; the view must be `operator_required`.

    timeout_ms: how long it may take, if longer than a page usually does.

    Raises `Refused` with the database's own words where one of our functions says no, `Forbidden` if nothing can be
    changed from here, `NotFound` for an unknown catalog, `Unavailable` if Postgres is away or slow.
    """
    settings = database().settings
    if settings.editor_url is None:
        raise Forbidden("no_editor", "Nothing can be changed from here: set RECJOBS_EDITOR_URL")
    database().session(catalog)  # raises NotFound; the editor itself may not look at what catalogs there are
    limit_ms = max(timeout_ms, settings.page_timeout_ms)
    deadline = time.monotonic() + limit_ms / 1000
    # A change may take longer than a lookup, but must have ended, one way or the other, when we stop waiting for it.
    statement_ms = max(1, limit_ms * 3 // 4)
    connection = None
    try:
        connection = Connection(settings.editor_url, statement_ms, catalog, database().statements)
        return opened([connection], deadline).rows(name, parameters, deadline)
    except psycopg2.Error as error:
        said = getattr(error.diag, "message_primary", None)
        if said and (error.pgcode or "")[:2] in REFUSALS:
            raise Refused("refused", said) from None
        log.warning("%s failed: %s %s", name, type(error).__name__, error.pgcode or "")
        raise Unavailable(*AWAY) from None
    except DeadlinePassed:
        log.warning("%s failed: DeadlinePassed", name)
        raise Unavailable(*AWAY) from None
    finally:
        if connection is not None:
            connection.close()

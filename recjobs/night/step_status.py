"""The status of each step, stored in Postgres for the page of runs. Nothing else depends on it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from recjobs.adapters.postgres import Database
from recjobs.errors import RecjobsError
from recjobs.night.night import Night

CONNECT_SECONDS = 2
"""How long a database that does not answer may delay a night; the shortest that libpq allows."""

log = logging.getLogger(__name__)


@contextmanager
def note_status(night: Night, step: str) -> Iterator[None]:
    """Record the begin and the outcome of a step; nothing of a night that does not publish."""
    is_noted = note_state(night, step, "running")
    state = "failed"
    try:
        yield
        state = "done"
    except RecjobsError as error:
        state = error.outcome
        raise
    finally:
        if is_noted:
            note_state(night, step, state)


def note_state(night: Night, step: str, state: str) -> bool:
    """Record the state of a step; return whether it was recorded. A failure to do so fails no night."""
    if not night.request.publish:
        return False
    try:
        publisher = Database(night.settings.url_of("publisher"), night.catalog.name, CONNECT_SECONDS)
        with publisher.connect() as session:
            session.call("note_step", batch=night.batch_id, of_step=step, its_state=state)
    except Exception as error:
        log.warning("step %s of %s is %s, which could not be noted: %s", step, night.batch_id, state, error)
        return False
    return True

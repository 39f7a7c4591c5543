"""What a night is doing, noted in Postgres for the people who look at the run page. Nothing else depends on it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from recjobs.adapters.postgres import Database
from recjobs.errors import RecjobsError
from recjobs.night.night import Night

CONNECT_SECONDS = 2
"""A night is not held up for longer by a database that does not answer; libpq counts no shorter time."""

log = logging.getLogger(__name__)


@contextmanager
def noted(night: Night, step: str) -> Iterator[None]:
    """Note that a step of a night begins, and how it ends. Of a night that does not publish nothing is noted."""
    goes_on = note(night, step, "running")
    state = "failed"
    try:
        yield
        state = "done"
    except RecjobsError as error:
        state = error.outcome
        raise
    finally:
        if goes_on:
            note(night, step, state)


def note(night: Night, step: str, state: str) -> bool:
    """Note one state of one step. False: it could not be noted, or is not to be; that fails no night."""
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

"""Run a step of a night; report its outcome to StatsD and, for the page of runs, to Postgres."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from recjobs import LISTS, NIGHT
from recjobs.adapters.postgres import Database
from recjobs.adapters.statsd import Metrics
from recjobs.catalog.file import Catalog
from recjobs.config import load_settings
from recjobs.errors import RecjobsError

if TYPE_CHECKING:
    from recjobs.night.night import Night

CONNECT_SECONDS = 2
"""How long a database that does not answer may delay a night; the shortest that libpq allows."""

log = logging.getLogger(__name__)


def begin_night(catalog: Catalog, **request: Any) -> dict[str, Any]:
    """Begin a night as `recjobs.steps.begin.run` does."""
    with measured("begin", catalog):
        result: dict[str, Any] = import_module("recjobs.steps.begin").run(catalog, **request)
    return result


def run_through(last: str, catalog: Catalog, as_of: str | None) -> str:
    """Begin a night that publishes nothing, run its steps through `last` unless they are done, return its batch."""
    from recjobs.night.night import Night

    batch_id = str(begin_night(catalog, as_of=as_of, publish=False)["batch_id"])
    for step in NIGHT[: NIGHT.index(last) + 1]:
        if not Night.open(catalog, batch_id).is_done(step):
            run_step(step, catalog, batch_id)
    return batch_id


def run_step(name: str, catalog: Catalog, batch_id: str) -> dict[str, Any]:
    """Open a night and run one of its steps.

    If the candidate was refused and `gate.on_refused` is `keep`, the steps of LISTS only return `kept`, the live batch.
    """
    from recjobs.night.decision import kept_batch
    from recjobs.night.night import Night

    with counted(name, catalog) as metrics:
        night = Night.open(catalog, batch_id)
        if name in LISTS and (kept := kept_batch(night, name)):
            note_state(night, name, "left_out")
            return {"kept": kept}
        other = _other_kernel(night, name)
        with timed(metrics), note_status(night, name):
            result: dict[str, Any] = import_module(f"recjobs.steps.{name}").run(night)
        if other:
            result = {**result, "kernel": other}
        for key, value in result.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                metrics.gauge(key, value)
    return result


def _other_kernel(night: "Night", step: str) -> str | None:
    """Return this machine's kernel if the night began on another one, after a warning."""
    from recjobs.core.model.kernel import kernel

    if night.request.kernel in ("", kernel()):
        return None
    log.warning(
        "step %s of %s runs on %s, and the night began on %s: scores may differ in their last bits, and places of "
        "items whose scores are equal but for rounding",
        step, night.batch_id, kernel(), night.request.kernel,
    )  # fmt: skip
    return kernel()


@contextmanager
def measured(name: str, catalog: Catalog) -> Iterator[Metrics]:
    """Send the duration of a block, or count its failure: what alerts depend on."""
    with counted(name, catalog) as metrics, timed(metrics):
        yield metrics


@contextmanager
def counted(name: str, catalog: Catalog) -> Iterator[Metrics]:
    """Count an error of a block by its outcome: refused, skipped, waiting or failed."""
    settings = load_settings()
    metrics = Metrics(settings.statsd_host, settings.statsd_port, catalog.name, name)
    try:
        yield metrics
    except Exception as error:
        metrics.count(getattr(error, "outcome", "failed"))
        raise


@contextmanager
def timed(metrics: Metrics) -> Iterator[None]:
    """Send the duration of a block that raised nothing."""
    began = time.monotonic()
    yield
    metrics.timing("duration", (time.monotonic() - began) * 1000)


@contextmanager
def note_status(night: "Night", step: str) -> Iterator[None]:
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


def note_state(night: "Night", step: str, state: str) -> bool:
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

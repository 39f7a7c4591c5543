"""Run a step of a night; report its outcome to StatsD and, for the page of runs, to Postgres."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from recjobs import LISTS, NIGHT, logs
from recjobs.adapters.postgres import Database
from recjobs.adapters.statsd import Metrics
from recjobs.adapters.tracing import Tracing
from recjobs.catalog.file import Catalog
from recjobs.catalog.names import CatalogName, Named
from recjobs.config import load_settings, without_secrets
from recjobs.errors import BadConfiguration, RecjobsError, Superseded
from recjobs.night.costs import note_cost
from recjobs.night.erasures import begun_unless_erased, unless_erased

if TYPE_CHECKING:
    from recjobs.night.night import Night

CONNECT_SECONDS = 2
"""How long a database that does not answer may delay a night; the shortest that libpq allows."""

REASON_LENGTH = 2_000

log = logging.getLogger(__name__)


def begin_night(catalog: Catalog, *, run_id: str | None = None, **request: Any) -> dict[str, Any]:
    """Begin a night as `recjobs.steps.begin.run` does, and record the try, for a night that publishes.

    run_id: the run of the scheduler that asks. A run that is started again after its night was published, or is over,
    does not begin another one.
    """
    with (
        logs.about(catalog=catalog.name, step="begin"),
        beginning(catalog, request.get("as_of"), run_id, request.get("publish", True)) as begun,
        begun_unless_erased(catalog, begun),
    ):
        if run_id and (again := _night_of_run(catalog, run_id)):
            begun["batch_id"] = again["batch_id"]
            return again
        result: dict[str, Any] = import_module("recjobs.steps.begin").run(catalog, **request)
        begun["batch_id"] = result["batch_id"]
        begun["is_first"] = not (result["resumed"] or result["nothing_new"])
        with logs.about(batch_id=result["batch_id"], **trace_ids(catalog.name, result["batch_id"])):
            log.info("the night is named, and its request pinned", extra={"members": {"numbers": result}})
    return result


@contextmanager
def beginning(catalog: Named, as_of: str | None, run_id: str | None, publish: bool = True) -> Iterator[dict[str, Any]]:
    """Measure a block that begins a night and records how it ended; the block fills in `batch_id`, and `is_first` if it
    made that batch."""
    begun: dict[str, Any] = {"batch_id": None, "is_first": False}
    state, why, at, raised = "done", None, time.time_ns(), None
    try:
        with measured("begin", catalog):
            yield begun
    except Exception as error:
        state, why, raised = getattr(error, "outcome", "failed"), _reason(error), error
        raise
    finally:
        tracing(catalog.name).begun(at, begun["batch_id"], raised, begun["is_first"])
        if publish:
            attempt = {"its_state": state, "why": why, "asked": as_of, "batch": begun["batch_id"], "run": run_id}
            _note(catalog, "note_begin", **attempt)


def _night_of_run(catalog: Catalog, run_id: str) -> dict[str, Any] | None:
    """Return the night that a run began earlier, if it is published or over; None: begin as usual."""
    from recjobs.adapters.artifact_store import ArtifactStore
    from recjobs.night.handovers import Handovers

    settings = load_settings()
    try:
        with Database(settings.url_of("publisher"), catalog.name).connect() as session:
            night = session.row("night_of_run", run_id=run_id)
    except BadConfiguration:  # no schema yet, or an older one
        return None
    if not night or not (night["is_published"] or night["is_reported"]):
        return None
    answer = Handovers(ArtifactStore(settings.artifacts, catalog.name).night(night["batch_id"])).answer()
    if answer and answer.late and answer.approved:
        return None  # it came after the refit had used the champion: the night begins anew
    is_over = bool(night["is_reported"])
    return {"batch_id": night["batch_id"], "resumed": not is_over, "nothing_new": is_over}


def run_through(last: str, catalog: Catalog, as_of: str | None) -> str:
    """Begin a night that publishes nothing, run its steps through `last` unless they are done, return its batch."""
    from recjobs.night.night import Night

    batch_id = str(begin_night(catalog, as_of=as_of, publish=False)["batch_id"])
    for step in NIGHT[: NIGHT.index(last) + 1]:
        if not Night.open(catalog, batch_id).is_done(step):
            run_step(step, catalog, batch_id)
    return batch_id


def run_step(name: str, catalog: Named, batch_id: str) -> dict[str, Any]:
    """Open a night and run one of its steps.

    If the candidate was refused and `gate.on_refused` is `keep`, the steps of LISTS only return `kept`, the live batch.
    """
    from recjobs.night.decision import kept_batch
    from recjobs.night.night import Night

    traces = tracing(catalog.name)
    with (
        logs.about(catalog=catalog.name, batch_id=batch_id, step=name, **traces.ids(batch_id)),
        traces.step(name, batch_id),
        counted(name, catalog) as metrics,
    ):
        log.info("step %s begins", name)
        night = Night.open(catalog, batch_id)
        if name in LISTS and (kept := kept_batch(night, name)):
            note_state(night, name, "left_out")
            log.info("step %s is left out: %s stays live", name, kept)
            return {"kept": kept}
        other = _other_kernel(night, name)
        with timed(metrics), note_status(night, name), unless_erased(night, name), note_cost(night, name):
            result: dict[str, Any] = import_module(f"recjobs.steps.{name}").run(night)
        if name == "gate" or (name == "refit" and night.catalog.gate.approval == "required"):
            note_approval(night)
        if other:
            result = {**result, "kernel": other}
        log.info("step %s is done", name, extra={"members": {"numbers": result}})
        for key, value in result.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                metrics.gauge(key, value)
    return result


def tracing(catalog: str) -> Tracing:
    """Return what sends the spans of a catalog's nights, as the settings have it."""
    settings = load_settings()
    return Tracing(settings.traces == "otlp", settings.traces_endpoint, catalog)


def trace_ids(catalog: str, batch_id: str) -> dict[str, str]:
    """Return what the log lines of a batch have besides its id."""
    return tracing(catalog).ids(batch_id)


def note_approval(night: "Night") -> None:
    """Send whether the night waits for a person's answer."""
    from recjobs.night.decision import awaits_approval

    settings = night.settings
    metrics = Metrics(settings.statsd_host, settings.statsd_port, night.catalog.name, "gate")
    metrics.gauge("awaits_approval", int(not night.is_done("refit") and awaits_approval(night)))


def catalog_of_night(name: str) -> Catalog:
    """Read the file of a catalog whose night is to begin; a failure counts as one of `begin`."""
    from recjobs.catalog.files import catalog_names, load_catalog

    with (
        logs.about(catalog=name, step="begin"),
        counted("begin", CatalogName(name)) if name in catalog_names() else nullcontext(),
    ):
        return load_catalog(name)


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


def publish_night(catalog: Named, batch_id: str) -> dict[str, Any]:
    """Publish a night. One that was overtaken, as by a backfill, begins again, as of the same instant and against what
    is in charge now, and that is published in its place: `latest_attempt` names it then.

    Raises Superseded if that does not help: a newer batch is live, or the batch was rolled back.
    """
    from recjobs.night.night import Night

    while True:
        attempt = latest_attempt(catalog, batch_id)
        night = Night.open(catalog, attempt)
        if attempt != batch_id:
            for step in NIGHT[: NIGHT.index("publish")]:
                if not night.is_done(step):
                    run_step(step, catalog, attempt)
        try:
            return run_step("publish", catalog, attempt)
        except Superseded as error:
            with Database(night.settings.url_of("publisher"), catalog.name).connect() as session:
                published = session.row("was_published", batch_id=attempt)
            if (published and published["is_so"]) or (again := _begin_again(night)) == attempt:
                raise
            log.warning("%s: the night begins again, as %s", error, again)


def latest_attempt(catalog: Named, batch_id: str) -> str:
    """Return the night that began again in place of `batch_id`, else that itself."""
    from recjobs.night.night import Night

    while (night := Night.open(catalog, batch_id)).is_done("again"):
        batch_id = night.later_attempt()
    return batch_id


def _begin_again(night: "Night") -> str:
    from recjobs.catalog.files import load_catalog

    asked = night.request
    again = begin_night(
        load_catalog(asked.catalog.name), as_of=asked.as_of.isoformat(), overrides=asked.overrides, force=asked.force
    )
    batch_id = str(again["batch_id"])
    if again["nothing_new"] or batch_id == night.batch_id:
        return night.batch_id
    with night.writing("again") as files:
        files.save_json("again.json", {"batch_id": batch_id})
    return batch_id


@contextmanager
def measured(name: str, catalog: Named) -> Iterator[Metrics]:
    """Send the duration of a block, or count its failure: what alerts depend on."""
    with counted(name, catalog) as metrics, timed(metrics):
        yield metrics


@contextmanager
def counted(name: str, catalog: Named) -> Iterator[Metrics]:
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
    state, why = "done", None
    try:
        yield
    except BaseException as error:
        state, why = getattr(error, "outcome", "failed"), _reason(error)
        raise
    finally:
        if is_noted:
            note_state(night, step, state)
            if why:
                _note(night.catalog, "note_reason", batch=night.batch_id, of_step=step, why=why)


def note_state(night: "Night", step: str, state: str) -> bool:
    """Record the state of a step; return whether it was recorded. A failure to do so fails no night."""
    if not night.request.publish:
        return False
    return _note(night.catalog, "note_step", batch=night.batch_id, of_step=step, its_state=state)


def _note(catalog: Named, function: str, **what: str | None) -> bool:
    try:
        with Database(load_settings().url_of("publisher"), catalog.name, CONNECT_SECONDS).connect() as session:
            session.call(function, **what)
    except Exception as error:
        said = " ".join(str(value) for value in what.values() if value)
        log.warning("%s, which could not be noted: %s", said, error)
        return False
    return True


def _reason(error: BaseException) -> str:
    """The error as people read it on the page of nights, without secrets."""
    text = str(error) if isinstance(error, RecjobsError) else f"{type(error).__name__}: {error}"
    return without_secrets(text).replace("\0", "\u2400")[:REASON_LENGTH]

"""Verbs: each module is one step of the night or one verb of the operator; `run` loads, computes and saves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from recjobs import LISTS

if TYPE_CHECKING:
    from datetime import datetime

    from recjobs.adapters.monitoring import Metrics
    from recjobs.catalog import Catalog


def run_step(name: str, catalog: "Catalog", batch_id: str) -> dict[str, Any]:
    """Run one of the eleven steps, and send what became of it to StatsD.

    Of a night whose candidate was refused and whose catalog says `gate.on_refused: keep`, the steps that make lists do
    nothing and return `kept`, the live batch that stays.
    """
    from recjobs.step_notes import note, noted

    if name in LISTS:
        from recjobs.decision import left_out

        if kept := left_out(name, catalog, batch_id):
            note(name, catalog, batch_id, "left_out")
            return {"kept": kept}
    with measured(name, catalog) as metrics, noted(name, catalog, batch_id):
        result: dict[str, Any] = import_module(f"recjobs.steps.{name}").run(catalog, batch_id)
        for key, value in result.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                metrics.gauge(key, value)
    return result


def begin_night(catalog: "Catalog", **asked: Any) -> dict[str, Any]:
    """Begin a night as `recjobs.steps.begin.run` does, and send what became of it to StatsD."""
    from recjobs.steps import begin

    with measured("begin", catalog):
        return begin.run(catalog, **asked)


def begin_study(catalog: "Catalog", *, as_of: str | None, publish: bool) -> dict[str, Any]:
    """Begin a search as `recjobs.steps.tune.begin` does, on what a night of the same as_of would accept."""
    from recjobs.night import Night
    from recjobs.steps import begin, tune

    with measured("tune", catalog):
        batch_id = begin.run(catalog, as_of=as_of, publish=False)["batch_id"]
        for name in ("extract", "validate"):
            if not Night.open(catalog, batch_id).artifacts.is_done(name):
                import_module(f"recjobs.steps.{name}").run(catalog, batch_id)
        return tune.begin(catalog, batch_id, publish=publish)


def one_trial(catalog: "Catalog", study_id: str, number: int, seconds: float, threads: int) -> dict[str, Any]:
    """Make one trial of a study, by itself; `said` is for people. State skipped: its time was over before the end."""
    from recjobs.steps import tune
    from recjobs.study import Study

    made = tune.trial(Study.open(catalog, study_id), number, tune.Budget(seconds), threads)
    if made is None:
        return {"number": number, "state": "skipped", "said": "out of time"}
    said = f"{made.value:.4f} {made.said}: {made.recipe.said()}"
    return {"number": number, "state": made.state, "said": said, "value": made.value, "seconds": round(made.seconds, 1)}


def finish_study(catalog: "Catalog", study_id: str) -> dict[str, Any]:
    """End a study as `recjobs.steps.tune.finish` does, and send what became of it to StatsD."""
    from recjobs.steps import tune
    from recjobs.study import Study

    with measured("tune", catalog):
        return tune.finish(Study.open(catalog, study_id))


def prune_catalog(catalog: "Catalog", *, dry_run: bool = False) -> dict[str, Any]:
    """Prune as `recjobs.steps.prune.run` does, and send how much went to StatsD."""
    from recjobs.steps import prune

    with measured("prune", catalog) as metrics:
        result = prune.run(catalog, dry_run)
        if not dry_run:
            metrics.gauge("batches", len(result["pruned"]))
            metrics.gauge("bytes", result["bytes"])
            metrics.gauge("records", sum(result["records"].values()))
    return result


def meet_deadline(catalog: "Catalog", at: "datetime") -> str:
    """The night that began before a deadline, as `recjobs.steps.deadline.run` has it; none is counted as skipped."""
    from recjobs.steps import deadline

    with measured("begin", catalog):
        return deadline.run(catalog, at)


@contextmanager
def measured(name: str, catalog: "Catalog") -> Iterator["Metrics"]:
    """Send how long a block took, or count that it was refused, skipped or failed: what alerts hang on."""
    from recjobs.adapters.monitoring import Metrics
    from recjobs.config import load_settings
    from recjobs.errors import InputLate, Refused, TryLater

    settings = load_settings()
    metrics = Metrics(settings.statsd_host, settings.statsd_port, catalog.name, name)
    began = time.monotonic()
    try:
        yield metrics
    except InputLate:
        metrics.count("skipped")
        raise
    except Refused:
        metrics.count("refused")
        raise
    except TryLater:
        metrics.count("waiting")
        raise
    except Exception:
        metrics.count("failed")
        raise
    metrics.timing("duration", (time.monotonic() - began) * 1000)

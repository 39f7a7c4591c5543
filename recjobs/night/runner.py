"""Run a step of a night: how it ended goes to StatsD and, for the page about the nights, to Postgres."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from recjobs import LISTS
from recjobs.adapters.statsd import Metrics
from recjobs.catalog.file import Catalog
from recjobs.config import load_settings


def begin_night(catalog: Catalog, **asked: Any) -> dict[str, Any]:
    """Begin a night as `recjobs.steps.begin.run` does."""
    with measured("begin", catalog):
        result: dict[str, Any] = import_module("recjobs.steps.begin").run(catalog, **asked)
    return result


def run_step(name: str, catalog: Catalog, batch_id: str) -> dict[str, Any]:
    """Open a night and run one of the eleven steps on it.

    Of a night whose candidate was refused and whose catalog says `gate.on_refused: keep`, the steps that make lists do
    nothing and return `kept`, the live batch that stays.
    """
    from recjobs.night.decision import kept_batch
    from recjobs.night.night import Night
    from recjobs.night.step_status import note, noted

    with counted(name, catalog) as metrics:
        night = Night.open(catalog, batch_id)
        if name in LISTS and (kept := kept_batch(night, name)):
            note(night, name, "left_out")
            return {"kept": kept}
        with timed(metrics), noted(night, name):
            result: dict[str, Any] = import_module(f"recjobs.steps.{name}").run(night)
        for key, value in result.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                metrics.gauge(key, value)
    return result


@contextmanager
def measured(name: str, catalog: Catalog) -> Iterator[Metrics]:
    """Send how long a block took, or count that it was refused, skipped or failed: what alerts depend on."""
    with counted(name, catalog) as metrics, timed(metrics):
        yield metrics


@contextmanager
def counted(name: str, catalog: Catalog) -> Iterator[Metrics]:
    """Count that a block was refused, skipped or failed, or has to wait."""
    settings = load_settings()
    metrics = Metrics(settings.statsd_host, settings.statsd_port, catalog.name, name)
    try:
        yield metrics
    except Exception as error:
        metrics.count(getattr(error, "outcome", "failed"))
        raise


@contextmanager
def timed(metrics: Metrics) -> Iterator[None]:
    """Send how long a block took that ended without an error."""
    began = time.monotonic()
    yield
    metrics.timing("duration", (time.monotonic() - began) * 1000)

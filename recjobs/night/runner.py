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
from recjobs.errors import InputLate, Refused, TryLater


def begin_night(catalog: Catalog, **asked: Any) -> dict[str, Any]:
    """Begin a night as `recjobs.steps.begin.run` does."""
    with measured("begin", catalog):
        result: dict[str, Any] = import_module("recjobs.steps.begin").run(catalog, **asked)
    return result


def run_step(name: str, catalog: Catalog, batch_id: str) -> dict[str, Any]:
    """Run one of the eleven steps.

    Of a night whose candidate was refused and whose catalog says `gate.on_refused: keep`, the steps that make lists do
    nothing and return `kept`, the live batch that stays.
    """
    from recjobs.night.decision import left_out
    from recjobs.night.step_status import note, noted

    if name in LISTS and (kept := left_out(name, catalog, batch_id)):
        note(name, catalog, batch_id, "left_out")
        return {"kept": kept}
    with measured(name, catalog) as metrics, noted(name, catalog, batch_id):
        result: dict[str, Any] = import_module(f"recjobs.steps.{name}").run(catalog, batch_id)
        for key, value in result.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                metrics.gauge(key, value)
    return result


@contextmanager
def measured(name: str, catalog: Catalog) -> Iterator[Metrics]:
    """Send how long a block took, or count that it was refused, skipped or failed: what alerts depend on."""
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

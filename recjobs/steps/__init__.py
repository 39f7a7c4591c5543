"""Verbs: each module is one step of the night or one verb of the operator; `run` loads, computes and saves."""

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recjobs.catalog import Catalog


def run_step(name: str, catalog: "Catalog", batch_id: str) -> dict[str, Any]:
    """Run one of the eleven steps, and send how long it took and the numbers it returned to StatsD."""
    from recjobs.adapters.monitoring import Metrics
    from recjobs.config import load_settings

    settings = load_settings()
    metrics = Metrics(settings.statsd_host, settings.statsd_port, catalog.name, name)
    began = time.monotonic()
    result: dict[str, Any] = import_module(f"recjobs.steps.{name}").run(catalog, batch_id)
    metrics.timing("duration", (time.monotonic() - began) * 1000)
    for key, value in result.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            metrics.gauge(key, value)
    return result

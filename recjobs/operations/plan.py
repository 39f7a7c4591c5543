"""Plan tonight's night: rows, memory, disk and minutes by step, and whether they are there."""

from datetime import UTC, datetime
from typing import Any

from recjobs.catalog.file import Catalog
from recjobs.config import load_settings
from recjobs.core import estimate
from recjobs.core.batch_ids import parse_as_of
from recjobs.errors import RecjobsError
from recjobs.night import plan
from recjobs.night.as_of import after_newest
from recjobs.night.inputs import inputs_of

MACHINES = (2, 4)
"""Whose nights on Spark a plan compares with one here."""


def run(
    catalog: Catalog, *, as_of: str | None, overrides: dict[str, Any]
) -> tuple[dict[str, Any], RecjobsError | None]:
    """Return the plan of the night that would begin now, with what there is; and why it would not begin, if so.

    Raises DataRefused if a source is missing or cannot be read, Misuse for an invalid as_of or override.
    """
    settings, effective = load_settings(), catalog.with_overrides(overrides)
    now = datetime.now(UTC).replace(microsecond=0)
    inputs = inputs_of(effective, settings)
    today = effective.live and not as_of
    at = parse_as_of(as_of) if as_of else now if today else after_newest(effective, inputs, now)
    planned = plan.make(effective, settings, inputs, at, publish=True, probed=0)
    there = plan.look(effective, settings)
    missing = plan.lack(planned, there)
    return {
        **planned.to_json(),
        "memory": there.memory[0],
        "memory_is": there.memory[1],
        "artifacts_free": there.artifacts and there.artifacts[0],
        "database_free": there.database and there.database[0],
        "spark": _on_spark(planned) if effective.engine == "local" else None,
        "fits": missing is None,
        "why": missing and str(missing),
    }, missing


def _on_spark(planned: plan.Plan) -> list[dict[str, Any]]:
    """What Spark would do for a night here, by the number of machines like this one."""
    return [
        {
            "machines": machines,
            "seconds": round(estimate.seconds_on_spark(planned.steps, machines), 1),
            "pays_from": estimate.pays_from(planned.size, machines, planned.speed or 1.0),
        }
        for machines in MACHINES
    ]

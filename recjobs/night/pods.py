"""What memory the pods of a night's steps get on Kubernetes, by the night's plan."""

import logging
import math
from typing import Any

from recjobs import NIGHT
from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.catalog.names import Named
from recjobs.config import load_settings
from recjobs.errors import RecjobsError
from recjobs.night.plan import NAME

MARGIN = 1.25
"""A plan is within a quarter of what a step takes (docs/decisions/0066-a-plan-before-a-night.md)."""
BESIDE = 512
"""MiB beside the step: Airflow's own process in the pod, and what the kernel counts for its files."""
ROUNDED = 256
"""MiB that pods' memory is a multiple of."""

log = logging.getLogger(__name__)


def memory_of_pods(catalog: Named, batch_id: str) -> dict[str, int]:
    """Return the memory of each step's pod in MiB, at most RECJOBS_MEMORY; empty if the night has no plan.

    `publish` gets what the largest step does: a night that was overtaken runs again within it.
    """
    settings = load_settings()
    try:
        plan = ArtifactStore(settings.artifacts, catalog.name).night(batch_id).noted("begin", NAME)
        return of_plan(plan, int(settings.memory or 0))
    except (RecjobsError, OSError, KeyError, TypeError) as error:
        log.warning("the pods of %s get what their classes have, since its plan cannot be read: %s", batch_id, error)
        return {}


def of_plan(plan: dict[str, Any], most: int = 0) -> dict[str, int]:
    """Return the memory of each step's pod in MiB by a plan as JSON. most: bytes, 0 for any."""
    peaks = {step: float(cost["peak_bytes"]) for step, cost in plan.get("steps", {}).items() if step in NIGHT}
    if "publish" in peaks:
        peaks["publish"] = max(peaks.values())
    limit = most >> 20 or math.inf
    return {step: int(min(_rounded(peak), limit)) for step, peak in peaks.items()}


def _rounded(peak: float) -> int:
    return ROUNDED * math.ceil((MARGIN * peak / 2**20 + BESIDE) / ROUNDED)

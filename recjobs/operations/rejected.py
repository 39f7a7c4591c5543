"""Return the rows that a night quarantined, whether it was refused or not."""

from typing import Any

import pyarrow.compute as pc

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.catalog.names import Named
from recjobs.config import load_settings
from recjobs.core.rows.reason_codes import QUARANTINE
from recjobs.errors import Misuse
from recjobs.night.handovers import Handovers
from recjobs.night.night import begun_nights, validated_night


def run(catalog: Named, batch_id: str | None = None, reason: str | None = None, limit: int = 20) -> dict[str, Any]:
    """Return batch_id, the counts by reason, the first `limit` rows, and `later`, a night that began after this one was
    validated, and has not been itself (None: there is none).

    batch_id: default is the night validated last. Raises Misuse for an unknown reason.
    """
    if reason is not None and reason not in QUARANTINE:
        raise Misuse(f"--reason {reason}: no reason to quarantine a row; known are {', '.join(QUARANTINE)}")
    night = validated_night(catalog, batch_id)
    rows = night.rejected_rows()
    counts = {row["values"]: row["counts"] for row in pc.value_counts(rows["reason"]).to_pylist()}
    if reason is not None:
        rows = rows.filter(pc.equal(rows["reason"], reason))
    shown = rows.slice(0, limit).to_pylist()
    later = None if batch_id else _later(catalog, night)
    return {"batch_id": night.batch_id, "counts": counts, "rows": shown, "later": later}


def _later(catalog: Named, validated: Handovers) -> str | None:
    begun = begun_nights(ArtifactStore(load_settings().artifacts, catalog.name))
    last = max(begun, key=lambda night: night.files.ended_at("begin"), default=validated)
    return last.batch_id if last.files.ended_at("begin") > validated.files.ended_at("validate") else None

"""Return the rows that a night quarantined, whether it was refused or not."""

from typing import Any

import pyarrow.compute as pc

from recjobs.catalog.file import Catalog
from recjobs.core.rows.reason_codes import QUARANTINE
from recjobs.errors import Misuse
from recjobs.night.night import validated_night


def run(catalog: Catalog, batch_id: str | None = None, reason: str | None = None, limit: int = 20) -> dict[str, Any]:
    """Return batch_id, the counts by reason, and the first `limit` rows.

    batch_id: default is the night validated last. Raises Misuse for an unknown reason.
    """
    if reason is not None and reason not in QUARANTINE:
        raise Misuse(f"--reason {reason}: no reason to quarantine a row; known are {', '.join(QUARANTINE)}")
    night = validated_night(catalog, batch_id)
    rows = night.rejected_rows()
    counts = {row["values"]: row["counts"] for row in pc.value_counts(rows["reason"]).to_pylist()}
    if reason is not None:
        rows = rows.filter(pc.equal(rows["reason"], reason))
    return {"batch_id": night.batch_id, "counts": counts, "rows": rows.slice(0, limit).to_pylist()}

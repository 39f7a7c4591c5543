"""The rows of a source as a night understands them, without a night."""

import datetime as dt
from typing import Any

from recjobs.adapters import sources
from recjobs.catalog.sources import Source
from recjobs.config import load_settings
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.reason_codes import QUARANTINE
from recjobs.core.rows.validation import check
from recjobs.night.inputs import files_at

COLUMNS = {"user_id": "user", "item_id": "item", "occurred_at": "at"}
NOW = microseconds(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def understood(**source: Any) -> tuple[list[tuple[str, str, int]], list[str]]:
    """The (user, item, microseconds) of rows that are accepted, and the reasons of those that are set aside."""
    place = Source.model_validate({"columns": COLUMNS, **source})
    rows, reasons = list[tuple[str, str, int]](), list[str]()
    for file in files_at(place, load_settings()):
        for batch in sources.read_rows(file, place.columns.present, place.where):
            time = place.time
            checked = check(batch.columns, time.unit, time.timezone, NOW, {}, None, time.format)
            columns = (checked.user_id.to_pylist(), checked.item_id.to_pylist(), checked.occurred_at.tolist())
            for row, reason in zip(zip(*columns, strict=True), checked.reason.tolist(), strict=True):
                if reason < 0:
                    rows.append(row)
                else:
                    reasons.append(QUARANTINE[reason])
    return rows, reasons


def instants(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, int]]:
    """Rows with their dates as microseconds."""
    return [(u, i, microseconds(dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC))) for u, i, at in rows]

"""Check the deadline of a catalog whose nights start when an asset is updated."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.catalog.file import Catalog
from recjobs.config import load_settings
from recjobs.core.rows.reason_codes import REASONS
from recjobs.errors import InputLate
from recjobs.night.night import begun_nights
from recjobs.night.runner import beginning


def run(catalog: Catalog, at: datetime) -> str:
    """Return the batch that began since the deadline before `at`.

    Raises InputLate if none did, which counts as a skipped `begin`.
    """
    schedule = catalog.schedule
    assert schedule.deadline  # noqa: S101 - for mypy: the DAG asks only with one
    local = at.astimezone(ZoneInfo(schedule.timezone))
    before: datetime = croniter(schedule.deadline, local).get_prev(datetime)
    with beginning(catalog, None, None) as begun:
        for night in reversed(begun_nights(ArtifactStore(load_settings().artifacts, catalog.name))):
            if before.astimezone(UTC) <= datetime.fromisoformat(night.stored_request()["began_at"]):
                begun["batch_id"] = night.batch_id
                return night.batch_id
        raise InputLate(
            f"catalog {catalog.name}: the asset {schedule.asset} was not updated between {before:%Y-%m-%d %H:%M} and "
            f"the deadline {local:%Y-%m-%d %H:%M %Z}. {REASONS['late_input'].how}"
        )

"""The deadline of a catalog whose nights start by a file's arrival: was there a night since the last deadline?"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.catalog.file import Catalog
from recjobs.config import load_settings
from recjobs.core.rows.reason_codes import REASONS
from recjobs.errors import InputLate
from recjobs.night.night import begun
from recjobs.night.runner import measured


def run(catalog: Catalog, at: datetime) -> str:
    """Return the batch that began since the deadline before `at`.

    Raises InputLate, counted as a skipped `begin`, when none did.
    """
    with measured("begin", catalog):
        return _begun_in_time(catalog, at)


def _begun_in_time(catalog: Catalog, at: datetime) -> str:
    schedule = catalog.schedule
    assert schedule.deadline
    local = at.astimezone(ZoneInfo(schedule.timezone))
    before: datetime = croniter(schedule.deadline, local).get_prev(datetime)
    for night in reversed(begun(ArtifactStore(load_settings().artifacts, catalog.name))):
        if before.astimezone(UTC) <= datetime.fromisoformat(night.stored_request()["began_at"]):
            return night.batch_id
    raise InputLate(
        f"catalog {catalog.name}: the asset {schedule.asset} was not updated between {before:%Y-%m-%d %H:%M} and the "
        f"deadline {local:%Y-%m-%d %H:%M %Z}. {REASONS['late_input'].how}"
    )

"""When a catalog's DAGs start by themselves."""

from typing import Annotated

from pydantic import Field, model_validator

from recjobs.catalog.scalars import Cron, Timezone
from recjobs.catalog.sources import Part


class Schedule(Part):
    """When the DAGs start by themselves: the night at `cron`, or when the Airflow asset of a file is updated. Neither:
    only when triggered."""

    cron: Cron | None = None
    asset: Annotated[str, Field(min_length=1)] | None = None
    """Name of the asset that an upstream DAG (or the REST API) updates when the file is there."""
    deadline: Cron | None = None
    """If the asset was not updated by then, the night is skipped and an alert raised."""
    timezone: Timezone = "UTC"
    tune: Cron | None = None
    """When the search for a better recipe starts, such as weekly. Unset: only when triggered."""

    @model_validator(mode="after")
    def _is_one_way(self) -> "Schedule":
        if self.cron and self.asset:
            raise ValueError("has both cron and asset; a night starts by one of them")
        if (self.asset is None) != (self.deadline is None):
            raise ValueError("asset and deadline belong together")
        return self

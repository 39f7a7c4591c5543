"""Retention of what nights write: the key `keep` of a catalog file. The latest five batches always stay."""

from typing import Annotated

from pydantic import Field

from recjobs.catalog.scalars import Days, Number
from recjobs.catalog.sources import Part


class Keep(Part):
    """What `recjobs prune` keeps beside the latest five batches and the artifacts that they and the champion need."""

    days: Days = 14
    """Folders of nights that published nothing (looks, refused, failed) and of searches go when nothing was written in
    them for this long."""
    records: Annotated[int, Field(ge=5, le=100_000), Number] = 400
    """Nights whose metrics, findings, drift, steps and report stay in the database. Verdicts, inputs, batches and the
    publish log, a row a night each, stay for good."""
    mlflow_days: Annotated[float, Field(ge=30, le=36_500), Number] = 365
    """Runs in MLflow that began so long ago go, with their files and model versions, but for those of the kept batches
    and of the aliases."""
    rejected_rows: Annotated[int, Field(ge=1, le=100_000), Number] = 30
    """Nights whose quarantined rows stay in the database; they hold user ids."""

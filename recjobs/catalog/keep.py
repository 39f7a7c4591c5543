"""How long a catalog keeps what its nights leave: the key `keep` of its file. Batches: the latest five, always."""

from typing import Annotated

from pydantic import Field

from recjobs.catalog.scalars import Days, Number
from recjobs.catalog.sources import Part


class Keep(Part):
    """What `recjobs prune` leaves beside the latest five batches and what they and the champion need."""

    days: Days = 14
    """Folders of nights that published nothing (looks, refused, failed) and of searches go when nothing was written in
    them for this long."""
    records: Annotated[int, Field(ge=5, le=100_000), Number] = 400
    """Nights whose metrics, findings, drift, steps and report stay in the database. Verdicts, inputs, batches and the
    publish log, a row a night each, stay for good."""
    rejected_rows: Annotated[int, Field(ge=1, le=100_000), Number] = 30
    """Nights whose quarantined rows stay in the database; they hold user ids."""

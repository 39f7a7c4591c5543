"""What is expected of the lists that are served: the key `serve` of a catalog file."""

from recjobs.catalog.scalars import Days
from recjobs.catalog.sources import Part


class Serve(Part):
    """What is expected of the lists that are served."""

    max_age_hours: Days | None = 36
    """So long after they were published lists are too old: pages, `recjobs status` and an alert say so. null: never."""

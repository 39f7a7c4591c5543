"""What an order is."""

from typing import Literal

from recjobs.catalog.part import Part
from recjobs.catalog.scalars import Positive


class Orders(Part):
    """Goods that are bought together: of one order id, else of one day or visit of a user."""

    without_id: Literal["day", "visit"] = "day"
    """What is one order of a user where rows have no order_id: a day in UTC, or a visit."""
    gap_minutes: Positive = 30.0
    """A visit ends before a pause of so long."""

    @property
    def gap(self) -> float | None:
        """The pause between visits in minutes; None: orders are days."""
        return self.gap_minutes if self.without_id == "visit" else None

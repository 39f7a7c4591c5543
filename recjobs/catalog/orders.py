"""What an order is, and how many of them an item needs."""

from typing import Annotated, Literal

from pydantic import Field

from recjobs.catalog.part import Part
from recjobs.catalog.scalars import Number, Positive


class Orders(Part):
    """Goods that are bought together: of one order id, else of one day or visit of a user."""

    without_id: Literal["day", "visit"] = "day"
    """What is one order of a user where rows have no order_id: a day in UTC, or a visit."""
    gap_minutes: Positive = 30.0
    """A visit ends before a pause of so long."""
    min_orders: Annotated[int, Field(ge=1), Number] = 5
    """Items on fewer orders are in no list of items bought together, and stand last in lists of similar items."""

    @property
    def gap(self) -> float | None:
        """The pause between visits in minutes; None: orders are days."""
        return self.gap_minutes if self.without_id == "visit" else None

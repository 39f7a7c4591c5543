"""How long lists are, and what they may hold."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from recjobs.catalog.part import Part
from recjobs.catalog.scalars import Number

if TYPE_CHECKING:
    from recjobs.catalog.file import Catalog


class TopN(Part):
    """How many items a list holds, and how many of them are served."""

    stored: Annotated[int, Field(ge=1, le=1000), Number] = 100
    served: Annotated[int, Field(ge=1, le=1000), Number] = 50
    max_per_category: Annotated[int, Field(ge=1, le=1000), Number] | None = None
    """Most items of a category in a list; more stand behind all others. null: any number."""
    min_confidence: Annotated[float, Field(gt=0, lt=1), Number] | None = None
    """The least share of such items that users took in the holdout; a list lacks items below it, and may be short or
    empty. null: lists are full."""
    rotate_after: Annotated[int, Field(ge=1, le=1000), Number] | None = None
    """Nights in which an item stands among the first 20 of a user's list, without being taken, before it stands behind
    all that were shown in fewer. null: lists do not depend on those of earlier nights."""

    @model_validator(mode="after")
    def _served_is_stored(self) -> "TopN":
        if self.served > self.stored:
            raise ValueError(f"served {self.served} is more than stored {self.stored}")
        return self


def keys_that_need_items(catalog: "Catalog") -> Iterator[tuple[str, str]]:
    """The keys that are set and need a column of the items, each with that column."""
    if catalog.top_n.max_per_category is not None:
        yield "top_n.max_per_category", "categories"
    if catalog.items is not None and catalog.items.variants_by is not None:
        yield f"items.variants_by: {catalog.items.variants_by}", catalog.items.variants_by

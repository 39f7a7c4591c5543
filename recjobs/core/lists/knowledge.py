"""What is known of users and items besides interactions."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from recjobs.core.lists.group_limits import GroupLimits
from recjobs.core.rows.by_blocks import items_of
from recjobs.core.rows.interactions import RowBlocks


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What is known of users and items besides interactions.

    eligible: (n_items,), a mask of the items that may be listed. items: a table with `title` and `categories`;
    segments, prefers: each user's segment or None, and preferred categories; None: unknown. max_new_share: the largest
    share of the first `served` places for items whose factors are predicted from `items`; None: they are not listed.
    limits: what lists may hold of one product or category; None: anything. active_days: users whose last interaction
    is older get the popular list in place of one of their own; None: nobody does.
    """

    eligible: np.ndarray
    items: pa.Table | None = None
    segments: list[str | None] | None = None
    prefers: list[list[str]] | None = None
    max_new_share: float | None = None
    served: int = 20
    limits: GroupLimits | None = None
    active_days: float | None = None

    @classmethod
    def of_train(
        cls,
        train: RowBlocks,
        segments: list[str | None] | None = None,
        limits: GroupLimits | None = None,
        active_days: float | None = None,
    ) -> "Knowledge":
        """What an evaluation may know: the items taken before the cutoff, and the users' segments.

        Availability, preferences and new items are tonight's; their state at the cutoff is unknown.
        """
        return cls(items_of(train) > 0, segments=segments, limits=limits, active_days=active_days)

    def without_each_setting(self) -> dict[str, "Knowledge"]:
        """By the key of each setting of lists that a catalog has: the same without it."""
        others, limits = dict[str, Knowledge](), self.limits
        if limits is not None and limits.product is not None:
            others["items.variants_by"] = replace(self, limits=limits.of_categories)
        if limits is not None and limits.categories is not None:
            others["top_n.max_per_category"] = replace(self, limits=limits.of_products)
        if self.active_days is not None:
            others["active_days"] = replace(self, active_days=None)
        return others

    @property
    def of_everybody(self) -> "Knowledge":
        """The same with lists for inactive users, too."""
        return self if self.active_days is None else replace(self, active_days=None)

"""Items kept out of a user's list: by the catalog's `seen`, and those the user returned."""

from collections.abc import Callable
from typing import TypeAlias

from scipy.sparse import csr_matrix

from recjobs.core.rows.by_blocks import disliked_pairs_of, matrix_of
from recjobs.core.rows.interactions import DAY, Interactions, RowBlocks

Seen: TypeAlias = csr_matrix | Callable[[], csr_matrix | None] | None
"""Items kept out of each user's list, (n_users, n_items), or what returns them when they are first looked at; None:
none."""


def kept_out_of(interactions: RowBlocks, view: str, now: int, after_days: float | None) -> csr_matrix | None:
    """user_items above 0 where an item must not be listed; None: nothing is kept out.

    view: `discovery` keeps out all of a user's items, `repeats` only returned ones, `after_days` those and the user's
    items in the after_days before now (microseconds).
    """
    if view == "discovery":
        return matrix_of(interactions, Interactions.pairs)
    disliked = disliked_pairs_of(interactions)
    if view == "repeats" or after_days is None:
        return disliked
    since = now - int(after_days * DAY)
    recent = matrix_of(interactions, lambda block: block.where(block.occurred_at >= since).pairs())
    return recent if disliked is None else (recent + disliked).tocsr()

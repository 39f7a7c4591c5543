"""Items kept out of a user's list: by the catalog's `seen`, and those the user returned."""

from scipy.sparse import csr_matrix

from recjobs.core.rows.interactions import DAY, Interactions


def kept_out_of(interactions: Interactions, view: str, now: int, after_days: float | None) -> csr_matrix | None:
    """user_items above 0 where an item must not be listed; None: nothing is kept out.

    view: `discovery` keeps out all of a user's items, `repeats` only returned ones, `after_days` those and the user's
    items in the after_days before now (microseconds).
    """
    if view == "discovery":
        return interactions.pairs()
    disliked = interactions.disliked_pairs()
    if view == "repeats" or after_days is None:
        return disliked
    recent = interactions.where(interactions.occurred_at >= now - int(after_days * DAY)).pairs()
    return recent if disliked is None else (recent + disliked).tocsr()

"""What is kept out of a user's list: by the catalog's `seen`, and what the user gave back."""

from scipy.sparse import csr_matrix

from recjobs.core.rows.interactions import DAY, Interactions


def kept_out_of(interactions: Interactions, view: str, now: int, after_days: float | None) -> csr_matrix | None:
    """user_items above 0 where an item is not to be listed; None: nothing is kept out.

    view: `discovery` keeps out all that a user had, `repeats` only what was given back, `after_days` that and what the
    user had in the after_days before now (microseconds).
    """
    if view == "discovery":
        return interactions.pairs()
    disliked = interactions.disliked_pairs()
    if view == "repeats" or after_days is None:
        return disliked
    recent = interactions.where(interactions.occurred_at >= now - int(after_days * DAY)).pairs()
    return recent if disliked is None else (recent + disliked).tocsr()

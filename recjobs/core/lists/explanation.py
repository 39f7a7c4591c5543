"""Why an item stands where it does in a list with a second stage: what each stage made of it."""

from dataclasses import dataclass

import numpy as np

from recjobs.core.lists import candidates
from recjobs.core.lists.maker import ListMaker

FEATURES = 5
"""Features named of an item."""


@dataclass(frozen=True)
class Explanation:
    """first_stage_rank: the item's place in the first stage's list. is_candidate: whether the second stage saw it.

    moved_by: what moved it most, as (feature, its value, what it adds to the ranker's score beyond what it adds to the
    user's candidates on average), largest first; the value is None where it is missing.
    """

    first_stage_rank: int
    is_candidate: bool
    moved_by: tuple[tuple[str, float | None, float], ...] = ()


def explained(maker: ListMaker, user: int, item: int) -> Explanation | None:
    """What the stages made of an item (item_idx) in the list of a user (user_idx); None without a second stage, where
    the user is served another list, or the first stage does not rank the item."""
    model, completed, users = maker.model, maker.completed, np.array([user])
    if model is None or model.ranker is None or completed is None:
        return None
    if maker.choice.replaced(maker.past.activity[users]).any():
        return None
    (block,) = maker.first_stage(users, max(candidates.FIRST, maker.past.interactions.n_items))
    place = np.flatnonzero(block.ranked.item_idx[0] == item)
    if not place.size:
        return None
    stage = maker.past.second_stage(model.recipe)
    names, values, added = stage.contributions(model.ranker, block, completed.item_factors, item)
    strongest = np.argsort(-np.abs(added), kind="stable")[:FEATURES]
    moved_by = tuple((names[n], None if np.isnan(values[n]) else float(values[n]), float(added[n])) for n in strongest)
    return Explanation(int(place[0]) + 1, bool(names), moved_by)

"""Whether a candidate is a model of tonight's users and items, fit on tonight's train part by its recipe.

The limits, and the values of honest and sabotaged candidates: docs/decisions/0009.
"""

from collections.abc import Sequence

import numpy as np

from recjobs.core.evaluation.residual_check import Trace, trace
from recjobs.core.model.als import Factors, known_rows
from recjobs.core.model.ranking import overlap_at
from recjobs.core.model.stored import StoredModel
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions, RowBlocks

MAX_LEFT_OF_ITEMS = 0.1
MAX_LEFT_OF_USERS = 0.65
MAX_HOLDOUT = 0.3
MAX_NEWEST_MISSING = 0.5
STALE_DAYS = (1, 7, 30, 90)
"""Ages at which a candidate is called stale; one of another age only fails the trace of tonight's data."""
MAX_LEFT_OTHERWISE = 0.3
"""The largest residual at which factors follow from other data than tonight's: untrained ones, too, are nearer to some
data than to others."""
MAX_POPULAR = 0.9
"""The largest share of popular items in the lists of users that the model knows."""


def defect_of_rows(
    model: StoredModel, user_ids: Sequence[str], item_ids: Sequence[str], train: RowBlocks, recipe: Recipe
) -> str | None:
    """What is wrong with a candidate's ids or factors, row by row, or None; ids are tonight's, by index."""
    for name, ids, expected in (("item", model.item_ids, item_ids), ("user", model.user_ids, user_ids)):
        if defect := _defect_of_ids(name, ids, expected):
            return defect
    if model.factors.item_factors.shape[1] != recipe.factors:
        return f"it has {model.factors.item_factors.shape[1]} factors, its recipe asks for {recipe.factors}"
    return model.factors.defect() or _defect_of_unknown(model.factors, train, recipe)


def _defect_of_ids(name: str, ids: Sequence[str], expected: Sequence[str]) -> str | None:
    if list(ids) == list(expected):
        return None
    foreign, lacking = set(ids) - set(expected), set(expected) - set(ids)
    if foreign:
        return f"it is of another catalog or night: {len(foreign)} of its {len(ids)} {name} ids are not tonight's"
    if lacking:
        return f"it is stale, or of other data: {len(lacking)} of tonight's {len(expected)} {name}s are not in it"
    return f"its {name} ids are tonight's in another order, so that factors belong to other {name}s"


def _defect_of_unknown(factors: Factors, train: RowBlocks, recipe: Recipe) -> str | None:
    of_items, of_users = _first_taken(train, recipe)
    for name, first, rows in (("items", of_items, factors.item_factors), ("users", of_users, factors.user_factors)):
        known = known_rows(rows)
        present = first < np.iinfo(np.int64).max
        unknown = present & ~known
        if not unknown.any():
            continue
        if known.sum() == 1:
            return f"it knows one of the {present.sum()} {name} that the train part has"
        how_many = f"{unknown.sum()} of the {present.sum()} {name} that the train part has"
        if (present & (first >= first[unknown].min()) == unknown).all():
            return f"it is stale: {how_many} have no factors, those that came last"
        if foreign := (known & ~present).sum():
            return (
                f"its rows belong to other {name}: {how_many} have no factors, and {foreign} have some that it has not"
            )
        return f"{how_many} have no factors"
    return None


def _first_taken(train: RowBlocks, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """The first instant of each item and of each user among the pairs that have confidence, (n_items,) and (n_users,);
    the largest integer without any."""
    items, users = (np.full(n, np.iinfo(np.int64).max) for n in (train.n_items, train.n_users))
    may_lack = any(weight < 0 for _, weight in recipe.kinds)  # a pair without confidence gives no factors
    now = max((int(block.occurred_at.max(initial=0)) for block in train.blocks()), default=0) if may_lack else 0
    for block in train.blocks():
        asked = block
        if may_lack:
            pairs, n_items = block.confidence(recipe, now).tocoo(), train.n_items
            left = _keys(pairs.row, pairs.col, n_items)
            asked = block.where(np.isin(_keys(block.user_idx, block.item_idx, n_items), left))
        np.minimum.at(items, asked.item_idx, asked.occurred_at)
        np.minimum.at(users, asked.user_idx, asked.occurred_at)
    return items, users


def _keys(user_idx: np.ndarray, item_idx: np.ndarray, n_items: int) -> np.ndarray:
    return np.asarray(user_idx.astype(np.int64) * n_items + item_idx)


def _defect_of_trace(tonight: Trace) -> str | None:
    left = ((tonight.left_of_items, MAX_LEFT_OF_ITEMS, "items"), (tonight.left_of_users, MAX_LEFT_OF_USERS, "users"))
    for value, limit, name in left:
        if not value <= limit:
            return (
                "its factors do not follow from tonight's train part by its recipe: of what the interactions of its "
                f"{name} ask, {min(value, 1.0):.0%} is not there ({limit:.0%} are allowed)"
            )
    if tonight.holdout > MAX_HOLDOUT:
        return f"it was trained on the holdout: {tonight.holdout:.0%} of what that adds is in its factors already"
    if (missing := tonight.newest_missing) > MAX_NEWEST_MISSING:
        return (
            f"it is stale, or was trained on other data: {missing:.0%} of what the newest interactions of "
            "the train part add is not in its factors"
        )
    return None


def defect_of_fit(
    factors: Factors, train: RowBlocks, holdout: Interactions, recipe: Recipe, *, now: int, as_of: int, seed: int
) -> tuple[Trace, str | None]:
    """(the trace, the defect that it shows or None); now is the cutoff, as_of the end of the holdout."""
    tonight = trace(factors, train, holdout, recipe, now, seed)
    defect = _defect_of_trace(tonight)
    if defect is None:
        return tonight, None
    nothing, before = holdout.where(np.zeros(len(holdout), bool)), train.whole()
    both = before.joined(holdout)
    # A fit on the holdout may be as of its end, where every interaction weighs less by its age.
    meaning = "it was trained on the holdout: its factors follow from train part and holdout together"
    others = [(both, now, meaning), (both, as_of, meaning)]
    for days in STALE_DAYS:
        then = now - days * DAY
        older = before.where(before.occurred_at < then)
        if len(older) > len(before) / 2:  # anything follows from a handful of rows
            meaning = f"it is stale: its factors follow from the train part as it was {days} days earlier"
            others.append((older, then, meaning))
    left = [trace(factors, data, nothing, recipe, then, seed).left_of_items for data, then, _ in others]
    best = int(np.argmin(left))
    follows = left[best] < min(tonight.left_of_items / 2, MAX_LEFT_OTHERWISE)
    return tonight, others[best][2] if follows else defect


def popular_share(lists: np.ndarray, popular: Sequence[np.ndarray], n_items: int) -> float | None:
    """The mean share of users' lists (n_users, k) that is in their popular list, of the popular lists the largest; None
    without users, or where a list is a third of all items, so that any two share much."""
    if not len(lists) or n_items < 3 * lists.shape[1]:
        return None
    return max(overlap_at(lists, others) for others in popular)


def defect_of_lists(share: float | None) -> str | None:
    """The defect of a candidate's lists, or None."""
    if share is not None and share > MAX_POPULAR:
        return f"its lists are the popular ones: {share:.0%} of their items"
    return None

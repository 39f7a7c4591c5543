"""Folds for a search: parts of the past, each split as the gate splits, and none of them the gate's own holdout."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from recjobs.core.evaluation.exam import Exam, exam
from recjobs.core.lists.maker import Knowledge, Past
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions

MOST, USERS = 5, 10_000
"""Folds at most, and users to ask before no third is added. What is best differs by the month: on `online_retail`
as of 2010-10-01 a half-life of 98 days was 2% better than one of 14 on the latest two, and 1% worse on four."""
ENOUGH_USERS, ENOUGH_ROWS = 0.5, 0.2
"""A further fold must ask and train on at least this share of what the latest one has."""
ASKED = 4000
"""Users of a fold that trials ask, drawn by the seed: enough to tell differences of 2%. Asking 30,000 about 40,000
items takes longer than a fit."""
RANDOM_SHARE = 0.1
"""Part of the pairs that is held out where there are no usable times."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Interactions to fit on, the exam on those after them, and the instant between (microseconds)."""

    train: Interactions
    questions: Exam
    now: int
    name: str
    _pasts: dict[object, Past] = field(default_factory=dict, init=False, repr=False)

    def past(self, recipe: Recipe, engine: Engine) -> Past:
        """The past of this fold. Recipes that count interactions alike, one after the other, share what was computed
        from it, such as item neighbours; the next one that does not takes its place."""
        own = recipe.own_half_life_days if recipe.own_frequency else None
        key = (recipe.half_life_days, recipe.weight_scale, recipe.weight_cap, recipe.kinds, own, engine)
        if key not in self._pasts:
            self._pasts.clear()
            self._pasts[key] = Past(self.train, self.now, engine)
        self._pasts[key].forget_similarity(recipe)
        return self._pasts[key]

    def asking(self, most: int, seed: int) -> "Fold":
        """The fold with at most so many users to ask."""
        n_users = self.questions.users.size
        if n_users <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(n_users, most, replace=False))
        return replace(self, questions=self.questions.rows(rows))

    @cached_property
    def known(self) -> Knowledge:
        """What an evaluation may know of its users and items."""
        return Knowledge.of_train(self.train)


def before(interactions: Interactions, end: int) -> Interactions:
    """The interactions before an instant (microseconds), with users and items renumbered.

    Users and items that came later are dropped: their number would change a fit's starting point, and so the value of a
    trial.
    """
    part = interactions.where(interactions.occurred_at < end)
    users, user_idx = np.unique(part.user_idx, return_inverse=True)
    items, item_idx = np.unique(part.item_idx, return_inverse=True)
    return replace(
        part,
        user_idx=user_idx.astype(np.int32),
        item_idx=item_idx.astype(np.int32),
        n_users=len(users),
        n_items=len(items),
    )


def folds(
    past: Interactions, end: int, holdout_days: float, view: str, seed: int, *, after_days: float | None = None
) -> list[Fold]:
    """The folds before `end`, latest first: up to MOST by time, else one that holds out a random part of the pairs.

    Random where nothing lies before the first cut, or nothing after it; empty where nothing can be asked.
    """
    by_time = folds_by_time(past, end, holdout_days, view, seed, after_days=after_days)
    return by_time or random_fold(past, view, seed, after_days=after_days)


def folds_by_time(
    past: Interactions,
    end: int,
    holdout_days: float,
    view: str,
    seed: int,
    *,
    after_days: float | None = None,
    most: int = MOST,
) -> list[Fold]:
    """Up to `most` folds before `end`, latest first.

    The first holds out the last holdout_days, the next the holdout_days before those, and so on, while they ask enough
    users. Empty where nothing lies before the first cut, or nothing after it.
    """
    result: list[Fold] = []
    width = round(holdout_days * DAY)
    for back in range(most):
        until = end - back * width
        cut = until - width
        if len(result) >= 2 and sum(fold.questions.users.size for fold in result) >= USERS:
            break
        train = past.where(past.occurred_at < cut)
        holdout = past.where((past.occurred_at >= cut) & (past.occurred_at < until))
        if not (len(train) and len(holdout)) or (result and len(train) < ENOUGH_ROWS * len(result[0].train)):
            break
        questions = exam(train, holdout, view, seed, now=cut, after_days=after_days)
        n_users = questions.users.size
        if n_users == 0 or (result and n_users < ENOUGH_USERS * result[0].questions.users.size):
            break
        result.append(Fold(train, questions, cut, f"the {holdout_days:g} days from {_day(cut)}"))
    return result


def random_fold(past: Interactions, view: str, seed: int, *, after_days: float | None = None) -> list[Fold]:
    """One fold that holds out RANDOM_SHARE of the pairs, all interactions of each; empty where nothing can be asked."""
    keys = past.user_idx.astype(np.int64) * past.n_items + past.item_idx
    distinct = past.distinct_pairs()
    drawn = np.random.default_rng(seed).permutation(distinct)[: round(RANDOM_SHARE * distinct.size)]
    held_out = np.isin(keys, drawn)
    train, holdout = past.where(~held_out), past.where(held_out)
    if not (len(train) and len(holdout)):
        return []
    now = int(past.occurred_at.max()) + 1
    questions = exam(train, holdout, view, seed, now=now, after_days=after_days)
    return [Fold(train, questions, now, f"{RANDOM_SHARE:.0%} of the pairs, at random")] if questions.users.size else []


def _day(microseconds: int) -> str:
    return str(np.datetime64(microseconds, "us").astype("datetime64[m]"))

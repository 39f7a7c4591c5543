"""Train the second stage: a ranker of the first stage's candidates, on past windows inside the train part.

Each window is a fold: the first stage is fit, and every feature computed, from what lay before it; what users took in
it are the labels. What lies at or after `end` plays no part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from recjobs.core.evaluation.bootstrap import relative_difference
from recjobs.core.evaluation.exam import K
from recjobs.core.evaluation.metrics import per_user
from recjobs.core.lists.features import FEATURES
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.model.als import Factors, start_of_some
from recjobs.core.model.engine import Engine
from recjobs.core.model.ranker import BINARY, LAMBDARANK, Ranker
from recjobs.core.model.threads import in_threads
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions
from recjobs.core.search.folds import Fold, folds_by_time, random_fold

WINDOWS = 2
USERS, USERS_AT_RANDOM = 3000, 9000
"""Users of a window at most, drawn by the seed; more where pairs are held out at random, which is one window that has a
tenth of each user's pairs (docs/decisions/0094)."""
MIN_USERS = 200
"""The fewest users, with something they took among their candidates, that a ranker is trained on."""
PARTS = 4
"""Of the users of the latest window, where earlier ones have too few: each is asked about a ranker of the others."""
HAS_TIMES = 2.0
"""Days that interactions span, below which a random part of the pairs is held out in place of windows."""


@dataclass(frozen=True)
class Trained:
    """ranker: None, and why_not says why. windows: their names, latest first; users: how many it was trained on.

    of_users: on the latest window, NDCG@20 of each user by the first stage and by a ranker not trained on that user.
    """

    ranker: Ranker | None
    why_not: str | None = None
    windows: tuple[str, ...] = ()
    users: int = 0
    of_users: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False, compare=False)

    @property
    def ndcg(self) -> tuple[float, float] | None:
        """The means over the users."""
        return None if self.of_users is None else (float(self.of_users[0].mean()), float(self.of_users[1].mean()))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with the features' importance instead of the ranker."""
        first, second = self.ndcg or (None, None)
        return {
            "trained": self.ranker is not None,
            "why_not": self.why_not,
            "windows": list(self.windows),
            "users": self.users,
            "ndcg_first_stage": first,
            "ndcg_second_stage": second,
            "importance": {} if self.ranker is None else self.ranker.importance(),
        }


@dataclass(frozen=True, eq=False)
class _Window:
    """Some users' candidates (n_users, places), their features, and what each user took, row by row (an exam's)."""

    listed: np.ndarray
    features: np.ndarray
    taken: Any

    def labels(self) -> np.ndarray:
        """(n_users, places), whether the user took the candidate."""
        values = np.asarray(self.taken[np.arange(len(self.listed))[:, None], np.maximum(self.listed, 0)].todense())
        return (values > 0) & (self.listed >= 0)

    def is_useful(self) -> np.ndarray:
        """A mask of the users who took one of their candidates."""
        return np.asarray(self.labels().any(axis=1))

    def where(self, users: np.ndarray) -> "_Window":
        """The window of some of its users (a mask)."""
        return _Window(self.listed[users], self.features[users], self.taken[np.flatnonzero(users)])


def train_ranker(
    train: Interactions,
    end: int,
    recipe: Recipe,
    engine: Engine,
    *,
    view: str,
    holdout_days: float,
    seed: int,
    after_days: float | None = None,
) -> Trained:
    """The ranker of a recipe for lists made at `end` (microseconds), and a ranker's gain on the latest window.

    There is none where fewer than MIN_USERS users can be learned from, or where a ranker is not better on users of the
    latest window that it was not trained on than the first stage alone, beyond doubt (a 95% interval over its users).
    Windows in time are learned by LAMBDARANK, pairs held out at random by BINARY.
    """
    if (train.occurred_at >= end).any():
        train = train.where(train.occurred_at < end)
    if len(train) and np.ptp(train.occurred_at) < HAS_TIMES * DAY:
        most, objective = USERS_AT_RANDOM, BINARY
        folds = random_fold(train, view, seed, after_days=after_days)
    else:
        most, objective = USERS, LAMBDARANK
        folds = folds_by_time(train, end, holdout_days, view, seed, after_days=after_days, most=WINDOWS)
    names = tuple(fold.name for fold in folds)
    windows = _windows(folds, recipe, engine, seed, most)
    if not windows:
        return Trained(None, "there is no earlier window to learn from")
    useful = [window.where(window.is_useful()) for window in windows]
    users = sum(len(window.listed) for window in useful)
    if users < MIN_USERS:
        return Trained(None, f"{users} users can be learned from, {MIN_USERS} are needed", names, users)
    fit, asked, earlier = partial(_fit, seed=seed, objective=objective), windows[0], useful[1:]
    few = sum(len(window.listed) for window in earlier) < MIN_USERS / 2
    of_users = _cross_validated(asked, earlier, fit, seed, engine.threads) if few else _ndcg(asked, fit(earlier))
    first, second = of_users
    gain = relative_difference(second, first, seed)
    if not gain.low > 0:
        why_not = (
            f"on {names[0]} it does no better than the first stage beyond doubt: NDCG@20 {second.mean():.4f}, and the "
            f"first stage {first.mean():.4f} (95%: {gain.low:+.1%} to {gain.high:+.1%})"
        )
        return Trained(None, why_not, names, users, of_users)
    return Trained(fit(useful), None, names, users, of_users)


def _windows(folds: list[Fold], recipe: Recipe, engine: Engine, seed: int, most: int) -> list[_Window]:
    """The windows of folds; each first stage is fit from the factors of the one before it in time. Takes the folds out
    of the list, so that no more than one is held beside what is computed of it."""
    windows: list[_Window] = []
    start: Factors | None = None
    while folds:
        made = _window(folds.pop(), recipe, engine, seed, start, most)
        if made is None:
            return []
        window, start = made
        windows.insert(0, window)
    return windows


def _window(
    fold: Fold, recipe: Recipe, engine: Engine, seed: int, start: Factors | None, most: int
) -> tuple[_Window, Factors] | None:
    """The window of at most `most` users of a fold, and its first stage's factors, of many pairs those of some users;
    None if they are unusable."""
    past, users = Past(fold.train, fold.now, engine), np.arange(fold.questions.users.size)
    confidence = past.confidence(recipe)
    fitted = start_of_some(confidence, recipe, seed, engine.threads) or engine.fit(confidence, recipe, seed, start)
    if fitted.defect():
        return None
    if users.size > most:
        users = np.sort(np.random.default_rng(seed).choice(users, most, replace=False))
    questions = fold.questions.rows(users)
    maker = ListMaker(past, Knowledge.of_train(fold.train), Model(fitted.item_factors, recipe), questions.kept_out)
    return _Window(*maker.candidates(questions.users), questions.holdout), fitted


def _cross_validated(
    asked: _Window, earlier: Sequence[_Window], fit: Callable[[Sequence[_Window]], Ranker], seed: int, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `_ndcg`, of each of PARTS of the users by a ranker of the other parts and the earlier windows."""
    part, useful = np.random.default_rng(seed).integers(PARTS, size=len(asked.listed)), asked.is_useful()

    def ask(number: int) -> tuple[np.ndarray, np.ndarray]:
        return _ndcg(asked.where(part == number), fit([asked.where(useful & (part != number)), *earlier]))

    first, second = zip(*in_threads(ask, range(PARTS), threads), strict=True)
    return np.concatenate(first), np.concatenate(second)


def _fit(windows: Sequence[_Window], seed: int, objective: str) -> Ranker:
    valid = [window.listed >= 0 for window in windows]
    features = np.concatenate([window.features[kept] for window, kept in zip(windows, valid, strict=True)])
    labels = np.concatenate([window.labels()[kept] for window, kept in zip(windows, valid, strict=True)])
    groups = np.concatenate([kept.sum(axis=1) for kept in valid])
    return Ranker.fit(features, labels.astype(np.int8), groups, tuple(FEATURES), seed, objective)


def _ndcg(window: _Window, ranker: Ranker) -> tuple[np.ndarray, np.ndarray]:
    """NDCG@20 of each user's candidates in the first stage's order and in the ranker's."""
    scores = ranker.scores(window.features.reshape(-1, window.features.shape[2])).reshape(window.listed.shape)
    order = np.argsort(np.where(window.listed >= 0, -scores, np.inf), axis=1, kind="stable")
    ranked = np.take_along_axis(window.listed, order, axis=1)
    first, second = (per_user(lists, window.taken, K)["ndcg"] for lists in (window.listed, ranked))
    asked = np.isfinite(first)
    return first[asked], second[asked]

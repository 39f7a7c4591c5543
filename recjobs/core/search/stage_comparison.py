"""A recipe with a second stage against the same recipe without, on the folds of a search."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from recjobs.core.evaluation.bootstrap import relative_difference
from recjobs.core.evaluation.exam import answer
from recjobs.core.lists.maker import ListMaker, Model, Past
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.search.folds import Fold
from recjobs.core.search.second_stage import train_ranker

FOLDS = 2
"""The latest folds are compared on: each takes three fits, and as long as a night's second stage."""
USERS = 4000
"""Users asked in each at most, drawn by the seed."""


@dataclass(frozen=True)
class StageComparison:
    """NDCG@20 of the lists without and with a second stage, over the users of some folds, and the 95% interval of the
    relative difference. why_not: where no fold had a ranker, why; the numbers are None then."""

    folds: tuple[str, ...] = ()
    users: int = 0
    without: float | None = None
    with_it: float | None = None
    low: float | None = None
    high: float | None = None
    why_not: str | None = None

    @property
    def is_better(self) -> bool:
        """Whether the second stage is better beyond doubt."""
        return self.low is not None and self.low > 0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "folds": list(self.folds), "is_better": self.is_better}


def compare_stages(
    recipe: Recipe,
    folds: Sequence[Fold],
    engine: Engine,
    *,
    view: str,
    holdout_days: float,
    seed: int,
    after_days: float | None = None,
) -> StageComparison:
    """Compare a recipe with and without a second stage on the latest folds, as nights before those would have served.

    A fold for which no ranker is kept counts as equal: the night goes on without one. Neither stage sees what lies at
    or after a fold's cut.
    """
    values: list[tuple[np.ndarray, np.ndarray]] = []
    why_not: list[str] = []
    for fold in folds[:FOLDS]:
        trained = train_ranker(
            fold.train,
            fold.now,
            replace(recipe, rerank=True),
            engine,
            view=view,
            holdout_days=holdout_days,
            seed=seed,
            after_days=after_days,
        )
        if trained.ranker is None:
            why_not.append(str(trained.why_not))
            if len(why_not) == len(folds[:FOLDS]):
                return StageComparison(why_not=why_not[0])
        past, questions = Past(fold.train, fold.now, engine), fold.questions
        factors = engine.fit(past.confidence(recipe), recipe, seed)
        if defect := factors.defect():
            return StageComparison(why_not=defect)
        if questions.users.size > USERS:
            drawn = np.random.default_rng(seed).choice(questions.users.size, USERS, replace=False)
            questions = questions.rows(np.sort(drawn))
        item_factors = np.where(fold.known.eligible[:, None], factors.item_factors, np.float32(0))
        models = [Model(item_factors, recipe), Model(item_factors, recipe, trained.ranker)]
        first, second = (
            answer("trial", ListMaker(past, fold.known, model, questions.kept_out), questions).per_user["ndcg"]
            for model in models
        )
        values.append((first, second))
    if not values:
        return StageComparison(why_not="there is no fold")
    without, with_it = (np.concatenate(each) for each in zip(*values, strict=True))
    gain = relative_difference(with_it, without, seed)
    names = tuple(fold.name for fold in folds[:FOLDS])
    means = float(without.mean()), float(with_it.mean())
    low, high = (float(end) if np.isfinite(end) else None for end in (gain.low, gain.high))
    return StageComparison(names, int(without.size), *means, low, high)

"""A second stage for each of several recipes: whose lists are best with it."""

from collections.abc import Sequence

from recjobs.core.evaluation.bootstrap import DECIMALS, relative_difference
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import Interactions
from recjobs.core.search.second_stage import Trained, train_ranker


def best_ranker(
    train: Interactions,
    end: int,
    recipes: Sequence[Recipe],
    engine: Engine,
    *,
    view: str,
    holdout_days: float,
    seed: int,
) -> tuple[Recipe, Trained]:
    """(the recipe whose lists are best with a ranker, its ranker), all asked about the same users, see `train_ranker`.

    The first recipe, without a ranker, where none is better beyond doubt than its lists without one. recipes: at least
    one; what is best without a ranker, first.
    """
    stages = [
        train_ranker(train, end, recipe, engine, view=view, holdout_days=holdout_days, seed=seed) for recipe in recipes
    ]
    plain = stages[0].of_users

    def worth(stage: Trained) -> float:
        if plain is None or stage.of_users is None or stage.ranker is None:
            return -1.0
        second = stage.of_users[1]
        return round(float(second.mean()), DECIMALS) if relative_difference(second, plain[0], seed).low > 0 else -1.0

    chosen = max(range(len(stages)), key=lambda place: (worth(stages[place]), -place))
    return recipes[chosen], stages[chosen]

"""An attempt: a recipe is fit to each fold and judged with those that share its fit, or pruned where it is hopeless."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from recjobs.core.evaluation.exam import answer
from recjobs.core.lists.maker import ListMaker, Model
from recjobs.core.model.engine import Engine
from recjobs.core.model.user_items import UserItems
from recjobs.core.recipe import Recipe
from recjobs.core.search import preview
from recjobs.core.search.folds import Fold
from recjobs.core.search.search import FOLD, LOOKS, GiveUp, Trial, Variant
from recjobs.core.search.space import Space
from recjobs.core.search.variants import mean_ndcgs

LOOKED_AT = 1000
"""Users asked at a look before the end of a fold."""


def attempt(
    space: Space,
    recipe: Recipe,
    folds: Sequence[Fold],
    seed: int,
    engine: Engine,
    give_up: GiveUp,
    number: int = 0,
    variants: Sequence[Recipe] = (),
    *,
    may_preview: bool = True,
) -> Trial:
    """Fit a recipe to each fold, first as a preview where that pays and may be, and evaluate it as the gate will; prune
    it where `give_up` returns true.

    variants: recipes that have the same fit and are judged by it, see `variants_of`. Exceptions of give_up end the
    attempt.
    """
    looks: dict[int, float] = {}
    values: list[np.ndarray] = []
    recipes = [recipe, *variants]
    ndcgs = partial(_ndcgs, recipes=recipes, engine=engine)

    def ended(state: str, defect: str | None = None) -> Trial:
        reached = np.mean(values, axis=0) if values else np.array([*looks.values()][-1:])
        value = (
            0.0
            if defect is not None or not reached.size
            else float(reached[0] if state == "complete" else reached.max())
        )
        of_recipe = [tuple(float(fold[place]) for fold in values) for place in range(len(recipes))]
        others = zip(recipes[1:], of_recipe[1:], strict=True) if state == "complete" else ()
        judged = tuple(Variant(one, of_folds) for one, of_folds in others)
        return Trial(number, recipe, space.params(recipe), state, value, looks, of_recipe[0], defect, variants=judged)

    first, reduced = folds[0], preview.preview_of(recipe)
    previewed = reduced.iterations if may_preview and preview.is_worth_it(folds) else 0
    if previewed and reduced.factors < recipe.factors:
        factors, previewed = engine.fit(_confidence(first, recipes, engine), reduced, seed), 0
        value = 0.0 if factors.defect() else float(max(ndcgs(first, factors.item_factors, most=preview.USERS)))
        looks[preview.LOOK] = value
        if give_up(preview.LOOK, value):
            return ended("pruned")

    def watch(iteration: int, _: np.ndarray, items: np.ndarray) -> None:
        if not np.isfinite(items).all():
            return
        if iteration == previewed:  # these are the factors of the preview
            look_at(items, preview.LOOK, preview.USERS)
        if iteration in LOOKS and previewed <= iteration < recipe.iterations:
            look_at(items, iteration, LOOKED_AT)

    def look_at(items: np.ndarray, look: int, most: int) -> None:
        looks[look] = float(max(ndcgs(first, items, most=most)))
        if give_up(look, looks[look]):
            raise _Hopeless

    for index, fold in enumerate(folds):
        try:
            confidence = _confidence(fold, recipes, engine)
            factors = engine.fit(confidence, recipe, seed, watch=None if index else watch)
            if not index and factors.iterations < previewed and not factors.defect():
                look_at(factors.item_factors, preview.LOOK, preview.USERS)  # its lists settled before
        except _Hopeless:
            return ended("pruned")
        if defect := factors.defect():
            return ended("failed", defect)
        values.append(ndcgs(fold, factors.item_factors))
        look = FOLD * len(values)
        looks[look] = float(np.mean(values, axis=0).max())
        if len(values) < len(folds) and give_up(look, looks[look]):
            return ended("pruned")
    return ended("complete")


def _confidence(fold: Fold, recipes: Sequence[Recipe], engine: Engine) -> UserItems:
    return fold.past(_sharing(recipes), engine).confidence(recipes[0])


def _sharing(recipes: Sequence[Recipe]) -> Recipe:
    """The one of these recipes, which count interactions alike, whose past has what all of them need."""
    return next((one for one in recipes if one.own_frequency), recipes[0])


def _ndcgs(
    fold: Fold, item_factors: np.ndarray, *, recipes: Sequence[Recipe], engine: Engine, most: int | None = None
) -> np.ndarray:
    """NDCG@20 of item factors with each recipe in the deciding view, of at most `most` users at equal distances."""
    factors, questions = np.where(fold.known.eligible[:, None], item_factors, np.float32(0)), fold.questions
    if most:
        questions = questions.rows(np.arange(0, questions.users.size, -(-questions.users.size // most)))
    past = fold.past(_sharing(recipes), engine)
    if len(recipes) > 1:
        return mean_ndcgs(past, fold.known, factors, recipes, questions)
    maker = ListMaker(past, fold.known, Model(factors, recipes[0]), questions.kept_out)
    return np.array([float(np.mean(answer("trial", maker, questions).per_user["ndcg"]))])


class _Hopeless(Exception):
    """The trial is pruned."""

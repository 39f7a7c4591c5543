"""Where a catalog without times starts its fit: the champion has seen every row, its candidate only the train part."""

from typing import TYPE_CHECKING

from recjobs.core.evaluation.split import RANDOM
from recjobs.errors import ModelRefused
from recjobs.night.night import Night

if TYPE_CHECKING:
    from recjobs.core.model.als import Factors


def earlier_candidate(night: Night) -> "Factors | None":
    """Return the factors of the candidate that became the champion, in tonight's order of users and items.

    It has not seen tonight's holdout, since a random holdout has the same pairs every night. None where that night was
    split otherwise, its files are gone, or it had another number of factors.
    """
    from recjobs.core.model.als import Factors, aligned

    champion = night.request.champion
    if champion is None or night.cutoff().rule != RANDOM:
        return None
    before = night.of_batch(champion.batch_id)
    try:
        if before.cutoff().rule != RANDOM or before.stored_request()["seed"] != night.request.seed:
            return None
        model = before.candidate()
    except (ModelRefused, KeyError):
        return None
    if model.factors.item_factors.shape[1] != night.catalog.recipe.factors:
        return None
    return Factors(
        aligned(model.factors.user_factors, model.user_ids, night.ids("users")),
        aligned(model.factors.item_factors, model.item_ids, night.ids("items")),
    )

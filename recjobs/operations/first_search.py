"""Search for the recipe of a catalog's first nights, before they begin, where nobody has chosen one."""

import logging
from collections.abc import Callable
from typing import Any

from recjobs.catalog.file import Catalog, sets_recipe
from recjobs.catalog.tune import searches_first
from recjobs.config import load_settings
from recjobs.errors import RecjobsError
from recjobs.night.runner import run_through
from recjobs.night.study import Study
from recjobs.operations import tune

log = logging.getLogger(__name__)

Tell = Callable[[str], None]
"""Shows a line of text about what the search does."""


def run(
    catalog: Catalog, *, as_of: str | None, overrides: dict[str, Any], tell: Tell = lambda text: None
) -> dict[str, Any]:
    """Search for a recipe, which the night then trains as the catalog's challenger.

    Returns `searched`, and the study's result or `why` there was no search. catalog: as read from its file. There is a
    search if `searches_first` says so, no override changes the recipe, and no model is in charge. One that was killed
    goes on, and one that is finished changes nothing: the same input, file and code make the same study.

    Raises nothing but errors that a retry may fix: what is wrong with the input or the request is for the night to say.
    """
    if not searches_first(catalog) or sets_recipe(overrides):
        return {"searched": False, "why": "the recipe is given"}

    def told(text: str) -> None:
        log.info(text)
        tell(text)

    try:
        effective = catalog.with_overrides(overrides)
        if tune.champion_of(load_settings(), catalog):
            return {"searched": False, "why": "a model is in charge"}
        told(f"no model is in charge, and `model` in the catalog file names no hyperparameter: {_limits(catalog)}")
        batch_id = run_through("validate", effective, as_of)
    except RecjobsError as error:
        if error.retry:
            raise
        return {"searched": False, "why": str(error)}
    try:
        return {"searched": True, **_study(effective, batch_id, told)}
    except RecjobsError as error:
        if error.retry:
            raise
        told(f"there is no search before this night: {error}")
        return {"searched": False, "why": str(error)}


def _study(catalog: Catalog, batch_id: str, told: Tell) -> dict[str, Any]:
    asked = catalog.tune
    began = tune.begin_on(batch_id, catalog, publish=True)
    study = Study.open(catalog, began["study_id"])
    told(f"{'resuming' if began['trials'] else 'study'} {study.request.study_id} of {catalog.name}")
    for trial in tune.run_trials(study, tune.Budget(60 * asked.first_night_minutes, asked.first_night_trials)):
        told(f"trial {trial.number}: {trial.value:.4f} {trial.state_text or trial.recipe.one_line()}")
    result = tune.finish_study(study)
    found = "its recipe is trained tonight" if result["challenger"] else "nothing was better than the file's recipe"
    told(f"best {result['value']:.4f} of {result['trials']} trials in {result['seconds']:.0f} s: {found}")
    return result


def _limits(catalog: Catalog) -> str:
    asked = catalog.tune
    return (
        f"a search of up to {asked.first_night_minutes:g} minutes and {asked.first_night_trials} trials comes first "
        "(tune.first_night_minutes: 0 turns it off)"
    )

"""Search for a better recipe on the past, never on the gate's holdout. The best becomes the catalog's challenger, which
the next night trains; only the gate promotes."""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from recjobs.adapters import migrations
from recjobs.catalog.file import Catalog
from recjobs.config import Settings, load_settings
from recjobs.core.recipe import Recipe
from recjobs.core.search import search
from recjobs.core.search.search import Trial
from recjobs.core.search.space import space_of
from recjobs.core.search.trials import run_trial
from recjobs.errors import DataRefused, SystemAway
from recjobs.night.night import Night, code_version, database
from recjobs.night.request import ChampionPin
from recjobs.night.runner import begin_night, measured, run_step
from recjobs.night.study import Study, StudyRequest, data_cutoff, folds_of, load_past
from recjobs.reports.study import study_page

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Budget:
    """How long a study may go on: seconds in which any trial ran, and a number of trials; None: no limit."""

    seconds: float | None
    trials: int | None = None

    def is_spent(self, trials: list[Trial], running: float = 0.0) -> bool:
        """Whether no further trial may begin; running: seconds of one that is not finished."""
        if self.trials is not None and len(trials) >= self.trials:
            return True
        return self.seconds is not None and search.spent(trials) + running >= self.seconds


def begin(catalog: Catalog, batch_id: str, *, publish: bool = True) -> dict[str, Any]:
    """Pin a study of a night whose input was validated, or find the one that was asked the same.

    publish: hold the search against the champion, and let its best recipe become the challenger.
    Raises DataRefused when there is nothing to ask about before the gate's holdout.
    """
    settings, night = load_settings(), Night.open(catalog, batch_id)
    champion = _champion(settings, catalog) if publish else None
    until = data_cutoff(night.request.as_of, catalog.holdout_days, champion)
    past = load_past(night, until)
    if not folds_of(catalog, past, until):
        raise DataRefused(
            f"catalog {catalog.name}: before {until:%Y-%m-%d %H:%M} UTC, where the gate's holdout begins, there are "
            f"{len(past)} interactions, and nothing to ask about in them; lower holdout_days, or wait for more"
        )
    recipes = [catalog.recipe, *([Recipe.from_json(champion.recipe)] if champion else [])]
    request = StudyRequest(
        batch_id=batch_id,
        as_of=night.request.as_of,
        data_cutoff=until,
        began_at=datetime.now(UTC).replace(microsecond=0),
        publish=publish,
        champion=champion,
        input_hash=night.request.input["hash"],
        seed=catalog.seed,
        space=space_of(past, recipes).to_json(),
        code_version=code_version(),
        catalog=catalog,
    ).named()
    study = Study.begin(request)
    return {"study_id": request.study_id, "trials": len(study.trials())}


def trials(study: Study, budget: Budget) -> Iterator[Trial]:
    """Make trials, one after the other, until the budget is spent."""
    while True:
        known = study.trials()
        if budget.is_spent(known):
            return
        numbers = {trial.number for trial in known}
        number = next(number for number in range(len(numbers) + 1) if number not in numbers)
        if (made := trial(study, number, budget)) is None:
            return
        yield made


def trial(study: Study, number: int, budget: Budget, threads: int = 0) -> Trial | None:
    """Make trial `number`, or read it if it was made before; None: the study's budget was spent before its end.

    What the study begins with is tried whatever the budget says: without it nothing could be called better.
    """
    finished = study.trials()
    if made := next((one for one in finished if one.number == number), None):
        return made
    first = number < len(study.known)
    if budget.is_spent(finished) and not first:
        return None
    study.folds  # noqa: B018  loaded now, which is no time of the trial's
    began_at, began = time.time(), time.monotonic()
    made = run_trial(
        study.space,
        study.planned,
        study.folds,
        finished,
        number,
        seed=study.request.seed,
        threads=threads or study.settings.threads or os.cpu_count() or 1,
        is_over=None if first else lambda: budget.is_spent(finished, time.monotonic() - began),
    )
    if made is None:
        return None
    made = replace(made, began_at=began_at, seconds=time.monotonic() - began)
    study.save(made)
    try:
        study.log(made)
    except SystemAway as error:
        log.warning("trial %d is not in MLflow yet: %s", number, error)
    return made


def finish(study: Study) -> dict[str, Any]:
    """Write the study's page, and let its best recipe become the challenger if none of those it began with is as good.

    Doing it again changes nothing. Raises DataRefused when no trial came to its end.
    """
    request, made = study.request, study.trials()
    best = search.chosen(study.space, study.known, made)
    if best is None:
        raise DataRefused(
            f"study {request.study_id}: no trial came to its end; their defects are in {study.records.folder}"
        )
    in_file = _value_of(made, request.catalog.recipe)
    found = best.recipe not in study.known
    if request.publish and found:
        _record(study, best, in_file, len(made))
    page = study_page(study, made, best, in_file, is_challenger=request.publish and found)
    study.records.save_text("study.html", page)
    if request.publish:
        with database(study.settings, request.catalog, "publisher").connect() as session:
            session.call("record_report", batch=request.study_id, page=page)
    _finish_run(study, made, best, page)
    link = f"{study.settings.webapp_url}/reports/{request.catalog.name}/{request.study_id}"
    return {
        "study_id": request.study_id,
        "trials": len(made),
        "seconds": round(search.spent(made), 1),
        "best": best.recipe.to_json(),
        "value": best.value,
        "base_value": in_file,
        "challenger": request.publish and found,
        "report": link if request.publish else f"{study.records.folder}/study.html",
    }


def _champion(settings: Settings, catalog: Catalog) -> ChampionPin | None:
    if settings.owner_url or settings.database_url:
        migrations.migrate_catalog(database(settings, catalog, "owner"), catalog.description)
    with database(settings, catalog, "publisher").connect() as session:
        row = session.row("champion")
    return ChampionPin(**row) if row else None


def _value_of(made: list[Trial], recipe: Recipe) -> float | None:
    return next((trial.value for trial in made if trial.recipe == recipe and trial.state == "complete"), None)


def _record(study: Study, best: Trial, in_file: float | None, n_trials: int) -> None:
    request = study.request
    challenger = {
        "study_id": request.study_id,
        "as_of": request.as_of.isoformat(),
        "data_cutoff": request.data_cutoff.isoformat(),
        "recipe": best.recipe.to_json(),
        "base_recipe": request.catalog.recipe.to_json(),
        "value": best.value,
        "base_value": in_file,
        "n_trials": n_trials,
    }
    with database(study.settings, request.catalog, "publisher").connect() as session:
        session.call("record_challenger", challenger=challenger)


def _finish_run(study: Study, made: list[Trial], best: Trial, page: str) -> None:
    registry = study.registry()
    run = registry.run_of_study(study.request.study_id)
    logged = registry.logged_trials(run)
    for trial in made:
        if trial.number not in logged:  # MLflow was away, or the process was killed before it came to that
            study.log(trial)
    registry.log(
        run,
        params={**best.recipe.to_json(), "seed": study.request.seed, "as_of": study.request.as_of.isoformat()},
        metrics={"ndcg_at_20": best.value, "trials": len(made), "seconds": search.spent(made)},
        tags={"input_hash": study.request.input_hash, "code_version": study.request.code_version},
    )
    registry.attach(run, "study.html", page)
    registry.finish(run)


def begin_study(catalog: Catalog, *, as_of: str | None, publish: bool) -> dict[str, Any]:
    """Begin a study as `begin` does, on what a night of the same as_of would accept; both are measured."""
    with measured("tune", catalog):
        batch_id = begin_night(catalog, as_of=as_of, publish=False)["batch_id"]
        for step in ("extract", "validate"):
            if not Night.open(catalog, batch_id).is_done(step):
                run_step(step, catalog, batch_id)
        return begin(catalog, batch_id, publish=publish)


def one_trial(catalog: Catalog, study_id: str, number: int, seconds: float, threads: int) -> dict[str, Any]:
    """Make one trial of a study, by itself; `said` is for people. State skipped: its time was over before the end."""
    made = trial(Study.open(catalog, study_id), number, Budget(seconds), threads)
    if made is None:
        return {"number": number, "state": "skipped", "said": "out of time"}
    said = f"{made.value:.4f} {made.said}: {made.recipe.said()}"
    return {"number": number, "state": made.state, "said": said, "value": made.value, "seconds": round(made.seconds, 1)}


def finish_study(catalog: Catalog, study_id: str) -> dict[str, Any]:
    """End a study as `finish` does, measured."""
    with measured("tune", catalog):
        return finish(Study.open(catalog, study_id))

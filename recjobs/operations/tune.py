"""Search for a better recipe on the past, never on the gate's holdout. The best becomes the catalog's challenger."""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from recjobs.adapters import migrations
from recjobs.catalog.file import Catalog
from recjobs.catalog.names import Named
from recjobs.config import Settings, load_settings
from recjobs.core.recipe import Recipe
from recjobs.core.search import search
from recjobs.core.search.search import Trial
from recjobs.core.search.space import space_of
from recjobs.core.search.trials import run_trial
from recjobs.errors import DataRefused, SystemAway
from recjobs.night.night import Night, code_version, database, registry
from recjobs.night.request import ChampionPin
from recjobs.night.runner import measured, run_through
from recjobs.night.study import Study, StudyRequest, data_cutoff, folds_of, load_past
from recjobs.reports.study import study_page

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Budget:
    """The limits of a study: seconds in which any trial ran, and a number of trials; None: no limit."""

    seconds: float | None
    trials: int | None = None

    def is_spent(self, trials: list[Trial], running: float = 0.0) -> bool:
        """Whether no further trial may begin; running: seconds of one that is not finished."""
        if self.trials is not None and len(trials) >= self.trials:
            return True
        return self.seconds is not None and search.spent(trials) + running >= self.seconds


def begin(catalog: Catalog, *, as_of: str | None, publish: bool) -> dict[str, Any]:
    """Begin a study on what a night of the same as_of accepts, or return the one with the same request.

    publish: compare with the champion, and let the best recipe become the challenger.
    Raises DataRefused if nothing before the gate's holdout can be evaluated.
    """
    with measured("tune", catalog):
        return begin_on(run_through("validate", catalog, as_of), catalog, publish=publish)


def begin_on(batch_id: str, catalog: Catalog, *, publish: bool) -> dict[str, Any]:
    """Begin a study as `begin` does, on the input of a night that is validated. It counts no failure."""
    settings, night = load_settings(), Night.open(catalog, batch_id)
    champion = champion_of(settings, catalog) if publish else None
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
        space=space_of(past, recipes, repeats=catalog.view != "discovery").to_json(),
        code_version=code_version(),
        catalog=catalog,
    ).named()
    return {"study_id": request.study_id, "trials": len(Study.begin(request).trials())}


def run_trials(study: Study, budget: Budget) -> Iterator[Trial]:
    """Run trials, one after the other, until the budget is spent."""
    while not budget.is_spent(known := study.trials()):
        numbers = {trial.number for trial in known}
        number = next(number for number in range(len(numbers) + 1) if number not in numbers)
        if (trial := _run_trial(study, number, budget)) is None:
            return
        yield trial


def trial(catalog: Named, study_id: str, number: int, seconds: float, threads: int) -> dict[str, Any]:
    """Run one trial of a study; `said` is for people. State skipped: the time was over before its end."""
    trial = _run_trial(Study.open(catalog, study_id), number, Budget(seconds), threads)
    if trial is None:
        return {"number": number, "state": "skipped", "said": "out of time"}
    text = f"{trial.value:.4f} {trial.state_text}: {trial.recipe.one_line()}"
    seconds = round(trial.seconds, 1)
    return {"number": number, "state": trial.state, "said": text, "value": trial.value, "seconds": seconds}


def _run_trial(study: Study, number: int, budget: Budget, threads: int = 0) -> Trial | None:
    """Run trial `number`, or load it if it is finished; None: the budget was spent before its end.

    The study's first recipes are tried whatever the budget: without them nothing could be called better.
    """
    finished = study.trials()
    if trial := next((one for one in finished if one.number == number), None):
        return trial
    first = number < len(study.known)
    if budget.is_spent(finished) and not first:
        return None
    study.folds  # noqa: B018  loaded now: not part of the trial's time
    began_at, began = time.time(), time.monotonic()
    threads = threads or study.settings.threads or os.cpu_count() or 1
    is_over = None if first else lambda: budget.is_spent(finished, time.monotonic() - began)
    trial = run_trial(
        study.space,
        study.planned,
        study.folds,
        finished,
        number,
        seed=study.request.seed,
        threads=threads,
        is_over=is_over,
    )
    if trial is None:
        return None
    trial = replace(trial, began_at=began_at, seconds=time.monotonic() - began)
    study.save(trial)
    try:
        study.log(trial)
    except SystemAway as error:
        log.warning("trial %d is not in MLflow yet: %s", number, error)
    return trial


def finish(catalog: Named, study_id: str) -> dict[str, Any]:
    """Finish a study as `finish_study` does, and measure it."""
    with measured("tune", catalog):
        return finish_study(Study.open(catalog, study_id))


def finish_study(study: Study) -> dict[str, Any]:
    """Compare its best recipe with and without a second stage, write the study's page, and record the recipe as
    challenger unless the study began with it.

    A second time changes nothing. Raises DataRefused if no trial was completed.
    """
    request, trials = study.request, study.trials()
    chosen = search.chosen(study.space, study.known, trials)
    if chosen is None:
        raise DataRefused(
            f"study {request.study_id}: no trial was completed; see the defects in {study.records.folder}"
        )
    stages = study.compared_stages(chosen.recipe)
    best = replace(chosen, recipe=replace(chosen.recipe, rerank=True)) if stages.get("is_better") else chosen
    every = search.judged(study.space, trials)
    in_file = next((t.value for t in every if t.recipe == request.catalog.recipe and t.state == "complete"), None)
    is_challenger = request.publish and best.recipe not in study.known
    page = study_page(study, trials, best, in_file, stages, is_challenger=is_challenger)
    study.records.save_text("study.html", page)
    if request.publish:
        with database(request.catalog, "publisher").connect() as session:
            if is_challenger:
                session.call("record_challenger", challenger=_challenger(request, best, in_file, len(trials)))
            session.call("record_report", batch=request.study_id, page=page)
    _finish_run(study, trials, best, page)
    link = f"{study.settings.webapp_url}/reports/{request.catalog.name}/{request.study_id}"
    return {
        "study_id": request.study_id,
        "trials": len(trials),
        "recipes": len(every),
        "seconds": round(search.spent(trials), 1),
        "best": best.recipe.to_json(),
        "value": best.value,
        "base_value": in_file,
        "second_stage": stages,
        "challenger": is_challenger,
        "report": link if request.publish else f"{study.records.folder}/study.html",
    }


def champion_of(settings: Settings, catalog: Catalog) -> ChampionPin | None:
    """The model in charge, if there is one. A catalog whose schema is not there yet gets it."""
    if settings.owner_url or settings.database_url:
        migrations.migrate_catalog(database(catalog, "owner"), catalog.description)
    with database(catalog, "publisher").connect() as session:
        row = session.row("champion")
    return ChampionPin(**row) if row else None


def _challenger(request: StudyRequest, best: Trial, in_file: float | None, n_trials: int) -> dict[str, Any]:
    return {
        "study_id": request.study_id,
        "as_of": request.as_of.isoformat(),
        "data_cutoff": request.data_cutoff.isoformat(),
        "recipe": best.recipe.to_json(),
        "base_recipe": request.catalog.recipe.to_json(),
        "value": best.value,
        "base_value": in_file,
        "n_trials": n_trials,
    }


def _finish_run(study: Study, trials: list[Trial], best: Trial, page: str) -> None:
    runs = registry(study.request.catalog)
    run = runs.run_of(study.request.study_id, "study_id")
    logged = runs.logged_trials(run)
    for trial in trials:
        if trial.number not in logged:  # MLflow was away, or the process was killed
            study.log(trial)
    runs.log(
        run,
        params={**best.recipe.to_json(), "seed": study.request.seed, "as_of": study.request.as_of.isoformat()},
        metrics={"ndcg_at_20": best.value, "trials": len(trials), "seconds": search.spent(trials)},
        tags={"input_hash": study.request.input_hash, "code_version": study.request.code_version},
    )
    runs.attach(run, "study.html", page)
    runs.finish(run)

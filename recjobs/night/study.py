"""A study: a search for a better recipe, pinned when it begins, with a file per trial.

The files are `<root>/<catalog>/_tune/<study_id>/request.json, trial-00000.json, ...`. A trial reads the finished ones
first, so that several processes can run trials, and any can be killed.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict

from recjobs.adapters.records import Records
from recjobs.catalog.file import Catalog
from recjobs.catalog.names import Named
from recjobs.config import Settings, load_settings
from recjobs.core.evaluation.split import split_at_random
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import Interactions
from recjobs.core.search.folds import ASKED, Fold, before, folds
from recjobs.core.search.portfolio import portfolio
from recjobs.core.search.search import Trial
from recjobs.core.search.space import Space
from recjobs.core.search.stage_comparison import compare_stages
from recjobs.errors import Misuse
from recjobs.night.night import Night, registry
from recjobs.night.request import ChampionPin


class StudyRequest(BaseModel):
    """The request of a study. All its trials use the same input, cut at the same instant."""

    model_config = ConfigDict(frozen=True)

    study_id: str = ""
    batch_id: str
    """The night whose validated interactions are used."""
    as_of: datetime
    data_cutoff: datetime
    """The exclusive end of what trials see; the rest is the gate's."""
    began_at: datetime
    publish: bool
    champion: ChampionPin | None
    input_hash: str
    seed: int
    space: dict[str, Any]
    code_version: str
    catalog: Catalog
    """The catalog as in its file."""

    def named(self) -> "StudyRequest":
        """Return the request with its id, a hash of what is asked and of the input."""
        content = self.model_dump(mode="json", exclude={"study_id", "batch_id", "began_at"})
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return self.model_copy(update={"study_id": f"tune-{self.as_of:%Y%m%dT%H%M%SZ}-{digest[:8]}"})


def data_cutoff(as_of: datetime, holdout_days: float, champion: ChampionPin | None) -> datetime:
    """The end of what a search may see: before any holdout that the gate may use from this night on."""
    latest = as_of - timedelta(days=holdout_days)
    return min(latest, champion.data_cutoff) if champion else latest


@dataclass
class Study:
    """One study: its request and its trials so far."""

    request: StudyRequest
    records: Records
    settings: Settings
    _run: str | None = field(default=None, init=False)

    @classmethod
    def open(cls, catalog: Named, study_id: str) -> "Study":
        """Open a study by its id. Raises Misuse if there is none."""
        settings = load_settings()
        records = Records(settings.artifacts, f"{catalog.name}/_tune/{study_id}")
        stored = records.load("request.json")
        if stored is None:
            raise Misuse(f"catalog {catalog.name}: there is no study {study_id!r}; `recjobs tune` begins one")
        return cls(StudyRequest.model_validate(stored), records, settings)

    @classmethod
    def begin(cls, request: StudyRequest) -> "Study":
        """Open the study of a named request, or create it."""
        records = Records(load_settings().artifacts, f"{request.catalog.name}/_tune/{request.study_id}")
        if records.load("request.json") is None:
            records.save("request.json", request.model_dump(mode="json"))
        return cls.open(request.catalog, request.study_id)

    @property
    def known(self) -> list[Recipe]:
        """The recipes that a study begins with: the champion's, and the catalog file's."""
        champion = self.request.champion
        recipes = [Recipe.from_json(champion.recipe)] if champion else []
        return list(dict.fromkeys([*recipes, self.request.catalog.recipe]))

    @property
    def planned(self) -> list[Recipe]:
        """The recipes of the first trials: the known ones, then those of the portfolio."""
        catalog, past = self.request.catalog, self.folds[0].train
        starts = portfolio(self.space, past, catalog.recipe, repeats=catalog.view != "discovery")
        return list(dict.fromkeys([*self.known, *starts]))

    @cached_property
    def space(self) -> Space:
        """The search space."""
        return Space.from_json(self.request.space)

    @cached_property
    def folds(self) -> list[Fold]:
        """The folds that every trial is evaluated on."""
        catalog, until = self.request.catalog, self.request.data_cutoff
        return folds_of(catalog, load_past(Night.open(catalog, self.request.batch_id), until), until)

    def trials(self) -> list[Trial]:
        """Every finished trial, by number."""
        names = [name for name in self.records.names() if name.startswith("trial-")]
        return [Trial.from_json(stored) for name in names if (stored := self.records.load(name))]

    def save(self, trial: Trial) -> None:
        """Store a finished trial."""
        self.records.save(f"trial-{trial.number:05}.json", trial.to_json())

    def compared_stages(self, recipe: Recipe) -> dict[str, Any]:
        """`StageComparison.to_json` of a recipe that has no second stage, stored once it is made; empty for one that
        has: it keeps it."""
        if recipe.rerank:
            return {}
        stored = self.records.load("second_stage.json")
        if stored is None or stored["recipe"] != recipe.to_json():
            catalog, threads = self.request.catalog, self.settings.threads or os.cpu_count() or 1
            compared = compare_stages(
                recipe,
                self.folds,
                Engine(threads),
                view=catalog.view,
                holdout_days=catalog.holdout_days,
                seed=self.request.seed,
                after_days=catalog.after_days,
            )
            stored = {"recipe": recipe.to_json(), "compared": compared.to_json()}
            self.records.save("second_stage.json", stored)
        return dict(stored["compared"])

    def log(self, trial: Trial) -> None:
        """Log a trial to MLflow, under the study's run. Raises SystemAway if it does not answer."""
        runs = registry(self.request.catalog)
        self._run = self._run or runs.run_of(self.request.study_id, "study_id")
        values = {f"ndcg_at_20_fold_{n}": value for n, value in enumerate(trial.folds, 1)}
        metrics = {"ndcg_at_20": trial.value, "seconds": trial.seconds, **values}
        described = trial.to_json()
        runs.log_trial(self._run, trial.number, {**described, "params": described["recipe"], "metrics": metrics})


def load_past(night: Night, until: datetime) -> Interactions:
    """A night's accepted interactions before an instant; without times, those outside the gate's random holdout."""
    rows = night.interactions()
    if not night.catalog.has_times:
        rows = split_at_random(rows, night.ids("users"), night.ids("items"), night.request.seed)[0]
    return before(rows, microseconds(until))


def folds_of(catalog: Catalog, past: Interactions, until: datetime) -> list[Fold]:
    """The folds of what `load_past` returned, evaluated as by the catalog's gate; empty: too few interactions."""
    end = microseconds(until)
    every = folds(past, end, catalog.holdout_days, catalog.view, catalog.seed, after_days=catalog.after_days)
    return [fold.asking(ASKED, catalog.seed) for fold in every]

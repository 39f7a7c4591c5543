"""A whole search in one process, with its progress on stderr."""

import sys
from contextlib import nullcontext
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from recjobs.catalog.file import Catalog
from recjobs.core.recipe import Recipe
from recjobs.core.search import search
from recjobs.core.search.search import Trial
from recjobs.night.runner import measured
from recjobs.night.study import Study
from recjobs.operations.tune import Budget, begin_study, finish, trials


def run_study(
    catalog: Catalog, *, as_of: str | None, n_trials: int | None, seconds: float, publish: bool
) -> dict[str, Any]:
    """Begin or find the study, make trials until the budget is spent, and note the best as challenger."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with console.status("reading interactions") if sys.stderr.isatty() else nullcontext():
        began = begin_study(catalog, as_of=as_of, publish=publish)
    study, budget = Study.open(catalog, began["study_id"]), Budget(seconds, n_trials)
    made = study.trials()
    console.print(f"{'resuming' if made else 'study'} {study.request.study_id} of {catalog.name}, {_so_far(made)}")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        measured("tune", catalog),
        Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress,
    ):
        task = progress.add_task(_so_far(made), total=1.0, completed=_share(made, budget))
        if budget.is_spent(made):
            console.print("the study is finished: a longer --timeout or more --trials go on with it")
        for one in trials(study, budget):
            previous, made = search.best(made), study.trials()
            if search.best(made) != previous:
                console.print(f"  trial {one.number:<4} [green]{one.value:.4f}[/green] [dim]{one.recipe.said()}[/dim]")
            progress.update(task, description=_so_far(made), completed=_share(made, budget))
        result = finish(study)
    in_file = "" if result["base_value"] is None else f", the catalog file's recipe {result['base_value']:.4f}"
    console.print(f"best {result['value']:.4f}{in_file}, of {result['trials']} trials in {result['seconds']:.0f} s")
    if result["challenger"]:
        console.print("it is the catalog's challenger: the next night trains it, and the gate decides")
    elif Recipe.from_json(result["best"]) in study.known:
        console.print("nothing was better than the recipe the search began with")
    else:
        settings = " ".join(f"--set {key}={value}" for key, value in _changed(study, result["best"]).items())
        console.print(f"to look at it on a later date: recjobs night --catalog {catalog.name} --no-publish {settings}")
    console.print(f"report: {result['report']}")
    return {**result, "catalog": catalog.name}


def _so_far(made: list[Trial]) -> str:
    best = search.best(made)
    return f"{len(made)} trials" + (f", best {best.value:.4f}" if best else "")


def _share(made: list[Trial], budget: Budget) -> float:
    """How much of the budget is spent, 0 to 1."""
    of_time = search.spent(made) / budget.seconds if budget.seconds else 0.0
    return min(1.0, max(of_time, len(made) / budget.trials if budget.trials else 0.0))


def _changed(study: Study, best: dict[str, Any]) -> dict[str, Any]:
    """What the best recipe says otherwise than the catalog file, as `recjobs night --set` takes it."""
    in_file = study.request.catalog.recipe.to_json()
    return {key: "null" if value is None else value for key, value in best.items() if value != in_file[key]}

"""What takes long, with its progress on stderr: a night, a comparison, an evaluation of files, a search."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recjobs import LISTS, NIGHT, logs
from recjobs.catalog.file import Catalog
from recjobs.catalog.tune import searches_first
from recjobs.night.runner import begin_night, measured, run_step, run_through

if TYPE_CHECKING:
    from recjobs.core.search.search import Trial
    from recjobs.operations.tune import Budget

SIMPLE_LISTS = {
    "own_frequency": "their own items by frequency, then popular ones",
    "neighbours": "lists by item neighbours",
}
"""What known users get where no model is in charge, if not popular lists."""


def run_night(
    catalog: Catalog, *, as_of: str | None, overrides: dict[str, Any], force: str | None, publish: bool
) -> dict[str, Any]:
    """Begin a night, after a search if it is a first night without a recipe, and run every step that is not done yet.
    Returns what each step returned."""
    from recjobs.night.decision import awaits_approval
    from recjobs.night.night import Night

    console = _console()
    if publish and searches_first(catalog):
        from recjobs.operations import first_search

        def tell(text: str) -> None:
            console.print(text, markup=False)

        first_search.run(catalog, as_of=as_of, overrides=overrides, tell=tell)
    began = begin_night(catalog, as_of=as_of, overrides=overrides, force=force, publish=publish)
    batch_id = str(began["batch_id"])
    if began["nothing_new"]:
        console.print(f"nothing new: {batch_id} was made of the same input, request and code, and is finished")
        return {**began, "catalog": catalog.name, "steps": {}}
    console.print(f"{'resuming' if began['resumed'] else 'night'} {batch_id} of {catalog.name}")
    night, results = Night.open(catalog, batch_id), dict[str, Any]()
    with _progress(console, SpinnerColumn(), TextColumn("{task.description}")) as progress:
        for step in [step for step in NIGHT if publish or step not in LISTS]:
            if night.is_done(step):
                console.print(f"  [dim]{step:9}        done before[/dim]")
                continue
            task = progress.add_task(step, total=None)
            since = time.monotonic()
            result = run_step(step, catalog, batch_id)
            progress.remove_task(task)
            if kept := result.get("kept"):
                console.print(f"  [dim]{step:9}        left out: the candidate was refused, {kept} stays live[/dim]")
                continue
            results[step] = result
            numbers = "  ".join(f"{k}={v}" for k, v in result.items())
            console.print(f"  [green]{step:9}[/green] {time.monotonic() - since:6.1f} s  [dim]{numbers}[/dim]")
            if step == "refit" and result["lists_from"] == "none":
                own = night.verdict().list_choice("none").instead.get("heavy", "")
                lists = SIMPLE_LISTS.get(own, "popular lists")
                console.print(
                    f"no model is in charge: everybody gets {lists}. A search for a recipe that beats them: "
                    f"recjobs tune --catalog {catalog.name}"
                )
            if step == "gate" and publish and awaits_approval(night):
                console.print(
                    "the verdict is inconclusive, so the champion stays. To promote the candidate: recjobs approve "
                    f"--catalog {catalog.name} --batch-id {batch_id} --reason R, then the same night again"
                )
    return {**began, "catalog": catalog.name, "steps": results}


def run_comparison(catalog: Catalog, names: Sequence[str], dates: Sequence[str]) -> dict[str, Any]:
    """Return what `recjobs.operations.compare.run` does, after splitting the data of each date."""
    from recjobs.operations import compare

    with _progress(_console(), SpinnerColumn(), TextColumn("{task.description}"), BarColumn()) as progress:
        task = progress.add_task("", total=len(dates))

        def split() -> Iterator[tuple[str, str]]:
            for number, date in enumerate(dates):
                progress.update(task, description=f"{date}: split", completed=number)
                batch_id = run_through("split", catalog, date)
                progress.update(task, description=f"{date}: fit and measure")
                yield date, batch_id

        return compare.run(catalog, names, split())


def run_evaluation(**options: Any) -> dict[str, Any]:
    """Return what `recjobs.operations.evaluate_files.run` does."""
    from recjobs.operations import evaluate_files

    console = _console()
    with _progress(console, SpinnerColumn(), TextColumn("{task.description}"), BarColumn()) as progress:
        task = progress.add_task("", total=None)

        def report(what: str, share: float | None) -> None:
            progress.update(task, description=what, total=None if share is None else 1, completed=share)
            if progress.disable:
                console.print(what)

        return evaluate_files.run(**options, report=report)


def run_study(
    catalog: Catalog, *, as_of: str | None, n_trials: int | None, seconds: float, publish: bool
) -> dict[str, Any]:
    """Begin or resume a study, run trials until the budget is spent, and record the best as challenger."""
    from recjobs.core.recipe import Recipe
    from recjobs.core.search import search
    from recjobs.night.study import Study
    from recjobs.operations import tune

    console = _console()
    with console.status("reading interactions") if sys.stderr.isatty() else nullcontext():
        began = tune.begin(catalog, as_of=as_of, publish=publish)
    study, budget = Study.open(catalog, began["study_id"]), tune.Budget(seconds, n_trials)
    done = study.trials()
    console.print(f"{'resuming' if done else 'study'} {study.request.study_id} of {catalog.name}, {_so_far(done)}")
    with measured("tune", catalog), _progress(console, TextColumn("{task.description}"), BarColumn()) as progress:
        task = progress.add_task(_so_far(done), total=1.0, completed=_share(done, budget))
        if budget.is_spent(done):
            console.print("the study is finished: a longer --timeout or more --trials continue it")
        for trial in tune.run_trials(study, budget):
            previous, done = search.best(done), study.trials()
            if search.best(done) != previous:
                value = f"[green]{trial.value:.4f}[/green]"
                console.print(f"  trial {trial.number:<4} {value} [dim]{trial.recipe.one_line()}[/dim]")
            progress.update(task, description=_so_far(done), completed=_share(done, budget))
        result = tune.finish_study(study)
    in_file = "" if result["base_value"] is None else f", the catalog file's recipe {result['base_value']:.4f}"
    tried = f"{result['recipes']} recipes in {result['trials']} trials"
    console.print(f"best {result['value']:.4f}{in_file}, of {tried} in {result['seconds']:.0f} s")
    if said := _second_stage(result["second_stage"]):
        console.print(said)
    if result["challenger"]:
        console.print("it is the catalog's challenger: the next night trains it, and the gate decides")
    elif Recipe.from_json(result["best"]) in study.known:
        console.print("nothing was better than the recipe the search began with")
    else:
        in_catalog = study.request.catalog.recipe.to_json()
        changed = {key: value for key, value in result["best"].items() if value != in_catalog[key]}
        settings = " ".join(f"--set {key}={'null' if value is None else value}" for key, value in changed.items())
        console.print(f"to look at it on a later date: recjobs night --catalog {catalog.name} --no-publish {settings}")
    console.print(f"report: {result['report']}")
    return {**result, "catalog": catalog.name}


class _Console(Console):  # type: ignore[misc]  # of a library without types here
    """What cannot be written, as on a full disk, is left out: it is no reason for a night to end."""

    def print(self, *objects: Any, **options: Any) -> None:
        with suppress(OSError):
            super().print(*objects, **options)


def _console() -> Console:
    # as JSON the runner's log says the same
    return _Console(stderr=True, highlight=False, soft_wrap=True, quiet=logs.is_json())


def _progress(console: Console, *columns: Any) -> Progress:
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not sys.stderr.isatty())


def _so_far(trials: "list[Trial]") -> str:
    from recjobs.core.search.search import best

    return f"{len(trials)} trials" + (f", best {ahead.value:.4f}" if (ahead := best(trials)) else "")


def _second_stage(stages: dict[str, Any]) -> str:
    """What a second stage brings, in a line; empty where it was not compared."""
    if not stages or stages["without"] is None:
        return ""
    kept = "switched on" if stages["is_better"] else "no better beyond doubt, so left off"
    return f"a second stage: {stages['with_it']:.4f} to {stages['without']:.4f} without, on the latest folds; {kept}"


def _share(trials: "list[Trial]", budget: "Budget") -> float:
    """How much of the budget is spent, 0 to 1."""
    from recjobs.core.search.search import spent

    of_time = spent(trials) / budget.seconds if budget.seconds else 0.0
    return min(1.0, max(of_time, len(trials) / budget.trials if budget.trials else 0.0))

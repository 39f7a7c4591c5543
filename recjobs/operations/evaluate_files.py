"""Evaluate a recipe on two files, train and test, without a catalog, a database or MLflow."""

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recjobs.adapters.whole_file import whole_file
from recjobs.catalog.file import Catalog
from recjobs.catalog.recipes import recipe_with
from recjobs.config import load_settings
from recjobs.core.evaluation import baselines
from recjobs.core.evaluation.exam import K
from recjobs.core.evaluation.given_split import GivenSplit, given_split
from recjobs.core.evaluation.metrics import per_user
from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.lists.popularity import WINDOWS
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import Interactions
from recjobs.core.search.best_ranker import best_ranker
from recjobs.core.search.portfolio import wide
from recjobs.core.search.second_stage import Trained
from recjobs.errors import BadConfiguration, DataRefused, Misuse
from recjobs.operations.interaction_files import NEEDED, read

if TYPE_CHECKING:
    from recjobs.core.model.ranker import Ranker
    from recjobs.core.search.search import Trial

SEARCHED = 0.85
"""Share of the time that the search takes; the second stage gets the rest."""
Report = Callable[[str, float | None], None]
"""Receives what is being done, and its progress (0 to 1) or None."""


def run(
    train: str,
    test: str,
    *,
    overrides: dict[str, Any],
    tune: float | None = None,
    lists: str | None = None,
    seed: int | None = None,
    report: Report = lambda what, share: None,
) -> dict[str, Any]:
    """Return recall@20 and NDCG@20 of a recipe, of implicit's defaults and of baselines, over all users of `test`.

    All items of `train` are ranked. overrides: keys of a catalog's `model` and `recency`. tune: seconds for a search on
    `train` that begins with this recipe; then a second stage over what it finds or over a wide mixture of generators,
    if one is better beyond doubt on a part of `train` (`second_stage`, as `Trained.to_json`). lists: the file for its
    lists. Raises Misuse or DataRefused.
    """
    began = time.monotonic()
    source = {"path": "-", "columns": {name: name for name in (*NEEDED, "occurred_at")}}
    defaults = Catalog.model_validate({"name": "files", "sources": [source]})
    recipe = recipe_with(defaults, overrides)
    _check_writable(lists, (train, test))
    seed = defaults.seed if seed is None else seed
    threads = load_settings().threads or os.cpu_count() or 1
    report("reading", None)
    now = datetime.now(UTC)
    files = {"train": read(train, now), "test": read(test, now, NEEDED)}
    split = given_split(files["train"].gathered, files["test"].gathered)
    if not split.questions.holdout.nnz:
        raise DataRefused(
            f"{test}: nothing is to be found: all {split.n_pairs_in_both:,} pairs stand in {train} as well"
        )
    has_times = files["train"].has_times
    if recipe.half_life_days and not has_times:
        raise Misuse(f"--set half_life_days: {train} has no column occurred_at, so that no interaction has an age")
    end, search = int(split.train.occurred_at.max()) + 1_000_000, None
    if tune:
        search, recipe = _search(split.train, recipe, has_times, SEARCHED * tune, seed, threads, report)
    past, stage = Past(split.train, end, Engine(threads)), None
    if tune or recipe.rerank:
        report("training a second stage", None)
        recipe, stage = _second_stage(past, [recipe, wide(split.train, recipe)] if tune else [recipe], seed)
        recipe = replace(recipe, rerank=recipe.rerank or stage.ranker is not None)
    known = Knowledge.of_train(split.train)
    choice = ListChoice(next(name for name, days in WINDOWS.items() if has_times or days is None))
    entries = _contenders(past, recipe, stage.ranker if stage else None, has_times, seed)
    models: dict[str, dict[str, float]] = {}
    for number, (name, (model, window)) in enumerate(entries.items()):
        report(f"asking {name}", number / len(entries))
        since = time.monotonic()
        maker = ListMaker(past, known, model(), split.questions.kept_out, ListChoice(window) if window else choice)
        ranked, _ = maker.rank(split.questions.users, K)
        finished = maker.finish(ranked, split.questions.users).ranked.item_idx
        each = per_user(finished, split.questions.holdout, K)
        means = {f"{metric}_at_{K}": float(np.nanmean(each[metric])) for metric in ("recall", "ndcg")}
        models[name] = means | {"seconds": time.monotonic() - since}
        if name == "recipe" and lists:
            _write(lists, split, finished, baselines.falling_scores(ranked, finished))
    return {
        "models": models,
        "recipe": recipe.to_json(),
        "search": search,
        "second_stage": stage.to_json() if stage else None,
        "users": int(np.count_nonzero(np.diff(split.questions.holdout.indptr))),
        "users_without_train": split.n_users_without_train,
        "items_without_train": split.n_items_without_train,
        "pairs_without_train": split.n_pairs_without_train,
        "pairs_in_both": split.n_pairs_in_both,
        "files": {name: file.account() for name, file in files.items()},
        "has_times": has_times,
        "lists": lists,
        "seed": seed,
        "seconds": time.monotonic() - began,
        "peak_memory_gib": _peak_memory(),
    }


def _check_writable(lists: str | None, files: tuple[str, str]) -> None:
    if lists is None:
        return
    path = Path(lists)
    if path.suffix != ".parquet":
        raise Misuse(f"--lists {lists}: is written as Parquet; let its name end with .parquet")
    if not path.absolute().parent.is_dir():
        raise Misuse(f"--lists {lists}: there is no folder {path.absolute().parent}")
    if path.exists() and any(path.samefile(file) for file in files if Path(file).exists()):
        raise Misuse(f"--lists {lists}: is one of the files that are read")


def _search(
    train: Interactions, first: Recipe, has_times: bool, seconds: float, seed: int, threads: int, report: Report
) -> tuple[dict[str, Any], Recipe]:
    from recjobs.core.search.brief import brief_search  # Optuna takes a second to import
    from recjobs.core.search.search import best

    began = time.monotonic()

    def show(trials: list["Trial"]) -> None:
        value = f", best {leader.value:.4f}" if (leader := best(trials)) else ""
        report(f"searching: {len(trials)} trials{value}", min(1.0, (time.monotonic() - began) / seconds))

    report("searching: the first trial", 0)
    outcome = brief_search(
        train, first, has_times=has_times, seconds=seconds, seed=seed, threads=threads, clock=time.monotonic, told=show
    )
    if outcome is None:
        raise DataRefused(f"--tune: the train file has {len(train)} interactions, too few to hold some out of them")
    leader = best(outcome.trials)
    return {
        "seconds": time.monotonic() - began,
        "trials": len(outcome.trials),
        "given_up": sum(trial.state == "pruned" for trial in outcome.trials),
        "held_out": outcome.asked,
        "ndcg_at_20": leader.value if leader else None,
        "ndcg_at_20_of_the_first": outcome.trials[0].value,
    }, outcome.recipe


def _second_stage(past: Past, recipes: Sequence[Recipe], seed: int) -> tuple[Recipe, Trained]:
    rows, days = past.interactions, float(Catalog.model_fields["holdout_days"].default)
    return best_ranker(rows, past.now, recipes, past.engine, view="discovery", holdout_days=days, seed=seed)


def _contenders(
    past: Past, recipe: Recipe, ranker: "Ranker | None", has_times: bool, seed: int
) -> dict[str, tuple[Callable[[], Model | None], str | None]]:
    """The contestants by name: a function that fits the model, or the window of a popular list."""
    engine = past.engine

    def of_recipe() -> Model:
        factors = engine.fit(past.confidence(recipe), recipe, seed)
        return Model(np.nan_to_num(factors.item_factors), recipe, ranker)

    def of_implicit() -> Model:
        item_factors, defaults = baselines.implicit_defaults(past.interactions.pairs(), seed, engine.threads)
        return Model(np.nan_to_num(item_factors), defaults)

    windows = [name for name, days in WINDOWS.items() if has_times or days is None]
    return {
        "recipe": (of_recipe, None),
        "implicit_defaults": (of_implicit, None),
        "neighbours": (lambda: Model(None, recipe), None),
        **{window: (lambda: None, window) for window in windows},
    }


def _write(path: str, split: GivenSplit, lists: np.ndarray, scores: np.ndarray) -> None:
    rows, places = np.nonzero(lists >= 0)
    table = {
        "user_id": split.user_ids.take(pa.array(split.questions.users[rows])),
        "rank": pa.array((places + 1).astype(np.int32)),
        "item_id": split.item_ids.take(pa.array(lists[rows, places])),
        "score": pa.array(scores[rows, places]),
    }
    try:
        with whole_file(Path(path), overwrite=True) as unfinished:
            pq.write_table(pa.table(table), unfinished, compression="zstd")
    except OSError as error:
        raise BadConfiguration(f"--lists {path}: cannot be written ({error.strerror or error})") from None


def _peak_memory() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30

"""Train on one file, ask about another: what a recipe is worth, without a catalog, a database or MLflow."""

import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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
from recjobs.errors import BadConfiguration, DataRefused, Misuse
from recjobs.operations.interaction_files import NEEDED, read

if TYPE_CHECKING:
    from recjobs.core.search.search import Trial

Report = Callable[[str, float | None], None]
"""Told what is being done, and how much of it is done (0 to 1) where that is known."""


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
    """recall@20 and ndcg@20 of a recipe, of implicit's own defaults and of simple lists; every user of `test` is asked,
    all items of `train` are ranked.

    overrides: keys of a catalog's `model` and `recency`. tune: seconds for a search in the train file that begins with
    this recipe. lists: where the recipe's lists are written. Raises Misuse, or DataRefused, as the files are read.
    """
    began, plain = time.monotonic(), _plain()
    recipe = recipe_with(plain, overrides)
    _must_be_writable(lists, (train, test))
    seed = plain.seed if seed is None else seed
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
        search, recipe = _search(split.train, recipe, has_times, tune, seed, threads, report)
    past = Past(split.train, end, Engine(threads))
    known = Knowledge.of_train(split.train)
    choice = ListChoice(next(name for name, days in WINDOWS.items() if has_times or days is None))
    entries = _contenders(past, recipe, has_times, seed)
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


def _plain() -> Catalog:
    """A catalog of which only the recipe and the seed count."""
    place = {"path": "-", "columns": {name: name for name in (*NEEDED, "occurred_at")}}
    return Catalog.model_validate({"name": "files", "sources": [place]})


def _must_be_writable(lists: str | None, files: tuple[str, str]) -> None:
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

    def told(trials: list["Trial"]) -> None:
        ahead = best(trials)
        reached = f", best {ahead.value:.4f}" if ahead else ""
        report(f"searching: {len(trials)} trials{reached}", min(1.0, (time.monotonic() - began) / seconds))

    report("searching: the first trial", 0)
    found = brief_search(
        train, first, has_times=has_times, seconds=seconds, seed=seed, threads=threads, clock=time.monotonic, told=told
    )
    if found is None:
        raise DataRefused(f"--tune: the train file has {len(train)} interactions, too few to hold some out of them")
    ahead = best(found.trials)
    return {
        "seconds": time.monotonic() - began,
        "trials": len(found.trials),
        "given_up": sum(trial.state == "pruned" for trial in found.trials),
        "held_out": found.asked,
        "ndcg_at_20": ahead.value if ahead else None,
        "ndcg_at_20_of_the_first": found.trials[0].value,
    }, found.recipe


def _contenders(
    past: Past, recipe: Recipe, has_times: bool, seed: int
) -> dict[str, tuple[Callable[[], Model | None], str | None]]:
    """Who is asked, by name: what fits the model when its turn comes, or the window of a popular list."""
    engine = past.engine

    def of_recipe() -> Model:
        return Model(np.nan_to_num(engine.fit(past.confidence(recipe), recipe, seed).item_factors), recipe)

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
        pq.write_table(pa.table(table), path, compression="zstd")
    except OSError as error:
        raise BadConfiguration(f"--lists {path}: cannot be written ({error.strerror or error})") from None


def _peak_memory() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30

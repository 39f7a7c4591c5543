"""Are the lists worth serving? The catalog file's recipe with its second stage at six dates, against simpler lists.

`make bench-dates`: NDCG@20 on the 30 days before each date, with 95% intervals. Discovery: against the popular list of
30 days, item neighbours and ALS by the recipe that the catalog file had before there was a second stage. With repeats:
against the users' own items by frequency. No holdout overlaps with one that the recipe (docs/decisions/0004) or the
second stage (docs/decisions/0063, 0070) was chosen on.

ARGS="--timeout 15m": `recjobs tune` on what was before the first date's holdout, and then its recipe in the second
stage's place, without repeats; ARGS="--recipe best.json": that recipe. ARGS="--dates 2010-12-01": other dates.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recjobs.config import load_settings  # first: it limits BLAS to one thread

import numpy as np  # isort: skip

from benchmarks import looks  # isort: skip
from recjobs.catalog.files import load_catalog  # isort: skip
from recjobs.core.evaluation.bootstrap import Interval, geometric_mean_difference, relative_difference  # isort: skip
from recjobs.core.evaluation.exam import Exam, answer, exam  # isort: skip
from recjobs.core.evaluation.split import split_at  # isort: skip
from recjobs.core.lists.choice import GROUPS, OWN_FREQUENCY, ListChoice  # isort: skip
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past  # isort: skip
from recjobs.core.model.als import Factors  # isort: skip
from recjobs.core.model.engine import Engine  # isort: skip
from recjobs.core.recipe import Recipe  # isort: skip
from recjobs.core.rows.instants import microseconds  # isort: skip
from recjobs.core.rows.interactions import Interactions  # isort: skip
from recjobs.core.search.second_stage import train_ranker  # isort: skip

CATALOG = "online_retail"
DATES = ("2010-10-15", "2011-02-01", "2011-06-15", "2011-07-31", "2011-10-15", "2011-12-08")
DAYS = 30
ALS = Recipe(factors=64, alpha=5, regularization=20, iterations=15, half_life_days=14)
"""The recipe of the catalog file at 457a3fa."""
RIVALS = {"discovery": ("popular", "neighbours", "ALS"), "repeats": ("own items", "popular", "ALS")}
THREADS = os.cpu_count() or 1
SEED = 7


def main() -> None:
    """Print one table a view, with one row a date."""
    parser = argparse.ArgumentParser(prog="make bench-dates", description=__doc__)
    parser.add_argument("--timeout", help="search that long, such as 15m")
    parser.add_argument("--recipe", type=Path, help="a JSON file with a recipe, in place of the second stage")
    parser.add_argument("--dates", default=",".join(DATES), help="the last days of holdouts, separated by commas")
    parser.add_argument("--views", default=",".join(RIVALS), help="discovery, repeats or both")
    arguments = parser.parse_args()
    load_settings()
    views, subject = arguments.views.split(","), "second stage"
    recipe = replace(load_catalog(CATALOG).recipe, rerank=True)
    if arguments.recipe or arguments.timeout:
        views, subject = ["discovery"], "tuned"
        stored = arguments.recipe and json.loads(arguments.recipe.read_text())
        recipe = Recipe.from_json(stored) if stored else _search(arguments.timeout)
    print(f"{subject}: {json.dumps(recipe.to_json())}")
    shop = looks.interactions_of(CATALOG)
    for view in views:
        _table(view, subject, ((date, _ask(shop, date, view, subject, recipe)) for date in arguments.dates.split(",")))


def _table(view: str, subject: str, dates: Iterable[tuple[str, dict[str, np.ndarray]]]) -> None:
    rivals = RIVALS[view]
    columns = ["date", "users", *rivals, subject, *(f"to {name}" for name in rivals)]
    print(f"\n{view}\n\n{_row(columns)}\n{_row(['---'] * len(columns))}")
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in rivals}
    for date, ndcg in dates:
        for name in rivals:
            pairs[name].append((ndcg[subject], ndcg[name]))
        means = [f"{ndcg[name].mean():.4f}" for name in (*rivals, subject)]
        against = [_text(relative_difference(ndcg[subject], ndcg[name], SEED)) for name in rivals]
        print(_row([date, f"{len(ndcg[subject]):,}", *means, *against]), flush=True)
    overall = [_text(geometric_mean_difference(pairs[name], SEED)) for name in rivals]
    print(_row(["geometric mean", *[""] * (len(rivals) + 2), *overall]), flush=True)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(difference: Interval) -> str:
    return f"{1 + difference.value:.2f} ({1 + difference.low:.2f} to {1 + difference.high:.2f})"


def _search(timeout: str) -> Recipe:
    command = [sys.executable, "-m", "recjobs", "tune", "--catalog", CATALOG, "--as-of", DATES[0]]
    done = subprocess.run(
        [*command, "--timeout", timeout, "--no-publish", "--json"], stdout=subprocess.PIPE, check=True
    )
    result = json.loads(done.stdout.splitlines()[-1])
    print(f"{result['trials']} trials in {result['seconds']:.0f} s; NDCG@20 in validation {result['value']:.4f}")
    print(f"with the catalog file's recipe {result['base_value']:.4f}")
    return Recipe.from_json(result["best"])


def _ask(shop: Interactions, date: str, view: str, subject: str, recipe: Recipe) -> dict[str, np.ndarray]:
    """NDCG@20 of each user at one date, by contestant."""
    as_of = datetime.fromisoformat(date).replace(tzinfo=UTC) + timedelta(days=1)
    cutoff = as_of - timedelta(days=DAYS)
    now = microseconds(cutoff)
    train, holdout = split_at(shop.where(shop.occurred_at < microseconds(as_of)), cutoff)
    questions = exam(train, holdout, view, SEED, now=now)
    past, known = Past(train, now, Engine(THREADS)), Knowledge.of_train(train)

    def fitted(by: Recipe) -> Factors:
        return past.engine.fit(past.confidence(by), by, SEED)

    ranker = None
    if recipe.rerank:
        trained = train_ranker(train, now, recipe, past.engine, view=view, holdout_days=DAYS, seed=SEED)
        ranker = trained.ranker
        if trained.why_not:
            print(f"{date}: no second stage: {trained.why_not}")
    models = {
        "popular": None,
        "neighbours": Model(None, recipe),
        "ALS": Model(fitted(ALS).item_factors, ALS),
        subject: Model(fitted(recipe).item_factors, recipe, ranker),
    }
    makers = {name: ListMaker(past, known, model, questions.kept_out) for name, model in models.items()}
    everybody = ListChoice(instead=dict.fromkeys(GROUPS, OWN_FREQUENCY))
    makers["own items"] = ListMaker(past, known, None, questions.kept_out, everybody)
    return {name: _ndcg(name, makers[name], questions) for name in {*RIVALS[view], subject}}


def _ndcg(name: str, maker: ListMaker, questions: Exam) -> np.ndarray:
    return answer(name, maker, questions).per_user["ndcg"]


if __name__ == "__main__":
    main()

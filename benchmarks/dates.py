"""Is the model worth serving? A search once, on the earliest date; then its recipe and the catalog file's at six dates.

`make bench-dates`: `recjobs tune` on what was before the first date's holdout (ARGS="--timeout 15m"), then NDCG@20 on
the 30 days before each date, discovery, against the popular list of 30 days and item neighbours, with 95% intervals. No
holdout overlaps with one that the catalog file's recipe was chosen on (docs/decisions/0004), nor with the search.
ARGS="--recipe best.json" takes a recipe instead of searching.
"""

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recjobs.catalog.files import load_catalog  # first: it limits BLAS to one thread
from recjobs.config import load_settings  # first: it limits BLAS to one thread

import numpy as np  # isort: skip

from benchmarks import looks  # isort: skip
from recjobs.core.evaluation.bootstrap import Interval, geometric_mean_difference, relative_difference  # isort: skip
from recjobs.core.evaluation.exam import answer, exam  # isort: skip
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past  # isort: skip
from recjobs.core.model.engine import Engine  # isort: skip
from recjobs.core.rows.interactions import Interactions  # isort: skip
from recjobs.core.recipe import Recipe  # isort: skip
from recjobs.core.rows.instants import microseconds  # isort: skip
from recjobs.core.evaluation.split import split_at  # isort: skip

CATALOG = "online_retail"
DATES = ("2010-10-15", "2011-02-01", "2011-06-15", "2011-07-31", "2011-10-15", "2011-12-08")
THREADS = os.cpu_count() or 1
SEED = 7
HEAD = """| date | users | popular, 30 days | neighbours | catalog file | tuned | tuned to popular | to neighbours |
|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Search, then print one row a date."""
    parser = argparse.ArgumentParser(prog="make bench-dates", description=__doc__)
    parser.add_argument("--timeout", default="15m", help="of the search")
    parser.add_argument("--recipe", type=Path, help="a JSON file with a recipe, instead of the search")
    arguments = parser.parse_args()
    load_settings()
    stored = arguments.recipe and json.loads(arguments.recipe.read_text())
    tuned = Recipe.from_json(stored) if stored else _search(arguments.timeout)
    in_file = load_catalog(CATALOG).recipe
    print(f"tuned: {json.dumps(tuned.to_json())}\n")
    print(HEAD)
    shop = looks.interactions_of(CATALOG)
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for date in DATES:
        ndcg = _ask(shop, date, tuned, in_file)
        mean_ndcg = {name: values.mean() for name, values in ndcg.items()}
        against = {}
        for name in ("popular", "neighbours", "catalog file"):
            pairs.setdefault(name, []).append((ndcg["tuned"], ndcg[name]))
            against[name] = _text(relative_difference(ndcg["tuned"], ndcg[name], SEED))
        means = " | ".join(f"{mean_ndcg[name]:.4f}" for name in ("popular", "neighbours", "catalog file", "tuned"))
        print(
            f"| {date} | {len(ndcg['tuned']):,} | {means} | {against['popular']} | {against['neighbours']} |",
            flush=True,
        )
    overall = {name: _text(geometric_mean_difference(both, SEED)) for name, both in pairs.items()}
    print(f"| geometric mean | | | | | | {overall['popular']} | {overall['neighbours']} |")
    print(f"\ntuned against the catalog file's recipe: {overall['catalog file']}")


def _search(timeout: str) -> Recipe:
    command = [sys.executable, "-m", "recjobs", "tune", "--catalog", CATALOG, "--as-of", DATES[0]]
    done = subprocess.run(
        [*command, "--timeout", timeout, "--no-publish", "--json"], stdout=subprocess.PIPE, check=True
    )
    result = json.loads(done.stdout.splitlines()[-1])
    print(f"{result['trials']} trials in {result['seconds']:.0f} s; NDCG@20 in validation {result['value']:.4f}")
    print(f"with the catalog file's recipe {result['base_value']:.4f}")
    return Recipe.from_json(result["best"])


def _ask(shop: Interactions, date: str, tuned: Recipe, in_file: Recipe) -> dict[str, np.ndarray]:
    """NDCG@20 of each user at one date, by contestant."""
    as_of = datetime.fromisoformat(date).replace(tzinfo=UTC) + timedelta(days=1)
    cutoff = as_of - timedelta(days=30)
    now = microseconds(cutoff)
    train, holdout = split_at(shop.where(shop.occurred_at < microseconds(as_of)), cutoff)
    questions = exam(train, holdout, "discovery", SEED)
    past, known = Past(train, now, Engine(THREADS)), Knowledge.of_train(train)
    models: dict[str, Model | None] = {"popular": None, "neighbours": Model(None, in_file)}
    for name, recipe in (("catalog file", in_file), ("tuned", tuned)):
        models[name] = Model(past.engine.fit(past.confidence(recipe), recipe, SEED).item_factors, recipe)
    makers = {name: ListMaker(past, known, model, questions.kept_out) for name, model in models.items()}
    return {name: answer(name, maker, questions).per_user["ndcg"] for name, maker in makers.items()}


def _text(difference: Interval) -> str:
    return f"{1 + difference.value:.2f} ({1 + difference.low:.2f} to {1 + difference.high:.2f})"


if __name__ == "__main__":
    main()

"""NDCG@20 when item factors come from a part of the users, and everybody is folded in from them.

`make bench-user-sample`, SIZE="2m 20m": for each size the lists of up to 20,000 users on a 30-day holdout, without what
they have, by item factors of all users, a half, a tenth and a hundredth of them, drawn by a seed. Regularization is
chosen for each part on one half of the listed users (by ALS alone); the table is of the other half. Differences to all
users have 95% intervals over the same users (bootstrap). ARGS="--regularization 60,240": what is tried.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from recjobs.config import load_settings  # first: it limits BLAS to one thread

import numpy as np  # isort: skip

from benchmarks import generate  # isort: skip
from benchmarks.night import BLEND, SIZES, SPREAD  # isort: skip
from recjobs.core.evaluation.bootstrap import relative_difference  # isort: skip
from recjobs.core.evaluation.exam import answer, exam  # isort: skip
from recjobs.core.evaluation.split import split_at  # isort: skip
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past  # isort: skip
from recjobs.core.model import als  # isort: skip
from recjobs.core.model.engine import Engine  # isort: skip
from recjobs.core.recipe import Recipe  # isort: skip
from recjobs.core.rows.instants import microseconds  # isort: skip

PARTS = "1,0.5,0.1,0.01"
REGULARIZATION = "60,120,240,480"
RECIPE = Recipe(factors=64, alpha=10, iterations=15)
DAYS, SEED = 30, 7


def main() -> None:
    """Print one table a size."""
    parser = argparse.ArgumentParser(prog="make bench-user-sample", description=__doc__)
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--regularization", default=REGULARIZATION)
    parser.add_argument("--parts", default=PARTS)
    arguments = parser.parse_args()
    load_settings()
    tried, parts = (_numbers(text) for text in (arguments.regularization, arguments.parts))
    for size in arguments.size or ["2m"]:
        _measure(size, arguments.threads, tried, parts)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _measure(size: str, threads: int, tried: Sequence[float], parts: Sequence[float]) -> None:
    rows = generate.interactions(*SIZES[size], spread=SPREAD)
    cutoff = datetime.fromtimestamp(int(rows.occurred_at.max()) // 1_000_000, UTC) - timedelta(days=DAYS)
    train, holdout = split_at(rows, cutoff)
    del rows
    past, known = Past(train, microseconds(cutoff), Engine(threads)), Knowledge.of_train(train)
    questions = exam(train, holdout, "discovery", SEED)
    confidence = past.confidence(RECIPE)
    users = np.random.default_rng(SEED).permutation(np.flatnonzero(np.diff(confidence.indptr)))
    chosen_on = np.random.default_rng(SEED).permutation(questions.users.size) % 2 == 0
    print(f"\n{size}: {len(train):,} interactions of {users.size:,} users; lists of {(~chosen_on).sum():,}")
    print("| users in the fit | regularization | processor s a fit | items | ALS | to all | blended | to all |")
    print("|---|---|---|---|---|---|---|---|", flush=True)

    def ndcg(items: np.ndarray, recipe: Recipe) -> np.ndarray:
        return answer("", ListMaker(past, known, Model(items, recipe), questions.kept_out), questions).per_user["ndcg"]

    whole: list[np.ndarray] = []
    for part in parts:
        sample, best = np.sort(users[: round(part * users.size)]), -1.0
        for regularization in tried:
            recipe, began = replace(RECIPE, regularization=regularization), time.process_time()
            factors = als.fit(confidence[sample], recipe, SEED, threads).item_factors
            took, alone = time.process_time() - began, ndcg(factors, recipe)
            print(f"{sample.size:,}, {regularization:g}: {alone[chosen_on].mean():.4f}", file=sys.stderr, flush=True)
            if alone[chosen_on].mean() > best:
                best, chosen, items, by_als, seconds = alone[chosen_on].mean(), recipe, factors, alone, took
        found = [values[~chosen_on] for values in (by_als, ndcg(items, replace(chosen, blend=BLEND)))]
        whole = whole or found
        cells = [f"{sample.size:,}", f"{chosen.regularization:g}", f"{seconds:.0f}", f"{als.known_rows(items).sum():,}"]
        for values, of_all in zip(found, whole, strict=True):
            to = relative_difference(values, of_all, SEED)
            cells += [f"{values.mean():.4f}", f"{100 * to.value:+.1f}% ({100 * to.low:+.1f} to {100 * to.high:+.1f})"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

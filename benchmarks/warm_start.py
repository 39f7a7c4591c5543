"""How many iterations a fit needs: NDCG@20 after each, cold from implicit's own draw, cold from ours, and warm from a
champion one and seven days old, as shares of what fifteen cold iterations give.

`make bench-warm` does it on `online_retail` at two dates and on 2 million generated interactions; at the size of
MovieLens 20M with ARGS="--users 138493 --items 26744 --interactions 20000000 --regularization 500". A * marks where the
fit ends by itself.
"""

import argparse
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recjobs.config import load_settings  # first: it limits BLAS to one thread, before numpy is imported

import numpy as np  # isort: skip

from benchmarks import generate, looks  # isort: skip
from recjobs.core.model import als  # isort: skip
from recjobs.core.evaluation.exam import answer, exam  # isort: skip
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past  # isort: skip
from recjobs.core.model.engine import Engine  # isort: skip
from recjobs.core.rows.interactions import DAY, Interactions  # isort: skip
from recjobs.core.recipe import Recipe  # isort: skip
from recjobs.core.rows.instants import microseconds  # isort: skip

SHOP = Recipe(factors=64, alpha=5, regularization=20, half_life_days=14)
DATES = ("2011-07-01", "2011-10-15")
COLD, WARM = 15, 6
THREADS = os.cpu_count() or 1


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(prog="make bench-warm", description=__doc__)
    parser.add_argument("--users", type=int, default=40_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--interactions", type=int, default=2_000_000)
    parser.add_argument("--file", type=Path, help="instead of generating: Parquet with user_id, item_id, timestamp (s)")
    parser.add_argument("--regularization", type=float, default=200, help="of the generated set; grows with its size")
    parser.add_argument("--no-shop", action="store_true", help="leave online_retail out")
    arguments = parser.parse_args()
    load_settings()
    if not arguments.no_shop:
        shop = looks.interactions_of("online_retail")
        for date in DATES:
            end = microseconds(datetime.fromisoformat(date).replace(tzinfo=UTC) + timedelta(days=1))
            _table(f"online_retail, {date}", shop.where(shop.occurred_at < end), end, SHOP)
    if arguments.file:
        world = generate.read(arguments.file)
    else:
        world = generate.interactions(arguments.users, arguments.items, arguments.interactions)
    recipe = Recipe(factors=64, alpha=10, regularization=arguments.regularization)
    _table(f"{len(world):,} generated", world, int(world.occurred_at.max()) + 1, recipe)


def _table(name: str, world: Interactions, end: int, recipe: Recipe) -> None:
    cutoff = end - 30 * DAY
    train, holdout = world.where(world.occurred_at < cutoff), world.where(world.occurred_at >= cutoff)
    questions = exam(train, holdout, "discovery", 7)
    confidence = train.confidence(recipe, cutoff)
    known = np.diff(confidence.tocsc().indptr) > 0
    past, eligible = Past(train, cutoff, Engine(THREADS)), Knowledge.of_train(train)

    def ndcg(model: Model | None) -> float:
        maker = ListMaker(past, eligible, model, questions.kept_out)
        return float(answer("fit", maker, questions).per_user["ndcg"].mean())

    def course(start: als.Factors | None, iterations: int) -> tuple[list[float], int, float]:
        ndcgs: list[float] = []

        def watch(_: int, users: np.ndarray, item_factors: np.ndarray) -> None:
            model = Model(np.where(known[:, None], item_factors, np.float32(0)), recipe)
            ndcgs.append(ndcg(model))

        settled, als.SETTLED = als.SETTLED, 2.0  # to see what would have come
        als.fit(confidence, replace(recipe, iterations=iterations), 7, THREADS, start, watch)
        als.SETTLED = settled
        began = time.perf_counter()
        ended = als.fit(confidence, replace(recipe, iterations=iterations), 7, THREADS, start)
        return ndcgs, ended.iterations, time.perf_counter() - began

    popular = ndcg(None)
    cold = course(None, COLD)
    reference = cold[0][-1]
    print(
        f"\n{name}: {len(train):,} to train on, {len(questions.users):,} users asked; NDCG@20 after {COLD} cold "
        f"iterations {reference:.4f}, popular {popular:.4f}"
    )
    print(f"{'':24}{'seconds':>8}" + "".join(f"{n:>8}" for n in range(1, COLD + 1)))
    own_draw, als._drawn = als._drawn, _as_implicit_draws
    _row("cold, implicit's draw", course(None, COLD), reference)
    als._drawn = own_draw
    _row("cold", cold, reference)
    for days in (1, 7):
        before = cutoff - days * DAY
        earlier = world.where(world.occurred_at < before).confidence(recipe, before)
        champion = als.fit(earlier, replace(recipe, iterations=COLD), 3, THREADS)
        _row(f"warm, {days} day{'s' * (days > 1)} old", course(champion, WARM), reference)


def _as_implicit_draws(rng: np.random.Generator, n: int, factors: int, start: np.ndarray | None) -> np.ndarray:
    return rng.random((n, factors), dtype=np.float32) * np.float32(0.01)


def _row(name: str, course: tuple[list[float], int, float], reference: float) -> None:
    ndcgs, ended, seconds = course
    cells = [f"{value / reference:.3f}{'*' if n == ended else ' '}" for n, value in enumerate(ndcgs, 1)]
    print(f"{name:24}{seconds:>8.1f}" + "".join(f"{cell:>8}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()

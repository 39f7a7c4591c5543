"""Items that the model has never seen: what predicting their factors from title and categories is worth.

`make bench-new-items`. First table: a tenth of the items is held out, all their rows removed; after the cutoff they are
ranked for each user who took one of them: NDCG@20 and recall@20, the mean of five draws. Second: how many of the first
20 places new items take in whole lists, against the share of later interactions they really got, and what that does
to NDCG@20. New are items that nobody took before the cutoff; in the sample shop, which has none, a held-out tenth.
"""

import argparse
import os
from dataclasses import dataclass

from recjobs.catalog.files import load_catalog  # first: it limits BLAS to one thread, before numpy is imported
from recjobs.config import load_settings  # first: it limits BLAS to one thread, before numpy is imported

import numpy as np  # isort: skip
import pyarrow as pa  # isort: skip
from scipy.sparse import csr_matrix, diags  # isort: skip

from benchmarks import looks  # isort: skip
from recjobs.core.model import als  # isort: skip
from recjobs.core.evaluation import metrics  # isort: skip
from recjobs.core.model.attributes import completed, features, held_down  # isort: skip
from recjobs.core.lists import maker  # isort: skip
from recjobs.core.model.engine import Engine  # isort: skip
from recjobs.core.model.fold_in import FoldIn  # isort: skip
from recjobs.core.rows.interactions import DAY, Interactions  # isort: skip
from recjobs.core.lists.popularity import popularity  # isort: skip
from recjobs.core.model.ranking import best_items, first_unseen  # isort: skip
from recjobs.core.recipe import Recipe  # isort: skip

K, SEEDS, MAX_NEW_SHARE = 20, 5, 0.1
HOLDOUTS = {
    "amazon_purchases": (90, [90, 180, 270]),
    "online_retail": (30, [0, 90, 180, 270, 360, 450]),
    "sample": (30, [0]),
}
"""Days of the holdout, and how many days before the end of the data it ends; the first is that of the first table."""
THREADS = os.cpu_count() or 1


@dataclass(frozen=True)
class World:
    """A catalog's interactions, titles (null where there is none), categories and recipe."""

    rows: Interactions
    titles: pa.Array
    categories: pa.Array
    recipe: Recipe

    @classmethod
    def of(cls, name: str) -> "World":
        """As a night would accept them; nothing is published."""
        night = looks.validated(name)
        items = night.items()
        titles, categories = (items[column].combine_chunks() for column in ("title", "categories"))
        return cls(night.interactions(), titles, categories, load_catalog(name).recipe)


class Past:
    """What is known at a cutoff when all rows of the items that are `gone` are, and what users took for the first time
    from then on."""

    def __init__(self, world: World, days: int, back: int, draw: int | None) -> None:
        """draw: a tenth of the items is gone, drawn by this seed; None: none is."""
        rows, end = world.rows, int(world.rows.occurred_at.max()) + 1 - back * DAY
        self.cutoff = end - days * DAY
        rows = rows.where(rows.occurred_at < end)
        before, after = rows.where(rows.occurred_at < self.cutoff), rows.where(rows.occurred_at >= self.cutoff)
        self.there = popularity(rows) > 0
        gone = np.zeros(rows.n_items, bool)
        if draw is not None:
            items = np.flatnonzero(self.there)
            gone[np.random.default_rng(draw).choice(items, items.size // 10, replace=False)] = True
        self.train = before.where(~gone[before.item_idx])
        self.new = self.there & (gone if draw is not None else popularity(before) == 0)
        self.seen, later = before.pairs(), after.pairs()
        self.later = _nonzero(later - later.multiply(self.seen > 0))
        confidence = self.train.confidence(world.recipe, self.cutoff)
        fitted = als.fit(confidence, world.recipe, 7, THREADS)
        self.vectors = FoldIn(fitted.item_factors, world.recipe, THREADS).vectors(confidence)
        self.item_factors, self.blend = (
            fitted.item_factors,
            maker.Past(self.train, self.cutoff, Engine(THREADS)).blend(world.recipe),
        )
        self.completed_factors = completed(fitted.item_factors, world.titles, world.categories, world.recipe.blend)


def _nonzero(pairs: csr_matrix) -> csr_matrix:
    pairs = csr_matrix(pairs)
    pairs.eliminate_zeros()
    return pairs


def held_out(world: World, past: Past, seed: int) -> tuple[int, dict[str, tuple[float, float]]]:
    """(users asked, NDCG and recall of each way to rank the held-out items for them). A user whom the model does not
    know has no list of ours, and counts 0."""
    taken = _nonzero(past.later @ diags(past.new.astype(np.float32)))
    users = np.flatnonzero(np.diff(taken.indptr) > 0)
    taken, seen = taken[users], past.seen[users]
    new = np.random.default_rng(seed).permutation(np.flatnonzero(past.new)).astype(np.int32)
    listable = past.new & past.completed_factors.predicted
    blend = None if past.blend is None else past.blend.of(users)
    lists = {
        "ours": best_items(
            past.vectors[users], past.completed_factors.item_factors, K, seen, listable, THREADS, blend
        ).item_idx,
        "random": first_unseen(new, K, seen, users.size),
    }
    for name, days in (("popular, 30 days", 30), ("popular, ever", None)):
        since = None if days is None else past.cutoff - days * DAY
        like = _popularity_of_its_like(world, past, popularity(past.train, since))
        lists[name] = first_unseen(new[np.argsort(-like[new], kind="stable")], K, seen, users.size)
    per_user = {name: metrics.per_user(listed, taken, K) for name, listed in lists.items()}
    return users.size, {name: (one["ndcg"].mean(), one["recall"].mean()) for name, one in per_user.items()}


def _popularity_of_its_like(world: World, past: Past, popular: np.ndarray) -> np.ndarray:
    """Each item's mean, over its categories (without any: the words of its title), of their known items' popularity."""
    known, n = np.asarray(past.item_factors.any(axis=1)), world.rows.n_items
    none = pa.array([[]] * n, pa.list_(pa.string()))
    has_categories = len(world.categories.flatten()) > 0
    item_features = features(pa.nulls(n, pa.string()), world.categories, known) if has_categories else None
    item_features = features(world.titles, none, known) if item_features is None else item_features
    has = (item_features > 0).astype(float)
    mean = np.asarray(has[known].T @ popular[known]).ravel() / np.asarray(has[known].sum(axis=0)).ravel()
    return np.asarray(has @ mean).ravel() / np.maximum(1, np.diff(has.indptr))


def in_whole_lists(past: Past) -> dict[str, float]:
    """How much of the catalogue, of later interactions and of the first 20 places is new, and NDCG@20 without and with
    new items, of users whom the model knows."""
    users = np.flatnonzero((np.diff(past.later.indptr) > 0) & past.vectors.any(axis=1))
    vectors, seen, later = past.vectors[users], past.seen[users], past.later[users]
    blend = None if past.blend is None else past.blend.of(users)
    held = held_down(past.completed_factors, vectors, K, seen, past.there, MAX_NEW_SHARE, THREADS, blend)
    lists = [
        best_items(vectors, factors, K, seen, past.there & factors.any(axis=1), THREADS, blend).item_idx
        for factors in (past.item_factors, held)
    ]
    without, with_new = (metrics.per_user(one, later, K)["ndcg"].mean() for one in lists)
    places = lists[1][lists[1] >= 0]
    return {
        "new": past.new.sum() / past.there.sum(),
        "later": past.new[later.indices].mean(),
        "places": past.new[places].mean(),
        "without": without,
        "with": with_new,
    }


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="make bench-new-items", description=__doc__)
    parser.add_argument("catalogs", nargs="*", default=list(HOLDOUTS), help=f"of {', '.join(HOLDOUTS)}")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    load_settings()
    worlds = {name: World.of(name) for name in arguments.catalogs}
    print(f"{'NDCG@20 | recall@20':<20}{'users':>6}" + "".join(f"{way:>20}" for way in WAYS))
    for name, world in worlds.items():
        days, backs = HOLDOUTS[name]
        draws = [held_out(world, Past(world, days, backs[0], seed), seed) for seed in range(arguments.seeds)]
        cells = [np.mean([accuracy[way] for _, accuracy in draws], axis=0) for way in WAYS]
        users = round(np.mean([n for n, _ in draws]))
        print(f"{name:<20}{users:>6}" + "".join(f"{ndcg:>11.4f} | {recall:.4f}" for ndcg, recall in cells), flush=True)
        worst, best = (round(edge(accuracy["ours"][0] for _, accuracy in draws), 4) for edge in (min, max))
        better = [sum(accuracy["ours"][0] > accuracy[way][0] for _, accuracy in draws) for way in WAYS[1:]]
        print(
            f"{'  of the draws':<26}{f'{worst:.4f} to {best:.4f}':>20}"
            + "".join(f"{f'beaten in {n} of {len(draws)}':>20}" for n in better),
            flush=True,
        )
    print(f"\n{'':<18}{'days before end':>16}" + "".join(f"{column:>22}" for column in COLUMNS))
    for name, world in worlds.items():
        days, backs = HOLDOUTS[name]
        for back in backs:
            shares = in_whole_lists(Past(world, days, back, 0 if name == "sample" else None))
            cells = [f"{shares[key]:>22.4f}" for key in COLUMNS.values()]
            print(f"{name:<18}{back:>16}" + "".join(cells), flush=True)


WAYS = ("ours", "random", "popular, 30 days", "popular, ever")
COLUMNS = {
    "new, of items": "new",
    "of later interactions": "later",
    "of the places": "places",
    "NDCG@20 without": "without",
    "with": "with",
}

if __name__ == "__main__":
    main()

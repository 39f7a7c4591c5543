"""What each model would have served on the holdout, and how good that was."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.evaluation import metrics
from recjobs.core.evaluation.bootstrap import mean_intervals
from recjobs.core.lists.popularity import popular_order, popularity
from recjobs.core.model.als import fold_in, known_rows
from recjobs.core.model.neighbours import Blend, similarity_of
from recjobs.core.model.ranking import Ranked, best_items, first_unseen
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions

K = 20
MAX_USERS = 20_000
Rows = list[dict[str, Any]]
"""Rows of the evaluations view, without their batch."""
VIEWS = ("discovery", "repeats")
"""discovery: items already seen are neither recommended nor counted; repeats: only what they gave back is filtered.
The third view, after_days, is asked of catalogs that have it: as discovery, of items seen lately."""


@dataclass(frozen=True)
class Exam:
    """The holdout users of one view, row by row: what is kept out of their lists, and what they took afterwards (and
    did not give back)."""

    users: np.ndarray
    seen: csr_matrix | None
    holdout: csr_matrix


def exam(
    train: Interactions, holdout: Interactions, view: str, seed: int, *, now: int = 0, after_days: float | None = None
) -> Exam:
    """The users with something to be found in the holdout, at most MAX_USERS of them, drawn by the seed.

    now (microseconds, the cutoff) and after_days: what the view after_days calls lately.
    """
    taken, kept_out = holdout.liked().pairs(), kept_out_of(train, view, now, after_days)
    taken = _without(taken, holdout.disliked_pairs())
    if view != "repeats":
        taken = _without(taken, kept_out)
    users = np.flatnonzero(np.diff(taken.indptr) > 0)
    if users.size > MAX_USERS:
        users = np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))
    return Exam(users, None if kept_out is None else kept_out[users], taken[users])


def kept_out_of(interactions: Interactions, view: str, now: int, after_days: float | None) -> csr_matrix | None:
    """user_items above 0 where an item is not to be listed; None: nothing is kept out."""
    if view == "discovery":
        return interactions.pairs()
    disliked = interactions.disliked_pairs()
    if view == "repeats" or after_days is None:
        return disliked
    lately = interactions.where(interactions.occurred_at >= now - int(after_days * DAY)).pairs()
    return lately if disliked is None else (lately + disliked).tocsr()


def _without(pairs: csr_matrix, others: csr_matrix | None) -> csr_matrix:
    if others is None:
        return pairs
    rest: csr_matrix = (pairs - pairs.multiply(others > 0)).tocsr()
    rest.eliminate_zeros()
    return rest


@dataclass(frozen=True)
class Contestant:
    """A model that is asked: item_factors (n_items, factors) and their recipe; a recipe alone: item neighbours;
    neither: an order of popularity. Neighbours are made of the train part each time, by the recipe."""

    name: str
    item_factors: np.ndarray | None
    recipe: Recipe | None
    popular_days: float | None = 30
    blend: Blend | None = None
    """What `blend_of` made of the same part and recipe, where that was done before."""


def lists_of(
    contestant: Contestant, train: Interactions, now: int, questions: Exam, n: int, threads: int
) -> tuple[np.ndarray, float]:
    """(n items for each user of the exam, -1 behind the end; share of users served by the fallback alone)."""
    ranked = ranked_of(contestant, train, now, questions, n, threads)
    lists = filled_up(ranked, contestant, train, now, questions)
    return lists, float((ranked.lengths == 0).mean()) if ranked.lengths.size else 0.0


def ranked_of(contestant: Contestant, train: Interactions, now: int, questions: Exam, n: int, threads: int) -> Ranked:
    """What a model or item neighbours rank for each user of the exam; an order of popularity ranks nothing."""
    recipe, item_factors = contestant.recipe, contestant.item_factors
    if recipe is None:
        shape = (len(questions.users), n)
        return Ranked(np.full(shape, -1, np.int32), np.full(shape, np.nan, np.float32))
    confidence = train.confidence(recipe, now)
    rows = confidence[questions.users]
    if item_factors is None:
        item_factors = (np.bincount(confidence.indices, minlength=train.n_items) > 0)[:, None].astype(np.float32)
        vectors = np.zeros((len(questions.users), 1), np.float32)
    else:
        vectors = fold_in(rows, item_factors, recipe, threads)
    blend = with_neighbours(contestant, train, now, threads).blend
    return best_items(
        vectors,
        item_factors,
        n,
        questions.seen,
        known_rows(item_factors),
        threads,
        None if blend is None else blend.of(questions.users),
    )


def filled_up(ranked: Ranked, contestant: Contestant, train: Interactions, now: int, questions: Exam) -> np.ndarray:
    """The lists that are served: what was ranked, filled up from what was popular in the contestant's days."""
    order, _ = popular_order(train, now, contestant.popular_days)
    return filled(ranked.item_idx, first_unseen(order, ranked.item_idx.shape[1], questions.seen, len(questions.users)))


def with_neighbours(contestant: Contestant, train: Interactions, now: int, threads: int) -> Contestant:
    """A contestant whose neighbours are found already, so that several exams need not do it again."""
    recipe = contestant.recipe
    if contestant.blend or recipe is None:
        return contestant
    if contestant.item_factors is None:
        recipe = replace(recipe, blend=1.0)
    return replace(contestant, blend=blend_of(train.confidence(recipe, now), recipe, threads))


def blend_of(confidence: csr_matrix, recipe: Recipe, threads: int) -> Blend | None:
    """What item neighbours add to every user's scores; None where the recipe has none."""
    if not recipe.blend:
        return None
    return Blend(confidence, similarity_of(confidence, recipe.neighbours, threads), recipe.blend)


def filled(lists: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """Lists filled to their width from another of the same shape, less what they hold already."""
    short = np.flatnonzero((lists < 0).any(axis=1))
    result = lists.copy()
    for row in short:
        own = lists[row][lists[row] >= 0]
        rest = fallback[row][~np.isin(fallback[row], own) & (fallback[row] >= 0)]
        joined = np.concatenate([own, rest])[: lists.shape[1]]
        result[row] = -1
        result[row, : joined.size] = joined
    return result


@dataclass(frozen=True)
class Answer:
    """What one contestant would have served in one exam."""

    name: str
    lists: np.ndarray
    fallback_share: float
    per_user: dict[str, np.ndarray]


def answer(contestant: Contestant, train: Interactions, now: int, questions: Exam, threads: int) -> Answer:
    """Ask one contestant; the lists are K long."""
    lists, fallback = lists_of(contestant, train, now, questions, K, threads)
    return Answer(contestant.name, lists, fallback, metrics.per_user(lists, questions.holdout, K))


def measure(answers: list[Answer], view: str, train: Interactions, segments: dict[str, np.ndarray], seed: int) -> Rows:
    """Rows of the evaluations view: every metric of every answer, and NDCG in each segment, with intervals.

    All are resampled together, once, so that any two can be compared. An empty exam gives no rows of per-user metrics.
    """
    rows: Rows = []

    def add(
        name: str, segment: str, metric: str, value: float, low: float | None = None, high: float | None = None
    ) -> None:
        rows.append(
            {
                "model": name,
                "segment": segment,
                "view": view,
                "metric": metric,
                "value": value,
                "low": low,
                "high": high,
            }
        )

    keys, columns = [], []
    for given in answers:
        for metric in metrics.PER_USER:
            keys.append((given.name, "all", f"{metric}_at_{K}"))
            columns.append(given.per_user[metric])
        for segment, mask in segments.items():
            if mask.any():
                keys.append((given.name, segment, f"ndcg_at_{K}"))
                columns.append(np.where(mask, given.per_user["ndcg"], np.nan))
    if columns and len(columns[0]):
        for key, found in zip(keys, mean_intervals(np.column_stack(columns), seed), strict=True):
            add(*key, found.value, found.low, found.high)
    popular = popularity(train)
    for given in answers:
        for metric, value in metrics.of_lists(given.lists, popular, popular > 0).items():
            add(given.name, "all", metric, value)
        add(given.name, "all", "fallback_share", given.fallback_share)
    return rows

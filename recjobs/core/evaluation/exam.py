"""The lists that each model would have served on the holdout, and their metrics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, vstack

from recjobs.core.evaluation import metrics
from recjobs.core.evaluation.bootstrap import mean_intervals
from recjobs.core.lists.maker import ListMaker, Lists
from recjobs.core.lists.popularity import popularity
from recjobs.core.lists.seen import kept_out_of
from recjobs.core.rows.by_blocks import RowsOfUsers
from recjobs.core.rows.interactions import Interactions, RowBlocks

K = 20
MAX_USERS = 20_000
Rows = list[dict[str, Any]]
"""Rows of the evaluations view, without their batch."""
VIEWS = ("discovery", "repeats")
"""discovery: items already seen are neither recommended nor counted; repeats: only returned items are filtered.
Catalogs may have a third view, after_days: as discovery, of items seen in the last days."""


@dataclass(frozen=True)
class Exam:
    """The holdout users of one view and, row by row, the items that they took and did not return.

    kept_out: (all users, n_items), the items kept out of these users' lists; None: none.
    """

    users: np.ndarray
    kept_out: csr_matrix | None
    holdout: csr_matrix

    def rows(self, rows: np.ndarray) -> "Exam":
        """The exam of some of the users."""
        return Exam(self.users[rows], self.kept_out, self.holdout[rows])


def exam(
    train: RowBlocks, holdout: Interactions, view: str, seed: int, *, now: int = 0, after_days: float | None = None
) -> Exam:
    """The exam on the users with items in the holdout, at most MAX_USERS, drawn by the seed.

    now (microseconds, the cutoff) and after_days: for the view after_days.
    """
    taken = _without(holdout.liked().pairs(), holdout.disliked_pairs())
    if view != "repeats":
        taken = vstack(list(_without_kept_out(taken, train, view, now, after_days)), format="csr")
    users = np.flatnonzero(np.diff(taken.indptr) > 0)
    if users.size > MAX_USERS:
        users = np.sort(np.random.default_rng(seed).choice(users, MAX_USERS, replace=False))
    if view == "repeats" and not train.negative:
        return Exam(users, None, taken[users])
    return Exam(users, kept_out_of(RowsOfUsers(train, users), view, now, after_days), taken[users])


def _without_kept_out(
    taken: csr_matrix, before: RowBlocks, view: str, now: int, after_days: float | None
) -> Iterator[csr_matrix]:
    """The pairs that are not kept out of lists, those of some users after the other: what is kept out of all lists
    would take as much memory as the rows."""
    done = 0
    for block in before.blocks():
        first, last = int(block.user_idx.min()), int(block.user_idx.max()) + 1
        rows = replace(block, user_idx=block.user_idx - np.int32(first), n_users=last - first)
        yield taken[done:first]
        yield _without(taken[first:last], kept_out_of(rows, view, now, after_days))
        done = last
    yield taken[done:]


def taken_pairs(
    before: RowBlocks, after: Interactions, view: str, now: int, after_days: float | None
) -> tuple[csr_matrix, csr_matrix | None]:
    """(pairs taken and not returned in the rows `after` that count in the view, what is kept out of lists); user_items.

    before: the rows known when the lists were made, at `now` (microseconds). A pair counts if its value is above 0.
    """
    taken, kept_out = after.liked().pairs(), kept_out_of(before, view, now, after_days)
    taken = _without(taken, after.disliked_pairs())
    return (taken if view == "repeats" else _without(taken, kept_out)), kept_out


def _without(pairs: csr_matrix, others: csr_matrix | None) -> csr_matrix:
    if others is None:
        return pairs
    rest: csr_matrix = (pairs - pairs.multiply(others > 0)).tocsr()
    rest.eliminate_zeros()
    return rest


@dataclass(frozen=True)
class Answer:
    """The lists that one contender would have served in one exam, and their metrics user by user.

    lists: (n_users, K) item_idx, -1 behind the end; n_model: (n_users,), items of each that are the model's.
    """

    name: str
    lists: np.ndarray
    n_model: np.ndarray
    per_user: dict[str, np.ndarray]

    @classmethod
    def of(cls, name: str, lists: Lists, questions: Exam) -> "Answer":
        """The answer with these lists for the users of an exam."""
        item_idx = lists.ranked.item_idx
        n_model = np.where(lists.again, 0, lists.n_model)
        return cls(name, item_idx, n_model, metrics.per_user(item_idx, questions.holdout, K))

    @property
    def fallback_share(self) -> float:
        """Share of the users with no item from the model."""
        return float((self.n_model == 0).mean()) if self.n_model.size else 0.0


def answer(name: str, maker: ListMaker, questions: Exam) -> Answer:
    """Ask one contender; the lists are K long."""
    return Answer.of(name, maker.lists(questions.users, K), questions)


def measure(answers: list[Answer], view: str, train: RowBlocks, segments: dict[str, np.ndarray], seed: int) -> Rows:
    """Rows of the evaluations view: every metric of every answer, and NDCG in each segment, with intervals.

    All share their resamples, so that any two can be compared. An empty exam gives no rows of per-user metrics.
    """
    return measure_views({view: (answers, segments)}, train, seed)[view]


def measure_views(
    views: Mapping[str, tuple[list[Answer], dict[str, np.ndarray]]], train: RowBlocks, seed: int
) -> dict[str, Rows]:
    """What `measure` returns for each of several views: answers and segments. Resamples are drawn once for the views
    of as many users."""
    rows: dict[str, Rows] = {view: [] for view in views}

    def add(
        view: str,
        name: str,
        segment: str,
        metric: str,
        value: float,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        row = {"model": name, "segment": segment, "view": view, "metric": metric, "value": value}
        rows[view].append(row | {"low": low, "high": high})

    by_size: dict[int, list[tuple[tuple[str, str, str, str], np.ndarray]]] = {}
    for view, (answers, segments) in views.items():
        for one in answers:
            columns = [("all", metric, one.per_user[metric]) for metric in metrics.PER_USER]
            columns += [
                (segment, "ndcg", np.where(mask, one.per_user["ndcg"], np.nan))
                for segment, mask in segments.items()
                if mask.any()
            ]
            for segment, metric, values in columns:
                by_size.setdefault(values.size, []).append(((view, one.name, segment, f"{metric}_at_{K}"), values))
    for n_users, measured in by_size.items():
        if n_users:
            estimates = mean_intervals(np.column_stack([values for _, values in measured]), seed)
            for (key, _), estimate in zip(measured, estimates, strict=True):
                add(*key, estimate.value, estimate.low, estimate.high)
    popular = popularity(train)
    for view, (answers, _) in views.items():
        for one in answers:
            for metric, value in metrics.of_lists(one.lists, popular, popular > 0).items():
                add(view, one.name, "all", metric, value)
            add(view, one.name, "all", "fallback_share", one.fallback_share)
    return rows

"""Folds to search a recipe on: parts of the past, each cut as the gate will cut, and none of them the gate's own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from recjobs.core.evaluation.exam import Exam, exam
from recjobs.core.rows.interactions import DAY, Interactions

MOST, USERS = 5, 10_000
"""Folds at most, and users to ask before no third is added. What is best differs by the month: on `online_retail`
as of 2010-10-01 a half-life of 98 days was 2% better than one of 14 on the latest two, and 1% worse on four."""
ENOUGH_USERS, ENOUGH_ROWS = 0.5, 0.2
"""A further fold must ask and train on at least this share of what the latest one has."""
RANDOM_SHARE = 0.1
"""Part of the pairs that is held out where times say nothing."""


@dataclass(frozen=True)
class Fold:
    """Interactions to fit on, what was asked about those who came afterwards, and the instant between (in
    microseconds)."""

    train: Interactions
    questions: Exam
    now: int
    name: str


def before(interactions: Interactions, end: int) -> Interactions:
    """What happened before an instant (microseconds), its users and items numbered anew.

    Whoever came later is not counted either: the numbers of rows decide what a fit begins from, and nothing of what
    came later may change the value of a trial.
    """
    part = interactions.where(interactions.occurred_at < end)
    users, user_idx = np.unique(part.user_idx, return_inverse=True)
    items, item_idx = np.unique(part.item_idx, return_inverse=True)
    return replace(
        part,
        user_idx=user_idx.astype(np.int32),
        item_idx=item_idx.astype(np.int32),
        n_users=len(users),
        n_items=len(items),
    )


def folds(
    past: Interactions, end: int, holdout_days: float, view: str, seed: int, *, after_days: float | None = None
) -> list[Fold]:
    """The folds of what happened before `end`, latest first: up to MOST by time, else one of pairs drawn at random.

    The first holds out the last holdout_days, the next the holdout_days before those, and so on, while they ask enough
    users. Where nothing lies before the first cut, or nothing after it, times say nothing, and a random part of the
    pairs is held out. Empty: there is nothing to ask about.
    """
    found: list[Fold] = []
    for cut, until in _cuts(end, holdout_days, MOST):
        if len(found) >= 2 and sum(fold.questions.users.size for fold in found) >= USERS:
            break
        train = past.where(past.occurred_at < cut)
        holdout = past.where((past.occurred_at >= cut) & (past.occurred_at < until))
        if not (len(train) and len(holdout)) or (found and len(train) < ENOUGH_ROWS * len(found[0].train)):
            break
        questions = exam(train, holdout, view, seed, now=cut, after_days=after_days)
        if questions.users.size == 0 or (found and questions.users.size < ENOUGH_USERS * found[0].questions.users.size):
            break
        found.append(Fold(train, questions, cut, f"the {holdout_days:g} days from {_day(cut)}"))
    return found or random_fold(past, view, seed, after_days=after_days)


def random_fold(past: Interactions, view: str, seed: int, *, after_days: float | None = None) -> list[Fold]:
    """One fold that holds out RANDOM_SHARE of the pairs, all interactions of each; empty where nothing can be asked."""
    keys = past.user_idx.astype(np.int64) * past.n_items + past.item_idx
    distinct = past.distinct_pairs()
    drawn = np.random.default_rng(seed).permutation(distinct)[: round(RANDOM_SHARE * distinct.size)]
    held_out = np.isin(keys, drawn)
    train, holdout = past.where(~held_out), past.where(held_out)
    if not (len(train) and len(holdout)):
        return []
    now = int(past.occurred_at.max()) + 1
    questions = exam(train, holdout, view, seed, now=now, after_days=after_days)
    return [Fold(train, questions, now, f"{RANDOM_SHARE:.0%} of the pairs, at random")] if questions.users.size else []


def _cuts(end: int, holdout_days: float, n: int) -> Iterator[tuple[int, int]]:
    width = round(holdout_days * DAY)
    for back in range(n):
        yield end - (back + 1) * width, end - back * width


def _day(microseconds: int) -> str:
    return str(np.datetime64(microseconds, "us").astype("datetime64[m]"))

"""The confidence in listed items: how likely users are to take an item of such a score, as the holdout says.

The confidence at a score is the share of items with such a score, in lists that begin alike (`Lists.kinds`), that the
users took in the holdout. It is the isotonic regression of hits on scores (Zadrozny & Elkan 2002), of one half of the
holdout's users; what it promises is measured on the other half.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from recjobs.core.evaluation.as_served import deciding_half
from recjobs.core.evaluation.bootstrap import relative_difference
from recjobs.core.evaluation.exam import Answer, Exam, K
from recjobs.core.evaluation.metrics import hits
from recjobs.core.lists.choice import NEIGHBOURS, NO_MODEL, ListChoice
from recjobs.core.lists.finished import Lists
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.recipe import Recipe

MIN_ITEMS = 50
"""The fewest listed items that a confidence is measured on."""


def least_score(scores: np.ndarray, hit: np.ndarray, confidence: float) -> float | None:
    """The least score from which on the confidence is at least this; scores, hit: of each listed item.

    None if fewer than MIN_ITEMS have such a score. A score below all measured ones is too low: nothing is known of it.
    """
    distinct, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    if not distinct.size:
        return None
    share = np.bincount(place, weights=hit) / counts
    enough = isotonic_regression(share, weights=counts.astype(np.float64)).x >= confidence
    first = int(np.argmax(enough))  # from there on all are: the regression does not fall
    return float(distinct[first]) if enough.any() and counts[first:].sum() >= MIN_ITEMS else None


def min_scores_of(lists: Lists, questions: Exam, among: np.ndarray, confidence: float) -> dict[str, float]:
    """By kind of list, the least score of its items that have this confidence; without kinds that have none. among: a
    mask of the exam's users, on whom it is measured."""
    hit, result = hits(lists.ranked.item_idx, questions.holdout, K), dict[str, float]()
    for kind, mask in lists.kinds.items():
        measured = lists.of_one_kind & (mask & among)[:, None]
        least = least_score(lists.ranked.scores[measured], hit[measured], confidence)
        if least is not None:
            result[kind] = least
    return result


def short_lists(
    past: Past,
    known: Knowledge,
    questions: Exam,
    models: Mapping[str, Model],
    recipe: Recipe,
    choices: Mapping[str, ListChoice],
    confidence: float,
    seed: int,
) -> tuple[dict[str, ListChoice], dict[str, Any]]:
    """(the choices, by name as in `Contest.choices`, with the least scores of their lists; what that costs).

    The second is a row as `price_rows` returns them, of the candidate's lists for users on whom no score was chosen,
    with `listed`, the share of places that are left; `hit_share` and `hit_share_without`, the share of listed items
    that the users took; `empty`, the share of lists without any item. It is empty if there is no such user.
    """
    deciding = deciding_half(questions.users.size, seed)
    result, row = dict[str, ListChoice](), dict[str, Any]()
    for name, choice in choices.items():
        model = models.get(name)
        followed = choice
        if name == NO_MODEL and NEIGHBOURS in choice.instead.values():
            model, followed = Model(None, recipe), replace(choice, instead={})
        lists = ListMaker(past, known, model, questions.kept_out, followed).lists(questions.users, K)
        least = min_scores_of(lists, questions, ~deciding, confidence)
        result[name] = replace(choice, min_scores=least)
        if name == "candidate" and deciding.any():
            row = _price(lists, lists.confident(least), questions, deciding, seed)
    return result, row


def _price(lists: Lists, short: Lists, questions: Exam, deciding: np.ndarray, seed: int) -> dict[str, Any]:
    rows = np.flatnonzero(deciding)
    plain, served = (Answer.of("", each, questions).per_user["ndcg"][rows] for each in (lists, short))
    difference = relative_difference(served, plain, seed)
    n, n_short = (each.ranked.lengths[rows] for each in (lists, short))
    hit, hit_short = (int(hits(each.ranked.item_idx, questions.holdout, K)[rows].sum()) for each in (lists, short))
    return {
        "setting": "top_n.min_confidence",
        "ndcg_at_20": float(served.mean()),
        "without": float(plain.mean()),
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "listed": float(n_short.sum() / max(1, n.sum())),
        "hit_share": float(hit_short / n_short.sum()) if n_short.any() else None,
        "hit_share_without": float(hit / max(1, n.sum())),
        "empty": float((n_short == 0).mean()),
    }

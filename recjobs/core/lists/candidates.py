"""Candidates of the second stage: the first stage's best items of each user, and the best of other generators.

What sells this week, what was bought at this time of the last year and what a linear model sees may stand far down a
list by ALS. A generator adds the best of its items that are not candidates yet.
"""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.lists.features import OF_ITEMS
from recjobs.core.model.compiled import highest
from recjobs.core.model.linear import Linear

FIRST = 150
"""Items of the first stage."""
PLACES: Mapping[str, int] = {"own": 100, "linear": 100, "popular": 100, "linear_long": 50, "season": 50}
"""Items of each other generator at most, those that are candidates already among them. own: the user's own items by
frequency, where they may be listed."""
CANDIDATES = 256
"""All candidates of a user at most; on four dates of `online_retail` a user had 204 to 236."""
ORDERS = {"popular": "popular_14d", "season": "next_last_year"}
"""The feature of items by which the generators that are the same for all users order them."""


def orders(items: np.ndarray, usable: np.ndarray) -> dict[str, np.ndarray]:
    """The usable items (a mask) by each of ORDERS, highest first, as far as it is known; items: `item_features`."""
    result = {}
    for name, feature in ORDERS.items():
        values = items[:, list(OF_ITEMS).index(feature)]
        order = np.argsort(-values, kind="stable")
        result[name] = order[usable[order] & np.isfinite(values[order])].astype(np.int32)
    return result


def joined(first: np.ndarray, added: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n_users, CANDIDATES) item_idx: a user's `first` items, and behind them those that `added` has beyond them; -1
    behind the last.

    first: (n_users, places), as ranked; added: by generator, (n_users, PLACES of it); -1: none, there also in between.
    A list of fewer than FIRST items has everything that can be listed: nothing is added to it.
    """
    generators = [added[name] for name in PLACES if name in added]
    every = np.concatenate([first[:, :FIRST], *generators], axis=1).astype(np.int32)
    every[(every[:, :FIRST] < 0).any(axis=1), FIRST:] = -1
    order = np.argsort(every, axis=1, kind="stable")
    by_item = np.take_along_axis(every, order, axis=1)
    again = np.zeros(every.shape, bool)
    np.put_along_axis(again, order[:, 1:], by_item[:, 1:] == by_item[:, :-1], axis=1)
    every[again] = -1
    kept = np.argsort(every < 0, axis=1, kind="stable")[:, :CANDIDATES]
    listed = np.full((len(first), CANDIDATES), -1, np.int32)
    listed[:, : kept.shape[1]] = np.take_along_axis(every, kept, axis=1)
    return listed


def of_linear(
    model: Linear, scores: np.ndarray, places: int, seen: csr_matrix | None, usable: np.ndarray
) -> np.ndarray:
    """The usable items (a mask) that a linear model scores highest, and above 0: (n_users, places).

    scores: of the model's known items, seen: the users' rows, items to leave out.
    """
    scores = scores.copy()
    scores[:, ~usable[model.known]] = -np.inf
    if seen is not None:
        scores[seen[:, model.known].nonzero()] = -np.inf
    columns, values = highest(scores, min(places, model.known.size))
    return np.where(values > 0, model.known[columns], -1)

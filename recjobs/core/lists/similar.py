"""Similar items: the cosine of item factors, shrunk by how much is known of the listed item.

    score(i, j) = cosine(i, j) x n(j) / (n(j) + 10)

n(j) counts the interactions with an item, each 0.5^(age / 14 days). The cosine alone puts items first that a few users
took: it lost to TF-IDF neighbours on the question for a user's next new item (docs/decisions/0072).
"""

import numpy as np
from scipy.sparse import csr_matrix

from recjobs.core.model.attributes import Completed
from recjobs.core.model.ranking import Ranked, best_items
from recjobs.core.rows.interactions import DAY, RowBlocks

HALF_LIFE_DAYS = 14.0
SHRINKAGE = 10.0


def support_of(interactions: RowBlocks, now: int) -> np.ndarray:
    """n / (n + 10) of each item, (n_items,) float32; now: in microseconds."""
    n = np.zeros(interactions.n_items)
    for block in interactions.blocks():
        liked = block.liked()
        np.add.at(n, liked.item_idx, np.exp2(-((now - liked.occurred_at) / DAY) / HALF_LIFE_DAYS))
    return (n / (n + SHRINKAGE)).astype(np.float32)


def similar_items(
    items: Completed,
    support: np.ndarray,
    enough: np.ndarray,
    n: int,
    eligible: np.ndarray,
    threads: int,
    asked: np.ndarray | None = None,
) -> Ranked:
    """The n eligible items most similar to each of the asked items (item_idx; None: to all), see `similar`.

    support: `support_of`; an item with predicted factors has the trust in them instead. enough: a mask of the items on
    enough orders; the others stand behind all of these.
    """
    trusted = np.where(items.predicted, items.trusted(), support)
    first = similar(items.item_factors, n, eligible & enough, threads, trusted, asked)
    short = np.flatnonzero(first.lengths < n)
    if not short.size or not (eligible & ~enough).any():
        return first
    asked = (np.arange(len(trusted)) if asked is None else asked)[short]
    return _behind(first, similar(items.item_factors, n, eligible & ~enough, threads, trusted, asked), short)


def similar(
    item_factors: np.ndarray,
    n: int,
    eligible: np.ndarray,
    threads: int,
    trusted: np.ndarray | None = None,
    asked: np.ndarray | None = None,
) -> Ranked:
    """The n eligible items with the highest cosine to each item, itself excluded; unknown items get empty lists.

    trusted: (n_items,), a factor for each item's cosines: predicted factors lie in the middle of similar items, nearer
    to them than they are to each other. asked: item_idx of the items whose lists are made; None: of all.
    """
    norms = np.linalg.norm(item_factors, axis=1, keepdims=True)
    unit = np.divide(item_factors, norms, out=np.zeros_like(item_factors), where=norms > 0)
    rows = np.arange(len(unit)) if asked is None else asked
    itself = csr_matrix((np.ones(rows.size, np.float32), rows, np.arange(rows.size + 1)), (rows.size, len(unit)))
    listed = unit if trusted is None else unit * trusted[:, None]
    return best_items(unit[rows], listed, n, itself, eligible & (norms[:, 0] > 0), threads)


def _behind(first: Ranked, more: Ranked, rows: np.ndarray) -> Ranked:
    """The lists with more items at the end of these rows, whose scores are lowered so that a list's scores fall."""
    item_idx, scores = first.item_idx.copy(), first.scores.copy()
    length = first.lengths[rows]
    last = np.take_along_axis(scores[rows], np.maximum(length - 1, 0)[:, None], axis=1)[:, 0]
    lowered = np.where(length > 0, np.minimum(0, last - more.scores[:, 0]), 0)
    place = np.arange(item_idx.shape[1]) - length[:, None]
    source = np.maximum(place, 0)
    here = place >= 0
    item_idx[rows] = np.where(here, np.take_along_axis(more.item_idx, source, 1), item_idx[rows])
    moved = np.take_along_axis(more.scores, source, 1) + lowered[:, None]
    scores[rows] = np.where(here, moved, scores[rows])
    return Ranked(item_idx, scores)

"""Factors for items that have none yet, by ridge regression from the words of their titles and their categories."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.linalg import solve
from scipy.sparse import csr_matrix, diags

from recjobs.core.model.als import known_rows
from recjobs.core.model.neighbours import Blend
from recjobs.core.model.ranking import best_items

RIDGE = 1.0
"""From 0.3 to 10 the lists of three catalogs differ by less than their seeds do (docs/decisions/0010)."""
MAX_FEATURES = 4000
MIN_ITEMS = 2
"""Words and categories of fewer known items are left out."""
MAX_CHARACTERS = 1000
_NO_WORD = r"[^\p{L}\p{M}\p{N}]+"


@dataclass(frozen=True)
class Completed:
    """item_factors with rows for items that had none; predicted, a mask of those; trust, the correlation of predicted
    and learned rows over the known items, 0 to 1."""

    item_factors: np.ndarray
    predicted: np.ndarray
    trust: float = 1.0

    def trusted(self) -> np.ndarray:
        """The trust in each row, (n_items,) float32: 1 for those not predicted."""
        return np.where(self.predicted, np.float32(self.trust), np.float32(1))


def completed(item_factors: np.ndarray, titles: pa.Array, categories: pa.Array, blend: float = 0.0) -> Completed:
    """Predict the rows of zeros in item_factors (n_items, factors) whose words or categories known items have too.

    Regression shrinks predictions towards the mean, so that new items would hardly ever be listed. All predicted rows
    are scaled by one factor, at which predictions for known items have the root mean square of their factors. blend:
    the weight of item neighbours in the scores; new items have none, and 1 / (1 - blend) compensates for it. Items
    without features stay zeros.
    """
    known = known_rows(item_factors)
    nothing = Completed(item_factors, np.zeros(known.size, bool))
    if known.all():
        return nothing
    described = features(titles, categories, known)
    has_any = np.diff(described.indptr) > 0
    learned, new = known & has_any, ~known & has_any
    if not learned.any() or not new.any():
        return nothing
    x, y = described[learned], item_factors[learned].astype(np.float64)
    mean_x, mean_y = np.asarray(x.mean(axis=0)).ravel(), y.mean(axis=0)
    gram = (x.T @ x).toarray() - len(y) * np.outer(mean_x, mean_x)
    gram[np.diag_indices_from(gram)] += RIDGE
    right = x.T @ y - len(y) * np.outer(mean_x, mean_y)
    weights = solve(gram, right, assume_a="pos", overwrite_a=True, overwrite_b=True, check_finite=False)
    base = mean_y - mean_x @ weights
    trust = min(1.0, float(np.sqrt(((x @ weights + base) ** 2).sum() / (y**2).sum())))
    if trust < 1e-6:
        return nothing
    result = item_factors.copy()
    result[new] = (described[new] @ weights + base) / trust / (1 - blend if blend < 1 else 1)
    return Completed(result, new, trust)


def features(titles: pa.Array, categories: pa.Array, known: np.ndarray) -> csr_matrix:
    """(n_items, features): TF-IDF of the words of titles (strings or null) and of categories (lists of strings), each
    counted once an item. Rows have length 1, or are zeros for items without a feature of MIN_ITEMS known items.

    Words are runs of letters, marks and digits of any script, in lower case; the MAX_FEATURES most frequent count.
    """
    item, token = (np.concatenate(parts) for parts in zip(*_tokens(titles, categories), strict=True))
    if not token.size:
        return csr_matrix((known.size, 0))
    n_tokens = int(token.max()) + 1
    pair = np.sort(item.astype(np.int64) * n_tokens + token)
    pair = pair[np.diff(pair, prepend=-1) != 0]  # np.unique takes ten times as long
    item, token = pair // n_tokens, pair % n_tokens
    frequency = np.bincount(token[known[item]], minlength=n_tokens)
    kept = np.argsort(-frequency, kind="stable")[:MAX_FEATURES]
    kept = kept[frequency[kept] >= MIN_ITEMS]
    column = np.full(n_tokens, -1)
    column[kept] = np.arange(kept.size)
    item, column = item[column[token] >= 0], column[token][column[token] >= 0]
    idf = np.log((1 + known.sum()) / (1 + frequency[kept])) + 1
    weighted = csr_matrix((idf[column], (item, column)), shape=(known.size, kept.size))
    length = np.sqrt(np.bincount(item, idf[column] ** 2, known.size))
    return csr_matrix(diags(np.divide(1, length, out=np.zeros_like(length), where=length > 0)) @ weighted)


def _tokens(titles: pa.Array, categories: pa.Array) -> list[tuple[np.ndarray, np.ndarray]]:
    """(item_idx, number of the text) of every word, then of every category; a category is not the word of its name."""
    text = pc.utf8_slice_codeunits(titles, 0, MAX_CHARACTERS)
    words = pc.split_pattern_regex(pc.utf8_lower(pc.utf8_normalize(text, "NFKC")), _NO_WORD)
    result, n = [], 0
    for lists in (words, categories):
        texts = lists.flatten().dictionary_encode()
        not_blank = pc.not_equal(texts.dictionary, "").to_numpy(zero_copy_only=False)
        number = texts.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        row = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
        kept = not_blank[number] if number.size else np.zeros(0, bool)
        result.append((row[kept], number[kept] + n))
        n += len(not_blank)
    return result


def held_down(
    items: Completed,
    user_factors: np.ndarray,
    n: int,
    seen: csr_matrix | None,
    eligible: np.ndarray,
    most: float,
    threads: int = 1,
    blend: Blend | None = None,
) -> np.ndarray:
    """The item factors, predicted ones shortened until they take at most a share `most` of the first n places of
    these users' lists, or to a tenth of their length: a file may hold any number of items without interactions.

    Where the known items do not fill the lists, predicted ones do, however short.
    """
    item_factors = items.item_factors
    for _ in range(23):
        usable = eligible & known_rows(item_factors)
        listed = best_items(user_factors, item_factors, n, seen, usable, threads, blend).item_idx
        if items.predicted[listed[listed >= 0]].sum() <= most * (listed >= 0).sum():
            break
        item_factors = np.where(items.predicted[:, None], item_factors * np.float32(0.9), item_factors)
    return item_factors

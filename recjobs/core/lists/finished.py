"""Finished lists, and the short ones of them: without items that users are too unlikely to take."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from recjobs.core.lists.reasons import Because
from recjobs.core.model.ranking import Ranked

KINDS = ("model", "again", "popular")
"""What a list begins with: items of the model (or of item neighbours), the user's own items, or popular ones."""


@dataclass(frozen=True)
class Lists:
    """Some users' lists. ranked: filled down the ladder, of which the first n_model items of each are the model's and
    the next n_category come from categories. again: (n_users,), whether the first n_model are the user's own by
    frequency, in place of the model's. because: reasons of the model's items, None if not requested."""

    ranked: Ranked
    n_model: np.ndarray
    n_category: np.ndarray
    again: np.ndarray
    because: Because | None = None

    @property
    def kinds(self) -> dict[str, np.ndarray]:
        """Masks of the lists by what they begin with: one of KINDS."""
        own, by_model = self.again & (self.n_model > 0), ~self.again & (self.n_model > 0)
        return dict(zip(KINDS, (by_model, own, self.n_model == 0), strict=True))

    @property
    def of_one_kind(self) -> np.ndarray:
        """(n_users, n), a mask of the items that a list begins with, not of those that it is filled up with."""
        places = np.arange(self.ranked.item_idx.shape[1])
        is_first = (self.n_model == 0)[:, None] | (places < self.n_model[:, None])
        return np.asarray(is_first & (self.ranked.item_idx >= 0))

    def confident(self, min_scores: Mapping[str, float] | None) -> "Lists":
        """The lists without items below the score of their kind, and not filled up. min_scores: by kind, a kind that it
        lacks has no confident item; None: the lists as they are."""
        if min_scores is None:
            return self
        least = np.full(len(self.n_model), np.inf)
        for kind, mask in self.kinds.items():
            least[mask] = min_scores.get(kind, np.inf)
        kept = self.of_one_kind & (np.nan_to_num(self.ranked.scores, nan=-np.inf) >= least[:, None])
        order = np.argsort(~kept, axis=1, kind="stable")
        item_idx, scores, kept_first = (
            np.take_along_axis(each, order, axis=1) for each in (self.ranked.item_idx, self.ranked.scores, kept)
        )
        ranked = Ranked(np.where(kept_first, item_idx, -1), np.where(kept_first, scores, np.float32(np.nan)))
        places = np.arange(kept.shape[1])
        n_model, n_category = ((kept & (places < n[:, None])).sum(axis=1) for n in (self.n_model, self.n_category))
        return replace(self, ranked=ranked, n_model=n_model, n_category=np.where(self.n_model > 0, 0, n_category))

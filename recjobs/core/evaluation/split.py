"""Cut interactions at one instant: train < cutoff <= holdout. Never random, never leave-one-out: those leak the future
(Ji et al., TOIS 2023). Only interactions without times are cut at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from recjobs.core.rows.instants import AFTER_NO_TIME, instant, microseconds
from recjobs.core.rows.interactions import Interactions, RowBlocks

RANDOM = "random"
HOLDOUT_SHARE = 0.2
"""Part of the pairs that a random holdout has."""


@dataclass(frozen=True)
class Cutoff:
    """The instant of the cut, and the rule that chose it: `champion`, `holdout_days` or, without times, `random`."""

    at: datetime
    rule: str
    why: str


def choose_cutoff(
    interactions: RowBlocks,
    as_of: datetime,
    champion_cutoff: datetime | None,
    holdout_days: float,
    min_holdout_users: int,
) -> Cutoff:
    """The holdout's start: the champion's data cutoff if enough users came since, else holdout_days before as_of."""
    fallback = as_of - timedelta(days=holdout_days)
    if champion_cutoff is None:
        return Cutoff(fallback, "holdout_days", f"no champion: the last {holdout_days:g} days")
    since = microseconds(champion_cutoff)
    n_users = sum(np.unique(block.user_idx[block.occurred_at >= since]).size for block in interactions.blocks())
    if n_users >= min_holdout_users:
        return Cutoff(
            champion_cutoff, "champion", f"the champion has seen everything before; {n_users} users came since"
        )
    return Cutoff(
        fallback,
        "holdout_days",
        f"only {n_users} users came since the champion's data cutoff, {min_holdout_users} are needed: "
        f"the last {holdout_days:g} days, and the champion's recipe is fit again on what was before",
    )


def split_at(interactions: Interactions, cutoff: datetime) -> tuple[Interactions, Interactions]:
    """(train, holdout): every interaction is in exactly one of them."""
    before = interactions.occurred_at < microseconds(cutoff)
    return interactions.where(before), interactions.where(~before)


def random_cutoff() -> Cutoff:
    """What stands in place of an instant where there are no times."""
    why = (
        f"there are no times: a random part ({HOLDOUT_SHARE:.0%}) of the pairs of user and item, never all of a user's"
    )
    return Cutoff(instant(AFTER_NO_TIME), RANDOM, why)


@dataclass(frozen=True, eq=False)
class RandomSplit:
    """HOLDOUT_SHARE of the pairs of user and item, with all their interactions, are the holdout.

    A pair is drawn by a hash of seed and ids, so that it lies on the same side every night, whatever comes or goes. One
    pair of each user stays in train, the one with the greatest hash. users, items: hashes, by index.
    """

    users: np.ndarray
    items: np.ndarray

    @classmethod
    def of(cls, user_ids: Sequence[str], item_ids: Sequence[str], seed: int) -> "RandomSplit":
        """The split of users and items with these ids."""
        return cls(_hashes(user_ids, seed), _hashes(item_ids, seed))

    def split(self, interactions: Interactions) -> tuple[Interactions, Interactions]:
        """(train, holdout) of all rows of some users."""
        pair = self.users[interactions.user_idx] * np.uint64(0x9E3779B97F4A7C15) ^ self.items[interactions.item_idx]
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            pair = (pair ^ (pair >> np.uint64(shift))) * np.uint64(factor)
        pair ^= pair >> np.uint64(31)
        greatest = np.zeros(interactions.n_users, np.uint64)
        np.maximum.at(greatest, interactions.user_idx, pair)
        held_out = (pair < np.uint64(int(HOLDOUT_SHARE * 2**64))) & (pair != greatest[interactions.user_idx])
        return interactions.where(~held_out), interactions.where(held_out)


def split_at_random(
    interactions: Interactions, user_ids: Sequence[str], item_ids: Sequence[str], seed: int
) -> tuple[Interactions, Interactions]:
    """(train, holdout) of all rows, see `RandomSplit`."""
    return RandomSplit.of(user_ids, item_ids, seed).split(interactions)


def _hashes(ids: Sequence[str], seed: int) -> np.ndarray:
    return np.asarray(pd.util.hash_array(np.array(ids, object), hash_key=f"{seed:016d}", categorize=False))

"""Cut interactions at one instant: train < cutoff <= holdout. Never random, never leave-one-out: those leak the future
(Ji et al., TOIS 2023)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import Interactions


@dataclass(frozen=True)
class Cutoff:
    """The instant of the cut, and the rule that chose it: `champion` or `holdout_days`."""

    at: datetime
    rule: str
    why: str


def choose_cutoff(
    interactions: Interactions,
    as_of: datetime,
    champion_cutoff: datetime | None,
    holdout_days: float,
    min_holdout_users: int,
) -> Cutoff:
    """The holdout's start: the champion's data cutoff if enough users came since, else holdout_days before as_of."""
    fallback = as_of - timedelta(days=holdout_days)
    if champion_cutoff is None:
        return Cutoff(fallback, "holdout_days", f"no champion: the last {holdout_days:g} days")
    fresh = interactions.occurred_at >= microseconds(champion_cutoff)
    n_users = np.count_nonzero(np.bincount(interactions.user_idx[fresh]))
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

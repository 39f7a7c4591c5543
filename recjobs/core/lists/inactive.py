"""Users who have not come for long: they get the popular list."""

import numpy as np

from recjobs.core.lists.group_limits import GroupLimits
from recjobs.core.lists.ladder import PopularList, fill
from recjobs.core.model.ranking import Ranked
from recjobs.core.rows.interactions import RowBlocks


def replaced(
    ranked: Ranked, rows: np.ndarray, popular: PopularList, n_items: int, limits: GroupLimits | None = None
) -> Ranked:
    """The lists with the popular list, as it is, in the place of some (a mask)."""
    one, _ = fill(Ranked.empty(1, ranked.item_idx.shape[1]), popular, None, n_items, limits)
    item_idx = np.where(rows[:, None], one.item_idx, ranked.item_idx)
    return Ranked(item_idx, np.where(rows[:, None], one.scores, ranked.scores))


def last_at(interactions: RowBlocks, now: int) -> np.ndarray:
    """The instant of each user's last interaction, (n_users,) in microseconds; `now` for users without one."""
    last = np.full(interactions.n_users, np.iinfo(np.int64).min)
    for block in interactions.blocks():
        np.maximum.at(last, block.user_idx, block.occurred_at)
    return np.where(last == np.iinfo(np.int64).min, now, last)

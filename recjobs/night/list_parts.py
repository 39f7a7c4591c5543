"""The lists of a night chunk by chunk, from the rows of a chunk's users alone and what all lists share."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix

from recjobs.adapters.shared_table import SharedTable
from recjobs.core.lists.rotation import Rotation
from recjobs.core.lists.seen import kept_out_of
from recjobs.core.lists.some_users import OfAllUsers
from recjobs.core.rows.interactions import Interactions
from recjobs.night.lists import NightLists, UserLists
from recjobs.night.stored import shared_table


@dataclass(frozen=True, eq=False)
class ListParts:
    """What the lists of all users share, and the tables with the rows of each: enough to make them chunk by chunk, here
    or on another machine. chunk_users: how many users a chunk has; explained, in_fit: see `UserLists`."""

    of_all: OfAllUsers
    item_ids: pa.Array
    in_fit: np.ndarray | None
    interactions: SharedTable
    users: SharedTable
    n_users: int
    view: str
    after_days: float | None
    explained: int
    chunk_users: int

    @classmethod
    def of(cls, lists: NightLists, chunk_users: int) -> "ListParts":
        """The parts of a night's lists, which need not have the rows in memory."""
        night = lists.night
        return cls(
            OfAllUsers.of(lists.maker),
            lists.item_ids,
            lists.in_fit,
            shared_table(night, "validate", "interactions.parquet"),
            shared_table(night, "validate", "users.parquet"),
            len(lists.user_ids),
            night.catalog.view,
            night.catalog.after_days,
            lists.explained,
            chunk_users,
        )

    @property
    def numbers(self) -> range:
        """The numbers of the chunks."""
        return range(-(-self.n_users // self.chunk_users))

    def rows(self, first: int, last: int) -> Interactions:
        """The interactions of users first to last - 1, who count from 0."""
        rows = Interactions.from_table(self.interactions.between("user_idx", first, last))
        return replace(rows, user_idx=rows.user_idx - np.int32(first), n_users=last - first)

    def kept_out(self, rows: Interactions) -> csr_matrix | None:
        """The items kept out of these users' lists."""
        return kept_out_of(rows, self.view, self.of_all.now, self.after_days)

    def lists(self, number: int, rotation: Rotation | None = None, threads: int = 1) -> UserLists:
        """The lists of a chunk's users, who count from 0. rotation: theirs."""
        first = number * self.chunk_users
        last = min(first + self.chunk_users, self.n_users)
        rows, users = self.rows(first, last), self.users.rows(first, last, ["user_id", "segment", "prefers"])
        segments, prefers = users["segment"].to_pylist(), users["prefers"].to_pylist()
        maker = self.of_all.maker(rows, segments, prefers, self.kept_out, threads)
        in_fit = None if self.in_fit is None else self.in_fit[first:last]
        user_ids = users["user_id"].combine_chunks()
        return UserLists(maker, user_ids, self.item_ids, in_fit, self.explained, rotation)

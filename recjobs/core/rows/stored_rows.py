"""Interactions that stay where they are stored: read anew each time, never all at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recjobs.core.rows.interactions import Interactions, takers_of


@dataclass(frozen=True, eq=False)
class StoredRows:
    """Interactions whose users ascend, as they do from `validate` on.

    read: returns the rows from the first on, in parts of any length. empty: the same without rows, which has what all
    parts share.
    """

    read: Callable[[], Iterator[Interactions]]
    empty: Interactions
    n_rows: int

    @property
    def n_users(self) -> int:
        """Users of the whole night."""
        return self.empty.n_users

    @property
    def n_items(self) -> int:
        """Items of the whole night."""
        return self.empty.n_items

    @property
    def negative(self) -> tuple[str, ...]:
        """Kinds that count against an item, such as a return."""
        return self.empty.negative

    def __len__(self) -> int:
        return self.n_rows

    def blocks(self) -> Iterator[Interactions]:
        """All rows in their order, those of some whole users at a time."""
        for part in self.parts():
            yield from part.blocks()

    def parts(self) -> Iterator[Interactions]:
        """The same, about as much at a time as `read` gives."""
        rest = self.empty
        for part in self.read():
            rows = rest.joined(part) if len(rest) else part
            # What the last user has may go on in the next part.
            end = int(np.searchsorted(rows.user_idx, rows.user_idx[-1])) if len(rows) else 0
            if end:
                yield rows.where(slice(0, end))
            rest = rows.where(slice(end, None))
        if len(rest):
            yield rest

    @cached_property
    def takers(self) -> np.ndarray:
        """How many users liked each item, (n_items,), int64; not to be changed."""
        return takers_of(self.blocks(), self.n_items)

    def whole(self) -> Interactions:
        """All rows in memory, read once."""
        return self._whole

    @cached_property
    def _whole(self) -> Interactions:
        return self.empty.followed_by(self.read())

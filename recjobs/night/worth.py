"""What the live batch's lists were worth, by tonight's interactions."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.evaluation.exam import VIEWS, Rows, taken_pairs
from recjobs.core.evaluation.worth import KS, Hits, own_items, popular_lists, worth
from recjobs.core.lists.bands import top_items
from recjobs.core.rows.instants import microseconds
from recjobs.core.rows.interactions import Interactions
from recjobs.core.rows.stored_rows import StoredRows
from recjobs.errors import ModelRefused
from recjobs.night.handovers import Handovers
from recjobs.night.night import Night
from recjobs.night.stored import stored_rows

ROWS = "validate", "interactions.parquet"
MAX_SEGMENTS = 20
N_LIST = max(KS)


def measure_worth(night: Night) -> dict[str, Any]:
    """Return `live_batch`, `since` and `rows` of the evaluations view about what was live at the night's begin.

    Counted are the interactions since it became live; in a catalog of past data, those from its as_of on. Empty if
    there is none, nothing was taken since, its lists are gone, or there are no times.
    """
    pin, live = night.request.live_batch, night.live()
    since = pin and (pin.live_since if night.catalog.live else pin.as_of)
    if not (pin and live and since and night.catalog.has_times):
        return {}
    stored, start, end = stored_rows(night, *ROWS), microseconds(since), microseconds(night.request.as_of)
    views = tuple(dict.fromkeys((*VIEWS, night.catalog.view)))

    def is_after(rows: Interactions) -> np.ndarray:
        return (rows.occurred_at >= start) & (rows.occurred_at < end)

    came = [np.unique(block.user_idx[is_after(block)]) for block in stored.blocks()]
    asked = np.concatenate([np.zeros(0, np.int32), *came])
    parts: dict[str, list[tuple[np.ndarray, Hits]]] = {view: [] for view in views}
    measured: Rows = []
    try:
        lists: _LiveLists | None = None
        for part in _of_users(stored, asked):
            before, after = part.where(part.occurred_at < start), part.where(is_after(part))
            for view in views:
                taken, kept_out = taken_pairs(before, after, view, start, night.catalog.after_days)
                users = np.flatnonzero(np.diff(taken.indptr) > 0)
                if not users.size:
                    continue
                lists = lists or _LiveLists(night, live, asked)
                own_kept_out = None if kept_out is None else kept_out[users]
                shown = {
                    "live": lists.of(users),
                    "popular": popular_lists(lists.popular, own_kept_out, users.size, N_LIST),
                }
                if view != "discovery":  # there a list holds nothing of the user's own
                    shown["own_items"] = own_items(before, users, own_kept_out, N_LIST, lists.place_of)
                parts[view].append((users, Hits.of(taken[users], shown)))
        for view, found in parts.items():
            if not found or lists is None:
                continue
            groups = lists.groups(np.concatenate([users for users, _ in found]))
            measured += worth(Hits.joined([hits for _, hits in found]), groups, view)
    except ModelRefused:  # damaged or partly pruned
        return {}
    return {"live_batch": pin.batch_id, "since": since.isoformat(), "rows": measured} if measured else {}


def _of_users(stored: StoredRows, users: np.ndarray) -> Iterator[Interactions]:
    """The rows of some users, part by part."""
    asked = np.zeros(stored.n_users, bool)
    asked[users] = True
    return (part.where(asked[part.user_idx]) for part in stored.parts())


class _LiveLists:
    """The live batch's lists of some users, in tonight's indices; the popular list for those that it does not know."""

    def __init__(self, night: Night, live: Handovers, users: np.ndarray) -> None:
        item_ids = night.items(["item_id"])["item_id"].combine_chunks()
        user_ids = night.users()["user_id"].combine_chunks()
        wanted = user_ids.take(pa.array(users))
        self.place_of = np.empty(len(item_ids), np.int64)
        self.place_of[pc.sort_indices(item_ids).to_numpy()] = np.arange(len(item_ids))
        popular = live.scored("popular").read()
        overall = popular.filter(pc.equal(popular["segment"], "all"))
        length = int(pc.list_value_length(overall["item_ids"])[0].as_py()) if overall.num_rows else 0
        self.popular = top_items(overall, item_ids, length)[0] if length else np.empty(0, np.int64)
        top = np.pad(self.popular[:N_LIST], (0, max(0, N_LIST - self.popular.size)), constant_values=-1)
        self._lists = np.tile(top, (users.size, 1))
        self._source = np.full(users.size, "popular", object)
        self._segment = np.full(users.size, None, object)
        self._row_of = np.full(len(user_ids), -1, np.int64)
        self._row_of[users] = np.arange(users.size)
        for chunk in live.list_chunks():
            table = chunk.read(["user_id", "item_ids", "source", "n_model", "n_category", "segment"])
            row = pc.index_in(table["user_id"].combine_chunks(), wanted)
            is_wanted = row.is_valid()
            table, row = table.filter(is_wanted), row.filter(is_wanted).to_numpy()
            self._lists[row] = top_items(table, item_ids, N_LIST)
            n_model, n_category = table["n_model"].to_numpy(), table["n_category"].to_numpy()
            filled = np.where(n_category > 0, "category", "popular").astype(object)
            self._source[row] = np.where(n_model > 0, table["source"].to_numpy(zero_copy_only=False), filled)
            self._segment[row] = table["segment"].to_pylist()

    def of(self, users: np.ndarray) -> np.ndarray:
        """The first items of the users' lists, (n_users, N_LIST), -1 for an item that is gone."""
        return np.asarray(self._lists[self._row_of[users]])

    def groups(self, users: np.ndarray) -> dict[str, np.ndarray]:
        """Masks of the users by the source of their list, and by their segment: the largest ones."""
        row = self._row_of[users]
        source, segment = self._source[row], self._segment[row]
        named, counts = np.unique([name for name in segment if name is not None] or ["?"], return_counts=True)
        largest = sorted(named[np.argsort(-counts, kind="stable")][:MAX_SEGMENTS].tolist())
        groups = {f"source:{name}": source == name for name in sorted(set(source.tolist()))}
        return groups | {f"segment:{name}": segment == name for name in largest if (segment == name).any()}

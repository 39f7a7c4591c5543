"""Gather sound rows batch by batch into interactions by number, and what the rows or a file say about items."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.interactions import Interactions
from recjobs.core.validation import Checked, as_ids

ATTRIBUTES = {
    "title": pa.string(),
    "categories": pa.list_(pa.string()),
    "price": pa.float64(),
    "url": pa.string(),
    "image": pa.string(),
    "available": pa.bool_(),
}


@dataclass
class _Texts:
    """Texts as they come, kept as numbers into a growing dictionary."""

    chunks: list[pa.DictionaryArray] = field(default_factory=list)

    def add(self, values: pa.Array) -> None:
        self.chunks.append(values.dictionary_encode())

    def finish(self, *, sort: bool) -> tuple[np.ndarray, pa.Array]:
        """(index of each value, int32, -1 for null; the distinct texts, in byte order if sort)."""
        if not self.chunks:
            return np.zeros(0, np.int32), pa.array([], pa.string())
        whole = pa.chunked_array(self.chunks).unify_dictionaries()
        texts = whole.chunk(0).dictionary
        index = np.concatenate(
            [pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False) for chunk in whole.chunks]
        )
        if not sort:
            return index.astype(np.int32), texts
        order = pc.sort_indices(texts.cast(pa.binary())).to_numpy()
        rank = np.empty(len(order) + 1, np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        rank[-1] = -1
        return rank[index], texts.take(pa.array(order))


class Collected:
    """Sound rows, gathered; `finish` numbers the ids in byte order, sorts the rows and merges exact duplicates."""

    def __init__(self) -> None:
        self._users, self._items, self._kinds, self._titles = _Texts(), _Texts(), _Texts(), _Texts()
        self._times: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        self._others: dict[str, list[pa.Array]] = {}
        self._item_of_row = np.zeros(0, np.int32)
        self._item_ids = pa.array([], pa.string())

    def add(self, checked: Checked, sound: np.ndarray, raw: dict[str, pa.Array]) -> None:
        """Take the sound rows of one batch."""
        mask = pa.array(sound)
        self._users.add(checked.user_id.filter(mask))
        self._items.add(checked.item_id.filter(mask))
        self._kinds.add(checked.kind.filter(mask))
        self._times.append(checked.occurred_at[sound])
        self._weights.append(checked.weight[sound].astype(np.float32))
        if "title" in raw:
            self._titles.add(raw["title"].filter(mask).cast(pa.string()))
        for name in ATTRIBUTES:
            if name in raw and name != "title":
                self._others.setdefault(name, []).append(raw[name].filter(mask))

    def finish(self) -> tuple[Interactions, pa.Array, pa.Array, int]:
        """(interactions, user ids, item ids, how many duplicate rows were merged).

        A duplicate equals another row in user, item, time, weight and kind. Rows come out in that order, whatever order
        the sources had.
        """
        user_idx, user_ids = self._users.finish(sort=True)
        item_idx, self._item_ids = self._items.finish(sort=True)
        kind, kinds = self._kinds.finish(sort=True)
        self._item_of_row = item_idx
        times = np.concatenate(self._times) if self._times else np.zeros(0, np.int64)
        weights = np.concatenate(self._weights) if self._weights else np.zeros(0, np.float32)
        kind = kind.astype(np.int16)
        pair = user_idx.astype(np.int64) * max(1, len(self._item_ids)) + item_idx
        order = np.lexsort((kind, weights, times, pair))
        ordered = [column[order] for column in (pair, times, weights, kind)]
        fresh = np.ones(order.size, bool)
        if order.size:
            fresh[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in ordered])
        kept = order[fresh]
        interactions = Interactions(
            user_idx[kept],
            item_idx[kept],
            times[kept],
            weights[kept],
            kind[kept],
            len(user_ids),
            len(self._item_ids),
            tuple(kinds.to_pylist()),
        )
        return interactions, user_ids, self._item_ids, int(order.size - kept.size)

    def attributes(self) -> pd.DataFrame:
        """What the rows say of each item, by item_id: the most frequent title (ties: the first in order), and of
        everything else the latest row that says something. To be asked after `finish`."""
        frame = pd.DataFrame({"item": self._item_of_row})
        result = pd.DataFrame(index=pd.RangeIndex(len(self._item_ids)))
        if self._titles.chunks:
            code, texts = self._titles.finish(sort=True)
            blank = pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False)
            usable = (code >= 0) & ~np.append(blank, True)[code]
            counts = frame.assign(code=code)[usable].groupby(["item", "code"]).size().reset_index(name="n")
            best = counts.sort_values(["item", "n", "code"], ascending=[True, False, True]).drop_duplicates("item")
            titles = texts.take(pa.array(best["code"].to_numpy())).to_pylist()
            result["title"] = pd.Series(titles, index=best["item"].to_numpy(), dtype=object)
        at = np.concatenate(self._times) if self._times else np.zeros(0, np.int64)
        latest = np.argsort(at, kind="stable")
        for name, chunks in self._others.items():
            said = pa.chunked_array(chunks)
            if pa.types.is_string(said.type):
                said = pc.if_else(pc.equal(pc.utf8_trim_whitespace(said), ""), None, said)
            values = said.to_pandas(integer_object_nulls=True)
            last = pd.DataFrame({"item": self._item_of_row[latest], "value": values.iloc[latest].to_numpy()})
            result[name] = last.dropna(subset="value").drop_duplicates("item", keep="last").set_index("item")["value"]
        result.index = pd.Index(self._item_ids.to_pylist(), dtype=object)
        return result


def of_file(items: pa.Table) -> pd.DataFrame:
    """What a file says of each item, by item_id; of several rows for one item the last counts."""
    ids = as_ids(items["item_id"].combine_chunks(), "item_id").to_pylist()
    frame = pd.DataFrame(
        {name: items[name].to_pylist() for name in items.column_names if name != "item_id"}, dtype=object
    )
    frame.index = pd.Index(ids, dtype=object)
    return frame[~frame.index.duplicated(keep="last") & frame.index.notna()]


def table(item_ids: pa.Array, attributes: pd.DataFrame) -> pa.Table:
    """The items of a night in order of id: those of the interactions, then those only the file knows are left out."""
    known = attributes.reindex(pd.Index(item_ids.to_pylist(), dtype=object))
    columns: dict[str, pa.Array] = {"item_id": item_ids}
    for name, kind in ATTRIBUTES.items():
        values = known[name].tolist() if name in known else [None] * len(item_ids)
        columns[name] = pa.array([_converted(value, name) for value in values], kind)
    columns["available"] = pc.fill_null(columns["available"], True)
    return pa.table(columns)


def _converted(value: object, name: str) -> object:
    if name == "categories":
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return []
        parts = list(value) if isinstance(value, list | tuple | np.ndarray) else str(value).split("|")
        return [name for part in parts if part is not None and (name := str(part).replace("\0", "").strip())]
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return None
    if name == "price":
        try:
            price = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None
        return price if np.isfinite(price) and price >= 0 else None
    if name == "available":
        return str(value).strip().lower() not in ("false", "0", "0.0", "no", "f", "n", "")
    return str(value).replace("\0", "").strip() or None

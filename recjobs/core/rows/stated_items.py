"""What rows of interactions say about their items: of each item the titles with their number, and the latest values."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows.gathering import used
from recjobs.core.rows.items import ATTRIBUTES
from recjobs.core.rows.validation import Checked, as_text

_MANY = 1 << 20
"""Values of one attribute that are held before those of earlier ones are dropped."""


@dataclass
class StatedItems:
    """What some rows say. item_ids: of all of them. titles: item_id, title and n, the rows with it. latest: by
    attribute, item_id, at and the value of each item's latest row that has one. Goes from process to process."""

    item_ids: list[pa.Array] = field(default_factory=list)
    titles: list[pa.Table] = field(default_factory=list)
    latest: dict[str, list[pa.Table]] = field(default_factory=dict)

    @classmethod
    def of(cls, checked: Checked, sound: np.ndarray, raw: dict[str, pa.Array]) -> "StatedItems":
        """What the sound rows of one batch say; raw holds the mapped columns."""
        found, names = cls(), [name for name in ATTRIBUTES if name in raw]
        if not names:
            return found
        mask = pa.array(sound)
        items = used(checked.item_id.filter(mask))
        found.item_ids.append(items.dictionary)
        for name in names:
            values = raw[name].filter(mask)
            if pa.types.is_dictionary(values.type):
                values = values.dictionary_decode()
            if name == "title":
                found.titles.append(_titles(items, values.cast(pa.string())))
            else:
                table = {"item_id": items, "at": checked.occurred_at[sound], "value": values}
                found.latest[name] = [_latest(pa.table(table))]
        return found

    def join(self, later: "StatedItems") -> None:
        """Add what further rows say."""
        self.item_ids += later.item_ids
        self.titles += later.titles
        for name, tables in later.latest.items():
            self.latest.setdefault(name, []).extend(tables)
        if sum(map(len, self.item_ids)) > _MANY:
            self.item_ids = [pc.unique(pa.chunked_array(self.item_ids))]
        if sum(map(len, self.titles)) > _MANY:
            self.titles = [_counted(pa.concat_tables(self.titles))]
        for name, tables in self.latest.items():
            if sum(map(len, tables)) > _MANY:
                self.latest[name] = [_latest(_of_one_type(tables, name))]

    def attributes(self) -> pd.DataFrame:
        """Attributes by item_id: the most frequent title (ties: the first in order), else the latest value there is."""
        ids = pc.unique(pa.chunked_array(self.item_ids, pa.string()))
        result = pd.DataFrame(index=_index(ids.take(pc.sort_indices(ids.cast(pa.binary())))))
        if self.titles:
            best = _counted(pa.concat_tables(self.titles)).sort_by([("n", "descending"), ("title", "ascending")])
            result["title"] = _first_of_each(best["item_id"], best["title"])
        for name, tables in self.latest.items():
            last = _latest(_of_one_type(tables, name))
            result[name] = _first_of_each(last["item_id"], last["value"])
        return result


def _titles(items: pa.DictionaryArray, titles: pa.Array) -> pa.Table:
    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(titles), ""), True)
    table = pa.table({"item_id": items, "title": titles, "n": np.ones(len(items), np.int64)}).filter(pc.invert(blank))
    return _counted(table)


def _counted(titles: pa.Table) -> pa.Table:
    """The same with one row of each item and title."""
    plain = titles.set_column(0, "item_id", titles["item_id"].cast(pa.string()))
    counted = plain.group_by(["item_id", "title"], use_threads=False).aggregate([("n", "sum")])
    return counted.rename_columns({"n_sum": "n"}).select(["item_id", "title", "n"])


def _latest(rows: pa.Table) -> pa.Table:
    """The last row of each item by time, and of those at one time the last, without rows that say nothing."""
    values = rows["value"]
    says = values.is_valid()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        says = pc.and_kleene(says, pc.not_equal(pc.utf8_trim_whitespace(values), ""))
    elif pa.types.is_floating(values.type):
        says = pc.and_kleene(says, pc.invert(pc.is_nan(values)))
    rows = rows.filter(pc.fill_null(says, False))
    items = rows["item_id"].cast(pa.string()).combine_chunks().dictionary_encode()
    order = np.lexsort([rows["at"].to_numpy(), items.indices.to_numpy()])  # stable: of equal times the last stays last
    item = items.indices.to_numpy()[order]
    rows = rows.take(pa.array(np.sort(order[np.append(item[1:] != item[:-1], True)]) if item.size else order))
    return rows.set_column(0, "item_id", rows["item_id"].cast(pa.string()))


def _of_one_type(tables: list[pa.Table], name: str) -> pa.Table:
    """The tables as one; values as text where sources have them in several types."""
    some = [table for table in tables if table.num_rows]
    if len({table["value"].type for table in some}) > 1:
        texts = [as_text(table["value"].combine_chunks(), name, "values") for table in some]
        some = [table.set_column(2, "value", text) for table, text in zip(some, texts, strict=True)]
    return pa.concat_tables(some or tables[:1])


def _first_of_each(item_ids: pa.ChunkedArray, values: pa.ChunkedArray) -> pd.Series:
    """The first value of each item, by id."""
    of_item = pd.Series(values.to_pandas(integer_object_nulls=True).to_numpy(object), _index(item_ids), dtype=object)
    return of_item[~of_item.index.duplicated()]


def _index(ids: pa.Array) -> "pd.Index[Any]":
    index: pd.Index[Any] = pd.Index(ids.to_pylist(), dtype=object)
    return index

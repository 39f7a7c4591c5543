"""Which of some files has the user of each row of another, found by a key, such as an order's lines and its orders."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.core.rows import guessing
from recjobs.core.rows.guessing import Column
from recjobs.operations.file_samples import FileSample

_PART_OF = re.compile(r"\b(order|basket|cart|transaction|invoice|receipt|session|visit|event|loan|checkout)\b")
_LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class JoinedSample:
    """The rows of one file with the columns of another. join: as the catalog names that, without its columns. names:
    the columns that it adds."""

    rows: FileSample
    other: FileSample
    join: dict[str, Any]
    names: tuple[str, ...]

    def as_setting(self, source: dict[str, Any], items: dict[str, Any]) -> dict[str, Any]:
        """The `join` of a drafted source, for those columns that it, or items without a place of their own, name."""
        used = [*source["columns"].values(), *(condition["column"] for condition in source.get("where", {}).values())]
        used += [] if "path" in items else items.get("columns", {}).values()
        return {**self.join, "columns": [name for name in dict.fromkeys(used) if name in self.names]}


def find_join(samples: Sequence[FileSample]) -> JoinedSample | None:
    """A file of items without users, joined to one of users whose key it has; None if a file has both, or none fits."""
    columns = {sample.path: sample.columns() for sample in samples}
    users = {path: guessing.ranked(of, "user_id", guessing.is_id) for path, of in columns.items()}
    items = {path: guessing.ranked(of, "item_id", guessing.is_id) for path, of in columns.items()}
    if any(users[path] and items[path] and users[path][0].name != items[path][0].name for path in columns):
        return None
    for lines in sorted(samples, key=lambda sample: -sample.n_bytes):
        if not items[lines.path] or users[lines.path] or _is_key(items[lines.path][0]):
            continue
        for other in samples:
            if other is lines or not users[other.path]:
                continue
            keys = [c for c in columns[other.path] if _is_key(c) and c.name != users[other.path][0].name]
            for key in keys:
                if (on := _partner(key, columns[lines.path])) and (found := _joined(lines, other, on, key)):
                    return found
    return None


def _is_key(column: Column) -> bool:
    return column.is_filled and column.distinct == len(column.values) == column.n_rows


def _partner(key: Column, columns: list[Column]) -> Column | None:
    """The column with the keys of the other file: of the same name, or one that names an order and has its values."""
    if same := next((c for c in columns if c.name == key.name), None):
        return same
    likely = (c for c in columns if _PART_OF.search(guessing.words(c.name)))
    return next((c for c in likely if guessing.overlap(c.values, key.values) >= _LEAST_OVERLAP), None)


def _joined(lines: FileSample, other: FileSample, on: Column, key: Column) -> JoinedSample | None:
    places = pc.index_in(on.raw.cast(pa.string()), value_set=key.raw.cast(pa.string()))
    mask = pc.is_valid(places)
    if not pc.any(mask).as_py():
        return None
    table, found = lines.table.filter(mask), other.table.take(places.filter(mask))
    names = tuple(name for name in found.column_names if name not in table.column_names and name != key.name)
    for name in names:
        table = table.append_column(name, found[name])
    join = {"path": other.path, **other.settings, "on": on.name, **({} if key.name == on.name else {"key": key.name})}
    rows = replace(lines, table=table, is_whole=lines.is_whole and other.is_whole)
    return JoinedSample(rows, other, join, names)

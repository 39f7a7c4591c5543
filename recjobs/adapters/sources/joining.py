"""Columns of another file, found by a key: the user and the time of an order, for each of its lines."""

from collections.abc import Collection, Iterator, Mapping
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.adapters.sources.places import JoinedFiles, SourceFile
from recjobs.adapters.sources.reading import read
from recjobs.core.rows.validation import as_ids
from recjobs.errors import DataRefused

_tables: WeakKeyDictionary[JoinedFiles, pa.Table] = WeakKeyDictionary()
"""What was read of other files, as long as the list of the source's files lives."""


def read_joined(
    file: SourceFile, columns: list[str], holds: Mapping[str, str], several: Collection[str]
) -> Iterator[pa.RecordBatch]:
    """What `read` returns, where the columns that `file.join` names come from the other file; missing where it lacks
    the key.

    Raises DataRefused as `read` does, if a key stands in rows of the other file that differ, or if no key of a batch
    is found there.
    """
    join = file.join
    if join is None or not set(columns) & set(join.columns):
        yield from read(file, columns, holds, several)
        return
    others = _rows_of(join)
    own = list(dict.fromkeys([column for column in columns if column not in join.columns] + [join.on]))
    for batch in read(file, own, holds, several):
        keys = as_ids(batch.column(join.on), join.on)
        places = pc.index_in(keys, value_set=others[join.key].combine_chunks())
        if batch.num_rows and places.null_count == batch.num_rows:
            raise DataRefused(
                f"{file.path}: no row finds its {join.on} in {join.shown}: such as {keys[0].as_py()!r}, where that has "
                f"{others[join.key][0].as_py()!r} in {join.key!r}; see to `join` in the catalog"
            )
        found = others.take(places).combine_chunks()
        arrays = [_single(found[c]) if c in join.columns else batch.column(c) for c in columns]
        yield pa.RecordBatch.from_arrays(arrays, columns)


def _rows_of(join: JoinedFiles) -> pa.Table:
    """The other file's rows, each key once, as text."""
    if join in _tables:
        return _tables[join]
    parts = []
    for file in join.files:
        for batch in read(file, [join.key, *join.columns], {join.key: "ids"}, ()):
            ids = as_ids(batch.column(join.key), join.key)
            parts.append(pa.table({join.key: ids, **{name: batch.column(name) for name in join.columns}}))
    try:
        rows = pa.concat_tables(parts)
    except pa.ArrowInvalid as error:
        raise DataRefused(f"{join.shown}: its files do not agree in the types of columns ({error})") from None
    rows = rows.filter(pc.is_valid(rows[join.key]))
    rows = rows.group_by(rows.column_names, use_threads=False).aggregate([])
    if not rows.num_rows:
        raise DataRefused(f"{join.shown}: no row has a {join.key}; see why its export wrote none")
    counts = rows.group_by(join.key, use_threads=False).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))
    if twice.num_rows:
        raise DataRefused(
            f"{join.shown}: {join.key} {twice[join.key][0].as_py()!r} stands in {twice['count_all'][0].as_py()} rows "
            f"that differ in {', '.join(join.columns)}; a join needs one row for each key"
        )
    _tables[join] = rows
    return rows


def _single(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)

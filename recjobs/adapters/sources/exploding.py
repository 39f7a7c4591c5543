"""Rows that lie in a list: an event's items, each as a row with the columns of the event."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from recjobs.adapters.sources.column_types import is_list
from recjobs.adapters.sources.places import SourceFile
from recjobs.errors import DataRefused


def own_columns(columns: list[str], explode: str) -> list[str]:
    """The columns to read of a row, for these of its list's objects: `items` for `items.item_id`."""
    return list(dict.fromkeys([explode, *(column for column in columns if not is_inside(column, explode))]))


def is_inside(column: str, explode: str) -> bool:
    """Whether a column is one of the list's objects."""
    return column.startswith(f"{explode}.")


def objects_in(value: Any) -> list[dict[str, Any]] | None:
    """The objects of a list in JSON; None for what is no such list. A missing list has none."""
    if value is None:
        return []
    return value if isinstance(value, list) and all(isinstance(one, dict) for one in value) else None


def exploded(file: SourceFile, batch: pa.RecordBatch, explode: str) -> pa.RecordBatch:
    """A row for each object in the list of each row of Parquet; a row whose list is missing or empty has none.

    Raises DataRefused if the column is no list of objects.
    """
    values = _plain_list(batch.column(explode))
    if not (is_list(values.type) and pa.types.is_struct(values.type.value_type)):
        raise DataRefused(
            f"{file.path}: column {explode!r} has type {batch.column(explode).type}, which is no list of objects; see "
            "to `explode` in the catalog"
        )
    values = values.cast(pa.list_(values.type.value_type))
    rows, objects = pc.list_parent_indices(values), values.flatten()
    columns = {name: batch.column(name).take(rows) for name in batch.schema.names if name != explode}
    fields = zip((field.name for field in objects.type), objects.flatten(), strict=True)
    columns |= {f"{explode}.{name}": array for name, array in fields}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _plain_list(values: pa.Array) -> pa.Array:
    """The list in an object `list` of objects `element`, as BigQuery writes it to Parquet; others as they are."""
    if pa.types.is_struct(values.type) and [field.name for field in values.type] == ["list"]:
        [inner] = values.flatten()
        if is_list(inner.type) and pa.types.is_struct(inner.type.value_type) and inner.type.value_type.num_fields == 1:
            plain = inner.cast(pa.list_(inner.type.value_type))
            [element] = plain.values.flatten()
            return pa.ListArray.from_arrays(plain.offsets, element, mask=plain.is_null())
        return inner
    return values

"""JSON Lines: one object a line. Values become text as they stand there, so that 007, 1e5 and 12345678901234567890
are not changed; lists and objects stay JSON."""

import json
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa

from recjobs.adapters.sources.exploding import objects_in
from recjobs.adapters.sources.places import SourceFile
from recjobs.adapters.sources.text_lines import Fault, text_lines
from recjobs.errors import DataRefused

BATCH_ROWS = 1 << 16
BATCH_CHARACTERS = 1 << 25
"""Lines may be long: so many characters end a batch too."""


def read(file: SourceFile, columns: list[str] | None, several: Collection[str] | None) -> Iterator[pa.RecordBatch]:
    """The columns as text, batch by batch; one that a line lacks is missing there. `a.b` is the b of the object a.

    columns: None means the keys of the first batch. several: those that may hold lists and objects; None: all may.
    Raises DataRefused with the line where one is no object, or a column that no line has.
    """
    seen: set[str] = set()
    names: list[str] = list(columns or ())
    keys: dict[str, None] = {}
    n_rows = 0
    try:
        with text_lines(file) as lines:
            explode = file.dialect.explode
            objects = _objects(lines)
            rows = _exploded(objects, explode) if explode else objects
            for batch in _batches(rows):
                keys |= dict.fromkeys(key for _, row in batch[:1000] for key in _keys(row, explode))
                names = names or list(keys)
                texts = {name: [_text(n, row, name, several) for n, row in batch] for name in names}
                n_rows += len(batch)
                seen |= {name for name, values in texts.items() if any(value is not None for value in values)}
                arrays = [pa.array(values, pa.string()) for values in texts.values()]
                yield pa.RecordBatch.from_arrays(arrays, list(texts))
    except Fault as fault:
        raise DataRefused(f"{file.path}: {fault}") from None
    except UnicodeEncodeError as error:
        raise DataRefused(f"{file.path}: {error.object!r} is no text; fix its export") from None
    if n_rows and (missing := [name for name in columns or () if name not in seen and name not in keys]):
        raise DataRefused(
            f"{file.path}: has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, keys))}. "
            "Fix the file, or `columns:` and `where:` in the catalog"
        )


_Row = tuple[int, int, dict[str, Any]]
"""The number of a line, its length, and its object."""


def _batches(rows: Iterator[_Row]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    batch, size = list[tuple[int, dict[str, Any]]](), 0
    for n, length, row in rows:
        batch.append((n, row))
        size += length
        if len(batch) == BATCH_ROWS or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _objects(lines: Iterator[str]) -> Iterator[_Row]:
    for n, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_int=str, parse_float=str)
        except RecursionError:
            raise Fault(f"line {n}: objects and lists are nested too deep; fix its export") from None
        except ValueError as error:
            shown = line.rstrip()[:80]
            raise Fault(f"line {n}: {shown!r} is no JSON ({error}); fix its export") from None
        if not isinstance(row, dict):
            hint = "; write an array with one object a line: jq -c '.[]'" if n == 1 and line.lstrip()[0] == "[" else ""
            raise Fault(f"line {n}: {line.strip()[:80]!r} is no object{hint}")
        yield n, len(line), row


def _exploded(rows: Iterator[_Row], explode: str) -> Iterator[_Row]:
    """A row for each object in the list of each line."""
    for n, length, row in rows:
        objects = objects_in(row.get(explode))
        if objects is None:
            raise Fault(f"line {n}: {explode!r} holds no list of objects; see to `explode` in the catalog")
        for one in objects:
            yield n, length // len(objects), row | {explode: one}


def _keys(row: dict[str, Any], explode: str | None) -> Iterator[str]:
    for key, value in row.items():
        if key == explode:
            yield from (f"{key}.{inner}" for inner in value)
        else:
            yield key


def _text(n: int, row: dict[str, Any], name: str, several: Collection[str] | None) -> str | None:
    value: Any = row.get(name)
    if value is None and name not in row and "." in name:
        value = row
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        if several is not None and name not in several:
            what = "a list" if isinstance(value, list) else "an object"
            raise Fault(f"line {n}: {name!r} holds {what}, where one value is needed")
        return json.dumps(value, ensure_ascii=False)
    return str(value)  # NaN and Infinity, which Python's writer has for numbers

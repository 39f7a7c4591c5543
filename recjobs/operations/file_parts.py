"""Which of some files are parts of one table, such as a file a month: alike in their columns, read by one pattern."""

import string
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from recjobs.operations.file_samples import MOST_ROWS, FileSample

_LEAST_COMMON = 0.5
"""Share of the keys of JSON that the lines of two files have in common: writers leave out those without a value."""


def joined_parts(samples: Sequence[FileSample]) -> list[FileSample]:
    """The samples, with those of one table as one, in the order of their first.

    Files are parts of one table if they lie in one folder, have the same columns in the same dialect, and a pattern of
    what their names begin and end with meets them all and no other file.
    """
    groups: list[list[FileSample]] = []
    for sample in samples:
        group = next((group for group in groups if _is_alike(group[0], sample)), None)
        if group is None:
            groups.append([sample])
        else:
            group.append(sample)
    joined = [_as_one(group) or group for group in groups]
    return [sample for group in joined for sample in group]


def _is_alike(one: FileSample, other: FileSample) -> bool:
    if Path(one.path).parent != Path(other.path).parent or _dialect(one) != _dialect(other):
        return False
    names, others = ({n for n in of.table.column_names if "." not in n} - {_exploded(of)} for of in (one, other))
    if not one.is_json:
        return bool(one.table.column_names == other.table.column_names)
    return len(names & others) >= _LEAST_COMMON * len(names | others)


def _dialect(sample: FileSample) -> dict[str, Any]:
    """The settings, apart from a list that a file may happen to have no object in."""
    return {"is_json": sample.is_json, **{key: value for key, value in sample.settings.items() if key != "explode"}}


def _exploded(sample: FileSample) -> str | None:
    return sample.settings.get("explode")


def _as_one(group: list[FileSample]) -> list[FileSample] | None:
    """One sample of all, or None if they are one already or no pattern meets just them."""
    names = sorted({Path(sample.shown).name for sample in group})
    if len(names) < 2 or any(set("*?[") & set(sample.path) or sample.path.startswith("s3://") for sample in group):
        return None
    shown = Path(group[0].shown)
    pattern = next((one for one in _patterns(names) if sorted(p.name for p in shown.parent.glob(one)) == names), None)
    if pattern is None:
        return None
    first = next((sample for sample in group if _exploded(sample)), group[0])
    read = [sample.table for sample in group if sample.settings == first.settings]
    table = pa.concat_tables(read, promote_options="permissive")
    return [
        replace(
            first,
            shown=str(shown.with_name(pattern)),
            path=str(Path(first.path).with_name(pattern)),
            table=table.slice(0, MOST_ROWS),
            n_bytes=sum(sample.n_bytes for sample in group),
            is_whole=all(sample.is_whole for sample in group) and table.num_rows <= MOST_ROWS,
        )
    ]


def _patterns(names: list[str]) -> Iterator[str]:
    """The likeliest first: one that leaves out the digits where the names part, so that it meets next year's too."""
    begin = _common_beginning(names)
    end = _common_beginning([name[len(begin) :][::-1] for name in names])[::-1]
    yield f"{begin.rstrip(string.digits)}*{end.lstrip(string.digits)}"
    yield f"{begin}*{end}"


def _common_beginning(names: list[str]) -> str:
    first, last = min(names), max(names)
    differs = (n for n, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1])
    return first[: next(differs, len(first))]

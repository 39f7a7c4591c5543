"""Rows that one quoted field has swallowed: two quotes that are signs like others, with rows between them."""

import csv
import re
from collections.abc import Iterator

from recjobs.adapters.sources import csv_faults
from recjobs.adapters.sources.places import SourceFile
from recjobs.adapters.sources.text_lines import MOST_CHARACTERS, Fault, text_lines

_MAX_SHAPES = 4
_MAX_SUSPECTS = 1000


def swallowed_rows(file: SourceFile, n_columns: int) -> str | None:
    """The first field with line ends whose every line looks like a row of this file, as a message; or None.

    A line looks like a row if it has as many fields, and those of each column that is written in one way throughout
    the file, such as numbers and times, are written in that way.
    """
    quote = file.dialect.quote
    if quote is None or n_columns < 2:
        return None
    shapes: list[set[str]] = [set() for _ in range(n_columns)]
    suspects: list[tuple[int, list[list[str]]]] = []
    lines_of_row: list[str] = []
    limit = csv.field_size_limit(MOST_CHARACTERS)
    try:
        with text_lines(file) as lines:
            rows = csv_faults.reader(file, _kept(lines, lines_of_row))
            end, is_header = 0, not file.dialect.names
            for row in rows:
                began, end, text = end + 1, rows.line_num, lines_of_row.copy()
                lines_of_row.clear()
                if not row or is_header:
                    is_header = is_header and not row
                    continue
                if len(text) == 1:
                    for column, field in zip(shapes, row, strict=False):
                        if len(column) <= _MAX_SHAPES:
                            column.add(_shape(field))
                elif len(suspects) < _MAX_SUSPECTS and sum(line.count(quote) for line in text) == 2:
                    parts = [line.rstrip("\r\n").split(file.sign) for line in text]
                    if all(len(part) == n_columns for part in parts):
                        suspects.append((began, parts))
    except (Fault, csv.Error):
        return None  # said elsewhere
    finally:
        csv.field_size_limit(limit)
    regular = [n for n, column in enumerate(shapes) if column and len(column) <= _MAX_SHAPES and _has_digits(column)]
    for began, parts in suspects:
        fields = [[_shape(part[n].strip(quote)) for part in parts] for n in range(n_columns)]
        alike = [n for n, column in enumerate(fields) if len(set(column)) == 1 and _has_digits(set(column))]
        if alike and all(set(fields[n]) <= shapes[n] for n in regular):
            shown = file.delimiter.join(parts[0])
            return (
                f"lines {began} to {began + len(parts) - 1}: a quote in the first joins what looks like {len(parts)} "
                f"rows, from {shown[:80]!r} on, into one; say `quote: none` in the catalog if quotes in this file are "
                "signs like others, or fix its export"
            )
    return None


def _kept(lines: Iterator[str], copy: list[str]) -> Iterator[str]:
    for line in lines:
        copy.append(line)
        yield line


def _shape(field: str) -> str:
    """The field with 0 for each run of digits, and a for each of letters."""
    return re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", field[:100]))


def _has_digits(shapes: set[str]) -> bool:
    return all("0" in shape for shape in shapes)

"""Diagnose a CSV file that the fast parser cannot read: what is wrong, in which line, and which setting reads it."""

import csv
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from recjobs.adapters.sources.places import SourceFile
from recjobs.adapters.sources.text_lines import MOST_CHARACTERS, Fault, quoted_sign, text_lines, without_excels_line
from recjobs.errors import DataRefused

_DELIMITERS = {"::": "two colons", ",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
_COMMENTS = ("#", "--", "//", "%")
_PREAMBLE_LINES = 50


def settled(file: SourceFile) -> SourceFile:
    """The file with what its first line says of its dialect, see `without_excels_line`."""
    try:
        return without_excels_line(file)
    except Fault as fault:
        raise DataRefused(f"{file.path}: {fault}") from None


def header(file: SourceFile) -> list[str]:
    """The column names: the catalog's, or those in the first line that is not blank. Raises DataRefused if there is
    none, or if the first row has another number of fields than the catalog has names."""
    try:
        with text_lines(file) as lines:
            row: list[str] = next((row for row in reader(file, lines) if row), [])
            first = [field.replace(file.sign, file.delimiter) for field in row]
    except (Fault, csv.Error) as fault:
        raise DataRefused(f"{file.path}: {fault}") from None
    if not first:
        raise DataRefused(f"{file.path}: has blank lines only; see why its export wrote nothing")
    if any("\0" in name for name in first):
        raise DataRefused(
            f"{file.path}: line 1: the header holds NUL bytes: this is no CSV in UTF-8; export it again as that, or "
            "say `encoding: utf-16` in the catalog if it is that"
        )
    names = list(file.dialect.names)
    if names and len(first) != len(names):
        other = _likely(first, file.delimiter)
        hint = f"; its fields seem to be separated by {_DELIMITERS[other]}: {_setting(other)}" if other else ""
        n = "1 field" if len(first) == 1 else f"{len(first)} fields"
        raise DataRefused(
            f"{file.path}: the first row has {n}, {_shown(first, file)}, where `names` has {len(names)}{hint}. "
            "`names` needs one for each field, in their order"
        )
    return names or first


def first_fault(file: SourceFile, n_columns: int) -> str | None:
    """The first error of the file as CSV with `n_columns` fields in every row, or None."""
    limit = csv.field_size_limit(MOST_CHARACTERS)
    began, end = 1, 0
    expected = f"`names` has {n_columns}" if file.dialect.names else f"the header has {n_columns}"
    try:
        with text_lines(file) as lines:
            rows = reader(file, lines, strict=True)
            for row in rows:
                began, end = end + 1, rows.line_num
                if row and len(row) != n_columns:
                    fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
                    location = f"line {began}" if began == end else f"lines {began} to {end} (a quote joins them)"
                    return f"{location}: {fields} where {expected}; fix its export"
    except csv.Error as error:
        began = end + 1
        hint = "say `quote: none` in the catalog if quotes in this file are signs like others"
        if "field larger than" in str(error):
            return (
                f"line {began}: a field of this row is longer than {MOST_CHARACTERS:,} characters, as where a quote is "
                f"never closed; fix its export, or {hint}"
            )
        if "unexpected end of data" in str(error):
            return f"line {began}: a quote that opens in this row is never closed; fix its export, or {hint}"
        if file.dialect.escape is None and _has_backslash(file, began):
            hint = "say `escape: '\\'` in the catalog if a backslash stands before quotes in this file"
        return (
            f"line {rows.line_num}: text behind a closing quote, in the row that begins in line {began}; "
            f"a quote inside a quoted field is written twice; {hint}"
        )
    except Fault as fault:
        return str(fault)
    finally:
        csv.field_size_limit(limit)
    return None


def why_missing(file: SourceFile, missing: list[str]) -> str:
    """What the first lines say about columns that are not in the header: a sentence with the setting, or nothing."""
    if file.dialect.names:
        return ""
    rows: list[tuple[int, list[str]]] = []
    with suppress(Fault, csv.Error), text_lines(file) as lines:  # said elsewhere
        parsed = reader(file, islice(lines, _PREAMBLE_LINES))
        rows += ((parsed.line_num, row) for row in parsed if row)
    first = rows[0][1]
    shown = f"Line {rows[0][0]}, {_shown(first, file)}, "
    for sign in _COMMENTS:
        if first[0].startswith(sign):
            setting = f"`comment: '{sign}'`" if len(sign) == 1 else "`skip_lines:` with the number of such lines"
            return f". {shown}looks like a comment: say {setting} in the catalog"
    for n, row in rows[1:]:
        if set(missing) <= set(row):
            return f". {shown}stands before the header in line {n}: say `skip_lines: {n - 1}` in the catalog"
    if first[0].startswith("{"):
        return f". {shown}begins as JSON does: say `format: jsonl` in the catalog if every line is an object"
    if any(is_value(field) for field in first):
        return f". {shown}looks like data: say `header: false` and `names: [...]` in the catalog"
    return ""


def is_value(field: str) -> bool:
    """Whether a field is a number, and so hardly the name of a column."""
    try:
        float(field)
    except ValueError:
        return False
    return field.strip().lower() not in ("nan", "inf", "infinity")


def _shown(row: list[str], file: SourceFile) -> str:
    text = file.delimiter.join(row)
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _has_backslash(file: SourceFile, n: int) -> bool:
    with text_lines(file) as lines:
        return any('\\"' in line for line in islice(lines, n - 1, n))


def reader(file: SourceFile, lines: Iterator[str], *, strict: bool = False) -> Any:
    """Python's parser of these lines, in the file's dialect."""
    dialect = file.dialect
    return csv.reader(
        lines,
        delimiter=file.sign,
        quotechar=dialect.quote or '"',
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        escapechar=dialect.escape,
        strict=strict,
    )


def delimiter_of(file: SourceFile) -> str:
    """The delimiter of a CSV file: the catalog's, unless the header is one column with it and several with another."""
    if file.format != "csv":
        return file.delimiter
    file = settled(file)
    return _likely(header(file), file.delimiter) or file.delimiter


def _likely(names: list[str], delimiter: str) -> str | None:
    counts = {sign: names[0].count(sign) for sign in _DELIMITERS if sign != delimiter and sign in names[0]}
    return max(counts, key=lambda sign: (len(sign), counts[sign])) if len(names) == 1 and counts else None


def wrong_delimiter(file: SourceFile, names: list[str]) -> str | None:
    """The message for a header that is one column because of a wrong delimiter, else None."""
    other = None if file.dialect.names else _likely(names, file.delimiter)
    if other is None:
        return None
    return (
        f"{file.path}: line 1: the header is one column, {names[0]!r}; its names seem to be separated by "
        f"{_DELIMITERS[other]}: {_setting(other)}"
    )


def _setting(delimiter: str) -> str:
    return f"say `delimiter: {quoted_sign(delimiter)}` in the catalog"

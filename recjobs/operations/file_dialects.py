"""How a CSV file seems to be written: encoding, lines before the header, delimiter, escape, header, decimal sign."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from recjobs.adapters import sources
from recjobs.adapters.sources import SourceFile, csv_faults
from recjobs.adapters.sources.csv_faults import is_value
from recjobs.adapters.sources.text_lines import Fault, opened, text_lines
from recjobs.errors import DataRefused

_ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1")
_LINES = 1000
_FEW_LINES = 3
_PREAMBLE = 20
_COMMENTS = ("#", "%")
_DELIMITERS = ",;\t|"
_WITH_COMMA = re.compile(r"\s*[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d{1,4})?\s*")
_FRACTION = re.compile(r".*,\d{1,2}\s*")


def dialect_of(file: SourceFile) -> tuple[SourceFile, dict[str, Any]]:
    """Return the file in its likely dialect, and the settings of a catalog that say so. Raises DataRefused if it is
    text in none."""
    for encoding in _ENCODINGS:
        if encoding == "utf-16" and not _may_be_utf_16(file):
            continue
        coded = replace(file, dialect=replace(file.dialect, encoding=encoding))
        try:
            coded, found = _of_lines(coded, _first_lines(coded))
            next(iter(sources.read(coded, None)), None)
        except DataRefused as error:
            if encoding == _ENCODINGS[-1] or not any(word in str(error) for word in ("UTF-8 text", "UTF-16", "utf-16")):
                raise
            continue
        break
    return coded, found if encoding == "utf-8" else {"encoding": encoding, **found}


def _may_be_utf_16(file: SourceFile) -> bool:
    """Whether it begins with a byte order mark, or has bytes 0 as text does not."""
    with suppress(Exception), opened(file) as stream:
        head = stream.read(400)
        return head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head
    return True


def _first_lines(file: SourceFile) -> list[str]:
    try:
        with text_lines(file) as lines:
            return list(islice(lines, _LINES))
    except Fault as fault:
        raise DataRefused(f"{file.path}: {fault}") from None


def _of_lines(file: SourceFile, lines: list[str]) -> tuple[SourceFile, dict[str, Any]]:
    found: dict[str, Any] = _before_the_header(lines)
    file = replace(file, dialect=replace(file.dialect, **found))
    delimiter = _delimiter_of(file, lines)
    file = replace(file, delimiter=delimiter)
    if delimiter != "," and csv_faults.settled(file) == file:
        found["delimiter"] = delimiter
    if _needs_escape(file, lines):
        found["escape"] = "\\"
        file = replace(file, dialect=replace(file.dialect, escape="\\"))
    names = csv_faults.header(csv_faults.settled(file))
    if any(map(is_value, names)):
        names = [f"column_{n}" for n in range(1, len(names) + 1)]
        file = replace(file, dialect=replace(file.dialect, names=tuple(names)))
        found |= {"header": False, "names": names}
    if file.delimiter != "," and _has_decimal_comma(file):
        found["decimal"] = ","
        file = replace(file, dialect=replace(file.dialect, decimal=","))
    return file, found


def _before_the_header(lines: Sequence[str]) -> dict[str, Any]:
    """The setting that leaves out what stands before the header: comments, or lines without any delimiter."""
    filled = [(n, line) for n, line in enumerate(lines) if line.strip()]
    if not filled:
        return {}
    first, rest = filled[0][1], [line for _, line in filled if not line.startswith(_COMMENTS)]
    if sign := next((sign for sign in _COMMENTS if first.startswith(sign)), None):
        is_header = bool(rest) and any(first.count(d) == rest[0].count(d) > 0 for d in _DELIMITERS)
        return {} if is_header else {"comment": sign}
    delimiter = Counter(sign for _, line in filled for sign in set(line) & set(_DELIMITERS)).most_common(1)
    if (
        not delimiter
        or delimiter[0][0] in first
        or "::" in first
        or first.strip().lower().strip('"').startswith("sep=")
    ):
        return {}
    counts = [line.count(delimiter[0][0]) for _, line in filled]
    begin = next((n for n in range(1, min(len(counts), _PREAMBLE)) if counts[n]), 0)
    is_table = begin and len(counts) >= begin + 3 and len(set(counts[begin:])) == 1
    return {"skip_lines": filled[begin][0]} if is_table else {}


def _delimiter_of(file: SourceFile, lines: list[str]) -> str:
    """The delimiter of the header; without one, the sign that makes most fields, as many in each of the first lines."""
    likely = sources.delimiter_of(file)
    names = csv_faults.header(csv_faults.settled(replace(file, delimiter=likely)))
    if len(lines) < _FEW_LINES or not any(is_value(part) for name in names for part in re.split(r"[|;\t]|::", name)):
        return likely
    widths = {sign: _width(replace(file, delimiter=sign), lines) for sign in (likely, "::", *_DELIMITERS)}
    best = max(widths, key=lambda sign: widths[sign])
    return best if widths[best] > 1 else likely


def _needs_escape(file: SourceFile, lines: list[str]) -> bool:
    """Whether a quote behind a backslash, and nothing else, keeps the first lines from being rows."""
    if not any('\\"' in line for line in lines):
        return False
    escaped = replace(file, dialect=replace(file.dialect, escape="\\"))
    return not _is_sound(file, lines) and _is_sound(escaped, lines)


def _is_sound(file: SourceFile, lines: list[str]) -> bool:
    return _width(file, lines) > 0


def _width(file: SourceFile, lines: list[str]) -> int:
    """How many fields all rows of the first lines have; 0 if they differ, or are no rows of CSV."""
    dialect, sizes = file.dialect, set[int]()
    lines = [line for line in lines[dialect.skip_lines :] if not line.startswith(dialect.comment or "\0")]
    signs = (line.replace(file.delimiter, file.sign) for line in lines)
    try:
        for row in csv_faults.reader(file, signs, strict=True):
            if row:
                sizes.add(len(row))
    except csv.Error as error:
        # The last of the first lines may be the beginning of a field with line ends.
        if "unexpected end of data" not in str(error) or len(lines) < _LINES - dialect.skip_lines:
            return 0
    return sizes.pop() if len(sizes) == 1 else 0


def _has_decimal_comma(file: SourceFile) -> bool:
    """Whether some column is numbers with a decimal comma."""
    batch = next(iter(sources.read(csv_faults.settled(file), None)), None)
    if batch is None:
        return False
    for column in batch.slice(0, _LINES).columns:
        values = [value for value in column.to_pylist() if isinstance(value, str) and value.strip()]
        if values and all(map(_WITH_COMMA.fullmatch, values)) and any(map(_FRACTION.fullmatch, values)):
            return True
    return False

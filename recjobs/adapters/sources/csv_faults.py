"""Diagnose a CSV file that the fast parser cannot read: what is wrong, and in which line."""

import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from recjobs.adapters.sources.places import SourceFile, open_file
from recjobs.errors import DataRefused

_MARKS = {b"\xff\xfe": "FF FE", b"\xfe\xff": "FE FF"}
_UNDECODABLE = re.compile("[\udc80-\udcff]+")
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


class _Fault(Exception):
    """An error in a CSV file; the message begins with the line."""


def header(file: SourceFile) -> list[str]:
    """The column names in the first line that is not blank. Raises DataRefused if there is none."""
    try:
        with _lines(file) as lines:
            names = next((row for row in csv.reader(lines, delimiter=file.delimiter) if row), [])
    except (_Fault, csv.Error) as fault:
        raise DataRefused(f"{file.path}: {fault}") from None
    if not names:
        raise DataRefused(f"{file.path}: has blank lines only; see why its export wrote nothing")
    if any("\0" in name for name in names):
        raise DataRefused(
            f"{file.path}: line 1: the header holds NUL bytes: this is no CSV in UTF-8; export it again as that"
        )
    return names


def first_fault(file: SourceFile, n_columns: int) -> str | None:
    """The first error of the file as CSV in UTF-8 with `n_columns` fields in every row, or None."""
    limit = csv.field_size_limit(sys.maxsize)
    began, end = 1, 0
    try:
        with _lines(file) as lines:
            reader = csv.reader(lines, delimiter=file.delimiter, strict=True)
            for row in reader:
                began, end = end + 1, reader.line_num
                if row and len(row) != n_columns:
                    fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
                    location = f"line {began}" if began == end else f"lines {began} to {end} (a quote joins them)"
                    return f"{location}: {fields} where the header has {n_columns}; fix its export"
    except csv.Error as error:
        began = end + 1
        if "unexpected end of data" in str(error):
            return f"line {began}: a quote that opens in this row is never closed; fix its export"
        return (
            f"line {reader.line_num}: text behind a closing quote, in the row that begins in line {began}; "
            "a quote inside a quoted field is written twice"
        )
    except _Fault as fault:
        return str(fault)
    finally:
        csv.field_size_limit(limit)
    return None


def delimiter_of(file: SourceFile) -> str:
    """The delimiter of a CSV file: the catalog's, unless the header is one column with it and several with another."""
    return (file.format == "csv" and _likely(header(file), file.delimiter)) or file.delimiter


def _likely(names: list[str], delimiter: str) -> str | None:
    counts = {sign: names[0].count(sign) for sign in _DELIMITERS if sign != delimiter and sign in names[0]}
    return max(counts, key=counts.__getitem__) if len(names) == 1 and counts else None


def wrong_delimiter(file: SourceFile, names: list[str]) -> str | None:
    """The message for a header that is one column because of a wrong delimiter, else None."""
    other = _likely(names, file.delimiter)
    if other is None:
        return None
    return (
        f"{file.path}: line 1: the header is one column, {names[0]!r}; its names seem to be separated by "
        f"{_DELIMITERS[other]}: say `delimiter: {other!r}` in the catalog".replace(r"'\t'", r'"\t"')
    )


@contextmanager
def _lines(file: SourceFile) -> Iterator[Iterator[str]]:
    with ExitStack() as stack:
        raw: Any = stack.enter_context(open_file(file.path))
        if file.path.endswith(".gz"):
            raw = stack.enter_context(gzip.open(raw))
        yield _decoded(raw)


class _UpToTheFault(io.RawIOBase):
    """A stream that ends at the first decompression error, which it keeps as `fault`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.fault: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.fault:
            return 0
        try:
            data = self._stream.read1(min(len(buffer), 1 << 16))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.fault, data = error, b""
        buffer[: len(data)] = data
        return len(data)


def _decoded(stream: Any) -> Iterator[str]:
    raw = _UpToTheFault(stream)
    buffered = io.BufferedReader(raw, 1 << 16)
    mark = buffered.peek(2)[:2]
    if mark in _MARKS:
        raise _Fault(f"line 1: is UTF-16 (it begins with the bytes {_MARKS[mark]}); export it as UTF-8")
    n = 0
    for line in io.TextIOWrapper(buffered, "utf-8-sig", errors="surrogateescape", newline=""):
        if raw.fault and not line.endswith(("\r", "\n")):
            break
        n += 1
        if not line.isascii() and (match := _UNDECODABLE.search(line)):
            around = line[max(0, match.start() - 10) : match.end() + 10].encode("utf-8", "surrogateescape")
            raise _Fault(f"line {n}: the bytes {around!r} are no UTF-8 text; export the file as UTF-8")
        yield line
    if raw.fault:
        is_cut = isinstance(raw.fault, EOFError)
        why = "the compressed file ends in the middle" if is_cut else f"no sound gzip ({raw.fault})"
        where = f"behind line {n}" if n else "at its beginning"
        raise _Fault(f"{where}: {why}; the file is damaged or of another format, fetch or export it again")

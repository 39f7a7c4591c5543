"""The lines of a text file: decompressed, decoded, and blank where its dialect says that a line is no row.

A line that is skipped leaves a blank one, which parsers pass over, so that line numbers are those of an editor.
"""

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from recjobs.adapters.sources import compression
from recjobs.adapters.sources.places import SourceFile, file_system

_MARKS = {b"\xff\xfe": "FF FE", b"\xfe\xff": "FE FF"}
MOST_CHARACTERS = 1 << 24
"""The longest line or field that is read: a longer one is a fault of the export, and would fill the memory."""
_UNDECODABLE = re.compile("[\udc80-\udcff]+")
_EXCEL = re.compile(r'"?sep=([\t -!#-~])"?\r?\n?\r?', re.IGNORECASE)


class Fault(Exception):
    """An error in a text file; the message begins with the line."""


@contextmanager
def text_lines(file: SourceFile) -> Iterator[Iterator[str]]:
    """The lines with their ends. Raises Fault, while they are read, where the file is damaged or is no such text."""
    with opened(file) as raw:
        yield _rows_only(_decoded(raw, file.dialect.encoding), file)


@contextmanager
def opened(file: SourceFile) -> Iterator[Any]:
    """The bytes of a file, decompressed."""
    with compression.opened(file.path, file_system) as stream:
        yield stream


def without_excels_line(file: SourceFile) -> SourceFile:
    """The file as Excel reads it: a first line `sep=;` names the delimiter and is no row."""
    if file.dialect.skip_lines:
        return file
    with text_lines(file) as lines:
        match = _EXCEL.fullmatch(next(lines, ""))
    if match is None:
        return file
    delimiter = match[1] if file.delimiter == "," else file.delimiter
    return replace(file, delimiter=delimiter, dialect=replace(file.dialect, skip_lines=1))


def quoted_sign(sign: str) -> str:
    """A sign as a catalog file holds it: `';'`, and `"\\t"` for a tab."""
    return '"\\t"' if sign == "\t" else f"'{sign}'"


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
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            self.fault, data = error, b""
        buffer[: len(data)] = data
        return len(data)


def _decoded(stream: Any, encoding: str) -> Iterator[str]:
    raw = _UpToTheFault(stream)
    buffered = io.BufferedReader(raw, 1 << 16)
    mark = buffered.peek(2)[:2]
    if mark in _MARKS and encoding == "utf-8":
        raise Fault(
            f"line 1: is UTF-16 (it begins with the bytes {_MARKS[mark]}); export it as UTF-8, or say "
            "`encoding: utf-16` in the catalog"
        )
    # Python takes the machine's byte order where a file in UTF-16 has no mark; Windows writes the low byte first.
    codec = {"utf-8": "utf-8-sig", "utf-16": "utf-16" if mark in _MARKS else "utf-16-le"}.get(encoding, encoding)
    n = 0
    lines = io.TextIOWrapper(buffered, codec, errors="surrogateescape", newline="")
    while True:
        try:
            line = lines.readline(MOST_CHARACTERS).removeprefix("" if n or codec == "utf-8-sig" else "\ufeff")
        except UnicodeDecodeError as error:
            raise Fault(f"behind line {n}: is no text in {encoding} ({error.reason}); see to `encoding`") from None
        if not line or (raw.fault and not line.endswith(("\r", "\n"))):
            break
        n += 1
        if len(line) >= MOST_CHARACTERS - 1 and not line.endswith(("\r", "\n")):
            raise Fault(
                f"line {n}: is longer than {MOST_CHARACTERS:,} characters, from {line[:40]!r} on; the file is no text "
                "of rows, or its export wrote no line ends"
            )
        if not line.isascii() and (match := _UNDECODABLE.search(line)):
            around = line[max(0, match.start() - 10) : match.end() + 10]
            if encoding == "utf-8":
                raise Fault(
                    f"line {n}: the bytes {around.encode('utf-8', 'surrogateescape')!r} are no UTF-8 text; export the "
                    "file as UTF-8, or say its encoding in the catalog, such as `encoding: cp1252`"
                )
            raise Fault(f"line {n}: {around!r} is no text in {encoding}; see to `encoding` in the catalog")
        yield line
    if raw.fault:
        is_cut = isinstance(raw.fault, EOFError)
        kind = "zip" if isinstance(raw.fault, zipfile.BadZipFile) else "gzip"
        why = "the compressed file ends in the middle" if is_cut else f"no sound {kind} ({raw.fault})"
        where = f"behind line {n}" if n else "at its beginning"
        raise Fault(f"{where}: {why}; the file is damaged or of another format, fetch or export it again")


def _rows_only(lines: Iterator[str], file: SourceFile) -> Iterator[str]:
    dialect = file.dialect
    if dialect.escape:
        sign, delimiter = re.escape(dialect.escape), re.escape(file.delimiter)
        missing = re.compile(rf"(^|{delimiter}){sign}N(?=$|\r|\n|{delimiter})")
    is_inside = False  # a field with line ends, where a line that begins with the sign is no comment
    for n, line in enumerate(lines):
        is_comment = not is_inside and dialect.comment is not None and line.startswith(dialect.comment)
        if n < dialect.skip_lines or is_comment:
            yield line[len(line.rstrip("\r\n")) :]
            continue
        if dialect.comment and dialect.quote:
            is_inside ^= bool(line.count(dialect.quote) % 2)
        if dialect.escape and dialect.escape in line:
            for _ in range(2):  # neighbours share a delimiter
                line = missing.sub(r"\1", line)
        if file.sign != file.delimiter:
            if file.sign in line:
                raise Fault(
                    f"line {n + 1}: holds the character U+001F, which stands for `delimiter: '{file.delimiter}'` while "
                    "the file is read; fix its export"
                )
            line = line.replace(file.delimiter, file.sign)
        yield line

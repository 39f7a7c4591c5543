"""CSV, also gzipped, as columns of text. What cannot be read for certain is refused with the line."""

import io
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from recjobs.adapters.sources import csv_faults
from recjobs.adapters.sources.compression import is_gzip, is_zip
from recjobs.adapters.sources.places import SourceFile, open_file
from recjobs.adapters.sources.swallowed_rows import swallowed_rows
from recjobs.adapters.sources.text_lines import Fault, text_lines
from recjobs.errors import DataRefused

BLOCK_BYTES = 16 << 20


def read(file: SourceFile, names: list[str], columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The columns, batch by batch, every value a text as it stands there. `names` are those of the header.

    Raises DataRefused with the line where the file stops being CSV.
    """
    parsed = [_parsed(file, name) for name in names]
    convert = pa_csv.ConvertOptions(
        strings_can_be_null=False,
        check_utf8=True,
        column_types=dict.fromkeys(parsed, pa.string()),
        include_columns=[_parsed(file, column) for column in columns],
    )
    dialect = file.dialect
    blocks = pa_csv.ReadOptions(block_size=BLOCK_BYTES, column_names=parsed if dialect.names else None)
    parse = pa_csv.ParseOptions(
        newlines_in_values=True,
        delimiter=file.sign,
        quote_char=dialect.quote or False,
        escape_char=dialect.escape or False,
    )
    n_rows = 0 if dialect.names else 1
    with ExitStack() as stack:
        if dialect.is_plain and file.sign == file.delimiter and not is_zip(file.path):
            raw = open_file(file.path)
            stream: Any = pa.CompressedInputStream(raw, "gzip") if is_gzip(file.path) else raw
        else:
            stream = _Joined(stack.enter_context(text_lines(file)))
        watched = _Watched(stream, file.sign, dialect.quote)
        try:
            with pa_csv.open_csv(pa.PythonFile(watched, mode="r"), blocks, parse, convert) as reader:
                for batch in reader:
                    n_rows += batch.num_rows
                    yield batch if file.sign == file.delimiter else _with_delimiter(file, batch, columns)
        except Fault as of_the_text:
            raise DataRefused(f"{file.path}: {of_the_text}") from None
        except (pa.ArrowException, OSError) as error:
            if "AWS Error" not in str(error) and (fault := csv_faults.first_fault(file, len(names))):
                raise DataRefused(f"{file.path}: {fault}") from None
            raise
    # Arrow reads on where a quote is never closed, or closed by the one that opens a later field: rows would be lost.
    # An escaped quote is beyond the quick look.
    if (watched.is_odd or dialect.escape) and (fault := csv_faults.first_fault(file, len(names))):
        raise DataRefused(f"{file.path}: {fault}")
    if watched.n_lines > n_rows and (fault := swallowed_rows(file, len(names))):
        raise DataRefused(f"{file.path}: {fault}")


def _parsed(file: SourceFile, name: str) -> str:
    """A column's name as the parser sees it."""
    return name.replace(file.delimiter, file.sign)


def _with_delimiter(file: SourceFile, batch: pa.RecordBatch, columns: list[str]) -> pa.RecordBatch:
    """The batch with the delimiter where the sign that stands for it is inside quoted fields."""
    arrays = [pc.replace_substring(column, file.sign, file.delimiter) for column in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, columns)


class _Joined:
    """Lines of text as a stream of UTF-8, of no more bytes than are asked for: Arrow has no room for more."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._rest = b""

    def read(self, size: int | None) -> bytes:
        parts, n = [self._rest], len(self._rest)
        while size is None or n < size:
            line = next(self._lines, "").encode()
            if not line:
                break
            parts.append(line)
            n += len(line)
        data = b"".join(parts)
        self._rest = b"" if size is None else data[size:]
        return data if size is None else data[:size]


class _Watched(io.RawIOBase):
    """Bytes on their way to the parser. `is_odd` once a quote stands neither where a field begins or ends nor beside
    another; there may be a reason for it, such as 5" in a field without quotes, so that only a slower look decides."""

    def __init__(self, stream: Any, delimiter: str, quote: str | None = '"') -> None:
        self._stream = stream
        self._window = b"\n"  # the byte before the next to be looked at, and that one
        self._is_quoted = self._has_begun = False
        self._borders = np.zeros(256, bool)
        self._quote = ord(quote) if quote else None
        self._borders[[ord(quote or delimiter), ord("\n"), ord("\r"), ord(delimiter)]] = True
        self.is_odd = False
        self._ends = {b"\n": 0, b"\r": 0}

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = bytes(self._stream.read(size if size >= 0 else None))
        for end in self._ends:
            self._ends[end] += data.count(end)
        if self._quote is not None and not self.is_odd:
            self._look(data)
        return data

    @property
    def n_lines(self) -> int:
        """How many lines have ended: by LF, by CRLF, or by CR."""
        return max(self._ends.values())

    def _look(self, data: bytes) -> None:
        if not self._has_begun:
            self._has_begun, data = True, data.removeprefix(b"\xef\xbb\xbf")
        self._window += data or b"\n"
        window = np.frombuffer(self._window, np.uint8)
        quotes = np.flatnonzero(window[1:-1] == self._quote) + 1
        opens = (np.arange(quotes.size) + self._is_quoted) % 2 == 0
        beside = window[np.where(opens, quotes - 1, quotes + 1)]
        self._is_quoted ^= bool(quotes.size % 2)
        self.is_odd = not self._borders[beside].all() or (not data and self._is_quoted)
        self._window = self._window[-2:]

"""CSV, also gzipped, as columns of text. What cannot be read for certain is refused with the line."""

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from recjobs.adapters.sources import csv_faults
from recjobs.adapters.sources.places import SourceFile, open_file
from recjobs.errors import DataRefused

BLOCK_BYTES = 16 << 20
_QUOTE = ord('"')


def read(file: SourceFile, names: list[str], columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The columns, batch by batch, every value a text as it stands there. `names` are those of the header.

    Raises DataRefused with the line where the file stops being CSV.
    """
    convert = pa_csv.ConvertOptions(
        strings_can_be_null=False,
        check_utf8=True,
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=columns,
    )
    blocks = pa_csv.ReadOptions(block_size=BLOCK_BYTES)
    parse = pa_csv.ParseOptions(newlines_in_values=True, delimiter=file.delimiter)
    raw = open_file(file.path)
    watched = _Watched(pa.CompressedInputStream(raw, "gzip") if file.path.endswith(".gz") else raw, file.delimiter)
    try:
        with pa_csv.open_csv(pa.PythonFile(watched, mode="r"), blocks, parse, convert) as reader:
            yield from reader
    except (pa.ArrowException, OSError) as error:
        if "AWS Error" not in str(error) and (fault := csv_faults.first_fault(file, len(names))):
            raise DataRefused(f"{file.path}: {fault}") from None
        raise
    # Arrow reads on where a quote is never closed, or closed by the one that opens a later field: rows would be lost.
    if watched.is_odd and (fault := csv_faults.first_fault(file, len(names))):
        raise DataRefused(f"{file.path}: {fault}")


class _Watched(io.RawIOBase):
    """Bytes on their way to the parser. `is_odd` once a quote stands neither where a field begins or ends nor beside
    another; there may be a reason for it, such as 5" in a field without quotes, so that only a slower look decides."""

    def __init__(self, stream: pa.NativeFile, delimiter: str) -> None:
        self._stream = stream
        self._window = b"\n"  # the byte before the next to be looked at, and that one
        self._is_quoted = self._has_begun = False
        self._borders = np.zeros(256, bool)
        self._borders[[_QUOTE, ord("\n"), ord("\r"), ord(delimiter)]] = True
        self.is_odd = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = bytes(self._stream.read(size if size >= 0 else None))
        if not self.is_odd:
            self._look(data)
        return data

    def _look(self, data: bytes) -> None:
        if not self._has_begun:
            self._has_begun, data = True, data.removeprefix(b"\xef\xbb\xbf")
        self._window += data or b"\n"
        window = np.frombuffer(self._window, np.uint8)
        quotes = np.flatnonzero(window[1:-1] == _QUOTE) + 1
        opens = (np.arange(quotes.size) + self._is_quoted) % 2 == 0
        beside = window[np.where(opens, quotes - 1, quotes + 1)]
        self._is_quoted ^= bool(quotes.size % 2)
        self.is_odd = not self._borders[beside].all() or (not data and self._is_quoted)
        self._window = self._window[-2:]

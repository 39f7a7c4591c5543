"""Rows in Postgres' binary COPY format, from Arrow columns without a Python loop over rows.

A row is its number of fields, then each field as a length and its bytes. A field is here constant bytes, or an Arrow
binary array with one value per row; Arrow joins the fields of all rows in one pass. An array of texts is a header and,
for each element, a length and its bytes, encoded once for each distinct text and taken by index.
Format: PostgreSQL documentation, COPY, "Binary Format"; array_recv in src/backend/utils/adt/arrayfuncs.c.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
TRAILER = b"\xff\xff"
_INT4, _TEXT, _FLOAT4, _TIMESTAMPTZ = 23, 25, 700, 1184
_ELEMENT_FORMATS = {_INT4: ">i4", _FLOAT4: ">f4", _TIMESTAMPTZ: ">i8"}
_POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970."""

Column: TypeAlias = Any | bytes
"""One field per row (an Arrow binary array), length included; bytes: the same field in every row."""
_EMPTY = pa.scalar(b"", pa.large_binary())


def rows(columns: Sequence[Column], n: int) -> memoryview:
    """n rows as they stand in a COPY stream."""
    pieces: list[Column] = []
    for piece in [len(columns).to_bytes(2, "big"), *columns]:
        if isinstance(piece, bytes) and pieces and isinstance(pieces[-1], bytes):
            pieces[-1] = pieces[-1] + piece
        else:
            pieces.append(piece)
    arrays = [pa.scalar(p, pa.large_binary()) if isinstance(p, bytes) else p.cast(pa.large_binary()) for p in pieces]
    if n == 0:
        return memoryview(b"")
    joined = pc.binary_join_element_wise(*arrays, _EMPTY)
    if isinstance(joined, pa.Scalar):
        return memoryview(joined.as_py() * n)
    ends = np.frombuffer(joined.buffers()[1], np.int64)
    return memoryview(joined.buffers()[2])[ends[joined.offset] : ends[joined.offset + len(joined)]]


def stream(chunks: Iterator[memoryview]) -> Iterator[memoryview | bytes]:
    """Chunks of rows as a whole COPY stream."""
    yield SIGNATURE
    yield from chunks
    yield TRAILER


def constant_text(value: str) -> bytes:
    """A text field that is the same in every row."""
    encoded = value.encode()
    return len(encoded).to_bytes(4, "big") + encoded


def text(values: pa.Array) -> pa.Array:
    """A text field; null becomes NULL."""
    return _nullable(_prefixed(values.cast(pa.large_binary())), values)


def number(values: pa.Array, kind: str) -> pa.Array:
    """A number field; kind is a NumPy type in network order, such as >i4 for integer. Null becomes NULL."""
    width = np.dtype(kind).itemsize
    filled = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    record = np.empty(len(values), np.dtype([("length", ">i4"), ("value", kind)]))
    record["length"], record["value"] = width, filled
    return _nullable(_fixed(record.tobytes(), 4 + width), values)


def boolean(values: pa.Array) -> pa.Array:
    """A boolean field; null becomes NULL."""
    return number(values.cast(pa.int8()), ">i1")


def text_array(values: pa.ListArray) -> pa.Array:
    """A text[] field; null becomes NULL, elements must not be null."""
    encoded = values.flatten().dictionary_encode()
    elements = _prefixed(encoded.dictionary.cast(pa.large_binary())).take(encoded.indices)
    return _array(values, _content_by_row(elements, values), _TEXT)


def integer_array(values: pa.ListArray) -> pa.Array:
    """An integer[] field; null becomes NULL, elements must not be null."""
    return _fixed_array(values, values.flatten().to_numpy(zero_copy_only=False), _INT4)


def float_array(values: pa.ListArray) -> pa.Array:
    """A real[] field; null becomes NULL, elements must not be null."""
    return _fixed_array(values, values.flatten().to_numpy(zero_copy_only=False), _FLOAT4)


def timestamp_array(values: pa.ListArray) -> pa.Array:
    """A timestamptz[] field from timestamps in microseconds UTC; null becomes NULL, and so do null elements."""
    at = values.flatten().cast(pa.int64())
    if at.null_count:
        elements = number(pc.subtract(at, _POSTGRES_EPOCH), ">i8")
        return _array(values, _content_by_row(elements, values), _TIMESTAMPTZ, has_nulls=True)
    return _fixed_array(values, at.to_numpy(zero_copy_only=False) - _POSTGRES_EPOCH, _TIMESTAMPTZ)


def _fixed_array(values: pa.ListArray, flat: np.ndarray, oid: int) -> pa.Array:
    kind = _ELEMENT_FORMATS[oid]
    record = np.empty(flat.size, np.dtype([("length", ">i4"), ("value", kind)]))
    record["length"], record["value"] = np.dtype(kind).itemsize, flat
    return _array(values, _binary(_starts(values) * record.itemsize, pa.py_buffer(record.tobytes())), oid)


def _array(values: pa.ListArray, bodies: pa.Array, oid: int, *, has_nulls: bool = False) -> pa.Array:
    """Length, header and elements of each row's array; an empty array has no dimension, null becomes NULL."""
    sizes = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    header = np.empty((len(values), 5), ">i4")  # dimensions, flags, type, length and first subscript
    header[:] = 1, int(has_nulls), oid, 0, 1
    header[:, 3] = sizes
    whole = _fixed(header.tobytes(), 20)
    if (sizes == 0).any():
        empty = np.array([0, 0, oid], ">i4").tobytes()
        whole = pc.if_else(pa.array(sizes == 0), pa.scalar(empty, pa.large_binary()), whole)
    return _nullable(_prefixed(pc.binary_join_element_wise(whole, bodies, _EMPTY)), values)


def _prefixed(values: pa.Array) -> pa.Array:
    lengths = pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False).astype(">i4")
    return pc.binary_join_element_wise(_fixed(lengths.tobytes(), 4), pc.fill_null(values, _EMPTY), _EMPTY)


def _nullable(fields: pa.Array, values: pa.Array) -> pa.Array:
    if values.null_count == 0:
        return fields
    return pc.if_else(pc.is_valid(values), fields, pa.scalar(b"\xff\xff\xff\xff", pa.large_binary()))


def _fixed(content: bytes, width: int) -> pa.Array:
    return _binary(np.arange(0, len(content) + 1, width, dtype=np.int64), pa.py_buffer(content))


def _binary(offsets: np.ndarray, content: pa.Buffer) -> pa.Array:
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), content])


def _starts(values: pa.ListArray) -> np.ndarray:
    return np.asarray(values.offsets.to_numpy().astype(np.int64) - values.offsets[0].as_py())


def _content_by_row(elements: pa.Array, values: pa.ListArray) -> pa.Array:
    """The elements of each row, which are one slice of the buffer."""
    ends = np.frombuffer(elements.buffers()[1], np.int64)[elements.offset : elements.offset + len(elements) + 1]
    offsets = ends[_starts(values)] if len(elements) else np.zeros(len(values) + 1, np.int64)
    return _binary(np.ascontiguousarray(offsets), elements.buffers()[2] or pa.py_buffer(b""))

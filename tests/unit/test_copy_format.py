"""Rows in binary COPY, read back by a decoder that was written from Postgres' documentation alone."""

import struct
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recjobs.core.lists import copy_format
from tests.unit.hostile import HOSTILE

_ELEMENTS = {
    23: lambda b: struct.unpack("!i", b)[0],
    25: bytes.decode,
    700: lambda b: struct.unpack("!f", b)[0],
    1184: lambda b: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=struct.unpack("!q", b)[0]),
}


class Decoder:
    """Walks over bytes."""

    def __init__(self, content):
        self.content, self.at = bytes(content), 0

    def take(self, n):
        assert self.at + n <= len(self.content)
        self.at += n
        return self.content[self.at - n : self.at]

    def integer(self, form="!i"):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def field(self):
        length = self.integer()
        return None if length == -1 else self.take(length)

    def row(self):
        return [self.field() for _ in range(self.integer("!h"))]


def array_of(content):
    """An array as array_recv reads it."""
    inside = Decoder(content)
    dims, flags, oid = inside.integer(), inside.integer(), inside.integer()
    assert flags in (0, 1)  # 1: elements may be null
    if dims == 0:
        assert inside.at == len(inside.content)
        return []
    assert dims == 1
    n, first = inside.integer(), inside.integer()
    assert first == 1
    assert n > 0  # an empty array has no dimension
    fields = [inside.field() for _ in range(n)]
    assert flags == 1 or None not in fields
    values = [None if field is None else _ELEMENTS[oid](field) for field in fields]
    assert inside.at == len(inside.content)
    return values


def rows_of(columns, n):
    decoder, rows = Decoder(copy_format.rows(columns, n)), []
    while decoder.at < len(decoder.content):
        rows.append(decoder.row())
    return rows


TEXTS = ["a", "", None, *HOSTILE]
LISTS = [["x", "y"], [], HOSTILE, ["x"], [""]]


def test_texts_and_nulls():
    found = rows_of([copy_format.text(pa.array(TEXTS))], len(TEXTS))
    assert [None if f is None else f.decode() for [f] in found] == TEXTS


def test_text_arrays_of_every_length():
    found = rows_of([copy_format.text_array(pa.array(LISTS))], len(LISTS))
    assert [array_of(f) for [f] in found] == LISTS


def test_float_arrays():
    lists = [[1.5, -2.0], [], [0.0, 3e38, 1e-40]]
    found = rows_of([copy_format.float_array(pa.array(lists, pa.list_(pa.float32())))], 3)
    assert [array_of(f) for [f] in found] == [np.float32(row).tolist() for row in lists]


def test_integer_arrays_and_nulls_are_not_empty_arrays():
    lists = [[1, -2, 2**31 - 1], None, [], [7], None]
    column = pa.array(lists, pa.list_(pa.int32()))
    assert [f and array_of(f) for [f] in rows_of([copy_format.integer_array(column)], 5)] == lists
    assert [f and array_of(f) for [f] in rows_of([copy_format.integer_array(column.slice(1, 3))], 3)] == lists[1:4]
    texts = [["a", "b"], None, [], ["c"]]
    column = pa.array(texts, pa.list_(pa.string()))
    assert [f and array_of(f) for [f] in rows_of([copy_format.text_array(column)], 4)] == texts


def test_timestamp_arrays_before_and_after_2000():
    lists = [[datetime(1999, 12, 31, 23, 59, 59, 1, UTC)], [], [datetime(2011, 12, 9, 12, 50, tzinfo=UTC)] * 2]
    column = pa.array(lists, pa.list_(pa.timestamp("us", "UTC")))
    assert [array_of(f) for [f] in rows_of([copy_format.timestamp_array(column)], 3)] == lists


@pytest.mark.parametrize("lists", [[[None, None], [], [None]], [[None, datetime(2011, 12, 9, tzinfo=UTC)], [], [None]]])
def test_timestamp_arrays_with_nulls(lists):
    column = pa.array(lists, pa.list_(pa.timestamp("us", "UTC")))
    assert [array_of(f) for [f] in rows_of([copy_format.timestamp_array(column)], 3)] == lists


@pytest.mark.parametrize(("kind", "form"), [(">i2", "!h"), (">i4", "!i"), (">i8", "!q"), (">f8", "!d")])
def test_numbers_and_nulls(kind, form):
    values = [1, -2, None, 0]
    arrow = pa.float64() if "f" in kind else pa.int64()
    found = rows_of([copy_format.number(pa.array(values, arrow), kind)], 4)
    assert [None if f is None else struct.unpack(form, f)[0] for [f] in found] == values


def test_booleans_and_nulls():
    assert rows_of([copy_format.boolean(pa.array([True, False, None]))], 3) == [[b"\1"], [b"\0"], [None]]


def test_a_row_is_all_its_fields_and_a_constant_is_in_each():
    columns = [
        copy_format.constant_text("ü-1"),
        copy_format.text(pa.array(["u", None])),
        copy_format.constant_text(""),
        copy_format.text_array(pa.array([[], ["i"]])),
        copy_format.number(pa.array([7, None]), ">i2"),
    ]
    found = rows_of(columns, 2)
    assert [row[:3] for row in found] == [["ü-1".encode(), b"u", b""], ["ü-1".encode(), None, b""]]
    assert [array_of(row[3]) for row in found] == [[], ["i"]]
    assert [row[4] for row in found] == [b"\0\7", None]


def test_rows_of_constants_alone():
    assert rows_of([copy_format.constant_text("a"), copy_format.constant_text("b")], 3) == [[b"a", b"b"]] * 3


def test_no_rows_are_no_bytes():
    assert bytes(copy_format.rows([copy_format.text(pa.array([], pa.string()))], 0)) == b""
    assert bytes(copy_format.rows([copy_format.text_array(pa.array([], pa.list_(pa.string())))], 0)) == b""


def test_only_empty_arrays():
    column = pa.array([[], []], pa.list_(pa.string()))
    assert [array_of(f) for [f] in rows_of([copy_format.text_array(column)], 2)] == [[], []]


@given(
    st.lists(st.lists(st.sampled_from(["", "a", "ü", "caf\u00e9", "x" * 40])), min_size=1, max_size=12),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_a_slice_of_a_column_is_written_as_that_slice(lists, first, length):
    first = min(first, len(lists))
    part = lists[first : first + length]
    texts = pa.array(lists, pa.list_(pa.string())).slice(first, length)
    floats = pa.array([[float(len(e)) for e in row] for row in lists], pa.list_(pa.float32())).slice(first, length)
    names = pa.array([f"n{i}" for i in range(len(lists))]).slice(first, length)
    columns = [copy_format.text(names), copy_format.text_array(texts), copy_format.float_array(floats)]
    found = rows_of(columns, len(part))
    assert [row[0].decode() for row in found] == [f"n{first + i}" for i in range(len(part))]
    assert [array_of(row[1]) for row in found] == part
    assert [array_of(row[2]) for row in found] == [[float(len(e)) for e in row] for row in part]


def test_a_stream_begins_and_ends_as_copy_wants_it():
    chunks = [
        copy_format.rows([copy_format.constant_text("a")], 1),
        copy_format.rows([copy_format.constant_text("b")], 2),
    ]
    content = b"".join(bytes(part) for part in copy_format.stream(iter(chunks)))
    assert content.startswith(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    assert content.endswith(b"\xff\xff")
    decoder = Decoder(content[19:-2])
    assert [decoder.row() for _ in range(3)] == [[b"a"], [b"b"], [b"b"]]
    assert decoder.at == len(decoder.content)

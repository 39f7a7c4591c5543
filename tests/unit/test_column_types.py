"""What Parquet's types become: the same for ids, attributes, filters and times, or refused with column and value."""

import datetime as dt
import decimal
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recjobs.adapters import sources
from recjobs.adapters.sources.column_types import plain
from recjobs.catalog.sources import RowFilter
from recjobs.core.rows.validation import EARLIEST, as_ids, as_microseconds
from recjobs.errors import DataRefused

U = [uuid.UUID(int=n) for n in (0, 7, 2**127 + 1)]


@pytest.fixture
def read(tmp_path):
    """Writes one column with a reader that changes nothing, and reads it under a canonical name."""

    def run(values, name="user_id", where=None, **writing):
        pq.write_table(pa.table({"x": values}), tmp_path / "a.parquet", **writing)
        [file] = sources.find(tmp_path, "a.parquet")
        chunks = [rows.columns[name] for rows in sources.read_rows(file, {name: "x"}, where or {})]
        return pa.chunked_array(chunks).combine_chunks()

    return run


def decimals(precision, *numbers):
    return pa.array([None if n is None else decimal.Decimal(n) for n in numbers], pa.decimal128(precision, 0))


TEXTS = ["007", None, "", "Café", "a\0b"]
IDS = {
    "decimal(38, 0)": (decimals(38, 10**37 + 1, None, 0, -5), [str(10**37 + 1), None, "0", "-5"]),
    "decimal(18, 0)": (decimals(18, 10**17 + 1, None, 0), [str(10**17 + 1), None, "0"]),
    "decimal(1, 0)": (decimals(1, 3, None), ["3", None]),
    "decimal256": (pa.array([decimal.Decimal(10**60), None], pa.decimal256(70, 0)), [str(10**60), None]),
    "uuid": (pa.array([u.bytes for u in U] + [None], pa.uuid()), [*map(str, U), None]),
    "binary": (pa.array([t if t is None else t.encode() for t in TEXTS], pa.binary()), TEXTS),
    "large binary": (pa.array([t if t is None else t.encode() for t in TEXTS], pa.large_binary()), TEXTS),
    "binary view": (pa.array([t if t is None else t.encode() for t in TEXTS], pa.binary_view()), TEXTS),
    "fixed binary": (pa.array([b"0007", None, b"x \xc3\xa9"], pa.binary(4)), ["0007", None, "x é"]),
    "large string": (pa.array(TEXTS, pa.large_string()), TEXTS),
    "string view": (pa.array(TEXTS, pa.string_view()), TEXTS),
    "dictionary": (pa.array(TEXTS).dictionary_encode(), TEXTS),
    "dictionary of bytes": (pa.array([b"7", None, b"7"]).dictionary_encode(), ["7", None, "7"]),
    "dictionary of integers": (pa.array([7, None, 7], pa.int64()).dictionary_encode(), ["7", None, "7"]),
    "json": (pa.array(['"7"', None], pa.json_()), ['"7"', None]),
}


@pytest.mark.parametrize("name", IDS)
def test_an_id_is_its_text_or_its_digits_whatever_its_type(read, name):
    values, expected = IDS[name]
    assert as_ids(read(values), "x").to_pylist() == expected
    assert as_ids(read(values, "item_id"), "x").to_pylist() == expected
    assert [None if v is None else str(v) for v in read(values, "title").to_pylist()] == expected


@pytest.mark.parametrize("name", IDS)
def test_every_kind_of_values_keeps_its_places_in_a_slice(name):
    values, expected = IDS[name]
    assert as_ids(plain(values.slice(1)), "x").to_pylist() == expected[1:]
    assert as_ids(plain(values.slice(0, 0)), "x").to_pylist() == []


@pytest.mark.parametrize("rule", [{"equals": str(U[1])}, {"matches": "07$"}])
def test_a_rule_of_where_asks_the_text_of_a_uuid(read, rule):
    kept = read(pa.array([u.bytes for u in U], pa.uuid()), where={"r": RowFilter(column="x", **rule)})
    assert kept.to_pylist() == [str(U[0]), str(U[2])]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(16)])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("user_id", "holds ids that are not UTF-8 text, such as b'"),
        ("title", "holds no text: its bytes are not UTF-8 text, such as b'"),
        ("occurred_at", "holds no times: its bytes"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_column_and_value(read, kind, name, said):
    values = pa.array([b"x" * 16, bytes(range(240, 256))], kind)
    with pytest.raises(DataRefused) as caught:
        read(values, name)
    assert "a.parquet: column 'x' h" in str(caught.value)
    assert said in str(caught.value)
    assert "16 bytes may be a UUID" in str(caught.value)


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string()),
        pa.large_list(pa.large_string()),
        pa.list_(pa.binary()),
        pa.list_(pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_categories_are_a_list_of_texts_whatever_the_list(read, kind):
    lists = [["Home", "Light"], None, ["A", None]]
    written = [[b"Home", b"Light"], None, [b"A", None]] if pa.types.is_binary(kind.value_type) else lists
    values = pa.array(written, kind)
    assert read(values, "categories").to_pylist() == lists
    assert plain(values.slice(1)).to_pylist() == lists[1:]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("categories", pa.array([[{"name": "a"}]])),
        ("categories", pa.array([{"name": "a"}])),
        ("prefers", pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))),
    ],
)
def test_categories_in_other_parts_than_a_list_are_refused_with_their_type(read, name, values):
    with pytest.raises(DataRefused, match=f"column 'x' has type .*, which holds no {name}"):
        read(values, name)


def test_an_attribute_in_parts_is_their_json(read):
    assert read(pa.array([{"en": "Café"}, None]), "title").to_pylist() == ['{"en": "Café"}', None]
    assert read(pa.array([["a", "b"], None]), "segment").to_pylist() == ['["a", "b"]', None]


# --- times


def moment(*parts):
    return dt.datetime(*parts)  # noqa: DTZ001 - as files have it, without a zone


def microseconds(*moments):
    return [round((m - moment(1970, 1, 1)) / dt.timedelta(microseconds=1)) for m in moments]


FAR = [moment(9999, 12, 31), moment(2592, 1, 1), moment(2600, 6, 1), moment(2024, 5, 1, 10, 0, 0)]


def test_years_beyond_2262_in_int96_do_not_wrap_into_earlier_ones(read):
    # INT96 is written of microseconds here, so that the writer does not wrap either.
    values = read(pa.array(FAR, pa.timestamp("us")), "occurred_at", use_deprecated_int96_timestamps=True)
    assert as_microseconds(values, "iso", "UTC").tolist() == microseconds(*FAR)


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.date32(), pa.date64(), pa.timestamp("ns")]
)
def test_a_time_of_any_type_is_the_same_instant(read, kind):
    moments = [moment(2024, 5, 1), moment(2261, 12, 31)]
    values = read(pa.array(moments, pa.timestamp("us")).cast(kind), "occurred_at")
    assert as_microseconds(values, "iso", "UTC").tolist() == microseconds(*moments)


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("precision", [18, 38])
def test_a_decimal_counts_from_1970_like_an_integer(read, unit, precision):
    at = EARLIEST // {"s": 1_000_000, "ms": 1_000, "us": 1}[unit] + 1
    values = read(decimals(precision, at), "occurred_at")
    assert as_microseconds(values, unit, "UTC").tolist() == [at * {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]]


def test_nanoseconds_are_cut_to_microseconds(read):
    values = read(pa.array(np.array([1_714_557_600_123_456_789])).cast(pa.timestamp("ns")), "occurred_at")
    assert as_microseconds(values, "iso", "UTC").tolist() == [1_714_557_600_123_456]

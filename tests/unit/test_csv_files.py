"""CSV as it comes from programs of all kinds: read to the byte, or refused with the line where it stops being CSV."""

import csv
import gzip
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recjobs.adapters import sources
from recjobs.adapters.sources import csv_faults, csv_files
from recjobs.errors import DataRefused


@pytest.fixture
def rows(tmp_path):
    """Reads a CSV file of this content through to its end, as tuples of texts."""

    def read(content, columns=("a", "b"), name="x.csv", **place):
        (tmp_path / name).write_bytes(content)
        [file] = sources.find(tmp_path, name, **place)
        batches = list(sources.read(file, list(columns)))
        return [row for batch in batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)]

    return read


@pytest.fixture
def refused(rows, tmp_path):
    """What is said of a CSV file of this content, behind its name."""

    def read(content, name="x.csv", **place):
        with pytest.raises(DataRefused) as caught:
            rows(content, name=name, **place)
        place = f"{tmp_path / name}: "
        assert str(caught.value).startswith(place)
        return str(caught.value).removeprefix(place)

    return read


BODY = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(2, 3000))
"""2,999 lines, each with its number."""


# --- what is read


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("header", [b"a,b", b'"a","b"'])
def test_marks_endings_and_quoted_headers_change_nothing(rows, ending, mark, header, monkeypatch):
    def never(*_):
        raise AssertionError("the slow look was taken at a sound file")

    monkeypatch.setattr(csv_faults, "first_fault", never)
    assert rows(mark + ending.join([header, b"1,2", b'"3,","4"']) + ending) == [("1", "2"), ("3,", "4")]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
def test_fields_may_be_separated_by_another_sign(rows, delimiter):
    content = f'a{delimiter}b\n1,2{delimiter}"3{delimiter}4"\n'.encode()
    assert rows(content, delimiter=delimiter) == [("1,2", f"3{delimiter}4")]


def test_a_quote_inside_a_field_without_quotes_is_a_sign_like_others(rows):
    assert rows(b'a,b\n5" pipe,x\n6" pipe,6" x 4"\n') == [('5" pipe', "x"), ('6" pipe', '6" x 4"')]


def test_gzip_may_come_in_pieces(rows):
    assert rows(gzip.compress(b"a,b\n1,2\n", mtime=0) + gzip.compress(b"3,4\n"), name="x.csv.gz") == [
        ("1", "2"),
        ("3", "4"),
    ]


def test_a_file_with_one_column_may_have_any_name_for_it(rows):
    assert rows(b"a;b\n1\n", columns=["a;b"]) == [("1",)]


@given(
    st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=6)] * 2), min_size=1, max_size=9),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.integers(40, 90),
    st.booleans(),
)
def test_what_a_program_writes_is_read_to_the_byte(tmp_path_factory, pairs, delimiter, ending, quoting, block, zipped):
    if any("\r" in value for pair in pairs for value in pair):
        quoting = csv.QUOTE_ALL  # before Python 3.13 csv writes it bare, if lines end otherwise: nobody can read that
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows([("a", "b"), *pairs])
    content = text.getvalue().encode()
    folder = tmp_path_factory.mktemp("any")
    name = "x.csv.gz" if zipped else "x.csv"
    (folder / name).write_bytes(gzip.compress(content, mtime=0) if zipped else content)
    [file] = sources.find(folder, name, delimiter=delimiter)
    usual, csv_files.BLOCK_BYTES = csv_files.BLOCK_BYTES, 1 << 12
    try:
        columns = [(b.column(0).to_pylist(), b.column(1).to_pylist()) for b in sources.read(file, ["a", "b"])]
    finally:
        csv_files.BLOCK_BYTES = usual
    assert [pair for first, second in columns for pair in zip(first, second, strict=True)] == pairs


@given(st.text(st.sampled_from('ab",\n'), max_size=40), st.integers(1, 7))
def test_the_quick_look_at_quotes_misses_nothing_the_slow_one_finds(text, size):
    """Whatever the blocks are: a file that csv calls wrong for its quotes is odd."""
    content = text.encode()

    class Stream:
        def __init__(self):
            self.file = io.BytesIO(content)

        def read(self, _):
            return self.file.read(size)

    watched = csv_files._Watched(Stream(), ",")
    while watched.read(size):
        pass
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        assert watched.is_odd


# --- what is refused, and the line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1,2\nm\xfcller,2\n", r"line 3: the bytes b'm\\xfcller,2\\n' are no UTF-8 text"),
        (b"a,m\xfc\n1,2\n", r"line 1: the bytes b'a,m\\xfc\\n' are no UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-le"), r"line 1: the header holds NUL bytes"),
        ("a,b\n1,2\n".encode("utf-16"), r"line 1: is UTF-16 \(it begins with the bytes FF FE\); export it as UTF-8"),
        (b"\xfe\xff" + "a,b\n1,2\n".encode("utf-16-be"), r"line 1: is UTF-16 \(it begins with the bytes FE FF\)"),
        (b"a\0,b\n1,2\n", r"line 1: the header holds NUL bytes"),
        (b"a,b,a\n1,2,3\n", r"has more than one column 'a'"),
        (b"a;b\n1;2\n", r"line 1: the header is one column, 'a;b'; .* a semicolon: say `delimiter: ';'`"),
        (b"a\tb\n1\t2\n", r'a tab: say `delimiter: "\\t"`'),
        (b"a,b\n1,2\n1\n", r"line 3: 1 field where the header has 2"),
        (b"a,b\n1,2\n\n1,2,3\n", r"line 4: 3 fields where the header has 2"),
        (b'a,b\n"1\n1",2\n1,2,3\n', r"line 4: 3 fields where"),
        (b'a,b\r\n"1\r\n1",2\r\n1,2,3\r\n', r"line 4: 3 fields where"),
        (b'a,b\n1,2\n3,"4\n5,6\n', r"line 3: a quote that opens in this row is never closed"),
        (b'a,b\n1,2\n"3,4\n5,6\n', r"line 3: a quote that opens in this row is never closed"),
        (b'a,b\n1,2\n3,"4\n5,"6"\n', r"line 4: text behind a closing quote, in the row that begins in line 3"),
        (b'a,b\n1,"2"x\n', r"line 2: text behind a closing quote"),
        (b'a,b\n1,"2\n3,4"\n5,"6\n7",8\n', r"lines 4 to 5 \(a quote joins them\): 3 fields where"),
        (b"\n\n\n", r"has blank lines only"),
    ],
)
def test_what_is_no_csv_is_refused_with_its_line(refused, content, said):
    assert re.match(said if said.startswith(("line", "has")) else f".*{said}", refused(content)), refused(content)


@pytest.mark.parametrize("spoilt", [b"1,2,3\n", b"m\xfc,2\n", b'1,"2\n', b'1,"2"3\n'])
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_the_line_is_right_far_behind_the_first_block(refused, monkeypatch, spoilt, name):
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 1 << 12)
    content = BODY + b'"3000\n",x\n' + spoilt + b"y,y\n"
    assert refused(gzip.compress(content, mtime=0) if name.endswith(".gz") else content, name).startswith("line 3002: ")


def test_rows_that_an_open_quote_would_swallow_are_not_lost_in_silence(refused):
    """The quote before foo closes before baz: three rows would have become one, and nobody the wiser."""
    said = refused(b'a,b,c\n1,"foo,2\n2,bar,3\n3,"baz",4\n')
    assert said.startswith("line 4: text behind a closing quote, in the row that begins in line 2")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(BODY, mtime=0)[:-400], r"behind line 2\d\d\d: the compressed file ends in the middle"),
        (gzip.compress(BODY, mtime=0)[:-4], r"behind line 2999: the compressed file ends in the middle"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0) + b"tail", r"behind line 2: no sound gzip"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-8] + b"\0" * 8, r"no sound gzip \(CRC"),
        (b"a,b\n1,2\n", r"at its beginning: no sound gzip"),
    ],
)
def test_what_is_no_gzip_is_refused(refused, content, said):
    assert re.search(said, refused(content, "x.csv.gz")), refused(content, "x.csv.gz")

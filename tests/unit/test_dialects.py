"""CSV in the dialects that programs write: read by a setting, or refused with the setting that would read it."""

import gzip
import re

import pytest
from pydantic import ValidationError

from recjobs.adapters import sources
from recjobs.adapters.sources import csv_files
from recjobs.catalog.sources import Location
from recjobs.errors import DataRefused


@pytest.fixture
def rows(tmp_path):
    """Reads a file of this content, in the dialect that a catalog says, as tuples of texts."""

    def read(content, columns=("a", "b"), name="x.csv", mapping=None, where=None, **settings):
        (tmp_path / name).write_bytes(content)
        place = Location(path=name, **settings)
        found = []
        for file in sources.find(tmp_path, name, place.format, place.delimiter, place.dialect):
            for batch in sources.read_rows(file, mapping or {column: column for column in columns}, where or {}):
                found += zip(*(c.to_pylist() for c in batch.columns.values()), strict=True)
        return found

    return read


@pytest.fixture
def refused(rows):
    def read(content, **settings):
        with pytest.raises(DataRefused) as caught:
            rows(content, **settings)
        return str(caught.value)

    return read


TWO = [("1", "2"), ("3", "4")]


# --- no header


@pytest.mark.parametrize("delimiter", ["\t", "|", ";", ","])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("zipped", [False, True])
def test_columns_may_be_named_by_position(rows, delimiter, ending, zipped):
    content = f"1{delimiter}x{delimiter}2{ending}3{delimiter}y{delimiter}4{ending}".encode()
    settings = {"delimiter": delimiter, "header": False, "names": ["a", "other", "b"]}
    name = "u.data.gz" if zipped else "u.data"
    content = gzip.compress(content) if zipped else content
    assert rows(content, name=name, format="csv", **settings) == TWO


def test_the_first_row_of_a_file_without_a_header_is_a_row_behind_a_mark_too(rows):
    assert rows(b"\xef\xbb\xbf1,2\n3,4\n", header=False, names=["a", "b"]) == TWO


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1,2,3\n", "the first row has 3 fields, '1,2,3', where `names` has 2"),
        (b"1\t2\n", r'separated by a tab: say `delimiter: "\\t"`'),
        (b"1,2\n3\n", "line 2: 1 field where `names` has 2"),
    ],
)
def test_names_that_do_not_fit_the_fields_are_refused(refused, content, said):
    assert re.search(said, refused(content, header=False, names=["a", "b"]))


# --- lines that are no rows


@pytest.mark.parametrize("before", [b"Orders of 2024\n", b"# a\n\n", b'"an, odd\n', b"a,b,c\n"])
@pytest.mark.parametrize("names", [[], ["a", "b"]])
def test_lines_before_the_rows_are_skipped(rows, before, names):
    header = b"" if names else b"a,b\n"
    settings = {"skip_lines": before.count(b"\n"), "header": not names, "names": names}
    assert rows(before + header + b"1,2\n3,4\n", **settings) == TWO


@pytest.mark.parametrize("sign", ["#", "%", ";"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_comment_lines_are_no_rows_wherever_they_stand(rows, sign, ending):
    lines = [f'{sign} "made, today', f"{sign}", "a,b", "1,2", f'{sign} half" way', "3,4", f"{sign} end"]
    assert rows(ending.join(lines).encode(), comment=sign) == TWO


def test_a_line_inside_a_quoted_field_is_no_comment(rows):
    assert rows(b'a,b\n1,"x\n# y"\n# z\n3,4\n', comment="#") == [("1", "x\n# y"), ("3", "4")]


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"'])
@pytest.mark.parametrize("delimiter", [";", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_excels_line_names_the_delimiter_and_is_no_row(rows, line, delimiter, encoding):
    content = f"{line}\r\na;b\r\n1;2\r\n3;4\r\n".encode(encoding)
    assert rows(content, delimiter=delimiter, encoding=encoding) == TWO


def test_lines_are_counted_as_an_editor_does_behind_those_that_are_no_rows(refused):
    said = refused(b"Report\n# x\na,b\n1,2\n# y\n1,2,3\n", skip_lines=1, comment="#")
    assert "line 6: 3 fields where the header has 2" in said


# --- quotes and escapes


def test_without_quotes_a_quote_is_a_sign_like_others(rows):
    assert rows(b'a,b\n"1,2\n3,"\n', quote="none") == [('"1', "2"), ("3", '"')]


def test_another_sign_may_stand_around_fields(rows):
    assert rows(b"a,b\n'1,''\n',\"\n3,4\n", quote="'") == [("1,'\n", '"'), ("3", "4")]


@pytest.mark.parametrize(
    ("content", "settings", "expected"),
    [
        (rb'a;b|1;"a \"b\"; c"|3;"\\"', {}, [("1", 'a "b"; c'), ("3", "\\")]),
        (rb"a;b|1;x\;y|3;\\", {"quote": "none"}, [("1", "x;y"), ("3", "\\")]),
        (rb"a;b|1;tab\\ and C:\\x|3;y", {}, [("1", "tab\\ and C:\\x"), ("3", "y")]),
        (rb"a;b|\N;2|3;\N|\N;\N", {}, [("", "2"), ("3", ""), ("", "")]),
    ],
)
def test_an_escape_takes_the_meaning_from_the_sign_behind_it(rows, content, settings, expected):
    content = content.replace(b"|", b"\n")
    assert rows(content, delimiter=";", escape="\\", **settings) == expected


def test_an_escaped_line_end_belongs_to_the_field(rows):
    assert rows(b"a\tb\n1\tx\\\ny\n3\t4\n", delimiter="\t", escape="\\", quote="none") == [("1", "x\ny"), ("3", "4")]


def test_a_quote_left_open_behind_an_escape_is_found(refused):
    assert "line 2" in refused(b'a,b\n1,"x\\"\n3,4\n5,"y"\n', escape="\\")


# --- encodings and numbers


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin-1", "Müller"),
        ("windows-1252", "10 €"),
        ("cp1251", "Привет"),
        ("utf-16", "Zoë, 日本"),
        ("utf-16-le", "日本"),
        ("utf-16-be", "日本"),
        ("shift-jis", "表示"),
        ("mac-roman", "Müller"),
    ],
)
@pytest.mark.parametrize("block", [1 << 12, 16 << 20])
def test_text_is_decoded_as_the_catalog_says(rows, monkeypatch, encoding, text, block):
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", block)
    content = ("a,b\n" + "".join(f'{n},"{text}"\n' for n in range(2000))).encode(encoding)
    assert rows(content, encoding=encoding) == [(str(n), text) for n in range(2000)]


def test_utf_16_without_a_mark_is_as_windows_writes_it(rows):
    assert rows("a,b\n1,2\n3,4\n".encode("utf-16-le"), encoding="utf-16") == TWO


def test_bytes_that_an_encoding_does_not_have_are_refused(refused):
    assert "line 3: " in refused(b"a,b\n1,2\n\x81,4\n", encoding="cp1252")
    assert "is no text in utf-16" in refused("a,b\n1,2\n".encode("utf-16")[:-1], encoding="utf-16")


def test_with_a_decimal_comma_weights_and_prices_are_numbers(rows):
    content = b"a;b\n1,50;1.234,5\n-2;1.234\n1.5;x,y\n"
    assert rows(content, delimiter=";", decimal=",", mapping={"weight": "a", "price": "b"}) == [
        ("1.50", "1234.5"),
        ("-2", "1234"),
        ("1.5", "x,y"),
    ]
    assert rows(content, delimiter=";", decimal=",", mapping={"title": "a"})[0] == ("1,50",)


# --- a refusal names the setting


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        (
            b"7\t9\t1704102240\n",
            {"delimiter": "\t"},
            r"Line 1, '7\\t9\\t1704102240', looks like data: say `header: fal",
        ),
        (b"u1,i1,3.5\n", {}, "looks like data: say `header: false` and `names:"),
        (b"# by me\na,b\n", {}, "Line 1, '# by me', looks like a comment: say `comment: '#'`"),
        (b"-- by me\na,b\n", {}, "looks like a comment: say `skip_lines:`"),
        (b"Orders\n\na,b\n1,2\n", {}, "stands before the header in line 3: say `skip_lines: 2`"),
        (b'{"a": 1}\n', {}, "begins as JSON does"),
        ("a,b\n1,2\n".encode("utf-16"), {}, "say `encoding: utf-16`"),
        ("a,b\n1,2\n".encode("utf-16-be"), {}, "say `encoding: utf-16`"),
        (b"a,b\n1,M\xfcller\n", {}, "such as `encoding: cp1252`"),
        (b'a,b\n1,"x \\"y\\" z"\n', {}, r"say `escape: '\\'`"),
        (b'a,b\n1,"x\n3,4\n', {}, "say `quote: none`"),
        (b'a,b\n"1"x,2\n3,4\n', {}, "say `quote: none`"),
    ],
)
def test_what_cannot_be_read_is_shown_with_the_setting_that_reads_it(refused, content, settings, said):
    message = refused(content, **settings)
    assert re.search(said, message) or said in message, message


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"delimiter": '":"'}, "is no delimiter: it is one ASCII character .*, or up to eight signs"),
        ({"delimiter": "é"}, "is no delimiter"),
        ({"delimiter": "123456789"}, "is no delimiter"),
        ({"delimiter": '"'}, "is no delimiter"),
        ({"header": False}, "header: false needs names"),
        ({"names": ["a"]}, "names belongs to header: false"),
        ({"header": False, "names": ["a", "a"]}, "names has 'a' more than once"),
        ({"comment": "ab"}, "is no sign"),
        ({"escape": "none"}, "is no sign"),
        ({"escape": '"'}, "need a sign each"),
        ({"encoding": "utf-7"}, "should be 'utf-8', 'utf-16'"),
        ({"skip_lines": -1}, "greater than or equal to 0"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_words(settings, said):
    with pytest.raises(ValidationError, match=said):
        Location(path="x.csv", **settings)


# --- rows that a quote swallows


ORDERS = "".join(f"u{n},{n},pipe,2024-05-{n % 28 + 1:02d}\n" for n in range(40))


def _orders(*lines, header="user,item,title,at\n", delimiter=","):
    return (header + ORDERS + "".join(lines) + ORDERS).replace(",", delimiter).encode()


SWALLOWED = [
    ('u1,7,"Hello,2024-05-01\n', 'u2,8,World",2024-05-02\n'),
    ('u1,7,"Hello,2024-05-01\n', "u2,8,pipe,2024-05-02\n", "u2,9,pipe,2024-05-02\n", 'u3,8,5",2024-05-02\n'),
    ('"u1,7,pipe,2024-05-01\n', 'u2",8,pipe,2024-05-02\n'),
    ('u1,7,"Hello,2024-05-01\r\n', 'u2,8,World",2024-05-02\r\n'),
]


@pytest.mark.parametrize("lines", SWALLOWED)
@pytest.mark.parametrize(
    "settings", [{}, {"delimiter": ";"}, {"header": False, "names": ["user", "item", "title", "at"]}]
)
def test_rows_between_two_stray_quotes_are_refused_and_read_by_a_setting(rows, refused, lines, settings):
    header = "" if "names" in settings else "user,item,title,at\n"
    content = _orders(*lines, header=header, delimiter=settings.get("delimiter", ","))
    first = 42 if header else 41
    said = refused(content, columns=["user"], **settings)
    assert (
        f"lines {first} to {first + len(lines) - 1}: a quote in the first joins what looks like {len(lines)} rows"
        in said
    )
    assert len(rows(content, columns=["user"], quote="none", **settings)) == 80 + len(lines)


def test_rows_are_missed_in_a_small_file_too(refused):
    assert "looks like 3 rows" in refused(b'a,b,c\n1,"foo,2\n2,bar,3\n3,baz",4\n')


@pytest.mark.parametrize(
    "field",
    ["two\nlines", "Foo, bar\nbaz, qux", "a\n,\n,,\n", "1,\n2,", "1. one, a\n2. two, b\n3. three, c", "\n\n\n"],
)
def test_a_text_of_several_lines_is_one_field(rows, field):
    lines = [f'u1,7,"{field}",2024-05-01\n']
    assert len(rows(_orders(*lines), columns=["user"])) == 81
    assert (field,) in rows(_orders(*lines), columns=["title"])

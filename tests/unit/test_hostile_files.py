"""Hostile inputs for dialects and formats: each is read right, or refused by its exit code, place and reason,
within bounded memory."""

import gzip
import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from recjobs.errors import DataRefused
from tests.source_rows import understood

HEAD, LINE = b"user,item,at\n", b"u,i,2024-05-01\n"
ONE = 1
LONG = (1 << 24) + 10
MEMORY, BOMB = 256 << 20, 90 << 20
"""Bytes that Python may hold at a time, for a field of 16 million characters and for a bomb of 96 MiB."""


def parquet(rows=3, **options):
    sink = io.BytesIO()
    table = pa.table({"user": [f"u{n}" for n in range(rows)], "item": ["i"] * rows, "at": ["2024-05-01"] * rows})
    pq.write_table(table, sink, **{"compression": "none", "use_dictionary": False} | options)
    return sink.getvalue()


def footer_of(content):
    """A file's footer with its length and the magic bytes."""
    (size,) = struct.unpack("<I", content[-8:-4])
    return content[-8 - size :]


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return sink.getvalue()


def nested(depth):
    content = HEAD + LINE
    for n in range(depth):
        content = zipped(("x.csv.zip" if n else "x.csv", content))
    return content


def json_line(**more):
    return json.dumps({"user": "u", "item": "i", "at": "2024-05-01"} | more).encode() + b"\n"


SHORT, LARGE = parquet(3), parquet(3000)
SMALL_JSON = json_line()

# name of the file, content, settings, what becomes of it: a number of rows, or (error, words of the message)
CASES = {
    # signs that mean something to a regular expression, a shell or a format
    "a delimiter that is a regular expression": ("x.csv", HEAD + LINE, {"delimiter": ".*"},
                                                 (DataRefused, "one column")),
    "a delimiter that matches everything": ("x.csv", b"user|item|at\nu|i|2024-05-01\n", {"delimiter": "|"}, ONE),
    "a delimiter of brackets": ("x.csv", b"user[item[at\nu[i[2024-05-01\n", {"delimiter": "["}, ONE),
    "a delimiter of a backslash": ("x.csv", b"user\\item\\at\nu\\i\\2024-05-01\n", {"delimiter": "\\"}, ONE),
    "a delimiter of a caret": ("x.csv", b"user^item^at\nu^i^2024-05-01\n", {"delimiter": "^"}, ONE),
    "a delimiter of a letter": ("x.csv", b"userxitemxat\nuxix2024-05-01\n", {"delimiter": "x"}, ONE),
    "a delimiter that is a digit of the times": ("x.csv", HEAD + LINE, {"delimiter": "0"}, (DataRefused, "one column")),
    "a delimiter that catastrophic patterns have": ("x.csv", HEAD + LINE, {"delimiter": "(a+)+$"},
                                                     (DataRefused, "one column")),
    "a comment sign that is a pattern": ("x.csv", HEAD + b".,i,2024-05-01\n" + LINE, {"comment": "."}, ONE),
    "an escape that is a pattern": ("x.csv", HEAD + b"u$,,i,2024-05-01\n", {"escape": "$"}, ONE),
    "an escape at the end of the file": ("x.csv", HEAD + LINE + b"u,i,2024-05-01\\", {"escape": "\\"}, DataRefused),
    "a quote that is a pattern": ("x.csv", HEAD + b"*u,u*,i,2024-05-01\n", {"quote": "*"}, ONE),
    "names that are formulas": ("x.csv", b"=1+1,user,item,at\n=cmd|'/c calc'!A1,u,i,2024-05-01\n", {}, ONE),
    "a first line sep= of a quote": ("x.csv", b'sep="\n' + HEAD + LINE, {}, (DataRefused, "has no column")),
    "a first line sep= of nothing": ("x.csv", b"sep=\n" + HEAD + LINE, {}, (DataRefused, "stands before the header")),
    # sizes
    "a field of the largest size": ("x.csv", lambda: HEAD + LINE + b"u," + b"i" * (3 * LONG) + b",2024-05-01\n", {},
                                    (DataRefused, "line 3: is longer than 16,777,216 characters")),
    "a quoted field that never ends": ("x.csv", lambda: HEAD + b'u,"' + (b"i" * 999 + b"\n") * (LONG // 1000 + 1), {},
                                       (DataRefused, "line 2: ")),
    "a header of the largest size": ("x.csv", lambda: b"u" * LONG, {}, (DataRefused, "line 1: is longer")),
    "a line of the largest size in UTF-16": ("x.csv", lambda: ("u" * LONG).encode("utf-16"), {"encoding": "utf-16"},
                                             (DataRefused, "line 1: is longer")),
    "a first line without an end behind sep=": ("x.csv", lambda: b"sep=" + b";" * LONG, {}, (DataRefused, "line 1: ")),
    "lines to skip without an end": ("x.csv", HEAD + LINE, {"skip_lines": 100_000}, (DataRefused, "blank lines only")),
    "many columns": ("x.csv", b",".join([b"user,item,at", *(b"c%d" % n for n in range(2000))]) + b"\n" + LINE[:-1]
                     + b"," * 2000 + b"\n", {}, ONE),
    "many blank lines": ("x.csv", HEAD + b"\n" * 200_000 + LINE, {}, ONE),
    "a line of the largest size in JSON": ("x.jsonl", lambda: b'{"user": "' + b"u" * LONG + b'"}\n', {},
                                           (DataRefused, "line 1: is longer")),
    "zeros instead of text": ("x.csv", lambda: b"\0" * LONG, {}, (DataRefused, "line 1: ")),
    # compression
    "a zip bomb": ("x.csv.zip", lambda: zipped(("x.csv", b"\0" * (96 << 20))), {}, (DataRefused, "line 1: is longer")),
    "a gzip bomb": ("x.csv.gz", lambda: gzip.compress(b"a" * (96 << 20), 1), {}, (DataRefused, "line 1: is longer")),
    "a bomb of JSON": ("x.jsonl.gz", lambda: gzip.compress(b"[" * (96 << 20), 1), {},
                                        (DataRefused, "line 1: is longer")),
    "a bomb that says it is Parquet": ("x.parquet.gz", lambda: gzip.compress(b"\0" * (96 << 20), 1), {},
                                       (DataRefused, "holds more than 64 MiB")),
    "a zipped bomb that says it is Parquet": ("x.parquet.zip", lambda: zipped(("x.parquet", b"\0" * (96 << 20))), {},
                                              (DataRefused, "holds more than 64 MiB")),
    "a zip in a zip": ("x.csv.zip", nested(2), {"format": "csv"}, (DataRefused, "compressed again")),
    "zips as deep as one likes": ("x.csv.zip", nested(50), {"format": "csv"}, (DataRefused, "compressed again")),
    "gzip in gzip": ("x.csv.gz", gzip.compress(gzip.compress(HEAD + LINE)), {}, (DataRefused, "line 1")),
    "a zip whose member is a path": ("x.csv.zip", zipped(("../../etc/x.csv", HEAD + LINE)), {}, ONE),
    "a zip whose member is absolute": ("x.csv.zip", zipped(("/etc/passwd.csv", HEAD + LINE)), {}, ONE),
    "a zip whose member is a folder": ("x.csv.zip", zipped(("x.csv/", b"")), {"format": "csv"},
                                        (DataRefused, "0 files")),
    "a zip of two tables": ("x.csv.zip", zipped(("a.csv", HEAD), ("b.csv", HEAD)), {"format": "csv"},
                            (DataRefused, "holds 2 files")),
    "a zip with bytes before it": ("x.csv.zip", b"#!/bin/sh\n" + zipped(("x.csv", HEAD + LINE)), {}, ONE),
    "gzip with bytes behind it": ("x.csv.gz", gzip.compress(HEAD + LINE) + b"rm -rf", {},
                                        (DataRefused, "no sound gzip")),
    "raw deflate called gzip": ("x.csv.gz", zlib.compress(HEAD + LINE), {}, (DataRefused, "no sound gzip")),
    # encodings
    "encodings mixed by line": ("x.csv", HEAD + "ü,i,2024-05-01\n".encode() + "ü,i,2024-05-01\n".encode("cp1252"), {},
                                (DataRefused, "line 3: the bytes")),
    "UTF-16 behind a header in UTF-8": ("x.csv", HEAD + "u,i,2024-05-01\n".encode("utf-16-le"), {}, DataRefused),
    "two marks of the byte order": ("x.csv", b"\xef\xbb\xbf\xef\xbb\xbf" + HEAD + LINE, {},
                                        (DataRefused, "no column 'user'")),
    "a letter cut in two by a block": ("x.csv", HEAD + b"\xc3", {}, (DataRefused, "line 2")),
    "overlong UTF-8": ("x.csv", HEAD + b"\xc0\xaf,i,2024-05-01\n", {}, (DataRefused, "line 2: the bytes")),
    "half of a pair in UTF-16": ("x.csv", b"\xff\xfe" + "user,item,at\n".encode("utf-16-le") + b"\x00\xd8",
                                        {"encoding": "utf-16"},
                                 DataRefused),
    # JSON
    "a bomb of depth": ("x.jsonl", b'{"user": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", {},
                                        (DataRefused, "too deep")),
    "a bomb of keys": ("x.jsonl", SMALL_JSON + json_line(**{f"k{n}": n for n in range(50_000)}), {}, 2),
    "a number without an end": ("x.jsonl", b'{"user": ' + b"9" * 100_000 + b', "item": "i", "at": "2024-05-01"}\n', {},
                                ["user_id_too_long"]),
    "NaN as a user": ("x.jsonl", b'{"user": NaN, "item": "i", "at": "2024-05-01"}\n', {}, ONE),
    "a key that is an attribute of objects": ("x.jsonl", json_line(__class__="x", __proto__={"a": 1}), {}, ONE),
    "a list where rows are": ("x.jsonl", b"[" + SMALL_JSON + b"]", {}, (DataRefused, "line 1: ")),
    # Parquet
    "a footer that says more rows": ("x.parquet", SHORT[: -len(footer_of(SHORT))] + footer_of(LARGE), {}, DataRefused),
    "a footer that says fewer rows": ("x.parquet", LARGE[: -len(footer_of(LARGE))] + footer_of(SHORT), {},
                                      (3, DataRefused)),
    "a footer of all the file": ("x.parquet", SHORT[:-8] + struct.pack("<I", 1 << 31) + b"PAR1", {}, DataRefused),
    "a footer of nothing": ("x.parquet", b"PAR1" + struct.pack("<I", 0) + b"PAR1", {}, DataRefused),
    "a footer that ends early": ("x.parquet", SHORT[:-60] + SHORT[-8:], {}, DataRefused),
    "pages of other bytes": ("x.parquet", SHORT[:4] + b"\xff" * 60 + SHORT[64:], {}, DataRefused),
    "encrypted Parquet by its sign": ("x.parquet", SHORT[:-4] + b"PARE", {}, DataRefused),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA"):
        monkeypatch.setenv(f"RECJOBS_{key}", str(tmp_path))
    monkeypatch.setattr("recjobs.adapters.sources.compression.MOST_BYTES", 64 << 20)
    return tmp_path


def test_there_are_fifty_of_them():
    assert len(CASES) >= 50


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_file_is_read_right_or_refused_in_bounded_memory(folder, case):
    name, content, settings, expected = CASES[case]
    (folder / name).write_bytes(content() if callable(content) else content)
    is_large = callable(content) or "bomb" in case
    if is_large:
        tracemalloc.start()
    try:
        if isinstance(expected, int):
            rows, reasons = understood(path=name, **settings)
            assert (len(rows), reasons) == (expected, [])
        elif isinstance(expected, list):
            assert understood(path=name, **settings) == ([], expected)
        elif isinstance(expected, tuple) and isinstance(expected[0], int):
            with suppress(expected[1]):
                assert len(understood(path=name, **settings)[0]) == expected[0]
        else:
            error, said = expected if isinstance(expected, tuple) else (expected, "")
            with pytest.raises(error) as caught:
                understood(path=name, **settings)
            assert name in str(caught.value)
            assert said in str(caught.value), str(caught.value)
            assert len(str(caught.value)) < 2000
            assert caught.value.exit_code == (65 if error is DataRefused else 78)
        if is_large:
            assert tracemalloc.get_traced_memory()[1] < (BOMB if "bomb" in case else MEMORY)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("sign", ['"', "\n", "\0", "é", "", "a" * 9, '::"'])
def test_a_delimiter_that_cannot_be_is_a_mistake_of_the_catalog(folder, sign):
    (folder / "x.csv").write_bytes(HEAD + LINE)
    with pytest.raises(ValidationError):
        understood(path="x.csv", delimiter=sign)


@pytest.mark.parametrize(
    ("target", "said"), [("/proc/self/mem", "cannot be read"), ("/dev/zero", "no such file"), ("x.txt", "no such file")]
)
def test_a_link_that_leads_elsewhere_ends_by_a_message(folder, target, said):
    (folder / "x.txt").symlink_to(target)
    with pytest.raises(DataRefused, match=said):
        understood(path="x.txt")

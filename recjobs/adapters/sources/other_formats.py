"""Files and tables that are not read, by name: what they are, and what to do instead."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath

_COMPRESSED = "decompress it, or write it as .gz"
_CONVERT = "write it as Parquet or CSV"
_PACKED = "unpack it, and name the folder"
_SUFFIXES: dict[str, tuple[str, str]] = {
    **dict.fromkeys((".bz2",), ("compressed with bzip2", _COMPRESSED)),
    **dict.fromkeys((".xz", ".lzma"), ("compressed with xz", _COMPRESSED)),
    **dict.fromkeys((".zst", ".zstd"), ("compressed with Zstandard", _COMPRESSED)),
    **dict.fromkeys((".lz4", ".lzo", ".snappy", ".br", ".z"), ("compressed, but not with gzip", _COMPRESSED)),
    **dict.fromkeys((".tar", ".tgz", ".7z", ".rar"), ("an archive", _PACKED)),
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), ("a spreadsheet", "save it as CSV (UTF-8)")),
    **dict.fromkeys((".orc",), ("ORC", _CONVERT)),
    **dict.fromkeys((".avro",), ("Avro", _CONVERT)),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), ("Arrow IPC", _CONVERT)),
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".duckdb", ".mdb"), ("a database", _CONVERT)),
    **dict.fromkeys((".pkl", ".pickle", ".rds", ".h5", ".hdf5", ".sas7bdat", ".dta", ".sav"),
                    ("a program's own format", _CONVERT)),
    ".json": ("JSON", "say `format: jsonl` if every line is an object; an array can be written so with jq -c '.[]'"),
    ".xml": ("XML", _CONVERT),
}  # fmt: skip
_BESIDE = {".json", ".xml", ".db"}
"""Descriptions of tables are called so as well: beside tables they are passed over, as notes are."""
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (rb"BZh[1-9]1AY", "compressed with bzip2", _COMPRESSED),
    (rb"\xfd7zXZ\x00", "compressed with xz", _COMPRESSED),
    (rb"\x28\xb5\x2f\xfd", "compressed with Zstandard", _COMPRESSED),
    (rb"\x04\x22\x4d\x18|\xff\x06\x00\x00sNaPpY", "compressed, but not with gzip", _COMPRESSED),
    (rb"7z\xbc\xaf|Rar!\x1a", "an archive", _PACKED),
    (rb"\xd0\xcf\x11\xe0", "a spreadsheet of old Excel", "save it as CSV (UTF-8)"),
    (rb"ORC[^ -~]", "ORC", _CONVERT),
    (rb"Obj\x01", "Avro", _CONVERT),
    (rb"ARROW1", "Arrow IPC", _CONVERT),
    (rb"SQLite format 3\x00", "a database of SQLite", _CONVERT),
    (rb"%PDF-", "a PDF", _CONVERT),
    (rb"\x89HDF", "HDF5", _CONVERT),
    (rb"(?i:\s*<(!doctype html|html))", "an HTML page", "servers send one where a download fails: fetch it again"),
)


def by_suffix(name: str, *, beside_tables: bool = False) -> str | None:
    """What a file is by its suffix, and what to do; None if nothing is known of it. beside_tables: it lies in a folder
    of tables, where JSON may describe them."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in _SUFFIXES or (beside_tables and suffix in _BESIDE):
        return None
    return "is {}, which is not read: {}".format(*_SUFFIXES[suffix])


def by_content(name: str, first: bytes) -> str | None:
    """What a file is by its first bytes, if they are not those of its name."""
    lower = name.lower()
    if first.startswith(b"\x1f\x8b") and not lower.endswith(".gz"):
        return "line 1: the bytes are compressed with gzip: let its name end in .gz"
    if first.startswith(b"PK\x03\x04") and not lower.endswith(".zip"):
        return "line 1: the bytes are those of a zip archive: let its name end in .zip (a workbook: save it as CSV)"
    for pattern, what, remedy in _BEGINNINGS:
        if re.match(pattern, first):
            return f"line 1: is {what}, which is not read: {remedy}"
    return None


def table_format(files: Collection[str]) -> str | None:
    """The table format to which the files of a folder belong, by their paths in it. Its data files hold deleted and
    replaced rows as well, which only its own log tells from the others."""
    parts = [PurePosixPath(name).parts for name in files]
    if any("_delta_log" in each for each in parts):
        return "Delta Lake"
    if any(".hoodie" in each for each in parts):
        return "Hudi"
    if any(len(each) > 1 and each[-2] == "metadata" and each[-1].endswith(".metadata.json") for each in parts):
        return "Iceberg"
    return None


def is_json(name: str) -> bool:
    """Whether a file is called .json, as some programs call JSON Lines."""
    return name.lower().removesuffix(".gz").endswith(".json")


def is_unloaded(name: str) -> bool:
    """Whether a file is called as databases call parts of tables: 0000_part_00, 000000_0, part-00000-3c0f.c000."""
    base = PurePosixPath(name).name.lower()
    base = base.removesuffix(".gz")
    suffix = PurePosixPath(base).suffix
    plain = not suffix or bool(re.fullmatch(r"\.c?\d+", suffix))
    return plain and any(sign.isdigit() for sign in base) and not base.endswith("manifest")


_MARKERS = re.compile(r"_SUCCESS|_temporary|_metadata|_common_metadata|_(started|committed)_\d+")


def is_marker(name: str) -> bool:
    """Whether a file is one that writers leave beside their tables, such as _SUCCESS."""
    return bool(_MARKERS.fullmatch(PurePosixPath(name).name))

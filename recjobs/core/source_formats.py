"""The formats that sources come in, by name; `recjobs.adapters.sources.reading` reads them."""

from dataclasses import dataclass
from typing import Literal, get_args

SourceFormat = Literal["parquet", "csv", "jsonl"]
SUFFIXES: dict[SourceFormat, tuple[str, ...]] = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv", ".txt", ".tsv"),
    "jsonl": (".jsonl", ".ndjson"),
}
"""How files of each format are called, each also with .gz or .zip behind it; the first is the usual one."""
TableFormat = Literal["delta", "iceberg"]
TABLES: dict[str, str] = {"delta": "Delta Lake", "iceberg": "Iceberg"}
"""Formats of tables, whose folder has a log of which files are theirs."""
TITLES: dict[str, str] = {"parquet": "Parquet", "csv": "CSV", "jsonl": "JSON Lines"}

USUAL = " nor ".join(SUFFIXES[name][0] for name in get_args(SourceFormat))
IN_A_CATALOG = " or ".join(f"`format: {name}`" for name in get_args(SourceFormat))
"""For messages: `.parquet nor .csv`, and how a catalog says which format it is."""

LAST = "\U0010ffff"
"""A text behind all others."""

Encoding = Literal[
    "utf-8", "utf-16", "utf-16-le", "utf-16-be",
    "latin-1", "iso-8859-1", "iso-8859-2", "iso-8859-15", "cp1252", "windows-1252", "mac-roman",
    "cp1250", "cp1251", "cp1253", "cp1254", "shift-jis", "gb18030", "euc-kr", "big5",
]  # fmt: skip
"""How text is written as bytes, by names that Python knows."""


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written, apart from its delimiter; and what is a row of other files."""

    names: tuple[str, ...] = ()
    """The columns by position, of a file without a header line."""
    skip_lines: int = 0
    """Lines before the header, or before the first row."""
    comment: str | None = None
    """Lines that begin with this sign are no rows."""
    quote: str | None = '"'
    """The sign around fields; None: a quote is a sign like others."""
    escape: str | None = None
    """The sign that takes the meaning from the one behind it."""
    encoding: str = "utf-8"
    decimal: str = "."
    """Between the integer and the fraction of a number: a dot or a comma."""
    explode: str | None = None
    """The list in each line or row of JSON Lines or Parquet whose objects are the rows."""

    @property
    def is_plain(self) -> bool:
        """Whether the bytes of the file are what a parser of CSV in UTF-8 takes."""
        return (self.skip_lines, self.comment, self.escape, self.encoding) == (0, None, None, "utf-8")


PLAIN = Dialect()
"""CSV as RFC 4180 has it, in UTF-8 with a header."""


def format_of_suffix(suffix: str) -> SourceFormat | None:
    """The format of a suffix in lower case, or None."""
    return next((name for name, suffixes in SUFFIXES.items() if suffix in suffixes), None)

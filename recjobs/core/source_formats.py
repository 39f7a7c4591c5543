"""The formats that sources come in, by name; `recjobs.adapters.sources.reading` reads them."""

from typing import Literal, get_args

SourceFormat = Literal["parquet", "csv"]
SUFFIXES: dict[SourceFormat, tuple[str, ...]] = {"parquet": (".parquet", ".pq"), "csv": (".csv", ".txt")}
"""How files of each format are called, each also with .gz behind it; the first is the usual one."""
TITLES: dict[str, str] = {"parquet": "Parquet", "csv": "CSV"}

USUAL = " nor ".join(SUFFIXES[name][0] for name in get_args(SourceFormat))
IN_A_CATALOG = " or ".join(f"`format: {name}`" for name in get_args(SourceFormat))
"""For messages: `.parquet nor .csv`, and how a catalog says which format it is."""


def format_of_suffix(suffix: str) -> SourceFormat | None:
    """The format of a suffix in lower case, or None."""
    return next((name for name, suffixes in SUFFIXES.items() if suffix in suffixes), None)

"""What tables of Delta Lake and Iceberg have in common: a snapshot, and the refusals."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from recjobs.adapters.sources.places import SourceFile
from recjobs.core.source_formats import TABLES
from recjobs.errors import BadConfiguration, DataRefused

COPY_OUT = "or write its rows as Parquet into another folder, and name that"


@dataclass(frozen=True)
class TableSnapshot(SourceFile):
    """A table as of one snapshot; `sha256` is of the list of its data files, which are written once."""

    ranges: tuple[tuple[str, tuple[str, str]], ...] = ()
    """Of columns, the first and the last value that is read."""

    @property
    def folder(self) -> str:
        """Where the table lies."""
        return self.path.rpartition("#")[0]

    @property
    def snapshot(self) -> int:
        """Delta Lake's version, or Iceberg's snapshot id."""
        return int(self.path.rpartition("=")[2])


def refused(folder: str, format: str, error: Exception) -> DataRefused:
    """The refusal for what a library raised."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return DataRefused(f"{folder}: cannot be read as a table of {TABLES[format]} ({reason})")


def check_inside(folder: str, format: str, paths: Iterable[str]) -> None:
    """Raise DataRefused for a file that the log names outside its folder: it would be read with this night's rights."""
    root = os.path.realpath(folder)
    for path in paths:
        plain = path.removeprefix("file://") if path.startswith("file:///") else path.removeprefix("file:")
        for spelling in {plain, unquote(plain)}:  # which of the two a library opens is its own affair
            place = os.path.realpath(os.path.join(root, spelling))
            if "://" in spelling or os.path.commonpath([root, place]) != root:
                raise DataRefused(
                    f"{folder}: the log of this table of {TABLES[format]} names {path!r}, a file outside its folder, "
                    f"which is not opened. Read the table where it was written, {COPY_OUT}"
                )


def no_column(file: TableSnapshot, key: str) -> DataRefused:
    """The refusal of a range of a column that is not there."""
    return DataRefused(f"{file.path}: has no column {key!r}, which `partitions` asks for")


def no_range(file: TableSnapshot, key: str, kind: Any) -> BadConfiguration:
    """The refusal of a range of a column that is neither text, nor a date, nor a whole number."""
    return BadConfiguration(
        f"{file.path}: partitions.{key}: column {key!r} is {kind}; a range is of dates, text or whole numbers"
    )


def no_value(file: TableSnapshot, key: str, text: str, kind: Any) -> BadConfiguration:
    """The refusal of an end of a range that the column's type does not have."""
    return BadConfiguration(f"{file.path}: partitions.{key}: {text!r} is no {kind}")

"""Where the rows of a place are read from, and the dialect that its files are written in."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.config import JsonDict

from recjobs.catalog.part import Part
from recjobs.core.source_formats import LAST, Dialect, Encoding, SourceFormat, TableFormat

_DELIMITER = r"^([\t -!#-~]|[^\"\r\n\x00]{2,8})(?![\s\S])"  # in Python `$` is before a last line feed as well
_SIGN = r"^[!-/:-@\[-`{-~]$"


LOCATION: JsonDict = {
    "dependentRequired": {"sql": ["connection"], "connection": ["sql"], "names": ["header"]},
    "not": {"required": ["path", "sql"]},
    "if": {"properties": {"header": {"const": False}}, "required": ["header"]},
    "then": {"required": ["names"], "properties": {"names": {"minItems": 1}}},
    "else": {"properties": {"names": {"maxItems": 0}}},
}


class Between(Part):
    """A range of a folder's key, compared as text, both ends included."""

    since: str | None = None
    until: str | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.since is None and self.until is None:
            raise ValueError("needs since or until, or both")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError(f"since {self.since!r} lies behind until {self.until!r}")
        return self


class Location(Part):
    """Where rows are read from: `path`, a file, folder, glob or s3://bucket/..., or `sql` on a `connection`."""

    model_config = ConfigDict(json_schema_extra=LOCATION)

    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")] | None = None
    format: SourceFormat | TableFormat | None = None
    """delta, iceberg: the folder is a table, whose newest snapshot is read (needs `make install EXTRAS=tables`)."""
    delimiter: Annotated[str, Field(json_schema_extra={"pattern": _DELIMITER})] = ","
    """Between the fields of a CSV line, such as ; or "\\t", or several signs, such as ::, taken literally."""
    header: bool = True
    """false: the first line of a CSV file is a row, and `names` names the columns."""
    names: tuple[str, ...] = ()
    """The columns of a CSV file without a header, one name for each field in their order."""
    skip_lines: Annotated[int, Field(ge=0, le=100_000)] = 0
    """How many lines of a CSV file stand before the header (or the first row)."""
    comment: Annotated[str | None, Field(json_schema_extra={"pattern": _SIGN})] = None
    """Lines of a CSV file that begin with this sign, such as "#", are no rows."""
    quote: Annotated[str, Field(json_schema_extra={"pattern": f"{_SIGN}|^none$"})] = '"'
    """The sign around fields of a CSV file; none: a quote is a sign like others."""
    escape: Annotated[str | None, Field(json_schema_extra={"pattern": _SIGN})] = None
    """The sign before a quote, delimiter or line end that belongs to the field, such as "\\\\" in dumps of MySQL."""
    encoding: Encoding = "utf-8"
    """How a CSV file writes text as bytes."""
    decimal: Literal[".", ","] = "."
    """Before the fraction of weights and prices in a CSV file; with a comma, 1.234,50 is 1234.50."""
    explode: Annotated[str | None, Field(min_length=1)] = None
    """A list of objects in each line of JSON Lines (or row of Parquet), such as an event's items: each object is a row,
    with the columns of its line, and its own as `items.item_id`."""
    partitions: Annotated[dict[str, Between], Field(default_factory=dict)]
    """Of folders such as dt=2025-03-01, those that are read: {dt: {since: "2025-01-01"}}. The others are not opened.
    Of a table of Delta Lake or Iceberg, rows by any column of text, dates or whole numbers."""
    sql: str | None = None
    """One select statement for Postgres."""
    connection: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """shop: the URL is in the setting RECJOBS_CONNECTION_SHOP, so that no secret stands in a catalog."""

    is_required: ClassVar[bool] = False

    @field_validator("delimiter")
    @classmethod
    def _is_one_sign(cls, value: str) -> str:
        if not re.fullmatch(_DELIMITER, value):
            raise ValueError(
                "is no delimiter: it is one ASCII character other than a double quote, or up to eight signs, such as ::"
            )
        return value

    @field_validator("comment", "quote", "escape")
    @classmethod
    def _is_punctuation(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not re.match(_SIGN, value) and (info.field_name, value) != ("quote", "none"):
            raise ValueError("is no sign: it is one ASCII character of punctuation, such as # or \\")
        return value

    @model_validator(mode="after")
    def _one_dialect(self) -> Self:
        if self.header and self.names:
            raise ValueError("names belongs to header: false; a file with a header has its own")
        if not self.header and not self.names:
            raise ValueError("header: false needs names, one for each field, such as names: [user, item, at]")
        if double := next((name for name in self.names if self.names.count(name) > 1), None):
            raise ValueError(f"names has {double!r} more than once")
        signs = [sign for sign in (self.delimiter, self.quote, self.escape, self.comment) if sign not in (None, "none")]
        if len(set(signs)) < len(signs):
            raise ValueError("delimiter, quote, escape and comment need a sign each (a quote written twice needs none)")
        return self

    @model_validator(mode="after")
    def _path_or_sql(self) -> Self:
        if self.path is not None and self.sql is not None:
            raise ValueError("has both path and sql; rows come from one of them")
        if (self.sql is None) != (self.connection is None):
            raise ValueError("sql and connection belong together")
        if self.is_required and not self.has_location:
            raise ValueError("needs a path, or sql and a connection")
        return self

    @property
    def dialect(self) -> Dialect:
        """How the CSV files of this place are written, apart from their delimiter."""
        return Dialect(
            names=self.names,
            skip_lines=self.skip_lines,
            comment=self.comment,
            quote=None if self.quote == "none" else self.quote,
            escape=self.escape,
            encoding=self.encoding,
            decimal=self.decimal,
            explode=self.explode,
        )

    @property
    def ranges(self) -> dict[str, tuple[str, str]]:
        """The ranges of `partitions`, without an end where there is none."""
        return {key: (one.since or "", one.until or LAST) for key, one in self.partitions.items()}

    @property
    def has_location(self) -> bool:
        """Whether there is a path or a query."""
        return self.path is not None or self.sql is not None


class Join(Location):
    """Columns of another file, such as the user and the time of an order whose lines are the interactions."""

    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
    sql: None = None
    connection: None = None
    on: Annotated[str, Field(min_length=1)]
    """The column with the key, such as order_id."""
    key: Annotated[str | None, Field(min_length=1)] = None
    """The key's name in the other file, if it is another there. Each key stands in one row of it."""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """The columns that the other file adds, named in the source's `columns` and `where` like its own."""

    @model_validator(mode="after")
    def _adds_others(self) -> Self:
        if self.on in self.columns:
            raise ValueError(f"columns names the key {self.on!r}, which the source has itself")
        return self

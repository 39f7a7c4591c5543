"""The inputs of a catalog: their location, the meaning of their columns, and row filters."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.config import JsonDict

from recjobs.catalog.part import Part as Part
from recjobs.catalog.scalars import Positive, Share
from recjobs.catalog.times import OCCURRED_AT_UNLESS_NONE, SourceTime, Time
from recjobs.core.source_formats import Dialect, Encoding, SourceFormat
from recjobs.errors import ColumnRefused, DataRefused


class RowFilter(Part):
    """A condition on one column of a source. Rows that meet it are excluded: they are no interactions."""

    column: str
    is_empty: Literal[True] | None = None
    matches: str | None = None
    not_matches: str | None = None
    equals: str | None = None
    at_most: float | None = None
    at_least: float | None = None

    @field_validator("matches", "not_matches")
    @classmethod
    def _is_a_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _one_condition(self) -> "RowFilter":
        if len(self.model_dump(exclude={"column"}, exclude_none=True)) != 1:
            raise ValueError("needs exactly one of is_empty, matches, not_matches, equals, at_most, at_least")
        return self


_DELIMITER = r"^[\t -!#-~]$"
_SIGN = r"^[!-/:-@\[-`{-~]$"


_LOCATION: JsonDict = {
    "dependentRequired": {"sql": ["connection"], "connection": ["sql"], "names": ["header"]},
    "not": {"required": ["path", "sql"]},
    "if": {"properties": {"header": {"const": False}}, "required": ["header"]},
    "then": {"required": ["names"], "properties": {"names": {"minItems": 1}}},
    "else": {"properties": {"names": {"maxItems": 0}}},
}


class Location(Part):
    """Where rows are read from: `path`, a file, folder, glob or s3://bucket/..., or `sql` on a `connection`."""

    model_config = ConfigDict(json_schema_extra=_LOCATION)

    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")] | None = None
    format: SourceFormat | None = None
    delimiter: Annotated[str, Field(json_schema_extra={"pattern": _DELIMITER})] = ","
    """Between the fields of a CSV line, such as ; or "\\t"."""
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
    sql: str | None = None
    """One select statement for Postgres."""
    connection: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """shop: the URL is in the setting RECJOBS_CONNECTION_SHOP, so that no secret stands in a catalog."""

    is_required: ClassVar[bool] = False

    @field_validator("delimiter")
    @classmethod
    def _is_one_sign(cls, value: str) -> str:
        if not re.match(_DELIMITER, value):
            raise ValueError(
                "is no delimiter: it is one ASCII character other than a double quote. A file with more between its "
                r"fields, such as ::, can be written with a tab (sed 's/::/\t/g'), or converted to Parquet"
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
        )

    @property
    def has_location(self) -> bool:
        """Whether there is a path or a query."""
        return self.path is not None or self.sql is not None


class Mapping(Part):
    """Column mapping: canonical name -> the source's name, or None for a column it does not have."""

    @property
    def present(self) -> dict[str, str]:
        """The columns that the source has."""
        return {key: column for key, column in self.model_dump().items() if column}


class Columns(Mapping):
    """Which column of the source holds what."""

    user_id: str
    item_id: str
    occurred_at: str | None = None
    """Needed, unless `time: none` says that there is none."""
    weight: str | None = None
    kind: str | None = None
    order_id: str | None = None
    """Which order, invoice or basket the row belongs to; rows without one are put together by `orders.without_id`."""


class Source(Location):
    """Interactions of one shape."""

    model_config = ConfigDict(
        json_schema_extra={
            **_LOCATION,
            "allOf": [OCCURRED_AT_UNLESS_NONE],
        }
    )

    is_required: ClassVar[bool] = True
    where: Annotated[dict[str, RowFilter], Field(default_factory=dict)]
    columns: Columns
    time: SourceTime = Time()
    """none: the rows have no times. Then no source of the catalog has any."""
    repeats: Literal["merge", "sum"] = "merge"
    """What rows mean that are equal in user, item, time, weight, kind and order: the same interaction twice, or a
    quantity, which is added to the weight."""
    rating_to_weight: Annotated[dict[float, Positive], Field(min_length=1)] | None = None
    """{3: 1, 5: 2}: the weight column holds ratings; one from 3 on weighs 1, one from 5 on 2, one below 3 is no
    interaction."""

    @model_validator(mode="after")
    def _has_ratings(self) -> "Source":
        if self.rating_to_weight is not None and self.columns.weight is None:
            raise ValueError("rating_to_weight needs columns.weight, the column with the ratings")
        return self

    @model_validator(mode="after")
    def _has_a_time(self) -> "Source":
        if self.has_times and self.columns.occurred_at is None:
            raise ValueError(
                "needs columns.occurred_at, the column with the time; or say `time: none` if there is none"
            )
        if not self.has_times and self.columns.occurred_at is not None:
            raise ValueError("has both columns.occurred_at and time: none; leave one of them out")
        return self

    @property
    def has_times(self) -> bool:
        """Whether its rows say when they occurred."""
        return self.time.unit != "none"


class ItemColumns(Mapping):
    """Which column holds which attribute of an item."""

    item_id: str | None = None
    title: str | None = None
    categories: str | None = None
    price: str | None = None
    url: str | None = None
    image: str | None = None
    available: str | None = None


class Items(Location):
    """Attributes of items: from a location of their own, or without one from the sources' rows."""

    columns: ItemColumns
    separator: Annotated[str, Field(min_length=1, max_length=8)] = "|"
    """Between several categories in one text."""
    unknown: Literal["accept", "train_only", "quarantine", "refuse"] = "accept"
    """What happens to an interaction with an item that is missing from the items' own location. train_only: it trains
    the model, and the item is in no list, as in a feed of active items."""
    new: Literal["predict", "wait"] = "predict"
    """Items with a title or category but without an interaction in the training data: predict their factors, or wait
    until they have one."""
    max_new_share: Share = 0.1
    """Largest share of the served places that predicted items may take, as the mean over users."""

    @model_validator(mode="after")
    def _location_has_ids(self) -> "Items":
        if self.has_location and not self.columns.item_id:
            raise ValueError("columns.item_id is needed when items have a path of their own")
        if self.unknown != "accept" and not self.has_location:
            raise ValueError(f"unknown: {self.unknown} needs a path (or sql) that says which items are known")
        return self


class UserColumns(Mapping):
    """Which column holds which attribute of a user."""

    user_id: str
    segment: str | None = None
    prefers: str | None = None
    """Categories that the user prefers."""


class Users(Location):
    """Attributes of users. Users without an interaction get a popular list too."""

    is_required: ClassVar[bool] = True
    columns: UserColumns
    separator: Annotated[str, Field(min_length=1, max_length=8)] = "|"
    """Between several preferred categories in one text."""


@contextmanager
def named(source: Source, files: list[str]) -> Iterator[None]:
    """Prefix a DataRefused with the files, and replace a canonical column name by the source's."""
    try:
        yield
    except DataRefused as error:
        if isinstance(error, ColumnRefused) and error.column:
            error.column = source.columns.present.get(error.column, error.column)
        raise DataRefused(f"{', '.join(files[:3])}{' and more' if len(files) > 3 else ''}: {error}") from None

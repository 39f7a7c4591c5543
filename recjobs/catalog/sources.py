"""The inputs of a catalog: their location, the meaning of their columns, and row filters."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recjobs.catalog.scalars import Positive, Share, Timezone
from recjobs.core.source_formats import SourceFormat
from recjobs.errors import ColumnRefused, DataRefused


class Part(BaseModel):
    """A section of a catalog file: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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


class Location(Part):
    """Where rows are read from: `path`, a file, folder, glob or s3://bucket/..., or `sql` on a `connection`."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {"sql": ["connection"], "connection": ["sql"]},
            "not": {"required": ["path", "sql"]},
        }
    )

    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")] | None = None
    format: SourceFormat | None = None
    delimiter: Annotated[str, Field(pattern=r"^[\t -!#-~]$")] = ","
    """Between the fields of a CSV line, such as ; or "\\t"."""
    sql: str | None = None
    """One select statement for Postgres."""
    connection: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """shop: the URL is in the setting RECJOBS_CONNECTION_SHOP, so that no secret stands in a catalog."""

    is_required: ClassVar[bool] = False

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
    occurred_at: str
    weight: str | None = None
    kind: str | None = None


class Time(Part):
    """How a source writes instants; a time without an offset needs the timezone it was written in."""

    unit: Literal["iso", "s", "ms", "us"] = "iso"
    timezone: Timezone = "UTC"


class Source(Location):
    """Interactions of one shape."""

    is_required: ClassVar[bool] = True
    where: dict[str, RowFilter] = {}
    columns: Columns
    time: Time = Time()
    rating_to_weight: Annotated[dict[float, Positive], Field(min_length=1)] | None = None
    """{3: 1, 5: 2}: the weight column holds ratings; one from 3 on weighs 1, one from 5 on 2, one below 3 is no
    interaction."""

    @model_validator(mode="after")
    def _has_ratings(self) -> "Source":
        if self.rating_to_weight is not None and self.columns.weight is None:
            raise ValueError("rating_to_weight needs columns.weight, the column with the ratings")
        return self


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
    unknown: Literal["accept", "quarantine", "refuse"] = "accept"
    """What happens to an interaction with an item that is missing from the items' own location."""
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


@contextmanager
def named(source: Source, files: list[str]) -> Iterator[None]:
    """Prefix a DataRefused with the files, and replace a canonical column name by the source's."""
    try:
        yield
    except DataRefused as error:
        if isinstance(error, ColumnRefused) and error.column:
            error.column = source.columns.present.get(error.column, error.column)
        raise DataRefused(f"{', '.join(files[:3])}{' and more' if len(files) > 3 else ''}: {error}") from None

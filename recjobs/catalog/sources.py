"""What a catalog file says about its inputs: where they lie, which column is what, and what they must look like."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from recjobs.catalog.scalars import Positive, Share, Timezone
from recjobs.errors import ColumnRefused, DataRefused


class Part(BaseModel):
    """A part of a catalog file: frozen, and no other keys than these."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Rule(Part):
    """A condition on one column of a source. A row that meets it is no interaction at all."""

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
    def _one_condition(self) -> "Rule":
        given = [k for k in type(self).model_fields if k != "column" and getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError("needs exactly one of is_empty, matches, not_matches, equals, at_most, at_least")
        return self


class Place(Part):
    """Where rows lie: `path` is a file, a folder, a glob or s3://bucket/...; or `sql` is asked of a `connection`."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {"sql": ["connection"], "connection": ["sql"]},
            "not": {"required": ["path", "sql"]},
        }
    )

    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")] | None = None
    format: Literal["parquet", "csv"] | None = None
    delimiter: Annotated[str, Field(pattern=r"^[\t -!#-~]$")] = ","
    """Between the fields of a CSV line, such as ; or "\\t"."""
    sql: str | None = None
    """One select statement for Postgres."""
    connection: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    """shop: the URL is in the setting RECJOBS_CONNECTION_SHOP, so that no secret stands in a catalog."""

    @model_validator(mode="after")
    def _is_one_place(self) -> "Place":
        if self.path is not None and self.sql is not None:
            raise ValueError("has both path and sql; rows come from one of them")
        if (self.sql is None) != (self.connection is None):
            raise ValueError("sql and connection belong together")
        return self

    @property
    def is_given(self) -> bool:
        """Whether rows come from here at all."""
        return self.path is not None or self.sql is not None


class Mapping(Part):
    """Which column holds what: canonical name -> the source's name."""

    @property
    def given(self) -> dict[str, str]:
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


class Source(Place):
    """Interactions of one shape."""

    where: dict[str, Rule] = {}
    columns: Columns
    time: Time = Time()
    rating_to_weight: Annotated[dict[float, Positive], Field(min_length=1)] | None = None
    """{3: 1, 5: 2}: the weight column holds ratings; one from 3 on weighs 1, one from 5 on 2, one below 3 is no
    interaction."""

    @model_validator(mode="after")
    def _is_somewhere(self) -> "Source":
        if not self.is_given:
            raise ValueError("needs a path, or sql and a connection")
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


class Items(Place):
    """Attributes of items: from a place of their own, or without one from the sources' rows."""

    columns: ItemColumns
    unknown: Literal["accept", "quarantine", "refuse"] = "accept"
    """What happens to an interaction with an item that the items' own place does not have."""
    new: Literal["predict", "wait"] = "predict"
    """Items with a title or category that the model does not know, since nobody or nobody in time took them: predict
    what it would know of them, or wait until it does."""
    max_new_share: Share = 0.1
    """The most that predicted items may take of the places that are served, in the mean of all users."""

    @model_validator(mode="after")
    def _place_has_ids(self) -> "Items":
        if self.is_given and not self.columns.item_id:
            raise ValueError("columns.item_id is needed when items have a path of their own")
        if self.unknown != "accept" and not self.is_given:
            raise ValueError(f"unknown: {self.unknown} needs a path (or sql) that says which items are known")
        return self


class UserColumns(Mapping):
    """Which column holds which attribute of a user."""

    user_id: str
    segment: str | None = None
    prefers: str | None = None
    """Categories that the user said to like."""


class Users(Place):
    """Attributes of users. Users without an interaction get a list too: of what is popular where they belong."""

    columns: UserColumns

    @model_validator(mode="after")
    def _is_somewhere(self) -> "Users":
        if not self.is_given:
            raise ValueError("needs a path, or sql and a connection")
        return self


@contextmanager
def named(source: Source, files: list[str]) -> Iterator[None]:
    """Say in which files something is wrong, and name a column as the source does."""
    try:
        yield
    except DataRefused as error:
        if isinstance(error, ColumnRefused) and error.column:
            error.column = source.columns.given.get(error.column, error.column)
        raise DataRefused(f"{', '.join(files[:3])}{' and more' if len(files) > 3 else ''}: {error}") from None

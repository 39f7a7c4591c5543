"""The inputs of a catalog: their location, the meaning of their columns, and row filters."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from recjobs.catalog.locations import LOCATION, Join
from recjobs.catalog.locations import Location as Location
from recjobs.catalog.part import Part as Part
from recjobs.catalog.scalars import Positive, Share
from recjobs.catalog.times import OCCURRED_AT_UNLESS_NONE, SourceTime, Time
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
            **LOCATION,
            "allOf": [OCCURRED_AT_UNLESS_NONE],
        }
    )

    is_required: ClassVar[bool] = True
    where: Annotated[dict[str, RowFilter], Field(default_factory=dict)]
    columns: Columns
    join: Join | None = None
    """Columns that stand in another file, found there by a key."""
    time: SourceTime = Time()
    """none: the rows have no times. Then no source of the catalog has any."""
    repeats: Literal["merge", "sum"] = "merge"
    """What rows mean that are equal in user, item, time, weight, kind and order: the same interaction twice, or a
    quantity, which is added to the weight."""
    rating_to_weight: Annotated[dict[float, Positive], Field(min_length=1)] | None = None
    """{3: 1, 5: 2}: the weight column holds ratings; one from 3 on weighs 1, one from 5 on 2, one below 3 is no
    interaction."""

    @model_validator(mode="after")
    def _joins_files(self) -> "Source":
        if self.join is not None and self.sql is not None:
            raise ValueError("has both sql and join; a query joins by itself")
        return self

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
    product_id: str | None = None
    """The product that the item is a variant of, see `items.variants_by`."""


class Items(Location):
    """Attributes of items: from a location of their own, or without one from the sources' rows."""

    columns: ItemColumns
    separator: Annotated[str, Field(min_length=1, max_length=8)] = "|"
    """Between several categories in one text."""
    tree: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    """Between the levels of one category, such as > in Home > Light: the item is in Home and in Home > Light; null:
    categories have no levels."""
    unknown: Literal["accept", "train_only", "quarantine", "refuse"] = "accept"
    """What happens to an interaction with an item that is missing from the items' own location. train_only: it trains
    the model, and the item is in no list, as in a feed of active items."""
    new: Literal["predict", "wait"] = "predict"
    """Items with a title or category but without an interaction in the training data: predict their factors, or wait
    until they have one."""
    max_new_share: Share = 0.1
    """Largest share of the served places that predicted items may take, as the mean over users."""
    variants_by: Literal["product_id", "title"] | None = None
    """Items that are equal in it are variants of one product, of which a list holds one; null: any number."""

    @model_validator(mode="after")
    def _location_has_ids(self) -> "Items":
        if self.has_location and not self.columns.item_id:
            raise ValueError("columns.item_id is needed when items have a path of their own")
        if self.tree == self.separator:
            raise ValueError(f"tree: {self.tree} is the separator too; a sign is between levels or between categories")
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

"""A catalog file as typed, frozen values: one set of users, items and interactions with its own settings."""

import difflib
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from recjobs.core.recipe import Recipe
from recjobs.errors import Misuse
from recjobs.scalars import Cron, Number, Positive, Share, Timezone


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Part):
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


class Columns(_Part):
    """Which column of the source holds what."""

    user_id: str
    item_id: str
    occurred_at: str
    weight: str | None = None
    kind: str | None = None


class Time(_Part):
    """How a source writes instants; a time without an offset needs the timezone it was written in."""

    unit: Literal["iso", "s", "ms", "us"] = "iso"
    timezone: Timezone = "UTC"


class Source(_Part):
    """A file, or a glob of files of one shape."""

    path: str
    format: Literal["parquet", "csv"] | None = None
    where: dict[str, Rule] = {}
    columns: Columns
    time: Time = Time()


class ItemColumns(_Part):
    """Which column holds which attribute of an item."""

    item_id: str | None = None
    title: str | None = None
    categories: str | None = None
    price: str | None = None
    url: str | None = None
    image: str | None = None
    available: str | None = None


class Items(_Part):
    """Attributes of items: from a file of their own, or without `path` from the sources' rows."""

    path: str | None = None
    format: Literal["parquet", "csv"] | None = None
    columns: ItemColumns

    @model_validator(mode="after")
    def _file_has_ids(self) -> "Items":
        if self.path and not self.columns.item_id:
            raise ValueError("columns.item_id is needed when items have a path of their own")
        return self


class Model(_Part):
    """Hyperparameters, as `recjobs.core.recipe.Recipe` explains them."""

    factors: Annotated[int, Field(ge=1, le=1024), Number] = 64
    alpha: Positive = 20.0
    regularization: Positive = 20.0
    iterations: Annotated[int, Field(ge=1, le=200), Number] = 15
    weight_scale: Literal["one", "linear", "log"] = "one"
    weight_cap: Positive | None = None


class Recency(_Part):
    """An interaction this many days old counts half."""

    half_life_days: Positive | None = None


class TopN(_Part):
    """How many items a list holds, and how many of them are served."""

    stored: Annotated[int, Field(ge=1, le=1000), Number] = 100
    served: Annotated[int, Field(ge=1, le=1000), Number] = 50

    @model_validator(mode="after")
    def _served_is_stored(self) -> "TopN":
        if self.served > self.stored:
            raise ValueError(f"served {self.served} is more than stored {self.stored}")
        return self


class Limits(_Part):
    """What the input may look like before the night stops."""

    max_rejected_share: Share = 0.1
    min_interactions: Annotated[int, Field(ge=1), Number] = 1


class Gate(_Part):
    """When a candidate is refused."""

    max_relative_drop: Share = 0.05
    max_segment_drop: Share = 0.1
    min_coverage: Share = 0.0
    min_overlap_after_refit: Share = 0.1


class Inspect(_Part):
    """Bands the finished lists must stay in."""

    min_users_covered: Share = 1.0
    min_coverage: Share = 0.0
    max_top_item_share: Share = 1.0


class Schedule(_Part):
    """When the nightly DAG starts by itself; no cron: only when triggered."""

    cron: Cron | None = None
    timezone: Timezone = "UTC"


_HOME_OF = dict.fromkeys(Recency.model_fields, "recency")


class Catalog(_Part):
    """One set of users, items and interactions with its own settings, schema, DAGs and model."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
    description: str = ""
    mode: Literal["snapshot"] = "snapshot"
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    items: Items | None = None
    kinds: dict[str, Positive] = {}
    recency: Recency = Recency()
    seen: Literal["exclude", "allow"] = "exclude"
    holdout_days: Positive = 30
    min_holdout_users: Annotated[int, Field(ge=1), Number] = 1000
    top_n: TopN = TopN()
    model: Model = Model()
    limits: Limits = Limits()
    gate: Gate = Gate()
    inspect: Inspect = Inspect()
    schedule: Schedule = Schedule()
    seed: Annotated[int, Field(ge=0, lt=2**32), Number] = 7

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value in ("public", "information_schema") or value.startswith("pg_"):
            raise ValueError("is a name Postgres keeps for itself")
        return value

    @property
    def recipe(self) -> Recipe:
        """The recipe that this catalog asks for."""
        return Recipe(
            **self.model.model_dump(),
            half_life_days=self.recency.half_life_days,
            kinds=tuple(sorted(self.kinds.items())),
        )

    def with_overrides(self, overrides: dict[str, Any]) -> "Catalog":
        """This catalog with `{"model.factors": 32, ...}` set; a bare name means a key of `model` or `recency`.

        Raises Misuse when a key or value cannot be.
        """
        tree = self.model_dump(mode="json")
        for dotted, value in overrides.items():
            path = dotted if "." in dotted or dotted in tree else f"{_HOME_OF.get(dotted, 'model')}.{dotted}"
            *branches, leaf = path.split(".")
            if path == "name":
                raise Misuse("--set name: a catalog is named by its file")
            node: Any = tree
            for branch in branches:
                node = node.get(branch) if isinstance(node, dict) else None
            if not isinstance(node, dict):
                raise Misuse(f"--set {dotted}: there is no such key")
            node[leaf] = value
        try:
            return Catalog.model_validate(tree)
        except ValidationError as error:
            raise Misuse(f"--set: {'; '.join(explain(error))}") from None


def explain(error: ValidationError) -> Iterator[str]:
    """One line a problem: the key, the value, and what is allowed."""
    places = [problem["loc"] for problem in error.errors()]
    for problem in error.errors():
        loc = problem["loc"]
        # A list whose one element is wrong is called too short as well.
        if any(len(place) > len(loc) and place[: len(loc)] == loc for place in places):
            continue
        key = ".".join(str(part) for part in loc) or "the file"
        if problem["type"] == "extra_forbidden":
            allowed = _keys_at(loc[:-1])
            close = difflib.get_close_matches(str(loc[-1]), allowed, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            yield f"{key}: unknown key.{hint} Allowed: {', '.join(allowed)}"
        elif problem["type"] == "missing":
            yield f"{key}: missing, and it is needed"
        else:
            message = problem["msg"].removeprefix("Value error, ")
            yield f"{key}: {problem['input']!r} {message[0].lower() + message[1:]}"


def _keys_at(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed at a place in a catalog file, read off the JSON schema of Catalog."""
    schema = Catalog.model_json_schema()
    node: dict[str, Any] = schema
    for part in loc:
        node = _resolved(node, schema)
        if isinstance(part, int):
            node = dict(node["items"])
        else:
            properties = node.get("properties", {})
            node = properties[part] if part in properties else node.get("additionalProperties", {})
    return [k for k in _resolved(node, schema).get("properties", {}) if loc or k != "name"]


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in node.get("anyOf", []):
        if "$ref" in option:
            node = option
    return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node

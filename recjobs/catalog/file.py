"""A catalog file as typed, frozen values: one set of users, items and interactions with its own settings."""

import difflib
import reprlib
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError, field_validator, model_validator
from pydantic.json_schema import GenerateJsonSchema

from recjobs.catalog.gate import Gate, Inspect
from recjobs.catalog.keep import Keep
from recjobs.catalog.limits import Limits
from recjobs.catalog.lists import TopN, keys_that_need_items
from recjobs.catalog.orders import Orders
from recjobs.catalog.scalars import Days, NonZero, Number, Positive, Share
from recjobs.catalog.schedule import Schedule
from recjobs.catalog.serve import Serve
from recjobs.catalog.sources import Items, Part, Source, Users
from recjobs.catalog.tune import Tune
from recjobs.catalog.without_times import keys_that_need_times
from recjobs.core.recipe import Recipe
from recjobs.errors import Misuse


class Model(Part):
    """Hyperparameters, as `recjobs.core.recipe.Recipe` explains them."""

    factors: Annotated[int, Field(ge=1, le=1024), Number] = 64
    alpha: Positive = 20.0
    regularization: Positive = 20.0
    iterations: Annotated[int, Field(ge=1, le=200), Number] = 15
    weight_scale: Literal["one", "linear", "log"] = "one"
    weight_cap: Positive | None = None
    frequency_scaling: Share = 0.0
    """0: one regularization for all rows; 1: in proportion to what is known of a row."""
    blend: Share = 0.0
    """Share of item neighbours in the score; 0: ALS alone."""
    neighbours: Annotated[int, Field(ge=1, le=1000), Number] = 200
    """Similar items of each item that the blend knows."""
    random_walk: Share = 0.0
    """Share of random walks (RP3beta) in the neighbours' part of the score; 0: TF-IDF neighbours alone."""
    own_frequency: Annotated[float, Field(ge=0, lt=1), Number] = 0.0
    """Share of the user's own items, by decayed frequency, in the score; for `seen: allow` and `after_days`."""
    own_half_life_days: Positive = 90.0
    """There an interaction this many days old counts half."""
    rerank: bool = False
    """Whether a second stage, trained on past windows, orders the candidates at the head of each list."""


class Recency(Part):
    """An interaction this many days old counts half."""

    half_life_days: Positive | None = None


_WORD, _DAYS = "a word", "days"
"""Tags of the two forms of `seen`; pydantic adds them to an error's location."""


class Seen(Part):
    """An item is shown again this many days after the user last interacted with it."""

    after_days: Days


Input = Source | Items | Users


class Catalog(Part):
    """One set of users, items and interactions with its own settings, schema, DAGs and model."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
    description: str = ""
    verb: Literal["bought", "viewed", "rated", "played", "borrowed"] = "bought"
    mode: Literal["snapshot", "increment"] = "snapshot"
    """snapshot: the sources hold all history; increment: they hold what is new since the last accepted night."""
    live: bool = False
    """Whether the sources grow day by day: then a night is as of its logical date, else just after the newest row."""
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    items: Items | None = None
    users: Users | None = None
    kinds: dict[str, NonZero] = Field(default_factory=dict)
    """Weight of a kind. Below 0, such as a return, it takes from the pair; one with nothing left is only seen."""
    recency: Recency = Recency()
    seen: Annotated[
        Annotated[Literal["exclude", "allow"], Tag(_WORD)] | Annotated[Seen, Tag(_DAYS)],
        Discriminator(lambda value: _DAYS if isinstance(value, dict | Seen) else _WORD),
    ] = "exclude"
    """Whether an item that a user has seen is shown again: never, always, or {after_days: 30}."""
    active_days: Days | None = None
    """Users whose last interaction is older get the popular list in place of one of their own. null: nobody does."""
    holdout_days: Days = 30
    min_holdout_users: Annotated[int, Field(ge=1), Number] = 1000
    orders: Orders = Orders()
    top_n: TopN = TopN()
    serve: Serve = Serve()
    model: Model = Model()
    tune: Tune = Tune()
    engine: Literal["local", "spark"] = "local"
    """Where train, refit and score compute: in the step's process, or on Spark (docs/spark.md). The lists are equal."""
    use_gpu: Literal["auto", "never", "required"] = "auto"
    """Whether implicit's CUDA solver fits what it can compute. required: exit 78 where no GPU can be used."""
    limits: Limits = Limits()
    gate: Gate = Gate()
    inspect: Inspect = Inspect()
    schedule: Schedule = Schedule()
    keep: Keep = Keep()
    seed: Annotated[int, Field(ge=0, lt=2**32), Number] = 7

    @field_validator("name")
    @classmethod
    def _is_free(cls, value: str) -> str:
        if value in ("public", "information_schema") or value.startswith("pg_"):
            raise ValueError("is a name Postgres keeps for itself")
        return value

    @model_validator(mode="after")
    def _has_one_device(self) -> "Catalog":
        if self.engine == "spark" and self.use_gpu == "required":
            raise ValueError("says engine: spark and use_gpu: required; a model is fit on one of them")
        return self

    @model_validator(mode="after")
    def _asks_for_no_times(self) -> "Catalog":
        if any(source.has_times for source in self.sources):
            if not all(source.has_times for source in self.sources):
                raise ValueError("has sources with times and sources with time: none; all or none of them need times")
        elif keys := list(keys_that_need_times(self)):
            raise ValueError(f"says time: none, and {', '.join(keys)} {'needs' if len(keys) == 1 else 'need'} times")
        return self

    @model_validator(mode="after")
    def _knows_what_lists_need(self) -> "Catalog":
        for key, column in keys_that_need_items(self):
            if self.items is None or not getattr(self.items.columns, column):
                raise ValueError(f"{key} needs items.columns.{column}")
        return self

    @property
    def has_times(self) -> bool:
        """Whether the interactions say when they occurred."""
        return self.sources[0].has_times

    @property
    def inputs(self) -> dict[str, Input]:
        """Every input by its key in the catalog file: sources.0, sources.1, ..., items, users."""
        inputs: dict[str, Input] = {f"sources.{index}": source for index, source in enumerate(self.sources)}
        others = {"items": self.items, "users": self.users}
        return inputs | {key: part for key, part in others.items() if part and part.has_location}

    def mapping(self, input: Input) -> dict[str, str]:
        """Canonical name -> the input's name, of every column that a night reads from it."""
        columns = input.columns.present
        if isinstance(input, Source) and self.items and not self.items.has_location:
            columns |= {key: column for key, column in self.items.columns.present.items() if key != "item_id"}
        return columns

    @property
    def recipe(self) -> Recipe:
        """The recipe of this catalog."""
        return Recipe(
            **self.model.model_dump(),
            half_life_days=self.recency.half_life_days,
            kinds=tuple(sorted(self.kinds.items())),
        )

    @property
    def view(self) -> str:
        """The view that decides at the gate: what a user would have been served."""
        return {"exclude": "discovery", "allow": "repeats"}.get(str(self.seen), "after_days")

    @property
    def after_days(self) -> float | None:
        """Days until a seen item is shown again; None: always or never."""
        return None if isinstance(self.seen, str) else self.seen.after_days

    def with_recipe(self, recipe: Recipe) -> "Catalog":
        """This catalog with another recipe."""
        values = recipe.to_json()
        return self.model_copy(
            update={
                "model": Model.model_validate({key: values[key] for key in Model.model_fields}),
                "recency": Recency(half_life_days=recipe.half_life_days),
                "kinds": dict(recipe.kinds),
            }
        )

    def with_overrides(self, overrides: dict[str, Any], origin: str = "--set") -> "Catalog":
        """This catalog with `{"model.factors": 32, ...}` set; a bare name means a key of `model` or `recency`.

        origin: where the overrides come from, the beginning of a message. Raises Misuse for a wrong key or value.
        """
        tree = self.model_dump(mode="json")
        for dotted, value in overrides.items():
            path = _path_of(dotted)
            *branches, leaf = path.split(".")
            if path == "name":
                raise Misuse(f"{origin} name: a catalog is named by its file")
            node: Any = tree
            for branch in branches:
                node = node.get(branch) if isinstance(node, dict) else None
            if not isinstance(node, dict):
                raise Misuse(f"{origin} {dotted}: there is no such key")
            node[leaf] = value
        try:
            return Catalog.model_validate(tree)
        except ValidationError as error:
            raise Misuse(f"{origin} {'; '.join(explain(error))}") from None


def sets_recipe(overrides: dict[str, Any]) -> bool:
    """Whether any of the overrides changes the recipe."""
    return any(_path_of(dotted).split(".")[0] in ("model", "recency", "kinds") for dotted in overrides)


def _path_of(dotted: str) -> str:
    """The whole path of a key that may be a bare name."""
    if "." in dotted or dotted in Catalog.model_fields:
        return dotted
    return f"{'recency' if dotted in Recency.model_fields else 'model'}.{dotted}"


class _Short(reprlib.Repr):
    """An abbreviated value: a few hundred bytes of YAML aliases may expand to a billion values."""

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """Keep the order of the file; reprlib would sort it."""
        if level <= 0:
            return "{...}"
        shown = [f"{key!r}: {self.repr1(value, level - 1)}" for key, value in islice(x.items(), self.maxdict)]
        return f"{{{', '.join([*shown, '...'] if len(x) > self.maxdict else shown)}}}"


_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxstring, _SHORT.maxother = 2, 6, 200, 200


def explain(error: ValidationError) -> Iterator[str]:
    """One line per problem: the key, the value, and what is allowed."""
    locations = [tuple(part for part in problem["loc"] if part not in (_WORD, _DAYS)) for problem in error.errors()]
    for problem, loc in zip(error.errors(), locations, strict=True):
        # pydantic also calls a list too short if its only element is wrong.
        if any(len(other) > len(loc) and other[: len(loc)] == loc for other in locations):
            continue
        key = ".".join(str(part) for part in loc) or "the file"
        if problem["type"] == "extra_forbidden":
            allowed = _keys_at(loc[:-1])
            hint = "".join(f" Did you mean {name}?" for name in difflib.get_close_matches(str(loc[-1]), allowed, 1))
            yield f"{key}: unknown key.{hint} Allowed: {', '.join(allowed)}"
        elif problem["type"] == "missing":
            yield f"{key}: missing, and it is needed"
        else:
            message = problem["msg"].removeprefix("Value error, ")
            yield f"{key}: {_SHORT.repr(problem['input'])} {message[0].lower() + message[1:]}"


class _WithoutTitles(GenerateJsonSchema):
    """Pydantic would title each key by its own name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a catalog file, for editors. A catalog is named by its file, so there is no key `name`."""
    schema = Catalog.model_json_schema(schema_generator=_WithoutTitles)
    del schema["properties"]["name"]
    schema["required"].remove("name")
    for model in (schema, *schema["$defs"].values()):
        model.pop("title", None)
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "A catalog of recjobs", **schema}


def _keys_at(loc: tuple[int | str, ...]) -> list[str]:
    """The keys allowed in a section of a catalog file, by the JSON schema."""
    schema = Catalog.model_json_schema()
    node: dict[str, Any] = schema
    for part in loc:
        node = _resolved(node, schema)
        if isinstance(part, int):
            node = dict(node["items"])
        else:
            node = node.get("properties", {}).get(part, node.get("additionalProperties", {}))
    return [k for k in _resolved(node, schema).get("properties", {}) if loc or k != "name"]


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in node.get("anyOf", node.get("oneOf", [])):
        if "$ref" in option:
            node = option
    return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node

"""The plan of a load test, `load.json`: stages, thresholds and mix in the words of k6, which reads the same file."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from acceptance.visitors import KINDS

FILE = Path(__file__).with_name("load.json")
SLOWEST_RATE = 0.5
"""Requests a second that a stage begins or ends with where its rate is 0: the next request would never come."""


class PlanError(Exception):
    """A plan cannot be used; the message names the file and the key."""


def _duration(text: str) -> str:
    if not re.fullmatch(r"(\d+(\.\d+)?)(ms|s|m|h)", text):
        raise ValueError("is no duration such as 30s, 500ms or 2m")
    return text


def _condition(text: str) -> str:
    Condition.of(text)
    return text


@dataclass(frozen=True)
class Condition:
    """`p(99)<250`: an aggregate of a metric, and its limit."""

    aggregate: str
    may_equal: bool
    limit: float

    @classmethod
    def of(cls, text: str) -> Self:
        """Parse one; raises ValueError."""
        found = re.fullmatch(r"\s*(rate|count|avg|med|max|p\(\d+(?:\.\d+)?\))\s*(<=?)\s*(\d+(?:\.\d+)?)\s*", text)
        if not found:
            raise ValueError("is no condition such as p(99)<250, rate<0.001 or count<=5")
        return cls(found[1], found[2] == "<=", float(found[3]))

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it holds for the values of a metric by aggregate."""
        value = values[self.aggregate]
        return value < self.limit or (self.may_equal and value == self.limit)


class Stage(BaseModel):
    """The rate goes in a straight line from that of the stage before to `target` a second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration: Annotated[str, AfterValidator(_duration)]
    target: float = Field(ge=0)

    @property
    def seconds(self) -> float:
        """How long it takes."""
        number, unit = re.fullmatch(r"([\d.]+)(\w+)", self.duration).groups()  # type: ignore[union-attr]
        return float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


Metric = Annotated[str, Field(pattern="^(http_req_failed|http_req_duration|dropped_iterations)$")]
AGGREGATES = {"http_req_failed": ("rate",), "dropped_iterations": ("count",)}
"""The aggregates of a metric; http_req_duration has the others, in milliseconds."""


class Plan(BaseModel):
    """Stages, thresholds by metric, and the share of each kind of request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: tuple[Stage, ...] = Field(min_length=1)
    thresholds: dict[Metric, tuple[Annotated[str, AfterValidator(_condition)], ...]]
    mix: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if unknown := set(self.mix) - {*KINDS}:
            raise ValueError(f"mix: {', '.join(sorted(unknown))} is none of {', '.join(KINDS)}")
        for metric, conditions in self.thresholds.items():
            allowed = AGGREGATES.get(metric, ("avg", "med", "max"))
            for text in conditions:
                aggregate = Condition.of(text).aggregate
                if aggregate not in allowed and not (metric == "http_req_duration" and aggregate.startswith("p(")):
                    raise ValueError(f"thresholds: {metric} has no {aggregate}")
        return self

    @property
    def seconds(self) -> float:
        """How long all stages take."""
        return sum(stage.seconds for stage in self.stages)

    def rate(self, at: float) -> float:
        """Requests a second, so many seconds after the beginning."""
        before = 0.0
        for stage in self.stages:
            if at < stage.seconds:
                return max(SLOWEST_RATE, before + (stage.target - before) * at / stage.seconds)
            at, before = at - stage.seconds, stage.target
        return max(SLOWEST_RATE, before)


def read(path: Path = FILE) -> Plan:
    """Return a plan. Raises `PlanError`."""
    try:
        return Plan.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise PlanError(f"{path}: cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise PlanError(f"{path}: {place}: {first['msg'].removeprefix('Value error, ')}") from None


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that `share` percent of the ordered values do not exceed; 0 of none."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)] if ordered else 0.0

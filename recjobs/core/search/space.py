"""The parameters of a recipe that a search may change, with their bounds. Their effects: docs/tuning.md."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY, Interactions

SCALES = ("one", "linear", "log")
STEP = 0.05
"""Standard deviation of a step to a recipe nearby, as a share of a parameter's range, on its scale."""
OFF = -0.1
"""Where `blend`, `random_walk`, `own_frequency` and `frequency_scaling` begin: what lies below 0 is 0, so that a search
can leave them out."""


@dataclass(frozen=True)
class Range:
    """One number of a recipe. At or above `none_from` it is None: no half-life, no cap."""

    name: str
    low: float
    high: float
    log: bool = True
    whole: bool = False
    none_from: float | None = None


@dataclass(frozen=True)
class Space:
    """The recipes to try: those that differ from `base` in the ranges, and in weight_scale where there are `scales`."""

    base: Recipe
    ranges: tuple[Range, ...]
    scales: tuple[str, ...] = ()

    def recipe(self, params: dict[str, Any]) -> Recipe:
        """The recipe of a point: numbers rounded to three digits, which is finer than any holdout can tell apart."""
        values: dict[str, Any] = {}
        kinds = dict(self.base.kinds)
        for one in self.ranges:
            value = _rounded(one, params[one.name])
            if one.name.startswith("kinds."):
                kind = one.name.removeprefix("kinds.")
                kinds[kind] = float(np.copysign(value or 0, kinds[kind]))
            else:
                values[one.name] = value
        if self.scales:
            values["weight_scale"] = params["weight_scale"]
        return replace(self.base, **values, kinds=tuple(sorted(kinds.items())))

    def params(self, recipe: Recipe) -> dict[str, Any]:
        """The point nearest to a recipe."""
        kinds = dict(self.base.kinds) | dict(recipe.kinds)
        params: dict[str, Any] = {}
        for one in self.ranges:
            kind = one.name.removeprefix("kinds.")
            value = getattr(recipe, one.name) if kind == one.name else abs(kinds[kind])
            value = min(max(one.high if value is None else value, one.low), one.high)
            params[one.name] = int(value) if one.whole else float(value)
        if self.scales:
            params["weight_scale"] = recipe.weight_scale
        return params

    def near(self, recipe: Recipe, rng: np.random.Generator) -> Recipe:
        """A recipe near another one: about half of the numbers are moved, by a STEP of their range on average."""
        params = self.params(recipe)
        moved = rng.random(len(self.ranges)) < 0.5
        moved[rng.integers(len(self.ranges))] = True
        for one, step in zip(self.ranges, moved * rng.normal(0, STEP, moved.size), strict=True):
            low, high, at = one.low, one.high, params[one.name]
            value = at * float(high / low) ** step if one.log else at + step * (high - low)
            value = float(min(max(value, low), high))
            params[one.name] = round(value) if one.whole else value
        return self.recipe(params)

    def distance(self, recipe: Recipe, other: Recipe) -> float:
        """The distance of two recipes, 0 to 1: the mean over the searched parameters."""
        first, second = self.params(recipe), self.params(other)

        def place(one: Range, value: float) -> float:
            low, high, at = np.log([one.low, one.high, value]) if one.log else (one.low, one.high, value)
            return float((at - low) / (high - low)) if high > low else 0.0

        parts = [abs(place(one, first[one.name]) - place(one, second[one.name])) for one in self.ranges]
        parts += [float(first["weight_scale"] != second["weight_scale"])] if self.scales else []
        return float(np.mean(parts))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        ranges = [vars(one) for one in self.ranges]
        return {"base": self.base.to_json(), "ranges": ranges, "scales": list(self.scales)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Space":
        """The inverse of `to_json`."""
        ranges = tuple(Range(**one) for one in stored["ranges"])
        return cls(Recipe.from_json(stored["base"]), ranges, tuple(stored["scales"]))


def space_of(past: Interactions, recipes: Sequence[Recipe], *, repeats: bool = False) -> Space:
    """The space of some interactions. The first recipe is the base; the bounds are wide enough for all of them.

    repeats: whether lists may hold items that the user had before.
    """
    base = recipes[0]
    rows = max(1, min(past.n_users, past.n_items))
    ranges = [
        Range("alpha", 0.5, 200),
        Range("regularization", 0.1, 2000),
        Range("factors", min(16, rows), min(256, rows), whole=True),
        Range("blend", OFF, 0.8, log=False),
        Range("random_walk", OFF, 1, log=False),
        Range("frequency_scaling", OFF, 1, log=False),
    ]
    days = float(np.ptp(past.occurred_at) / DAY) if len(past) else 0.0
    if days >= 2:
        # A half-life of twice the span takes less than a third off the oldest row: about as good as none.
        ranges.append(Range("half_life_days", min(2.0, days / 2), 4 * days, none_from=2 * days))
    if repeats:
        ranges.append(Range("own_frequency", OFF, 0.9, log=False))
        if days >= 2:
            ranges.append(Range("own_half_life_days", min(7.0, days / 2), 4 * days))
    weighted = len(past) > 0 and bool(np.ptp(past.weight) > 0)
    if weighted or past.distinct_pairs().size < len(past):
        ranges.append(Range("weight_cap", 0.5, 100, none_from=50))
    # alpha scales all weights; only their proportions are searched.
    heaviest = max((abs(weight) for _, weight in base.kinds), default=0)
    for kind, weight in base.kinds:
        if abs(weight) < heaviest:
            ranges.append(Range(f"kinds.{kind}", abs(weight) / 8, min(abs(weight) * 8, 4 * heaviest)))
    return Space(base, tuple(_widened(one, recipes) for one in ranges), SCALES if weighted else ())


def _widened(one: Range, recipes: Sequence[Recipe]) -> Range:
    values = [getattr(recipe, one.name, None) for recipe in recipes]
    known = [float(value) for value in values if value is not None]
    low, high = min([one.low, *known]), max([one.high, *known])
    none_from = None if one.none_from is None else max(one.none_from, 1.01 * max(known, default=0))
    return replace(one, low=low, high=max(high, none_from or 0), none_from=none_from)


def _rounded(one: Range, value: float) -> float | int | None:
    if one.none_from is not None and value >= one.none_from:
        return None
    return int(value) if one.whole else float(f"{max(value, 0.0):.3g}")

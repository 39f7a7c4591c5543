"""The gate's verdict, with its numbers and reasons."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from recjobs.core.lists.choice import ListChoice

METRIC = "ndcg_at_20"


@dataclass(frozen=True)
class Check:
    """One check of the candidate. value: measured; bound: allowed (None in a yes-or-no check); sentence: both in
    words."""

    name: str
    passed: bool
    value: float | None = None
    bound: float | None = None
    sentence: str = ""


@dataclass(frozen=True)
class Part:
    """The deciding metric over a part of the holdout's users: its means, as in `Verdict`."""

    n_users: int = 0
    candidate: float | None = None
    champion: float | None = None
    baseline: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The gate's answer: promoted or refused, why, and the numbers that decided.

    candidate, champion, baseline: the deciding metric over all users, as each would have been served. baseline: the
    strongest popular list; strongest: the best of all simple baselines, neighbours among them. by_model, by_ladder: the
    same over the users whom the candidate's model answers for, and over the others.
    diff: relative difference of candidate and champion (lift where there is no champion), with its 95% interval; lift:
    that of candidate and baseline, over the users whom the model answers for. smallest_drop, smallest_rise: the
    smallest relative change that this holdout detects with a power of 80%. inconclusive: refused only for an interval
    with 0 inside. lists: `ListChoice` of candidate, champion and no model as JSON, which `score` follows.
    approval: `approved`, `refused` or `timed out` where a person was asked, with who answered, when (ISO) and why.
    """

    verdict: str
    reason: str
    metric: str = METRIC
    candidate: float | None = None
    champion: float | None = None
    baseline_name: str = ""
    baseline: float | None = None
    strongest: str = ""
    diff: float | None = None
    diff_low: float | None = None
    diff_high: float | None = None
    lift: float | None = None
    lift_low: float | None = None
    lift_high: float | None = None
    smallest_drop: float | None = None
    smallest_rise: float | None = None
    n_users: int = 0
    inconclusive: bool = False
    checks: tuple[Check, ...] = ()
    approval: str | None = None
    approved_by: str | None = None
    approved_at: str | None = None
    approval_reason: str | None = None
    by_model: Part = Part()
    by_ladder: Part = Part()
    lists: dict[str, Any] = field(default_factory=dict)

    @property
    def promoted(self) -> bool:
        """Whether the candidate's recipe is served from now on."""
        return self.verdict == "promoted"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; infinite numbers become null."""
        plain = {key: _finite(value) for key, value in asdict(self).items()}
        return plain | {"checks": [{k: _finite(v) for k, v in asdict(check).items()} for check in self.checks]}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Verdict":
        """The inverse of `to_json`, of older versions too: unknown keys are ignored, missing ones get defaults."""
        checks = tuple(Check(**_known(Check, check)) for check in stored.get("checks", ()))
        parts = {name: Part(**_known(Part, stored.get(name, {}))) for name in ("by_model", "by_ladder")}
        return cls(**_known(cls, stored) | {"checks": checks, **parts})

    def list_choice(self, model: str) -> ListChoice:
        """Which lists are served with a model, `candidate` or `champion`, or `none`: without one. The candidate's in a
        verdict that does not have it."""
        return ListChoice.from_json(self.lists.get(model, self.lists.get("candidate")))


def _known(of: type[Check | Part | Verdict], stored: dict[str, Any]) -> dict[str, Any]:
    return {field.name: stored[field.name] for field in fields(of) if field.name in stored}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value

"""The gate: which recipe is in charge after tonight. A Verdict is a result, never an exception."""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from recjobs.core.evaluation.bootstrap import Interval, relative_difference, relative_differences

METRIC = "ndcg_at_20"
SEGMENTS = ("light", "medium", "heavy")
POPULAR = ("popularity_30d", "popularity_all")
"""The popular lists, of which a candidate must beat the stronger one beyond doubt."""
NEIGHBOURS = "neighbours"
"""The baseline that a candidate may equal, but not be much worse than beyond doubt."""
SEEN = 1.43
"""Half-widths of a 95% interval that a true difference must have for its interval to leave 0 out four times in five:
(1.960 + 0.842) / 1.960."""


@dataclass(frozen=True)
class Check:
    """One thing that was asked of the candidate. value: what was found; bound: what was allowed (None where the answer
    is only yes or no); sentence: both in words."""

    name: str
    passed: bool
    value: float | None = None
    bound: float | None = None
    sentence: str = ""


@dataclass(frozen=True)
class Verdict:
    """The gate's answer: promoted or refused, why, and the numbers it hangs on.

    baseline: the stronger popular list; strongest: the best of all simple baselines, neighbours among them.
    diff: relative difference of candidate and champion (baseline where there is no champion), with its 95% interval;
    lift: that of candidate and baseline. smallest_drop, smallest_rise: the smallest relative change that this holdout
    would tell from none four times in five. inconclusive: refused for nothing but an interval with 0 inside.
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

    @property
    def promoted(self) -> bool:
        """Whether the candidate's recipe is in charge."""
        return self.verdict == "promoted"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; infinite numbers become null."""
        plain = {key: _finite(value) for key, value in asdict(self).items()}
        return plain | {"checks": [{k: _finite(v) for k, v in asdict(check).items()} for check in self.checks]}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Verdict":
        """Return what `to_json` wrote, also an older version of it: unknown keys are ignored, missing ones default."""
        checks = tuple(Check(**_known(Check, check)) for check in stored.get("checks", ()))
        return cls(**_known(cls, stored) | {"checks": checks})


@dataclass(frozen=True)
class Bounds:
    """When a candidate is refused: the keys of `gate` in a catalog file, and `min_holdout_users`."""

    max_relative_drop: float
    max_segment_drop: float
    max_neighbours_drop: float
    min_coverage: float
    max_gini: float
    max_coverage_drop: float
    max_novelty_drop: float
    max_gini_rise: float
    min_holdout_users: int


@dataclass(frozen=True)
class Shown:
    """What one model would have served: the deciding metric of each holdout user, and what its lists say about the
    catalogue (`recjobs.core.evaluation.metrics.of_lists`)."""

    ndcg: np.ndarray
    coverage: float
    gini: float
    novelty: float


def decide(
    candidate: Shown,
    champion: Shown | None,
    baselines: dict[str, np.ndarray],
    *,
    same_recipe: bool,
    segments: dict[str, np.ndarray],
    defect: str | None,
    bounds: Bounds,
    seed: int,
) -> Verdict:
    """Decide by the deciding metric of each holdout user; all arrays are over the same users.

    champion: None on a first night. baselines: those of POPULAR, and NEIGHBOURS if it was asked. segments: masks over
    the users. defect: what is wrong with the candidate's factors. The candidate is refused with the first check that
    it does not pass; a check that cannot be asked (no champion, nobody in a segment) is left out.
    """
    n_users = int(candidate.ndcg.size)
    strength = {name: _mean(values) or 0.0 for name, values in baselines.items()}
    baseline = max((name for name in POPULAR if name in baselines), key=lambda name: strength[name])
    lift: Interval | None = None
    diff: Interval | None = None

    checks = [
        Check("sound", defect is None, None, None, f"broken candidate: {defect}" if defect else "its factors are sound")
    ]
    if defect is None:
        checks.append(_somebody(n_users))
    if all(check.passed for check in checks):
        others = [baselines[baseline], *([champion.ndcg] if champion else [])]
        neighbours = baselines.get(NEIGHBOURS)
        lift, *found = relative_differences(
            candidate.ndcg, [*others, *([] if neighbours is None else [neighbours])], seed
        )
        diff = found.pop(0) if champion else lift
        checks.append(_better("popularity", baseline, lift, "not better than"))
        if found:
            checks.append(_not_much_worse("neighbours", "than item neighbours", found[0], bounds.max_neighbours_drop))
        checks += _guardrails(candidate, bounds)
        if champion:
            checks += _against_champion(diff, same_recipe, n_users, bounds)
            checks += _in_segments(candidate.ndcg, champion.ndcg, segments, bounds, seed)
            checks += _guardrails_against(candidate, champion, bounds)

    failed = [check for check in checks if not check.passed]
    kind = "the champion's recipe on fresh data" if same_recipe else "a changed recipe"
    if failed:
        reason = failed[0].sentence
    elif champion is None:
        reason = f"no champion yet, and better than {baseline}: {_text(lift)}"
    else:
        reason = f"{kind}, against the champion: {_text(diff)}"
    return Verdict(
        "refused" if failed else "promoted",
        reason,
        METRIC,
        _mean(candidate.ndcg),
        _mean(champion.ndcg) if champion else None,
        baseline,
        _mean(baselines[baseline]),
        max(strength, key=lambda name: strength[name]),
        diff.value if diff else None,
        diff.low if diff else None,
        diff.high if diff else None,
        lift.value if lift else None,
        lift.low if lift else None,
        lift.high if lift else None,
        SEEN * (diff.high - diff.value) if diff else None,
        SEEN * (diff.value - diff.low) if diff else None,
        n_users,
        [check.name for check in failed] == ["better"] and diff is not None and diff.high >= 0,
        tuple(checks),
    )


def segments_by_activity(n_train: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of light, medium and heavy users: thirds by the number of train interactions, ties to the lighter."""
    low, high = np.quantile(n_train, [1 / 3, 2 / 3]) if n_train.size else (0, 0)
    return {"light": n_train <= low, "medium": (n_train > low) & (n_train <= high), "heavy": n_train > high}


def _somebody(n_users: int) -> Check:
    nobody = "nothing to measure on: no user has an unseen item in the holdout"
    return Check("holdout", n_users > 0, n_users, 1, f"{n_users:,} users in the holdout" if n_users else nobody)


def _better(name: str, than: str, found: Interval, otherwise: str) -> Check:
    passed = found.low > 0
    return Check(
        name, passed, found.low, 0.0, f"{'better than' if passed else otherwise} {than} beyond doubt: {_text(found)}"
    )


def _not_much_worse(name: str, whom: str, found: Interval, most: float) -> Check:
    failed = found.high < 0 and found.value < -most
    says = f"{'worse' if failed else 'not much worse'} {whom} beyond doubt: {_text(found)}"
    return Check(name, not failed, found.value, -most, says)


def _guardrails(candidate: Shown, bounds: Bounds) -> list[Check]:
    coverage, gini = candidate.coverage, candidate.gini
    asked = (
        f"its lists cover {coverage:.1%} of the items, {bounds.min_coverage:.1%} are asked for",
        f"its lists show items with a Gini of {gini:.3f}, {bounds.max_gini:.3f} is allowed",
    )
    return [
        Check("coverage", coverage >= bounds.min_coverage, coverage, bounds.min_coverage, asked[0]),
        Check("gini", gini <= bounds.max_gini, gini, bounds.max_gini, asked[1]),
    ]


def _against_champion(diff: Interval, same_recipe: bool, n_users: int, bounds: Bounds) -> list[Check]:
    if not same_recipe:
        return [_better("better", "the champion", diff, "a changed recipe, not better than")]
    by_much = diff.value < -bounds.max_relative_drop
    return [
        _not_much_worse("not_worse", "than the champion", diff, 0.0),
        Check(
            "drop",
            not (by_much and n_users >= bounds.min_holdout_users),
            diff.value,
            -bounds.max_relative_drop,
            f"{'worse' if by_much else 'not worse'} than the champion by more than {bounds.max_relative_drop:.0%}"
            f"{'' if n_users >= bounds.min_holdout_users else ' (too few users to count)'}: {_text(diff)}",
        ),
    ]


def _in_segments(
    candidate: np.ndarray, champion: np.ndarray, segments: dict[str, np.ndarray], bounds: Bounds, seed: int
) -> list[Check]:
    checks = []
    for name, mask in segments.items():
        if mask.any():
            part = relative_difference(candidate[mask], champion[mask], seed)
            checks.append(_not_much_worse(f"segment_{name}", f"for {name} users", part, bounds.max_segment_drop))
    return checks


def _guardrails_against(candidate: Shown, champion: Shown, bounds: Bounds) -> list[Check]:
    checks = []
    for name, most in (("coverage", bounds.max_coverage_drop), ("novelty", bounds.max_novelty_drop)):
        mine, theirs = getattr(candidate, name), getattr(champion, name)
        drop = 1 - mine / theirs if theirs > 0 else 0.0
        says = f"the {name} of its lists is {mine:.3g}, the champion's {theirs:.3g}: a drop of {most:.0%} is allowed"
        checks.append(Check(f"{name}_drop", drop <= most, drop, most, says))
    rise, allowed = candidate.gini - champion.gini, bounds.max_gini_rise
    says = f"the Gini of its lists is {candidate.gini:.3f}, the champion's {champion.gini:.3f}: {allowed:.3f} more"
    return [*checks, Check("gini_rise", rise <= allowed, rise, allowed, f"{says} is allowed")]


def _known(of: type[Check | Verdict], stored: dict[str, Any]) -> dict[str, Any]:
    return {field.name: stored[field.name] for field in fields(of) if field.name in stored}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _text(difference: Interval | None) -> str:
    assert difference is not None  # an empty holdout was refused before
    value, low, high = (f"{x:+.1%}" if np.isfinite(x) else "without bound" for x in vars(difference).values())
    return f"{value} (95%: {low} to {high})"

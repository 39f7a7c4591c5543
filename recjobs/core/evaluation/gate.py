"""The gate: which recipe is in charge after tonight. A Verdict is a result, never an exception."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from recjobs.core.evaluation.bootstrap import Interval, relative_difference, relative_differences
from recjobs.core.evaluation.verdict import METRIC, Check, Part, Verdict
from recjobs.core.lists.popularity import WINDOWS

SEGMENTS = ("light", "medium", "heavy")
NEIGHBOURS = "neighbours"
"""The baseline that a candidate may equal, but not be much worse than beyond doubt."""
SEEN = 1.43
"""Half-widths of a 95% interval that a true difference must have for its interval to leave 0 out four times in five:
(1.960 + 0.842) / 1.960."""


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
    answered: np.ndarray | None = None,
    lists: dict[str, Any] | None = None,
) -> Verdict:
    """Decide by the deciding metric of each holdout user; all arrays are over the same users.

    champion: None on a first night. baselines: those of `popularity.WINDOWS`, and NEIGHBOURS if it was asked. segments:
    masks over the users. defect: what is wrong with the candidate's factors. answered: the users who are served the
    model's list (None: all), on whom it is held against the baselines: the others have a popular list on either side.
    lists: kept in the verdict. The candidate is refused with the first check that it does not pass; a check that cannot
    be asked (no champion, nobody in a segment) is left out.
    """
    n_users = int(candidate.ndcg.size)
    by_model = np.ones(n_users, bool) if answered is None else answered
    strength = {name: _mean(values[by_model]) or 0.0 for name, values in baselines.items()}
    baseline = max((name for name in WINDOWS if name in baselines), key=lambda name: strength[name])

    who = "" if by_model.all() else f", for the {by_model.sum():,} of {n_users:,} users whom the model answers"

    def part(users: np.ndarray) -> Part:
        means = (_mean(of[users]) for of in (candidate.ndcg, baselines[baseline]))
        return Part(int(users.sum()), next(means), _mean(champion.ndcg[users]) if champion else None, next(means))

    lift: Interval | None = None
    diff: Interval | None = None

    checks = [
        Check("sound", defect is None, None, None, f"broken candidate: {defect}" if defect else "its factors are sound")
    ]
    if defect is None:
        checks.append(_somebody(n_users))
    if all(check.passed for check in checks):
        checks.append(_answers(int(by_model.sum())))
    if all(check.passed for check in checks):
        simple = [baselines[name] for name in (baseline, NEIGHBOURS) if name in baselines]
        lift, *others = relative_differences(candidate.ndcg[by_model], [one[by_model] for one in simple], seed)
        diff = relative_difference(candidate.ndcg, champion.ndcg, seed) if champion else lift
        checks.append(_better("popularity", baseline, lift, "not better than", who))
        for one in others:
            checks.append(_not_much_worse("neighbours", "than item neighbours", one, bounds.max_neighbours_drop))
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
        reason = f"no champion yet, and better than {baseline}: {_text(lift)}{who}"
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
        by_model=part(by_model),
        by_ladder=part(~by_model),
        lists=lists or {},
    )


def _somebody(n_users: int) -> Check:
    nobody = "nothing to measure on: no user has an unseen item in the holdout"
    return Check("holdout", n_users > 0, n_users, 1, f"{n_users:,} users in the holdout" if n_users else nobody)


def _answers(n_users: int) -> Check:
    says = (
        f"the model answers {n_users:,} users of the holdout"
        if n_users
        else ("the model answers nobody in the holdout: to each user it gives nothing, or less than a popular list")
    )
    return Check("answers", n_users > 0, n_users, 1, says)


def _better(name: str, than: str, found: Interval, otherwise: str, who: str = "") -> Check:
    passed = found.low > 0
    says = f"{'better than' if passed else otherwise} {than} beyond doubt: {_text(found)}{who}"
    return Check(name, passed, found.low, 0.0, says)


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


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _text(difference: Interval | None) -> str:
    assert difference is not None  # an empty holdout was refused before
    value, low, high = (f"{x:+.1%}" if np.isfinite(x) else "without bound" for x in vars(difference).values())
    return f"{value} (95%: {low} to {high})"

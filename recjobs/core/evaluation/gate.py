"""The gate: which recipe is served after tonight. A refusal is a result, never an exception."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from recjobs.core.evaluation.bootstrap import DECIMALS, Interval, relative_difference, relative_differences
from recjobs.core.evaluation.verdict import METRIC, Check, Part, Verdict
from recjobs.core.lists.choice import NEIGHBOURS, OWN_FREQUENCY
from recjobs.core.lists.popularity import WINDOWS

SEGMENTS = ("light", "medium", "heavy")
_NOT_WORSE = {NEIGHBOURS: ("neighbours", "than item neighbours"), OWN_FREQUENCY: (OWN_FREQUENCY, "than own frequency")}
"""Baselines that a candidate must not be worse than: the name of the check, and how its sentence calls them."""
NEIGHBOURS_DROP = 0.25
"""How much worse than item neighbours a candidate may be beside a champion, if the catalog file says nothing."""
ROUNDING = 1e-9
"""What a value may be beyond its bound: as much as rounding can add."""
SEEN = 1.43
"""A true difference of this many half-widths of its 95% interval is detected with a power of 80%:
(1.960 + 0.842) / 1.960."""


@dataclass(frozen=True)
class Bounds:
    """When a candidate is refused: the keys of `gate` in a catalog file, and `min_holdout_users`.

    max_neighbours_drop: None is 0 without a champion, NEIGHBOURS_DROP with one.
    """

    max_relative_drop: float
    max_segment_drop: float
    max_neighbours_drop: float | None
    min_coverage: float
    max_gini: float
    max_coverage_drop: float
    max_novelty_drop: float
    max_gini_rise: float
    min_holdout_users: int

    def neighbours_drop(self, has_champion: bool) -> float:
        """How much worse than item neighbours a candidate may be."""
        if self.max_neighbours_drop is None:
            return NEIGHBOURS_DROP if has_champion else 0.0
        return self.max_neighbours_drop


@dataclass(frozen=True)
class Shown:
    """One model's lists: the deciding metric of each holdout user, and the metrics of `metrics.of_lists`."""

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

    champion: None on a first night. baselines: those of `popularity.WINDOWS`, and of NEIGHBOURS and OWN_FREQUENCY those
    that were evaluated.
    segments: masks over the users. defect: of the candidate's factors. answered: a mask of the users who are served the
    model's list (None: all), on whom it is compared with the baselines: the others have a popular list on either side.
    lists: kept in the verdict. The reason of a refusal is the first check that fails; a check without its data (no
    champion, an empty segment) is left out.
    """
    n_users = int(candidate.ndcg.size)
    by_model = np.ones(n_users, bool) if answered is None else answered
    strength = {name: round(_mean(values[by_model]) or 0.0, DECIMALS) for name, values in baselines.items()}
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
        nobody = "nothing to measure on: no user has an unseen item in the holdout"
        checks.append(_enough("holdout", n_users, f"{n_users:,} users in the holdout", nobody))
    if all(check.passed for check in checks):
        n_answered = int(by_model.sum())
        nobody = "the model answers nobody in the holdout: to each user it gives nothing, or less than a popular list"
        checks.append(_enough("answers", n_answered, f"the model answers {n_answered:,} users of the holdout", nobody))
    if all(check.passed for check in checks):
        others = [name for name in _NOT_WORSE if name in baselines]
        simple = [baselines[name][by_model] for name in (baseline, *others)]
        lift, *behind = relative_differences(candidate.ndcg[by_model], simple, seed)
        diff = relative_difference(candidate.ndcg, champion.ndcg, seed) if champion else lift
        checks.append(_better("popularity", baseline, lift, "not better than", who))
        for name, one in zip(others, behind, strict=True):
            allowed = bounds.neighbours_drop(champion is not None) if name == NEIGHBOURS else 0.0
            checks.append(_not_much_worse(*_NOT_WORSE[name], one, allowed))
        checks += _guardrails(candidate, bounds)
        if champion:
            checks += _against_champion(diff, same_recipe, n_users, bounds)
            for name, mask in segments.items():
                if mask.any():
                    in_segment = relative_difference(candidate.ndcg[mask], champion.ndcg[mask], seed)
                    most = bounds.max_segment_drop
                    checks.append(_not_much_worse(f"segment_{name}", f"for {name} users", in_segment, most))
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


def _enough(name: str, n_users: int, some: str, nobody: str) -> Check:
    return Check(name, n_users > 0, n_users, 1, some if n_users else nobody)


def _better(name: str, than: str, diff: Interval, otherwise: str, who: str = "") -> Check:
    passed = diff.low > 0
    sentence = f"{'better than' if passed else otherwise} {than} beyond doubt: {_text(diff)}{who}"
    return Check(name, passed, diff.low, 0.0, sentence)


def _not_much_worse(name: str, whom: str, diff: Interval, most: float) -> Check:
    failed = diff.high < 0 and diff.value < -most - ROUNDING
    sentence = f"{'worse' if failed else 'not much worse'} {whom} beyond doubt: {_text(diff)}"
    return Check(name, not failed, diff.value, -most, sentence)


def _guardrails(candidate: Shown, bounds: Bounds) -> list[Check]:
    coverage, gini = candidate.coverage, candidate.gini
    sentences = (
        f"its lists cover {coverage:.1%} of the items, {bounds.min_coverage:.1%} are asked for",
        f"its lists show items with a Gini of {gini:.3f}, {bounds.max_gini:.3f} is allowed",
    )
    return [
        Check("coverage", coverage >= bounds.min_coverage - ROUNDING, coverage, bounds.min_coverage, sentences[0]),
        Check("gini", gini <= bounds.max_gini + ROUNDING, gini, bounds.max_gini, sentences[1]),
    ]


def _against_champion(diff: Interval, same_recipe: bool, n_users: int, bounds: Bounds) -> list[Check]:
    if not same_recipe:
        return [_better("better", "the champion", diff, "a changed recipe, not better than")]
    by_much = diff.value < -bounds.max_relative_drop - ROUNDING
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


def _guardrails_against(candidate: Shown, champion: Shown, bounds: Bounds) -> list[Check]:
    checks = []
    for name, most in (("coverage", bounds.max_coverage_drop), ("novelty", bounds.max_novelty_drop)):
        mine, theirs = getattr(candidate, name), getattr(champion, name)
        drop = 1 - mine / theirs if theirs > 0 else 0.0
        says = f"the {name} of its lists is {mine:.3g}, the champion's {theirs:.3g}: a drop of {most:.0%} is allowed"
        checks.append(Check(f"{name}_drop", drop <= most + ROUNDING, drop, most, says))
    rise, allowed = candidate.gini - champion.gini, bounds.max_gini_rise
    says = f"the Gini of its lists is {candidate.gini:.3f}, the champion's {champion.gini:.3f}: {allowed:.3f} more"
    return [*checks, Check("gini_rise", rise <= allowed + ROUNDING, rise, allowed, f"{says} is allowed")]


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _text(difference: Interval | None) -> str:
    assert difference is not None  # noqa: S101 - an empty holdout was refused before
    if not any(vars(difference).values()):
        return "no difference"
    value, low, high = (f"{x:+.1%}" if np.isfinite(x) else "without bound" for x in vars(difference).values())
    return f"{value} (95%: {low} to {high})"

"""The gate: which recipe is in charge after tonight. A Verdict is a result, never an exception."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recjobs.core.bootstrap import Interval, relative_difference

METRIC = "ndcg_at_20"
SEGMENTS = ("light", "medium", "heavy")


@dataclass(frozen=True)
class Verdict:
    """The gate's answer: promoted or refused, why, and the numbers it hangs on.

    diff: relative difference of candidate and champion (baseline where there is no champion), with its 95% interval;
    smallest_drop: the smallest relative drop this holdout could tell from none.
    """

    verdict: str
    reason: str
    metric: str
    candidate: float | None
    champion: float | None
    baseline_name: str
    baseline: float | None
    diff: float | None
    diff_low: float | None
    diff_high: float | None
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    smallest_drop: float | None
    n_users: int

    @property
    def promoted(self) -> bool:
        """Whether the candidate's recipe is in charge."""
        return self.verdict == "promoted"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; infinite numbers become null."""
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Bounds:
    """When a candidate is refused: relative drops on the deciding metric, and the least coverage of its lists."""

    max_relative_drop: float
    max_segment_drop: float
    min_coverage: float
    min_holdout_users: int


def decide(
    candidate: np.ndarray,
    champion: np.ndarray | None,
    baseline: np.ndarray,
    baseline_name: str,
    *,
    same_recipe: bool,
    segments: dict[str, np.ndarray],
    coverage: float,
    defect: str | None,
    bounds: Bounds,
    seed: int,
) -> Verdict:
    """Decide by the deciding metric of each holdout user; the three arrays are over the same users.

    champion: None on a first night. segments: masks over the users. defect: what is wrong with the candidate's factors.
    A broken candidate, an empty holdout, and a candidate not better than the baseline beyond doubt are refused.
    Then, on a recipe the champion shares, refused only if worse beyond doubt (interval below 0) or by much; on a
    changed recipe, promoted only if better beyond doubt (interval above 0).
    """
    n_users = int(candidate.size)

    def answer(verdict: str, reason: str, diff: Interval | None = None, lift: Interval | None = None) -> Verdict:
        return Verdict(
            verdict,
            reason,
            METRIC,
            _mean(candidate),
            None if champion is None else _mean(champion),
            baseline_name,
            _mean(baseline),
            diff.value if diff else None,
            diff.low if diff else None,
            diff.high if diff else None,
            lift.value if lift else None,
            lift.low if lift else None,
            lift.high if lift else None,
            None if diff is None else max(0.0, diff.value - diff.low),
            n_users,
        )

    if defect:
        return answer("refused", f"broken candidate: {defect}")
    if n_users == 0:
        return answer("refused", "nothing to measure on: no user has an unseen item in the holdout")
    lift = relative_difference(candidate, baseline, seed)
    diff = lift if champion is None else relative_difference(candidate, champion, seed)
    if not lift.low > 0:
        return answer("refused", f"not better than {baseline_name} beyond doubt: {_text(lift)}", diff, lift)
    if coverage < bounds.min_coverage:
        return answer(
            "refused",
            f"its lists cover {coverage:.1%} of the items, {bounds.min_coverage:.1%} are asked for",
            diff,
            lift,
        )
    if champion is None:
        return answer("promoted", f"no champion yet, and better than {baseline_name}: {_text(lift)}", diff, lift)
    if same_recipe:
        if diff.high < 0:
            return answer("refused", f"worse than the champion beyond doubt: {_text(diff)}", diff, lift)
        if diff.value < -bounds.max_relative_drop and n_users >= bounds.min_holdout_users:
            return answer(
                "refused",
                f"worse than the champion by more than {bounds.max_relative_drop:.0%}: {_text(diff)}",
                diff,
                lift,
            )
    elif not diff.low > 0:
        return answer(
            "refused", f"a changed recipe, not better than the champion beyond doubt: {_text(diff)}", diff, lift
        )
    for name, mask in segments.items():
        if mask.any():
            part = relative_difference(candidate[mask], champion[mask], seed)
            if part.high < 0 and part.value < -bounds.max_segment_drop:
                return answer("refused", f"worse for {name} users beyond doubt: {_text(part)}", diff, lift)
    kind = "the champion's recipe on fresh data" if same_recipe else "a changed recipe"
    return answer("promoted", f"{kind}, against the champion: {_text(diff)}", diff, lift)


def segments_by_activity(n_train: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of light, medium and heavy users: thirds by the number of train interactions, ties to the lighter."""
    low, high = np.quantile(n_train, [1 / 3, 2 / 3]) if n_train.size else (0, 0)
    return {"light": n_train <= low, "medium": (n_train > low) & (n_train <= high), "heavy": n_train > high}


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _text(difference: Interval) -> str:
    value, low, high = (f"{x:+.1%}" if np.isfinite(x) else "without bound" for x in vars(difference).values())
    return f"{value} (95%: {low} to {high})"

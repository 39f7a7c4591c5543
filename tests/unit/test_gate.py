"""The gate: every way to be refused, and the ways to be promoted, each with its reason."""

import json

import numpy as np
import pytest

from recjobs.core.gate import Bounds, decide, segments_by_activity

N = 400
NOISE = np.random.default_rng(1).normal(0, 0.02, (3, N))
BASE, SAME, OTHER = np.clip(0.3 + NOISE, 0, 1)
"""Scores of three models that are alike, user by user; the baseline is half as good."""
BOUNDS = Bounds(max_relative_drop=0.05, max_segment_drop=0.1, min_coverage=0.01, min_holdout_users=100)


def verdict(candidate=SAME, champion=BASE, baseline=None, bounds=BOUNDS, **changes):
    asked = {"same_recipe": True, "segments": {}, "coverage": 0.5, "defect": None, "seed": 3} | changes
    baseline = OTHER / 2 if baseline is None else baseline
    return decide(candidate, champion, baseline, "popularity_30d", bounds=bounds, **asked)


def test_an_honest_retrain_is_promoted():
    found = verdict()
    assert found.promoted
    assert found.reason.startswith("the champion's recipe on fresh data")
    assert found.n_users == N
    assert found.metric == "ndcg_at_20"
    assert found.diff_low < found.diff < found.diff_high
    assert found.lift == pytest.approx(1, abs=0.05)
    assert found.smallest_drop == pytest.approx(found.diff - found.diff_low)


def test_a_first_night_needs_only_to_beat_popularity():
    found = verdict(champion=None)
    assert found.promoted
    assert "no champion yet" in found.reason
    assert found.champion is None
    assert found.diff == found.lift


def test_a_broken_candidate_is_refused_before_anything_is_measured():
    found = verdict(defect="item_factors holds values that are not finite")
    assert found.verdict == "refused"
    assert found.reason == "broken candidate: item_factors holds values that are not finite"
    assert found.diff is None


def test_an_empty_holdout_is_refused():
    nobody = np.zeros(0)
    found = verdict(nobody, nobody, nobody)
    assert found.verdict == "refused"
    assert "nothing to measure on" in found.reason
    assert (found.candidate, found.n_users) == (None, 0)


@pytest.mark.parametrize("champion", [None, BASE])
def test_a_candidate_that_does_not_beat_popularity_beyond_doubt_is_refused(champion):
    found = verdict(champion=champion, baseline=OTHER)
    assert found.verdict == "refused"
    assert "not better than popularity_30d beyond doubt" in found.reason


def test_a_candidate_that_beats_popularity_only_by_luck_is_refused():
    found = verdict(noisy(0.21, 1), None, noisy(0.2, 2))
    assert found.verdict == "refused"
    assert found.lift_low < 0 < found.lift


def test_a_candidate_that_covers_too_little_is_refused():
    found = verdict(coverage=0.004)
    assert found.verdict == "refused"
    assert "cover 0.4% of the items, 1.0% are asked for" in found.reason


def test_the_same_recipe_is_refused_when_it_is_worse_beyond_doubt():
    found = verdict(SAME * 0.97)
    assert found.verdict == "refused"
    assert "worse than the champion beyond doubt" in found.reason
    assert found.diff_high < 0


def noisy(mean, seed):
    """Scores so uneven that nothing is beyond doubt."""
    scores = np.random.default_rng(seed).permutation(np.where(np.arange(N) < 80, 1.0, 0.0))
    return scores * mean / 0.2


def test_the_same_recipe_is_refused_when_it_is_worse_by_much_on_enough_users():
    found = verdict(noisy(0.185, 1), noisy(0.2, 2), np.full(N, 0.01))
    assert found.diff_high > 0
    assert "worse than the champion by more than 5%" in found.reason
    assert found.verdict == "refused"


def test_worse_by_much_on_too_few_users_is_let_through():
    few = Bounds(0.05, 0.1, 0.01, min_holdout_users=N + 1)
    assert verdict(noisy(0.185, 1), noisy(0.2, 2), np.full(N, 0.01), bounds=few).promoted


def test_a_changed_recipe_that_is_as_good_is_refused():
    found = verdict(same_recipe=False)
    assert found.verdict == "refused"
    assert "a changed recipe, not better than the champion beyond doubt" in found.reason


def test_a_changed_recipe_that_is_better_beyond_doubt_is_promoted():
    found = verdict(SAME * 1.05, same_recipe=False)
    assert found.promoted
    assert found.reason.startswith("a changed recipe, against the champion")
    assert found.diff_low > 0


def test_a_segment_that_loses_beyond_doubt_is_named():
    heavy = np.arange(N) < 40
    candidate = np.where(heavy, SAME * 0.8, SAME * 1.05)
    found = verdict(candidate, segments={"light": ~heavy, "heavy": heavy})
    assert found.verdict == "refused"
    assert "worse for heavy users beyond doubt" in found.reason


def test_a_segment_may_lose_a_little_and_an_empty_one_says_nothing():
    heavy = np.arange(N) < 40
    candidate = np.where(heavy, SAME * 0.93, SAME * 1.05)
    assert verdict(candidate, segments={"heavy": heavy, "nobody": np.zeros(N, bool)}).promoted


def test_where_popularity_finds_nothing_any_hit_is_better():
    found = verdict(champion=None, baseline=np.zeros(N))
    assert found.promoted
    assert found.lift == np.inf


def test_where_nobody_finds_anything_the_candidate_is_refused():
    zeros = np.zeros(N)
    assert verdict(zeros, None, zeros).verdict == "refused"


def test_a_verdict_is_plain_json_with_null_for_what_is_infinite():
    stored = json.loads(json.dumps(verdict(champion=None, baseline=np.zeros(N)).to_json(), allow_nan=False))
    assert stored["verdict"] == "promoted"
    assert (stored["lift"], stored["baseline"]) == (None, 0.0)


def test_of_changed_recipes_that_change_nothing_at_most_about_one_in_twenty_is_promoted():
    rng = np.random.default_rng(9)
    promoted = [
        verdict(first, second, np.full(60, 0.01), same_recipe=False).promoted
        for first, second in rng.gamma(0.5, 1, (40, 2, 60))
    ]
    assert np.mean(promoted) <= 0.05 + 0.04


def test_of_honest_retrains_more_than_nine_in_ten_are_promoted():
    rng = np.random.default_rng(10)
    base = rng.gamma(0.5, 1, (25, 60))
    promoted = [
        verdict(row + rng.normal(0, 0.05, 60), row, np.full(60, 0.01), same_recipe=True).promoted for row in base
    ]
    assert np.mean(promoted) >= 0.9


def test_segments_are_thirds_by_activity_with_ties_to_the_lighter():
    found = segments_by_activity(np.array([1, 1, 1, 1, 5, 9]))
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "light": [0, 1, 2, 3],
        "medium": [],
        "heavy": [4, 5],
    }


@pytest.mark.parametrize("activity", [[], [3], [2, 2, 2], [1, 2, 3, 4, 5, 6, 7]])
def test_every_user_is_in_exactly_one_segment(activity):
    masks = segments_by_activity(np.array(activity, int)).values()
    assert (np.sum([*masks], axis=0) == 1).all()

"""The gate: every way to be refused, and the ways to be promoted, each with its reason."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recjobs.core.evaluation.approval import Answer, decided
from recjobs.core.evaluation.gate import Bounds, Shown, decide
from recjobs.core.evaluation.verdict import Check, Verdict
from recjobs.core.lists.choice import ListChoice

N = 400
NOISE = np.random.default_rng(1).normal(0, 0.02, (3, N))
BASE, SAME, OTHER = np.clip(0.3 + NOISE, 0, 1)
"""Scores of three models that are alike, user by user; the baseline is half as good."""
BOUNDS = Bounds(
    max_relative_drop=0.05,
    max_segment_drop=0.1,
    max_neighbours_drop=0.02,
    min_coverage=0.01,
    max_gini=0.99,
    max_coverage_drop=0.5,
    max_novelty_drop=0.1,
    max_gini_rise=0.05,
    min_holdout_users=100,
)
LISTS = {"coverage": 0.5, "gini": 0.8, "novelty": 9.0}
"""What everybody's lists say about the catalogue, where a test says nothing else."""


def verdict(candidate=SAME, champion=BASE, baseline=None, bounds=None, lists=None, others=None, **changes):
    """lists: what the candidate's lists say about the catalogue; others: further baselines; bounds: other ones."""
    asked = {"same_recipe": True, "segments": {}, "defect": None, "seed": 3} | changes
    return decide(
        Shown(candidate, **LISTS | (lists or {})),
        None if champion is None else Shown(champion, **LISTS),
        {"popularity_30d": OTHER / 2 if baseline is None else baseline} | (others or {}),
        bounds=replace(BOUNDS, **bounds or {}),
        **asked,
    )


def failed(found):
    """The names of the checks that were not passed; the reason is the first one's sentence."""
    names = [check.name for check in found.checks if not check.passed]
    assert found.promoted == (not names)
    if names:
        assert found.reason == next(check.sentence for check in found.checks if not check.passed)
    return names


def test_two_equal_models_have_no_difference_in_words_either():
    ndcg = np.linspace(0.1, 0.9, 60)
    shown, baselines = Shown(ndcg, 0.5, 0.5, 5.0), {"popularity_30d": ndcg / 2, "popularity_all": ndcg / 2}
    bounds = Bounds(0.05, 0.1, 0.25, 0.0, 1.0, 0.6, 0.05, 0.05, 20)
    segments = {"light": ndcg > 0.5}
    verdict = decide(shown, shown, baselines, same_recipe=True, segments=segments, defect=None, bounds=bounds, seed=1)
    assert verdict.reason == "the champion's recipe on fresh data, against the champion: no difference"
    assert [check.sentence for check in verdict.checks if "+0.0%" in check.sentence] == []


def test_an_honest_retrain_is_promoted():
    found = verdict()
    assert found.promoted
    assert found.reason.startswith("the champion's recipe on fresh data")
    assert found.n_users == N
    assert found.metric == "ndcg_at_20"
    assert found.diff_low < found.diff < found.diff_high
    assert found.lift == pytest.approx(1, abs=0.05)
    assert failed(found) == []
    assert {check.name for check in found.checks} >= {"sound", "holdout", "popularity", "coverage", "gini", "drop"}


def test_the_smallest_change_that_can_be_seen_follows_from_the_interval():
    """At 1.43 half-widths the interval of a true change leaves 0 out four times in five."""
    found = verdict()
    assert found.smallest_drop == pytest.approx(1.43 * (found.diff_high - found.diff))
    assert found.smallest_rise == pytest.approx(1.43 * (found.diff - found.diff_low))


def test_a_change_of_the_smallest_size_is_seen_four_times_in_five_and_half_of_it_seldom():
    rng = np.random.default_rng(4)
    users = rng.gamma(2, 0.1, 150)

    def promoted(rise):
        noise = rng.normal(0, 0.05, (40, 150))
        return np.mean(
            [verdict(users * (1 + rise) + row, users, np.full(150, 0.01), same_recipe=False).promoted for row in noise]
        )

    size = verdict(users + rng.normal(0, 0.05, 150), users, np.full(150, 0.01), same_recipe=False).smallest_rise
    assert 0.65 <= promoted(size) <= 0.95
    assert promoted(size / 2) < 0.5


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


def test_the_stronger_popular_list_is_the_one_to_beat():
    found = verdict(others={"popularity_all": OTHER * 0.99})
    assert (found.baseline_name, failed(found)) == ("popularity_all", ["popularity"])
    assert "not better than popularity_all beyond doubt" in found.reason
    assert verdict(others={"popularity_all": OTHER / 3}).baseline_name == "popularity_30d"


def test_a_candidate_that_is_much_worse_than_item_neighbours_beyond_doubt_is_refused():
    found = verdict(others={"neighbours": SAME * 1.03})
    assert failed(found) == ["neighbours"]
    assert found.reason.startswith("worse than item neighbours beyond doubt: -2.9%")
    assert (found.strongest, found.baseline_name) == ("neighbours", "popularity_30d")


@pytest.mark.parametrize("neighbours", [OTHER, SAME * 1.01])
def test_a_candidate_that_equals_item_neighbours_or_is_a_little_worse_passes(neighbours):
    found = verdict(others={"neighbours": neighbours})
    assert found.promoted
    assert "neighbours" in {check.name for check in found.checks}


def test_a_candidate_that_is_worse_than_own_frequency_beyond_doubt_is_refused_however_little():
    found = verdict(others={"own_frequency": SAME * 1.001})
    assert failed(found) == ["own_frequency"]
    assert found.reason.startswith("worse than own frequency beyond doubt: -0.1%")
    assert failed(verdict(others={"own_frequency": OTHER})) == []
    assert "own_frequency" not in {check.name for check in verdict().checks}


@pytest.mark.parametrize(
    ("set_to", "champion", "allowed"),
    [(None, None, 0.0), (None, BASE, 0.25), (0.02, None, 0.02), (0.02, BASE, 0.02), (0.0, BASE, 0.0)],
)
def test_a_first_night_may_not_be_worse_than_item_neighbours_and_a_later_one_by_a_quarter(set_to, champion, allowed):
    for behind, refused in ((allowed + 0.01, True), (allowed - 0.01, False)):
        found = verdict(
            champion=champion, others={"neighbours": SAME / (1 - behind)}, bounds={"max_neighbours_drop": set_to}
        )
        assert failed(found) == (["neighbours"] if refused else [])
        check = next(check for check in found.checks if check.name == "neighbours")
        assert check.bound == -allowed


def test_a_first_candidate_that_is_worse_than_item_neighbours_within_doubt_passes():
    worse = np.where(np.arange(N) % 2, SAME * 1.3, SAME * 0.72)
    assert worse.mean() > SAME.mean()
    assert verdict(champion=None, others={"neighbours": worse}, bounds={"max_neighbours_drop": None}).promoted


def test_without_neighbours_nothing_is_asked_about_them():
    assert "neighbours" not in {check.name for check in verdict().checks}


ALONE = {
    "coverage": ({"coverage": 0.004}, "cover 0.4% of the items, 1.0% are asked for"),
    "gini": ({"gini": 0.995}, "a Gini of 0.995, 0.990 is allowed"),
}
AGAINST_THE_CHAMPION = {
    "coverage_drop": (
        {"coverage": 0.24},
        "coverage of its lists is 0.24, the champion's 0.5: a drop of 50% is allowed",
    ),
    "novelty_drop": ({"novelty": 8.0}, "novelty of its lists is 8, the champion's 9: a drop of 10% is allowed"),
    "gini_rise": ({"gini": 0.86}, "Gini of its lists is 0.860, the champion's 0.800: 0.050 more is allowed"),
}


@pytest.mark.parametrize("champion", [None, BASE])
@pytest.mark.parametrize("name", ALONE)
def test_lists_that_show_too_little_or_too_unevenly_are_refused(name, champion):
    lists, says = ALONE[name]
    found = verdict(champion=champion, lists=lists)
    assert failed(found)[0] == name
    assert says in found.reason


@pytest.mark.parametrize("name", AGAINST_THE_CHAMPION)
def test_lists_that_are_much_poorer_than_the_champions_are_refused(name):
    lists, says = AGAINST_THE_CHAMPION[name]
    found = verdict(SAME * 1.2, lists=lists, same_recipe=False)
    assert failed(found) == [name]
    assert says in found.reason
    assert verdict(champion=None, lists=lists).promoted, "there is nothing to be poorer than"


@pytest.mark.parametrize("lists", [{"coverage": 0.26}, {"novelty": 8.2}, {"gini": 0.84}, {"gini": 0.2}])
def test_lists_that_are_a_little_poorer_or_richer_pass(lists):
    assert failed(verdict(lists=lists)) == []


def test_where_the_champion_showed_nothing_there_is_nothing_to_lose():
    nothing = Shown(BASE, 0.0, 0.0, 0.0)
    found = decide(
        Shown(SAME, **LISTS), nothing, {"popularity_30d": OTHER / 2}, same_recipe=True, segments={}, defect=None,
        bounds=replace(BOUNDS, max_gini_rise=1), seed=3,
    )  # fmt: skip
    assert failed(found) == []


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
    few = {"min_holdout_users": N + 1}
    assert verdict(noisy(0.185, 1), noisy(0.2, 2), np.full(N, 0.01), bounds=few).promoted


def test_a_changed_recipe_that_is_as_good_is_refused():
    found = verdict(same_recipe=False)
    assert found.verdict == "refused"
    assert "a changed recipe, not better than the champion beyond doubt" in found.reason
    assert found.inconclusive


def test_only_an_interval_with_zero_inside_and_nothing_else_is_inconclusive():
    assert not verdict().inconclusive
    assert not verdict(SAME * 0.9, same_recipe=False).inconclusive, "worse beyond doubt"
    assert not verdict(SAME * 1.1, same_recipe=False).inconclusive, "better beyond doubt"
    assert not verdict(same_recipe=False, lists={"coverage": 0.004}).inconclusive, "covers too little as well"
    assert not verdict(same_recipe=False, baseline=OTHER).inconclusive, "no better than popularity"
    assert not verdict(champion=None, baseline=OTHER).inconclusive, "nobody to be compared with"


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
    checks = {check["name"]: check for check in stored["checks"]}
    assert checks["popularity"] == {
        "name": "popularity", "passed": True, "value": None, "bound": 0.0,
        "sentence": "better than popularity_30d beyond doubt: without bound (95%: without bound to without bound)",
    }  # fmt: skip


def test_a_verdict_that_is_stored_comes_back():
    stored = verdict(same_recipe=False)
    assert Verdict.from_json(json.loads(json.dumps(stored.to_json()))) == stored


def test_the_verdict_of_an_older_night_comes_back_with_defaults_and_without_what_is_unknown():
    check = {"name": "sound", "passed": True, "colour": "red"}
    older = {"verdict": "refused", "reason": "worse", "n_users": 3, "checks": [check], "p_value": 0.2}
    assert Verdict.from_json(older) == Verdict("refused", "worse", n_users=3, checks=(Check("sound", True),))
    assert not Verdict.from_json({"verdict": "promoted", "reason": "better"}).inconclusive


@pytest.mark.parametrize(
    ("approved", "timed_out", "outcome", "approval", "reason"),
    [
        (True, False, "promoted", "approved", "approved by ann (fresher); the gate said: unsure"),
        (False, False, "refused", "refused", "unsure; refused by ann (fresher)"),
        (False, True, "refused", "timed out", "unsure; nobody answered in time"),
    ],
)
def test_an_answer_decides_and_is_kept_in_the_verdict(approved, timed_out, outcome, approval, reason):
    open_one = Verdict("refused", "unsure", inconclusive=True)
    answered = decided(open_one, Answer(approved, "ann", "2025-06-01T08:00:00+00:00", "fresher", timed_out, late=False))
    assert (answered.verdict, answered.approval, answered.reason) == (outcome, approval, reason)
    assert (answered.approved_by, answered.approval_reason) == ("ann", "fresher")
    assert Verdict.from_json(answered.to_json()) == answered
    assert decided(open_one, None) == open_one


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


def groups(activity):
    return ListChoice.from_activity(activity).groups(activity)


def test_segments_are_thirds_by_activity_with_ties_to_the_lighter():
    found = groups(np.array([1, 1, 1, 1, 5, 9]))
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "unknown": [],
        "light": [0, 1, 2, 3],
        "medium": [],
        "heavy": [4, 5],
    }


@pytest.mark.parametrize("activity", [[], [3], [2, 2, 2], [1, 2, 3, 4, 5, 6, 7]])
def test_every_user_is_in_exactly_one_segment(activity):
    masks = groups(np.array(activity, int)).values()
    assert (np.sum([*masks], axis=0) == 1).all()

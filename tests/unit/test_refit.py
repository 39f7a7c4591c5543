"""The refit is what is served: each way to be refused."""

import numpy as np
import pytest

from recjobs.core.evaluation.refit import defect_of_refit
from recjobs.core.model.als import Factors
from recjobs.core.model.ranking import overlap_at

ITEMS = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
REFIT = Factors(np.ones((4, 2), np.float32), ITEMS)


def defect(refit=REFIT, champion=ITEMS, ndcg_refit=0.3, ndcg_candidate=0.2, **changes):
    """ndcg_*: a mean, of 400 users who differ, or each user's."""
    users = np.random.default_rng(1).uniform(0.5, 1.5, 400)
    users /= users.mean()
    asked = {"overlap": 0.7, "min_overlap": 0.5, "seed": 1} | changes
    ndcg = {"ndcg_refit": ndcg_refit, "ndcg_candidate": ndcg_candidate}
    ndcg = {name: value * users if np.ndim(value) == 0 else value for name, value in ndcg.items()}
    return defect_of_refit(refit, champion, **ndcg, **asked)


def test_a_sound_refit_is_served():
    assert defect() is None
    assert defect(champion=None) is None
    assert defect(ndcg_refit=0.2) is None


def test_a_refit_with_nan_is_refused():
    assert "not finite" in defect(Factors(REFIT.user_factors, ITEMS * np.float32(np.nan)))


def test_a_refit_that_does_worse_on_what_it_has_seen_is_refused():
    assert defect(ndcg_refit=0.19) == "having seen the holdout it does worse on it than the candidate: 0.1900, 0.2000"


def test_a_refit_that_is_as_good_but_for_chance_is_served():
    assert defect(ndcg_refit=0.7831, ndcg_candidate=0.7832) is None, "every user lost, but hardly anything"
    rng, passed = np.random.default_rng(4), 0
    for _ in range(35):  # as many users as a week's holdout has, of whom a third are served better or worse by chance
        candidate = rng.beta(4, 1.2, 435)
        change = np.where(rng.random(435) < 1 / 3, rng.normal(0, 0.15, 435), 0)
        passed += defect(ndcg_refit=candidate + change, ndcg_candidate=candidate) is None
    assert passed >= 32


def test_a_refit_is_not_measured_where_nobody_is_in_the_holdout():
    nobody = np.zeros((0,))
    sound = {"overlap": 1.0, "min_overlap": 0.5, "seed": 1}
    assert defect_of_refit(REFIT, ITEMS, ndcg_refit=nobody, ndcg_candidate=nobody, **sound) is None


def test_a_refit_whose_lists_are_others_is_refused():
    assert defect(overlap=0.49) == "its lists share 49.0% with the candidate's, 50.0% are asked for"


@pytest.mark.parametrize(("times", "refused"), [(0.2, True), (0.3, False), (1, False), (3.9, False), (5, True)])
def test_the_norms_stay_within_four_times_the_champions(times, refused):
    found = defect(Factors(REFIT.user_factors, ITEMS * np.float32(times)))
    assert (found is not None) == refused
    if refused:
        assert f"{times:.2f} times the champion's" in found


def test_norms_of_another_number_of_factors_are_not_compared():
    assert defect(champion=np.full((3, 5), 100, np.float32)) is None


def test_the_norm_is_that_of_known_items():
    padded = np.vstack([ITEMS, np.zeros((50, 2), np.float32)])
    assert defect(Factors(REFIT.user_factors, padded)) is None


def test_overlap_is_the_share_of_the_first_lists_items_that_the_second_has():
    first = np.array([[1, 2, 3, 4], [5, 6, -1, -1]])
    second = np.array([[4, 3, 9, 8], [7, 6, -1, -1]])
    assert overlap_at(first, second) == pytest.approx((2 / 4 + 1 / 2) / 2)


def test_the_ends_of_lists_do_not_overlap_and_no_lists_agree():
    assert overlap_at(np.array([[-1, -1]]), np.array([[-1, -1]])) == 0
    assert overlap_at(np.zeros((0, 20), int), np.zeros((0, 20), int)) == 1

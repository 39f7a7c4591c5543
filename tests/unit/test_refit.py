"""The refit is what is served: each way to be refused."""

import numpy as np
import pytest

from recjobs.core.evaluation.refit import defect_of_refit
from recjobs.core.model.als import Factors
from recjobs.core.model.ranking import overlap_at

ITEMS = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
REFIT = Factors(np.ones((4, 2), np.float32), ITEMS)


def defect(refit=REFIT, champion=ITEMS, **changes):
    asked = {"ndcg_refit": 0.3, "ndcg_candidate": 0.2, "overlap": 0.7, "min_overlap": 0.5} | changes
    return defect_of_refit(refit, champion, **asked)


def test_a_sound_refit_is_served():
    assert defect() is None
    assert defect(champion=None) is None
    assert defect(ndcg_refit=0.2) is None


def test_a_refit_with_nan_is_refused():
    assert "not finite" in defect(Factors(REFIT.user_factors, ITEMS * np.float32(np.nan)))


def test_a_refit_that_does_worse_on_what_it_has_seen_is_refused():
    assert defect(ndcg_refit=0.1999) == (
        "having seen the holdout it does worse on it than the candidate: 0.1999, 0.2000"
    )


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

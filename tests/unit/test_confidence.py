"""Short lists: items that users are too unlikely to take are left out, by what the holdout says of such scores."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from recjobs.core.evaluation.as_served import deciding_half
from recjobs.core.evaluation.confidence import least_score, short_lists
from recjobs.core.evaluation.exam import exam
from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.finished import Lists
from recjobs.core.lists.knowledge import Knowledge
from recjobs.core.lists.maker import ListMaker, Model, Past
from recjobs.core.model.engine import Engine
from recjobs.core.model.ranking import Ranked
from recjobs.core.recipe import Recipe
from tests.unit.worlds import NOW, interactions


def test_the_least_score_is_where_the_share_of_hits_reaches_the_confidence():
    scores = np.repeat(np.float32([1, 2, 3, 4]), 100)
    hit = np.concatenate([np.arange(100) < n for n in (5, 20, 10, 60)])
    assert least_score(scores, hit, 0.6) == 4
    assert least_score(scores, hit, 0.15) == 2, "20 and 10 of 100 are one level of 15%: hits do not fall with scores"
    assert least_score(scores, hit, 0.16) == 4
    assert least_score(scores, hit, 0.01) == 1, "of lower scores nothing is known"
    assert least_score(scores, hit, 0.7) is None


def test_a_handful_of_hits_is_no_confidence():
    scores, hit = np.arange(200.0), np.arange(200) >= 151
    assert least_score(scores, hit, 0.9) is None
    assert least_score(scores, np.arange(200) >= 150, 0.9) == 150
    assert least_score(np.zeros(0), np.zeros(0, bool), 0.5) is None


def lists() -> Lists:
    """Items of the model and one to fill up; own items; popular ones, the first two of a category."""
    items = np.array([[5, 6, 7, 0], [8, 9, 1, 2], [3, 2, 4, 0]], np.int32)
    scores = np.array([[0.9, 0.5, 0.4, 50], [3, 1, 50, 20], [30, 20, 40, 9]], np.float32)
    return Lists(Ranked(items, scores), np.array([3, 2, 0]), np.array([0, 0, 2]), np.array([False, True, False]))


def test_each_list_is_cut_at_the_score_of_its_kind_and_not_filled_up():
    short = lists().confident({"model": 0.5, "again": 2.0, "popular": 25.0})
    assert short.ranked.item_idx.tolist() == [[5, 6, -1, -1], [8, -1, -1, -1], [3, 4, -1, -1]]
    assert np.isnan(short.ranked.scores[short.ranked.item_idx < 0]).all()
    assert (short.n_model.tolist(), short.n_category.tolist()) == ([2, 1, 0], [0, 0, 1])


def test_a_kind_without_a_score_has_empty_lists_and_without_the_setting_lists_are_the_same_object():
    short = lists().confident({"model": 0.0})
    assert short.ranked.lengths.tolist() == [3, 0, 0]
    assert short.n_model.tolist() == [3, 0, 0]
    whole = lists()
    assert whole.confident(None) is whole


@pytest.fixture(scope="module")
def shop():
    """240 users, who took either item 0 or items 0 to 2. In the holdout all take item 3, and who took three items takes
    item 4 as well. Factors: a user's score of item 3 is high, of item 4 lower, of items 5 to 9 near 0."""
    users = range(240)
    rows = [(user, item, 20) for user in users for item in ([0] if user % 2 else [0, 1, 2])]
    later = [(user, item, 1) for user in users for item in ([3] if user % 2 else [3, 4])]
    train, holdout = (interactions(some, 240, 10) for some in (rows, later))
    factors = np.zeros((10, 2), np.float32)
    factors[[0, 3], 0], factors[1:3, 0], factors[4, 0], factors[5:, 0] = 1, 0.2, 0.8, 0.01
    past = Past(train, NOW, Engine(1))
    return past, Knowledge(np.ones(10, bool)), exam(train, holdout, "discovery", 1), Model(factors, Recipe(factors=2))


def test_a_list_holds_what_users_took_and_the_report_says_what_it_costs(shop):
    past, known, questions, model = shop
    chosen, row = short_lists(
        past, known, questions, {"candidate": model}, Recipe(), {"candidate": ListChoice()}, 0.9, seed=3
    )
    choice = chosen["candidate"]
    made = ListMaker(past, known, model, questions.kept_out, choice).lists(questions.users, 7)
    lengths = made.ranked.lengths
    assert set(made.ranked.item_idx[:, 0].tolist()) == {3}
    assert lengths[0::2].tolist() == [2] * 120, "who took three items takes two more"
    assert set(lengths[1::2].tolist()) == {1}
    assert row["hit_share"] == 1
    assert row["empty"] == 0
    deciding = deciding_half(240, 3)
    n_full = 7 * (~(np.arange(240) % 2 == 1) & deciding).sum() + 9 * ((np.arange(240) % 2 == 1) & deciding).sum()
    assert row["listed"] == lengths[deciding].sum() / n_full
    assert row["ndcg_at_20"] == pytest.approx(row["without"]), "nothing that was taken is missing"


def test_a_confidence_that_no_item_has_leaves_nothing_and_costs_everything(shop):
    past, known, _, model = shop
    holdout = interactions([(user, 5 + user % 5, 1) for user in range(240)], 240, 10)
    questions = exam(past.interactions, holdout, "discovery", 1)
    chosen, row = short_lists(
        past, known, questions, {"candidate": model}, Recipe(), {"candidate": ListChoice()}, 0.9, seed=3
    )
    assert chosen["candidate"].min_scores == {}
    assert (row["listed"], row["empty"], row["hit_share"], row["difference"]) == (0, 1, None, -1)


def test_without_the_setting_a_verdict_keeps_the_choice_as_it_did():
    choice = ListChoice("popularity_all", 1, 2, {"light": "popularity_30d"})
    assert list(choice.to_json()) == ["popular", "light", "medium", "instead"]
    assert ListChoice.from_json(choice.to_json()) == choice
    short = replace(choice, min_scores={"model": 0.25})
    assert ListChoice.from_json(short.to_json()) == short
    assert asdict(short) == short.to_json()

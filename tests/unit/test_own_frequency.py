"""A user's own items by decayed frequency: as a list, as a part of the score, as a baseline, as a reason."""

from dataclasses import replace

import numpy as np
import pytest

from recjobs.core.evaluation.as_served import contest
from recjobs.core.evaluation.exam import exam
from recjobs.core.lists.choice import NO_MODEL, OWN_FREQUENCY, ListChoice
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.lists.own_items import own_frequency, own_lists
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from tests.unit.test_because import unpacked
from tests.unit.worlds import NOW, interactions, sets

ALL = ListChoice(light=1, medium=2, instead=dict.fromkeys(("light", "medium", "heavy"), OWN_FREQUENCY))
PLAIN = Recipe(factors=4, alpha=5, regularization=1, iterations=5)
WITH_OWN = replace(PLAIN, own_frequency=0.5)

# User 0 took item 5 often and long ago, item 3 twice of late, items 1 and 2 once on one day; user 1 returned item 0.
KINDS = ("buy", "return")
ROWS = [(0, 5, 900, 1, 0)] * 9 + [(0, 3, 8, 1, 0), (0, 3, 1, 1, 0), (0, 1, 2, 1, 0), (0, 2, 2, 1, 0)]
ROWS += [(1, 0, 5, 1, 0), (1, 0, 4, 1, 1), (1, 2, 9, 1, 0), (2, 2, 9, 1, 0)]
SHOP = replace(interactions(ROWS, 4, 6, KINDS), negative=("return",))


def test_own_items_come_by_decayed_frequency_and_of_equal_ones_the_most_popular_first():
    frequency = own_frequency(SHOP, NOW, 90)
    assert frequency[0, 5] == pytest.approx(9 * 0.5**10)
    popular = np.array([2, 0, 1, 3, 4, 5])
    lists = own_lists(frequency, 4, SHOP.disliked_pairs(), np.ones(6, bool), popular)
    assert lists.item_idx.tolist() == [[3, 2, 1, 5], [2, -1, -1, -1], [2, -1, -1, -1], [-1] * 4]
    assert lists.lengths.tolist() == [4, 1, 1, 0]
    eligible = np.arange(6) != 3
    assert own_lists(frequency, 2, None, eligible, popular).item_idx.tolist() == [[2, 1], [0, 2], [2, -1], [-1, -1]]


def test_where_all_items_of_a_user_are_kept_out_nothing_is_their_own():
    lists = own_lists(own_frequency(SHOP, NOW, 90), 3, SHOP.pairs(), np.ones(6, bool), np.arange(6))
    assert not lists.lengths.any()


def test_the_choice_puts_own_items_first_and_fills_the_list_from_the_popular_one():
    maker = ListMaker(Past(SHOP, NOW, Engine()), Knowledge(np.ones(6, bool)), None, SHOP.disliked_pairs(), ALL)
    lists = maker.lists(np.arange(4), 6)
    assert lists.ranked.item_idx[0].tolist()[:4] == [3, 2, 1, 5]
    assert lists.n_model.tolist() == [4, 1, 1, 0]
    assert lists.again.tolist() == [True, True, True, False]
    assert lists.ranked.lengths.tolist() == [6, 5, 6, 6], "what was returned is kept out"
    alone = maker.lists(np.array([1]), 6)
    assert alone.ranked.item_idx.tolist() == lists.ranked.item_idx[[1]].tolist()


def test_a_choice_without_own_items_leaves_lists_as_they_are():
    maker = ListMaker(Past(SHOP, NOW, Engine()), Knowledge(np.ones(6, bool)), None, None)
    assert not maker.lists(np.arange(4), 6).again.any()


def weekly(n_users=300, n_items=60, weeks=12):
    """Each user takes four staples every week, and one item at random: (staples, before the last week, last week)"""
    rng = np.random.default_rng(5)
    staples = np.array([rng.choice(n_items, 4, replace=False) for _ in range(n_users)])
    rows = [
        (user, int(item), 7 * week + 3)
        for user in range(n_users)
        for week in range(weeks)
        for item in [*staples[user], rng.integers(n_items)]
    ]
    all_rows = interactions(rows, n_users, n_items)
    last = all_rows.occurred_at >= NOW - 7 * 86_400_000_000
    return staples, all_rows.where(~last), all_rows.where(last)


STAPLES, TRAIN, HOLDOUT = weekly()
CUT = NOW - 7 * 86_400_000_000
PAST, KNOWN = Past(TRAIN, CUT, Engine()), Knowledge(np.ones(60, bool))
FACTORS = PAST.engine.fit(PAST.confidence(PLAIN), PLAIN, 1).item_factors


def first_four(recipe):
    lists = ListMaker(PAST, KNOWN, Model(FACTORS, recipe), None).lists(np.arange(300), 20)
    return np.mean([len({*row[:4]} & {*own}) / 4 for row, own in zip(lists.ranked.item_idx, STAPLES, strict=True)])


def test_weekly_staples_stand_first_once_own_items_are_part_of_the_score():
    assert first_four(PLAIN) < 0.7
    assert first_four(WITH_OWN) > 0.95
    assert first_four(replace(WITH_OWN, blend=0.3)) > 0.95


def test_a_share_of_nothing_changes_no_list_and_no_score():
    questions = np.arange(300)
    plain, zero = (
        ListMaker(PAST, KNOWN, Model(FACTORS, recipe), None).lists(questions, 20, 20)
        for recipe in (PLAIN, replace(PLAIN, own_frequency=0.0, own_half_life_days=7))
    )
    np.testing.assert_array_equal(plain.ranked.item_idx, zero.ranked.item_idx)
    np.testing.assert_array_equal(plain.ranked.scores, zero.ranked.scores)


def test_where_own_items_are_kept_out_their_share_changes_no_list():
    seen = TRAIN.pairs()
    lists = [
        ListMaker(PAST, KNOWN, Model(FACTORS, r), seen).lists(np.arange(300), 20).ranked for r in (PLAIN, WITH_OWN)
    ]
    np.testing.assert_array_equal(lists[0].item_idx, lists[1].item_idx)


@pytest.mark.parametrize("blend", [0.0, 0.3])
def test_what_is_listed_for_being_taken_often_is_because_of_itself(blend):
    recipe = replace(PLAIN, own_frequency=0.8, blend=blend)
    users = np.arange(0, 300, 3)
    lists = ListMaker(PAST, KNOWN, Model(FACTORS, recipe), None).lists(users, 20, 20)
    for row, user in enumerate(users):
        reasons = unpacked(lists.because, row)
        for place in range(4):
            item = int(lists.ranked.item_idx[row, place])
            assert item in STAPLES[user]
            assert reasons[place][0] == item
            assert set(reasons[place]) <= set(TRAIN.item_idx[TRAIN.user_idx == user].tolist())


def test_reasons_of_a_block_are_those_of_a_user_alone():
    maker = ListMaker(PAST, KNOWN, Model(FACTORS, replace(WITH_OWN, blend=0.3)), None)
    together, alone = maker.lists(np.arange(40), 20, 20), maker.lists(np.array([17]), 20, 20)
    assert unpacked(together.because, 17) == unpacked(alone.because, 0)
    np.testing.assert_array_equal(together.ranked.scores[17], alone.ranked.scores[0])


def asked(view, models):
    questions = exam(TRAIN, HOLDOUT, view, 1, now=CUT)
    return contest(PAST, KNOWN, questions, models, {}, 1)


def test_own_frequency_is_asked_where_items_may_be_shown_again_and_serves_who_are_better_off_with_it():
    outcome = asked("repeats", {"candidate": Model(FACTORS, PLAIN), "champion": Model(FACTORS, WITH_OWN)})
    ndcg = {name: one.per_user["ndcg"].mean() for name, one in outcome.answers.items()}
    assert ndcg[OWN_FREQUENCY] > 2 * ndcg["popularity_30d"]
    assert set(outcome.choices["candidate"].instead.values()) == {OWN_FREQUENCY}
    assert outcome.choices["champion"].instead == {}
    assert set(outcome.choices[NO_MODEL].instead) == {"light", "medium", "heavy"}
    assert ndcg["candidate"] == pytest.approx(ndcg[OWN_FREQUENCY], rel=0.02)
    replaced = outcome.choices["candidate"].replaced(PAST.activity)
    assert not outcome.answers["candidate"].n_model[replaced].any(), "not the model's"


def test_in_discovery_there_is_nothing_of_a_users_own_to_ask():
    outcome = asked("discovery", {"candidate": Model(FACTORS, PLAIN)})
    assert OWN_FREQUENCY not in outcome.answers
    assert outcome.choices[NO_MODEL].instead == {}


def test_own_items_are_a_list_in_place_of_the_models_and_no_popular_list():
    assert ListChoice.from_json(vars(ALL)) == ALL
    assert ListChoice.from_json(vars(ALL) | {"popular": OWN_FREQUENCY}) == ListChoice(), "no popular list"


def test_a_user_without_anything_has_no_own_items():
    lists = own_lists(sets([], [0], n_items=2), 2, None, np.ones(2, bool), np.arange(2))
    assert lists.lengths.tolist() == [0, 1]

"""Which list each group of users is served: chosen on one half, judged on the other, and made by the maker."""

from dataclasses import asdict

import numpy as np
import pytest

from recjobs.core.evaluation.as_served import (
    MIN_KNOWN,
    MIN_USERS,
    best_window,
    choose,
    contest,
    deciding_half,
    without_model,
)
from recjobs.core.evaluation.exam import exam
from recjobs.core.evaluation.verdict import Verdict
from recjobs.core.lists.choice import GROUPS, ListChoice
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.lists.popularity import DEFAULT_WINDOW
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from tests.unit.worlds import NOW, interactions

N = 400
NOISE = np.random.default_rng(3).normal(0, 0.02, (3, N))
WEAK, STRONG, MODEL = 0.1 + NOISE[0], 0.2 + NOISE[1], 0.15 + NOISE[2]
HALF = deciding_half(N, 7)
NDCG = {"popularity_30d": WEAK, "popularity_all": STRONG}
EVERYBODY = np.ones(N, bool)
FEW = np.arange(N) < MIN_USERS
ACTIVITY = np.arange(N) % 4


def test_the_deciding_half_is_half_of_the_users_and_drawn_by_the_seed():
    assert HALF.sum() == N // 2
    assert (deciding_half(N, 7) == HALF).all()
    assert (deciding_half(N, 8) != HALF).any()


def test_unknown_users_get_the_better_popular_list():
    assert best_window(NDCG, EVERYBODY, HALF, 1) == "popularity_all"
    assert best_window({"popularity_30d": STRONG, "popularity_all": WEAK}, EVERYBODY, HALF, 1) == "popularity_30d"


def test_what_is_better_only_for_users_whom_the_model_knows_is_not_better_for_the_others():
    unknown = np.arange(N) % 2 == 0
    mixed = np.where(unknown, WEAK - 0.05, STRONG)
    assert best_window({"popularity_30d": WEAK, "popularity_all": mixed}, unknown, HALF, 1) == "popularity_30d"
    assert best_window({"popularity_30d": WEAK, "popularity_all": mixed}, FEW, HALF, 1) == "popularity_all", "too few"


def test_of_a_handful_of_users_nothing_is_chosen():
    n = 2 * MIN_USERS - 2
    ndcg = {name: values[:n] for name, values in NDCG.items()}
    assert best_window(ndcg, np.ones(n, bool), deciding_half(n, 1), 1) == DEFAULT_WINDOW


def test_where_the_deciding_half_shows_another_list_beyond_doubt_it_is_taken():
    fooled = np.where(HALF, WEAK, STRONG + 0.01)  # best where it is chosen, weak where it is judged
    assert best_window({"popularity_30d": fooled, "popularity_all": STRONG}, EVERYBODY, HALF, 1) == "popularity_all"


def test_a_group_that_a_popular_list_serves_better_beyond_doubt_gets_it():
    base = ListChoice.from_activity(ACTIVITY)
    light = base.groups(ACTIVITY)["light"]
    model = np.where(light, MODEL - 0.1, MODEL + 0.1)
    choice = choose(base, model, {"popularity_30d": WEAK}, ACTIVITY, HALF, 1)
    assert choice.instead == {"light": "popularity_30d"}
    assert (choice.replaced(ACTIVITY) == light).all()
    assert choose(base, MODEL, {"popularity_30d": WEAK}, ACTIVITY, HALF, 1).instead == {}


def test_a_group_of_fewer_than_fifty_in_the_deciding_half_keeps_the_model():
    small = np.where(np.arange(N) < 90, 1, 9)  # 90 light users, of whom fewer than 50 judge
    base = ListChoice(light=1, medium=2)
    assert (HALF & (small == 1)).sum() < MIN_USERS
    assert choose(base, MODEL - 0.2, {"popularity_30d": WEAK}, small, HALF, 1).instead == {"heavy": "popularity_30d"}


def of_few(n_known, better=None, n_unknown=60):
    """The list of known users without a model, of so many known ones, and unknown ones who would fare better by the
    worst list. better: NDCG of neighbours; popular lists have 0.1 and 0.12."""
    n = n_known + n_unknown
    activity, noise = (np.arange(n) < n_known).astype(int), np.random.default_rng(8).normal(0, 0.01, (3, n))
    ndcg = {"popularity_30d": 0.1 + noise[0], "popularity_all": 0.12 + noise[1] + (activity == 0)}
    ndcg["neighbours"] = np.where(activity == 0, 0, 0.2 + noise[2]) if better is None else better
    base = ListChoice.from_activity(activity)
    chosen = without_model(base, ndcg, activity, deciding_half(n, 3), 1).instead
    assert chosen.keys() in (set(), {"light", "medium", "heavy"})
    return next(iter(chosen.values()), None)


def test_twenty_known_users_are_enough_to_choose_the_best_simple_list():
    assert of_few(MIN_KNOWN) == "neighbours"
    assert of_few(MIN_KNOWN, n_unknown=0) == "neighbours"
    assert of_few(MIN_KNOWN - 1) is None


def test_of_few_known_users_each_half_judges_what_the_other_has_chosen():
    n = 40
    half = deciding_half(n, 3)
    fooled = np.where(half, 0.4, 0.0)
    assert fooled.mean() > 0.15, "better than the popular lists over all users, and for those alone who chose it"
    assert of_few(n, fooled, n_unknown=0) is None


def test_a_list_that_is_best_for_few_known_users_within_doubt_is_not_served():
    one_hit = np.zeros(24)
    one_hit[3] = 5.0
    assert of_few(24, one_hit, n_unknown=0) != "neighbours"


@pytest.mark.parametrize("activity", [[0, 0], [0, 1, 1, 2], [3], [0, 1, 2, 3, 4, 5, 6, 7, 7]])
def test_every_user_is_in_one_group_and_filled_from_one_window(activity):
    activity = np.array(activity)
    choice = ListChoice(light=1, medium=3, instead={"heavy": "popularity_all"})
    assert list(choice.groups(activity)) == list(GROUPS)
    assert (np.sum([*choice.groups(activity).values()], axis=0) == 1).all()
    assert (np.sum([*choice.windows(activity).values()], axis=0) == 1).all()


def test_a_verdict_keeps_the_choice_and_an_older_one_has_the_default():
    choice = ListChoice("popularity_all", 2, 5, {"light": "popularity_30d"})
    verdict = Verdict("promoted", "better", lists={"candidate": asdict(choice)})
    kept = Verdict.from_json(verdict.to_json())
    assert kept.list_choice("candidate") == choice
    assert kept.list_choice("champion") == choice, "without one of its own"
    assert Verdict.from_json({"verdict": "refused", "reason": "worse"}).list_choice("candidate") == ListChoice()
    unknown = asdict(choice) | {"popular": "popularity_7d"}
    assert ListChoice.from_json(unknown) == ListChoice(), "a window that this code does not have"


# Two tastes: items 0 1 2 and items 3 4 5. User 3 has taken nothing, users 0 and 1 one item each, user 2 three.
TRAIN = interactions([(0, 0, 60), (1, 3, 60), (2, 3, 1), (2, 4, 1), (2, 5, 60)], n_users=4, n_items=6)
ITEMS = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]], np.float32)
PAST, KNOWN = Past(TRAIN, NOW, Engine()), Knowledge(np.ones(6, bool))
TASTES = Model(ITEMS, Recipe(factors=2, alpha=20, regularization=0.1))


def made(choice):
    lists = ListMaker(PAST, KNOWN, TASTES, TRAIN.pairs(), choice).lists(np.arange(4), 3)
    return lists.ranked.item_idx.tolist(), lists.n_model.tolist()


def test_the_maker_follows_the_choice():
    by_model, n_model = made(ListChoice(light=1, medium=1))
    assert n_model == [3, 3, 3, 0]
    lists, n_model = made(ListChoice("popularity_all", 1, 1, {"light": "popularity_30d"}))
    assert n_model == [0, 0, 3, 0]
    assert lists[0] == [3, 4, 5]
    assert lists[1] == [4, 0, 5]
    assert lists[2] == by_model[2]
    assert lists[3] == [3, 0, 4], "all time: item 3 has two users"


def test_a_users_list_does_not_depend_on_who_else_is_asked_for():
    maker = ListMaker(PAST, KNOWN, TASTES, TRAIN.pairs())
    together = maker.lists(np.arange(4), 3)
    for user in range(4):
        alone = maker.lists(np.array([user]), 3)
        assert alone.ranked.item_idx.tolist() == together.ranked.item_idx[[user]].tolist()
        np.testing.assert_array_equal(alone.ranked.scores, together.ranked.scores[[user]])


def test_both_sides_are_filled_from_the_same_ladder():
    holdout = interactions([(0, 1, 0), (1, 4, 0), (2, 0, 0), (3, 3, 0)], n_users=4, n_items=6)
    questions = exam(TRAIN, holdout, "discovery", 1)
    nothing = Model(np.zeros_like(ITEMS), TASTES.recipe)
    outcome = contest(PAST, KNOWN, questions, {"candidate": nothing, "champion": nothing}, {}, 1)
    lists = {name: answer.lists.tolist() for name, answer in outcome.answers.items()}
    assert lists["candidate"] == lists["champion"] == lists[DEFAULT_WINDOW]


def test_a_champion_of_the_candidates_factors_is_asked_once_and_answers_the_same():
    rng = np.random.default_rng(5)
    factors = rng.normal(0, 1, (PAST.interactions.n_items, 4)).astype(np.float32)
    recipe = Recipe(factors=4, alpha=1, regularization=1)
    questions = exam(PAST.interactions, PAST.interactions, "repeats", 1)
    asked: list[int] = []

    class Counting(Engine):
        def ranking(self, *arguments, **options):
            asked.append(1)
            return super().ranking(*arguments, **options)

    past = Past(PAST.interactions, NOW, Counting(1))
    own = {"candidate": Model(factors, recipe), "champion": Model(factors, recipe)}
    copied = own | {"champion": Model(factors.copy(), recipe)}
    once = contest(past, KNOWN, questions, own, {}, 1)
    n_once = len(asked)
    twice = contest(past, KNOWN, questions, copied, {}, 1)
    assert n_once < len(asked) - n_once
    assert once.choices == twice.choices
    assert once.answers.keys() == twice.answers.keys()
    for name, answer in once.answers.items():
        assert np.array_equal(answer.lists, twice.answers[name].lists)
        assert (answer.n_model == twice.answers[name].n_model).all()
    assert once.answers["candidate"].n_model.any()

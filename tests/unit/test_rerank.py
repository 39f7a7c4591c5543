"""The second stage: what it learns, that it cannot see what lies ahead, and that without it nothing changes."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recjobs.core.evaluation.bootstrap import Interval, relative_difference
from recjobs.core.evaluation.exam import K, exam
from recjobs.core.evaluation.gate import Bounds, Shown, decide
from recjobs.core.evaluation.metrics import per_user
from recjobs.core.lists import candidates, features, reranking
from recjobs.core.lists.features import FEATURES, item_features, pair_features, user_features
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.lists.own_items import own_last_days
from recjobs.core.model import ranker
from recjobs.core.model.engine import Engine
from recjobs.core.model.linear import REGULARIZATION, Linear
from recjobs.core.model.ranker import Ranker
from recjobs.core.model.stored import StoredModel
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY
from recjobs.core.search import second_stage
from recjobs.core.search.best_ranker import best_ranker
from recjobs.core.search.second_stage import train_ranker
from recjobs.errors import ModelUnreadable
from tests.unit.test_because import unpacked
from tests.unit.worlds import NOW, interactions

USERS, ITEMS, DAYS, WINDOW = 200, 160, 100, 20
CUT = NOW - WINDOW * DAY
RECIPE = Recipe(factors=6, alpha=5, regularization=1, iterations=4, rerank=True)
BLEND = list(FEATURES).index("blend")
trained = partial(train_ranker, view="discovery", holdout_days=WINDOW, seed=7)


def shop_of_novelties():
    """Four tastes; every item is taken for about three weeks from its launch on, which ALS without recency cannot know:
    (rows before CUT, rows from it on)"""
    rng = np.random.default_rng(3)
    launch = np.linspace(-15, DAYS - 5, ITEMS)
    rows = []
    for user in range(USERS):
        for day in np.sort(rng.choice(DAYS, 16, replace=False)):
            age = day - launch
            chance = np.where((age >= 0) & (age < 22), 1.0, 0.02) * np.where(np.arange(ITEMS) % 4 == user % 4, 1, 0.1)
            rows.append((user, int(rng.choice(ITEMS, p=chance / chance.sum())), DAYS - int(day) - 0.5))
    every = interactions(rows, USERS, ITEMS)
    return every.where(every.occurred_at < CUT), every.where(every.occurred_at >= CUT)


TRAIN, HOLDOUT = shop_of_novelties()
TIMELESS = replace(TRAIN, occurred_at=np.zeros_like(TRAIN.occurred_at))
PAST, KNOWN = Past(TRAIN, CUT, Engine()), Knowledge.of_train(TRAIN)
FACTORS = PAST.engine.fit(PAST.confidence(RECIPE), RECIPE, 1).item_factors
QUESTIONS = exam(TRAIN, HOLDOUT, "discovery", 1)


@pytest.fixture(scope="module", autouse=True)
def _few_trees():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranker, "TREES", 30)
        yield


@pytest.fixture(scope="module")
def stage():
    return trained(TRAIN, CUT, RECIPE, Engine())


def maker(second, recipe=RECIPE):
    return ListMaker(PAST, KNOWN, Model(FACTORS, recipe, second), QUESTIONS.kept_out)


def ndcg(second):
    lists = maker(second).lists(QUESTIONS.users, K).ranked.item_idx
    return per_user(lists, QUESTIONS.holdout, K)["ndcg"]


def with_shuffled_labels(monkeypatch):
    """A ranker of the same windows, whose labels belong to other candidates of the user. Its first stage knows recency:
    without, it puts the oldest items first, and is worse than chance."""
    honest = second_stage._Window.labels
    rng = np.random.default_rng(1)
    monkeypatch.setattr(second_stage._Window, "labels", lambda window: rng.permuted(honest(window), axis=1))
    kept = trained(TRAIN, CUT, replace(RECIPE, half_life_days=8.0), Engine())
    monkeypatch.undo()
    return kept


def verdict_on(candidate, champion):
    shown = [Shown(each, 0.5, 0.5, 8.0) for each in (candidate, champion)]
    bounds = Bounds(
        **{name: getattr(_DEFAULTS, name) for name in Bounds.__dataclass_fields__ if hasattr(_DEFAULTS, name)}
    )
    return decide(
        *shown,
        {"popularity_30d": np.zeros(candidate.size)},
        same_recipe=False,
        segments={},
        defect=None,
        bounds=bounds,
        seed=1,
    )


class _DEFAULTS:
    min_coverage, max_gini, max_relative_drop, max_segment_drop, max_neighbours_drop = 0.0, 1.0, 0.1, 0.1, 0.25
    max_coverage_drop, max_novelty_drop, max_gini_rise, min_holdout_users = 0.5, 0.5, 0.5, 100

    def neighbours_drop(self, has_champion):
        return self.max_neighbours_drop


def test_it_learns_what_the_first_stage_cannot_and_the_gate_lets_it_in(stage):
    assert stage.why_not is None
    assert len(stage.windows) == 2
    first, second = ndcg(None), ndcg(stage.ranker)
    assert relative_difference(second, first, 1).low > 0.2
    assert verdict_on(second, first).promoted


def test_a_ranker_with_shuffled_labels_is_left_out_and_if_it_were_not_the_gate_would_refuse_it(stage, monkeypatch):
    sabotaged = with_shuffled_labels(monkeypatch)
    assert sabotaged.ranker is None
    assert "no better than the first stage" in sabotaged.why_not
    honest = ndcg(stage.ranker)
    # Nothing leaves out this one, which puts the oldest items first.
    monkeypatch.setattr(Ranker, "scores", lambda self, rows: rows[:, list(FEATURES).index("first_days")])
    inverted = ndcg(stage.ranker)
    assert relative_difference(inverted, honest, 1).high < 0
    verdict = verdict_on(inverted, honest)
    assert not verdict.promoted
    assert "champion" in verdict.reason


def followed_by_noise(rows):
    rng = np.random.default_rng(9)
    n = 3000
    noise = interactions(
        [(int(rng.integers(USERS)), int(rng.integers(ITEMS)), float(rng.random() * WINDOW)) for _ in range(n)],
        USERS,
        ITEMS,
    )
    return rows.joined(noise)


def test_what_lies_at_or_after_the_cut_changes_neither_features_nor_ranker(stage):
    assert trained(followed_by_noise(TRAIN), CUT, RECIPE, Engine()).ranker == stage.ranker


def test_a_planted_leak_is_seen_by_the_test_above(stage, monkeypatch):
    ahead = np.bincount(HOLDOUT.item_idx, minlength=ITEMS)

    def leaking(rows, now):
        table = item_features(rows, now)
        table[:, 0] += ahead
        return table

    monkeypatch.setattr(reranking, "item_features", leaking)
    assert trained(TRAIN, CUT, RECIPE, Engine()).ranker != stage.ranker


def test_a_ranker_trained_on_the_holdout_is_another_one_than_that_of_the_night(stage):
    """The holdout's end in place of the cutoff: a mistake that the test with noise would see."""
    cheating = trained(TRAIN.joined(HOLDOUT), NOW, RECIPE, Engine())
    assert cheating.ranker is not None
    assert cheating.ranker != stage.ranker


def test_features_that_are_constant_at_night_make_worse_lists_which_the_gate_refuses(stage, monkeypatch):
    honest = ndcg(stage.ranker)

    def constant(rows, now):
        table = item_features(rows, now)
        return np.broadcast_to(table[:1], table.shape).copy()

    monkeypatch.setattr(reranking, "item_features", constant)
    # a past of its own: the other one has kept its features
    past = Past(TRAIN, CUT, Engine())
    maker = ListMaker(past, KNOWN, Model(FACTORS, RECIPE, stage.ranker), QUESTIONS.kept_out)
    broken = per_user(maker.lists(QUESTIONS.users, K).ranked.item_idx, QUESTIONS.holdout, K)["ndcg"]
    assert relative_difference(broken, honest, 1).high < 0
    assert not verdict_on(broken, honest).promoted


def test_no_feature_of_a_window_knows_what_was_taken_in_it(monkeypatch):
    """The rows of each window are seen by its labels alone."""
    seen = []
    original = second_stage.Past

    def noted(rows, now, engine):
        seen.append((int(rows.occurred_at.max()), now))
        return original(rows, now, engine)

    monkeypatch.setattr(second_stage, "Past", noted)
    trained(TRAIN, CUT, RECIPE, Engine())
    assert [now for _, now in seen] == [CUT - 2 * WINDOW * DAY, CUT - WINDOW * DAY]
    assert all(newest < now for newest, now in seen)


def test_the_same_data_and_seed_give_the_same_ranker_and_the_same_lists(stage):
    again = trained(TRAIN, CUT, RECIPE, Engine())
    assert again.ranker.text == stage.ranker.text
    lists = [maker(second).lists(np.arange(USERS), K, K) for second in (stage.ranker, again.ranker)]
    assert lists[0].ranked.item_idx.tobytes() == lists[1].ranked.item_idx.tobytes()
    assert lists[0].because.packed.tobytes() == lists[1].because.packed.tobytes()


def test_without_a_ranker_lists_are_those_of_a_recipe_that_has_no_second_stage():
    plain, without = (
        maker(None, recipe).lists(np.arange(USERS), K, K) for recipe in (replace(RECIPE, rerank=False), RECIPE)
    )
    for one, other in ((plain.ranked.item_idx, without.ranked.item_idx), (plain.ranked.scores, without.ranked.scores)):
        assert one.tobytes() == other.tobytes()
    assert plain.because.packed.tobytes() == without.because.packed.tobytes()


@pytest.mark.parametrize("n_first", [30, candidates.FIRST])
def test_it_puts_candidates_in_front_and_keeps_scores_the_rest_and_the_reasons_true(stage, monkeypatch, n_first):
    monkeypatch.setattr(candidates, "FIRST", n_first)
    users = QUESTIONS.users
    first, second = (maker(second).lists(users, ITEMS, K) for second in (None, stage.ranker))
    ahead, rest = first.ranked.item_idx[:, :n_first], first.ranked.item_idx[:, n_first:]
    assert (ahead != second.ranked.item_idx[:, :n_first]).any()
    np.testing.assert_array_equal(np.sort(first.ranked.item_idx), np.sort(second.ranked.item_idx))
    np.testing.assert_array_equal(first.ranked.scores, second.ranked.scores)
    listed = maker(None).candidates(users)[0]
    for row, items in enumerate(second.ranked.item_idx):
        kept = rest[row][(rest[row] >= 0) & ~np.isin(rest[row], listed[row])]
        np.testing.assert_array_equal(items[items >= 0][(items >= 0).sum() - kept.size :], kept)
    raised = [np.setdiff1d(row[:K], before) for row, before in zip(second.ranked.item_idx, ahead, strict=True)]
    assert any(items.size for items in raised) == (n_first == 30), "other generators' items come first, too"
    for row, user in enumerate(users[:40]):
        own = set(TRAIN.item_idx[TRAIN.user_idx == user].tolist())
        reasons = unpacked(second.because, row)
        assert all(set(each) <= own for each in reasons)
        assert any(reasons)
        before = dict(zip(first.ranked.item_idx[row].tolist(), unpacked(first.because, row), strict=False))
        shared = [item for item in second.ranked.item_idx[row, :K].tolist() if item in before]
        after = dict(zip(second.ranked.item_idx[row].tolist(), reasons, strict=False))
        assert [after[item] for item in shared] == [before[item] for item in shared]


def test_a_short_list_begins_as_a_long_one_and_a_users_does_not_depend_on_others(stage):
    of = maker(stage.ranker)
    short, long = of.lists(np.arange(USERS), 10).ranked, of.lists(np.arange(USERS), 60).ranked
    np.testing.assert_array_equal(short.item_idx, long.item_idx[:, :10])
    for user in (0, 17, 199):
        alone = of.lists(np.array([user]), 10).ranked
        np.testing.assert_array_equal(alone.item_idx[0], short.item_idx[user])
        np.testing.assert_array_equal(alone.scores[0], short.scores[user])


def test_a_ranker_from_before_there_were_other_generators_orders_the_first_stages_items_alone(stage, monkeypatch):
    monkeypatch.setattr(candidates, "FIRST", 30)
    names = [name for name in FEATURES if name not in ("linear_long", "linear_long_rank", "user_popular")]
    rng = np.random.default_rng(0)
    old = Ranker.fit(rng.random((4000, len(names))), rng.random(4000) < 0.1, np.full(40, 100), names, 1)
    first, second = (maker(each).lists(QUESTIONS.users, ITEMS).ranked.item_idx for each in (None, old))
    assert (first[:, :30] != second[:, :30]).any()
    np.testing.assert_array_equal(np.sort(first[:, :30]), np.sort(second[:, :30]))
    np.testing.assert_array_equal(first[:, 30:], second[:, 30:])


def test_items_with_predicted_factors_keep_their_places(stage):
    block = next(maker(None).first_stage(np.arange(50), candidates.FIRST))
    fixed = np.arange(ITEMS) % 5 == 0
    ordered = PAST.second_stage(RECIPE).ordered(stage.ranker, block, FACTORS, fixed)
    was, now = block.ranked.item_idx, ordered.item_idx
    np.testing.assert_array_equal(was[fixed[was]], now[fixed[was]])
    assert not fixed[now[~fixed[was]]].any()
    np.testing.assert_array_equal(np.sort(was), np.sort(now))


def test_a_catalog_too_small_or_too_young_goes_on_without_it():
    few = TRAIN.where(TRAIN.user_idx < 60)
    assert "are needed" in trained(few, CUT, RECIPE, Engine()).why_not
    young = TRAIN.where(TRAIN.occurred_at > CUT - 15 * DAY)
    assert trained(young, CUT, RECIPE, Engine()).why_not == "there is no earlier window to learn from"
    assert trained(TRAIN.where(np.zeros(len(TRAIN), bool)), CUT, RECIPE, Engine()).ranker is None


def test_it_is_left_out_where_it_does_no_better_than_thefirst_stage(monkeypatch):
    monkeypatch.setattr(second_stage.Ranker, "scores", lambda self, rows: -rows[:, list(FEATURES).index("blend")])
    result = trained(TRAIN, CUT, RECIPE, Engine())
    assert result.ranker is None
    assert "no better than the first stage" in result.why_not
    assert result.to_json()["importance"] == {}


def test_without_times_it_learns_from_a_random_part_of_the_pairs():
    result = trained(TIMELESS, 1, RECIPE, Engine())
    assert [name.endswith("at random") for name in result.windows] == [True]


def test_of_one_window_every_user_is_asked_about_a_ranker_that_was_not_trained_on_them(monkeypatch):
    """One that was would seem better than it is on other users; one of half of the users would seem worse."""
    trained_on, asked = [], []
    fit, ask = second_stage._fit, second_stage._ndcg

    def row(window):
        return {tuple(listed) for listed in window.listed.tolist()}

    def fitted(windows, **options):
        trained_on.append(set().union(*map(row, windows)))
        return fit(windows, **options)

    def answered(window, ranker_):
        asked.append(row(window))
        return ask(window, ranker_)

    monkeypatch.setattr(second_stage, "MIN_USERS", 50)
    monkeypatch.setattr(second_stage, "_fit", fitted)
    monkeypatch.setattr(second_stage, "_ndcg", answered)
    result = trained(TIMELESS, 1, RECIPE, Engine())
    assert len(asked) == second_stage.PARTS
    for users, others in zip(asked, trained_on, strict=False):
        assert not users & others
        assert len(others) > 2 * len(users)
    with_holdout = sum(len(users) for users in asked)
    assert result.of_users[0].size == result.of_users[1].size <= with_holdout
    assert result.of_users[0].size > 0.9 * with_holdout
    assert result.ndcg == (result.of_users[0].mean(), result.of_users[1].mean())


def test_windows_are_learned_as_an_order_and_a_random_part_as_what_is_taken(stage, monkeypatch):
    monkeypatch.setattr(second_stage, "MIN_USERS", 50)
    monkeypatch.setattr(second_stage, "relative_difference", lambda *_: Interval(1.0, 0.5, 1.5))
    of_pairs = trained(TIMELESS, 1, RECIPE, Engine()).ranker
    assert "objective=lambdarank" in stage.ranker.text
    assert "objective=binary" in of_pairs.text
    scores = of_pairs.scores(np.random.default_rng(1).random((500, len(FEATURES))))
    assert scores.min() < 0  # log-odds: probabilities near 0 would be equal after rounding


def test_of_several_recipes_the_one_whose_lists_are_best_with_a_ranker(stage, monkeypatch):
    """All beyond doubt against the first one's lists without a ranker."""
    poor = replace(RECIPE, factors=1, alpha=0.5)
    same = {"view": "discovery", "holdout_days": WINDOW, "seed": 7}
    one, other = (trained(TRAIN, CUT, recipe, Engine()) for recipe in (RECIPE, poor))
    better = RECIPE if one.ndcg[1] > other.ndcg[1] else poor
    for recipes in ([RECIPE, poor], [poor, RECIPE]):
        recipe, kept = best_ranker(TRAIN, CUT, recipes, Engine(), **same)
        assert recipe == better
        assert kept == (one if better == RECIPE else other)
    # Rankers that change nothing: what is better than the first one's lists by chance is not taken.
    monkeypatch.setattr(second_stage.Ranker, "scores", lambda self, rows: np.nan_to_num(rows[:, BLEND], nan=-99))
    monkeypatch.setattr(second_stage, "relative_difference", lambda *_: Interval(1.0, 0.5, 1.5))
    alike = replace(RECIPE, iterations=RECIPE.iterations + 1)
    for recipes in ([RECIPE, alike], [alike, RECIPE]):
        assert best_ranker(TRAIN, CUT, recipes, Engine(), **same)[0] == recipes[0]


def test_more_users_are_learned_from_where_one_window_is_held_out_at_random(monkeypatch):
    monkeypatch.setattr(second_stage, "MIN_USERS", 10)
    monkeypatch.setattr(second_stage, "USERS", 20)
    monkeypatch.setattr(second_stage, "USERS_AT_RANDOM", 150)
    assert trained(TRAIN, CUT, RECIPE, Engine()).users <= 2 * 20
    without = replace(TRAIN, occurred_at=np.full(len(TRAIN), CUT - DAY))
    assert 40 < trained(without, CUT, RECIPE, Engine()).users <= 150


def test_a_ranker_is_stored_with_its_model_as_text_and_a_broken_one_is_refused(stage):
    model = StoredModel(
        PAST.engine.fit(PAST.confidence(RECIPE), RECIPE, 1), *(list(map(str, range(n))) for n in (USERS, ITEMS))
    )
    assert "ranker" not in model.to_arrays()
    assert StoredModel.from_arrays(model.to_arrays()).ranker is None
    arrays = replace(model, ranker=stage.ranker).to_arrays()
    assert arrays["ranker"].dtype == np.uint8
    assert StoredModel.from_arrays(arrays).ranker == stage.ranker
    with pytest.raises(ModelUnreadable):
        StoredModel.from_arrays(arrays | {"ranker": np.array([255, 254], np.uint8)})
    with pytest.raises(ModelUnreadable, match="no ranker"):
        maker(Ranker("tree\nversion=v4\n")).lists(np.arange(3), K)
    foreign = Ranker.fit(np.random.default_rng(0).random((400, 1)), np.arange(400) % 2, np.full(20, 20), ["moon"], 1)
    with pytest.raises(ModelUnreadable, match="another version: moon"):
        maker(foreign).lists(np.arange(3), K)


def test_the_numbers_of_a_small_world():
    rows = interactions([(0, 0, 1), (0, 1, 400), (1, 0, 340), (1, 0, 10)], 3, 3)
    items = dict(zip(features.OF_ITEMS, item_features(rows, NOW).T.tolist(), strict=True))
    assert items["first_days"][:2] == [340, 400]
    assert items["last_days"][:2] == [1, 400]
    assert np.isnan(items["first_days"][2])
    assert items["buyers"] == pytest.approx([1.585, 1, 0])
    assert items["popular_3d"][0] > items["popular_365d"][0] > items["popular_365d"][1]
    assert items["next_last_year"][0] > items["next_last_year"][1], (
        "item 0 was taken in the 30 days after, item 1 before"
    )
    assert items["rows_per_buyer"] == [pytest.approx(0.585, abs=1e-3), 0, 0], "three rows of two users"
    users = dict(zip(features.OF_USERS, user_features(rows, NOW, item_features(rows, NOW)).T.tolist(), strict=True))
    assert users["user_last_days"][:2] == [1, 10]
    assert np.isnan([users[name][2] for name in ("user_last_days", "user_popular", "user_novelty")]).all()
    assert users["user_popular"][1] == pytest.approx(items["popular_90d"][0], abs=1e-3)
    ages = [np.log2(1 + 339) / 2, np.log2(1 + 330) / 2]  # item 0 when it was 339, 0 and 330 days old; item 1 new
    assert users["user_novelty"][:2] == pytest.approx(ages, abs=1e-3)
    days = own_last_days(rows, NOW).toarray()
    assert days.tolist() == [[2, 401, 0], [11, 0, 0], [0, 0, 0]], "and one more, so that 0 is never"
    listed = np.array([[2, 0, -1]])
    scores = dict.fromkeys(features.SCORES) | {"als": np.array([[1.0, 3.0, 99.0]]), "blend": np.array([[1, np.nan, 9]])}
    own = dict.fromkeys(("own_confidence", "own_frequency", "own_last_days"), np.zeros((1, 3)))
    pairs = dict(zip(features.OF_PAIRS, pair_features(listed, scores, own)[0].T.tolist(), strict=True))
    assert pairs["als"][:2] == [-1, 1]
    assert pairs["als_rank"][:2] == [2, 1]
    assert np.isnan(pairs["linear_rank"]).all()
    assert pairs["blend_rank"][0] == 1
    assert np.isnan(pairs["blend_rank"][1]), "another generator's"


def test_candidates_are_those_of_the_first_stage_and_what_others_have_beyond_them(monkeypatch):
    monkeypatch.setattr(candidates, "FIRST", 2)
    first = np.array([[3, 1, 9], [2, -1, -1]])
    added = {"linear": np.array([[1, 4], [5, -1]]), "season": np.array([[4, 6, 3], [7, 8, 9]])}
    listed = candidates.joined(first, added)
    assert [row[row >= 0].tolist() for row in listed] == [[3, 1, 4, 6], [2]], "a short list has all there are"
    usable = np.array([True, True, True, False, True])
    table = np.zeros((5, len(features.OF_ITEMS)), np.float32)
    table[:, list(features.OF_ITEMS).index("popular_14d")] = [0, 5, 1, 9, 1]
    table[:, list(features.OF_ITEMS).index("next_last_year")] = np.nan
    orders = candidates.orders(table, usable)
    assert orders["popular"].tolist() == [1, 2, 4, 0]
    assert orders["season"].tolist() == []


def test_the_linear_model_proposes_what_may_be_listed_and_it_gives_a_score():
    model = Linear(np.zeros((4, 4), np.float32), np.array([0, 1, 3, 4]))
    scores = np.array([[0.5, 0.9, 0.7, -0.1], [0.1, 0.2, 0.3, 0.4]], np.float32)
    seen = csr_matrix(np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]))
    usable = np.array([True, True, True, False, True])
    assert candidates.of_linear(model, scores, 2, seen, usable).tolist() == [[1, -1], [1, 0]]
    assert model.at(scores, np.array([[3, 2, -1], [4, 0, 1]])).tolist() == [
        pytest.approx([0.7, 0, 0]),
        pytest.approx([0.4, 0.1, 0.2]),
    ]


def test_the_linear_model_is_that_of_the_closed_form():
    x = PAST.confidence(RECIPE)
    model = Linear.fit(x)
    dense = x.toarray().astype(np.float64)
    gram = dense.T @ dense
    known = np.flatnonzero(dense.any(axis=0))
    gram = gram[np.ix_(known, known)]
    inverse = np.linalg.inv(gram + REGULARIZATION * np.trace(gram) / known.size * np.eye(known.size))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    listed = np.array([[3, 7, -1], [1, 0, 2]])
    expected = (dense[:2][:, known] @ weights)[[[0] * 3, [1] * 3], np.searchsorted(known, np.maximum(listed, 0))]
    np.testing.assert_allclose(
        model.at(model.scores(x[:2]), listed), np.where(listed >= 0, expected, 0), rtol=1e-4, atol=1e-5
    )


def test_the_documents_table_is_that_of_the_features():
    page = (Path(__file__).parents[2] / "docs" / "reranking.md").read_text(encoding="utf-8")
    table = page.partition("<!-- features -->")[2].partition("<!-- end of features -->")[0]
    rows = [line.strip("| ").split(" | ", 1) for line in table.strip().splitlines()[2:]]
    assert {name.strip("`"): meaning for name, meaning in rows} == FEATURES

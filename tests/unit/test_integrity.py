"""A candidate that follows from its data is let through, whatever its recipe; one that does not is named."""

from dataclasses import replace

import numpy as np
import pytest

from recjobs.core.evaluation import integrity
from recjobs.core.evaluation.residual_check import Trace, trace
from recjobs.core.model.als import Factors, fit
from recjobs.core.model.stored import StoredModel
from recjobs.core.recipe import Recipe
from recjobs.core.rows.interactions import DAY
from tests.unit.worlds import NOW, interactions

RECIPE = Recipe(factors=6, alpha=8, regularization=2, iterations=12)


def shop(seed=3):
    """120 users of three tastes, 45 items, 100 days: nearly everybody stays within their taste."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(120):
        own = np.arange(15) * 3 + user % 3
        rows += [(user, item, 100 * rng.uniform()) for item in rng.choice(own, 9, replace=False)]
        rows += [(user, rng.integers(45), 100 * rng.uniform())]
    return interactions(rows, 120, 45)


ALL = shop()
TRAIN, HOLDOUT = ALL.where(ALL.occurred_at < NOW - 20 * DAY), ALL.where(ALL.occurred_at >= NOW - 20 * DAY)
CUTOFF = NOW - 20 * DAY


def fitted(data=TRAIN, recipe=RECIPE, now=CUTOFF, seed=5):
    return fit(data.confidence(recipe, now), recipe, seed, 1)


HONEST = fitted()


def seen(factors, recipe=RECIPE, train=TRAIN, holdout=HOLDOUT):
    return trace(factors, train, holdout, recipe, CUTOFF, 1)


def defect(factors, recipe=RECIPE):
    return integrity.defect_of_fit(factors, TRAIN, HOLDOUT, recipe, now=CUTOFF, as_of=NOW, seed=1)[1]


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        replace(RECIPE, half_life_days=7),
        replace(RECIPE, half_life_days=60, weight_cap=0.5),
        replace(RECIPE, frequency_scaling=1, regularization=0.5),
        replace(RECIPE, factors=32, regularization=0.05),
        replace(RECIPE, factors=1),
        replace(RECIPE, iterations=3),
        replace(RECIPE, regularization=1e6),
    ],
)
def test_an_honest_candidate_of_any_recipe_follows_from_its_data(recipe):
    factors = fitted(recipe=recipe)
    assert defect(factors, recipe) is None, seen(factors, recipe)


def test_a_warm_start_from_what_was_older_follows_from_its_data():
    before = fitted(TRAIN.where(TRAIN.occurred_at < NOW - 50 * DAY))
    factors = fit(TRAIN.confidence(RECIPE, CUTOFF), replace(RECIPE, iterations=1), 6, 1, start=before)
    assert defect(factors) is None, seen(factors)


def test_the_share_of_the_holdout_that_was_trained_on_is_told():
    half = HOLDOUT.where(np.arange(len(HOLDOUT)) % 2 == 0)
    shares = [seen(fitted(data)).holdout for data in (TRAIN, TRAIN.joined(half), ALL)]
    assert shares[0] == pytest.approx(0, abs=0.05)
    assert 0.3 < shares[1] < 0.7
    assert shares[2] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("half_life", [None, 10])
@pytest.mark.parametrize("now", [CUTOFF, NOW])
def test_who_trained_on_the_holdout_is_told_so_as_of_whatever_time(half_life, now):
    recipe = replace(RECIPE, half_life_days=half_life)
    assert "it was trained on the holdout" in defect(fitted(ALL, recipe, now), recipe)


@pytest.mark.parametrize("days", [7, 30])
def test_a_stale_candidate_is_told_so(days):
    then = CUTOFF - days * DAY
    assert "it is stale" in defect(fitted(TRAIN.where(TRAIN.occurred_at < then), now=then))


def rows_shuffled(name):
    rng = np.random.default_rng(2)
    return replace(HONEST, **{name: rng.permutation(getattr(HONEST, name))})


@pytest.mark.parametrize(
    "factors",
    [
        rows_shuffled("item_factors"),
        rows_shuffled("user_factors"),
        Factors(*(np.random.default_rng(1).normal(0, 0.3, rows.shape).astype(np.float32)
                  for rows in (HONEST.user_factors, HONEST.item_factors))),
        fitted(replace(TRAIN, item_idx=np.random.default_rng(2).permutation(TRAIN.item_idx))),
        fitted(recipe=replace(RECIPE, alpha=80)),
        replace(HONEST, item_factors=HONEST.item_factors * np.float32(1.5)),
    ],
    ids=["items shuffled", "users shuffled", "untrained", "labels shuffled", "another alpha", "scaled"],
)  # fmt: skip
def test_what_does_not_follow_from_the_train_part_is_told_so(factors):
    assert "do not follow from tonight's train part" in defect(factors)


@pytest.mark.parametrize("size", [0.01, 1, 3, 10])
def test_what_was_never_trained_is_not_said_to_be_of_the_holdout_or_stale_however_long_its_rows(size):
    """What is left of long rows is a multiple of what is asked, and less of it where more is asked: of the holdout."""
    rng = np.random.default_rng(1)
    drawn = [np.abs(rng.normal(0, size, rows.shape)).astype(np.float32) for rows in (
        HONEST.user_factors, HONEST.item_factors)]  # fmt: skip
    assert "do not follow from tonight's train part" in defect(Factors(*drawn), replace(RECIPE, half_life_days=7))


def test_users_drawn_at_random_are_seen_though_the_items_were_solved_for_them():
    users = np.random.default_rng(1).normal(0, 0.3, HONEST.user_factors.shape).astype(np.float32)
    once = fit(TRAIN.confidence(RECIPE, CUTOFF).T.tocsr(), replace(RECIPE, iterations=1), 6, 1,
               start=Factors(HONEST.item_factors, users))  # fmt: skip
    backwards = Factors(users, once.user_factors)
    assert "of what the interactions of its users ask" in defect(backwards)


def test_rows_are_sampled_when_there_are_many_and_tell_the_same(monkeypatch):
    monkeypatch.setattr("recjobs.core.evaluation.residual_check.SAMPLE", 20)
    assert seen(HONEST).left_of_items < 0.02
    assert seen(fitted(ALL)).holdout > 0.8
    assert seen(rows_shuffled("item_factors")).left_of_items > 0.5


def test_without_a_holdout_nothing_is_said_about_it():
    found = seen(HONEST, holdout=HOLDOUT.where(np.zeros(len(HOLDOUT), bool)))
    assert found.holdout == 0
    assert found.left_of_items < 0.02


def test_nothing_is_newest_where_all_have_one_time():
    at_once = replace(TRAIN, occurred_at=np.ones(len(TRAIN), np.int64))
    at_once = replace(at_once, weight=np.where(np.arange(len(TRAIN)) % 3, 400, 4).astype(np.float32))
    recipe = replace(RECIPE, alpha=200, weight_scale="log")
    factors = fit(at_once.confidence(recipe, 2), recipe, 5, 1)
    found, said = integrity.defect_of_fit(factors, at_once, HOLDOUT, recipe, now=2, as_of=NOW, seed=1)
    assert (found.newest_missing, said) == (0, None)
    assert found.left_of_items < 0.1


def test_a_trace_is_plain_json():
    assert Trace(0.1, float("nan"), 0.0, 0.2).to_json() == {
        "left_of_items": 0.1,
        "left_of_users": None,
        "holdout": 0.0,
        "newest_missing": 0.2,
    }


USERS, ITEMS = [f"u{n}" for n in range(120)], [f"i{n}" for n in range(45)]


def rows(factors=HONEST, users=USERS, items=ITEMS, recipe=RECIPE, train=TRAIN):
    return integrity.defect_of_rows(StoredModel(factors, users, items), USERS, ITEMS, train, recipe)


def without(name, which):
    kept = getattr(HONEST, name).copy()
    kept[which] = 0
    return replace(HONEST, **{name: kept})


def test_ids_are_tonights_all_of_them_and_in_tonights_order():
    assert rows() is None
    assert "its item ids are tonight's in another order" in rows(items=ITEMS[::-1])
    assert "1 of its 45 item ids are not tonight's" in rows(items=["film", *ITEMS[1:]])
    assert "it is stale, or of other data: 1 of tonight's 120 users are not in it" in rows(users=USERS[1:])


def test_factors_are_as_many_as_the_recipe_asks():
    assert rows(recipe=replace(RECIPE, factors=7)) == "it has 6 factors, its recipe asks for 7"


def test_a_row_without_factors_is_one_too_few():
    assert rows(without("user_factors", 3)) == "1 of the 120 users that the train part has have no factors"
    assert rows(without("item_factors", np.arange(44))) == "it knows one of the 45 items that the train part has"


def test_rows_that_were_shuffled_with_those_that_nobody_knows_belong_to_others():
    """Item 0 is new: the train part has nothing of it, and the model no factors."""
    train = TRAIN.where(TRAIN.item_idx != 0)
    honest = without("item_factors", 0)
    assert rows(honest, train=train) is None
    shifted = replace(honest, item_factors=np.roll(honest.item_factors, 1, axis=0))
    assert rows(shifted, train=train) == (
        "its rows belong to other items: 1 of the 44 items that the train part has have no factors, and 1 have some "
        "that it has not"
    )


def test_who_lacks_those_that_came_last_is_stale():
    first = np.full(120, np.iinfo(np.int64).max)
    np.minimum.at(first, TRAIN.user_idx, TRAIN.occurred_at)
    assert rows(without("user_factors", np.argsort(first)[-5:])).startswith("it is stale: 5 of the 120 users")


def test_a_pair_that_was_given_back_asks_for_no_factors():
    kinds = (("bought", 1.0), ("returned", -1.0))
    train = interactions(
        [(0, 0, 3, 1, 0), (1, 1, 3, 1, 0), (1, 0, 2, 1, 0), (2, 1, 3, 1, 0), (2, 1, 1, 1, 1)],
        kinds=("bought", "returned"),
    )
    factors = Factors(np.array([[1, 2], [3, 1], [0, 0]], np.float32), np.array([[1, 2], [2, 1]], np.float32))
    model = StoredModel(factors, ["a", "b", "c"], ["x", "y"])
    asked = (["a", "b", "c"], ["x", "y"], train)
    assert integrity.defect_of_rows(model, *asked, Recipe(factors=2, kinds=kinds)) is None
    assert "1 of the 3 users" in integrity.defect_of_rows(model, *asked, Recipe(factors=2))


def test_popular_lists_in_disguise_are_told_and_short_catalogues_are_not_asked():
    popular, own = np.tile(np.arange(10), (4, 1)), np.arange(40).reshape(4, 10)
    assert integrity.popular_share(popular, [own, popular], 100) == 1.0
    assert integrity.popular_share(own, [popular], 100) == 0.25
    assert integrity.popular_share(popular, [popular], 29) is None
    assert integrity.popular_share(popular[:0], [popular[:0]], 100) is None
    assert integrity.defect_of_lists(0.95) == "its lists are the popular ones: 95% of their items"
    assert integrity.defect_of_lists(0.9) is None
    assert integrity.defect_of_lists(None) is None

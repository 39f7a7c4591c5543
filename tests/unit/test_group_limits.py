"""Lists with one variant of a product, and so many items of a category."""

from itertools import groupby

import numpy as np
import pyarrow as pa
import pytest

from recjobs.core.lists.contract import Broken, World, check_lists
from recjobs.core.lists.group_limits import GroupLimits
from recjobs.core.lists.knowledge import Knowledge
from recjobs.core.lists.maker import ListMaker, Model, Past
from recjobs.core.model.engine import Engine
from recjobs.core.model.ranking import Ranked
from recjobs.core.recipe import Recipe
from tests.unit.worlds import NOW, interactions, sets

ITEMS = pa.table(
    {
        "product_id": ["lantern", "lantern", "mug", "mug", None, None, "lamp"],
        "title": ["Lantern", " lantern ", "Mug", "Mug, large", "Mug", "Plate", None],
        "categories": [["Light"], ["Light"], ["Kitchen"], ["Kitchen"], ["Kitchen", "New"], [], ["Light", "New"]],
    }
)


def ranked(*rows: list[int]) -> Ranked:
    """Lists whose scores are 10, 9, 8, ..."""
    item_idx = np.array(rows, np.int32)
    scores = np.where(item_idx >= 0, 10 - np.arange(item_idx.shape[1], dtype=np.float32), np.nan)
    return Ranked(item_idx, scores.astype(np.float32))


def test_without_settings_there_are_no_limits():
    assert GroupLimits.of(ITEMS, None, None) is None


@pytest.mark.parametrize(
    ("by", "expected"), [("product_id", [1, 2, 4, 5, 6]), ("title", [1, 3, 2, 5, 6])], ids=["product_id", "title"]
)
def test_a_list_has_the_first_variant_of_each_product_and_the_others_keep_their_scores(by, expected):
    """Without a product or title an item is one of its own; titles are alike but for case and blanks."""
    limits = GroupLimits.of(ITEMS, by, None)
    listed = [1, 0, 3, 2, 4, 5, 6] if by == "title" else [1, 2, 0, 3, 4, 5, 6]
    lists = limits.first(ranked(listed), 7)
    assert lists.item_idx[0].tolist() == [*expected, -1, -1]
    assert lists.scores[0, :5].tolist() == [10.0 - listed.index(item) for item in expected]


def test_items_beyond_the_limit_of_a_category_stand_behind_all_others():
    limits = GroupLimits.of(ITEMS, None, 1)
    lists = limits.first(ranked([0, 1, 4, 2, 6, 5, -1], [5, 2, 3, 4, -1, -1, -1]), 6)
    # 0 is a light, 4 is for the kitchen and new; so 1, 2 and 6 are too many. 5 is of no category.
    assert lists.item_idx.tolist() == [[0, 4, 5, 1, 2, 6], [5, 2, 3, 4, -1, -1]]
    assert lists.scores[0].tolist() == [10, 9, 8, 7, 6, 5]
    assert limits.first(ranked([0, 1, 4, 2, 6, 5]), 3).item_idx.tolist() == [[0, 4, 5]]


def test_a_list_of_similar_items_has_no_variant_of_the_item_itself():
    limits = GroupLimits.of(ITEMS, "product_id", 1).of_products
    assert limits.first(ranked([1, 2, 3, 5]), 4, np.array([[0]])).item_idx.tolist() == [[2, 5, -1, -1]]


@pytest.mark.parametrize("most", [None, 2])
def test_lists_are_full_and_keep_their_limits_for_users_known_and_unknown(most):
    """20 products of 3 variants in 5 categories; users took many of them. Lists are held against a plain loop."""
    rng = np.random.default_rng(5)
    n_items, n_users = 60, 40
    items = pa.table(
        {
            "product_id": [f"p{item // 3}" for item in range(n_items)],
            "categories": [[f"c{item // 3 % 5}"] for item in range(n_items)],
        }
    )
    taken = [(user, item, 3) for user in range(n_users - 2) for item in rng.permutation(n_items)[: 3 + user]]
    world = interactions(taken, n_users, n_items)
    seen = world.pairs()
    eligible = np.arange(n_items) != 7
    limits = GroupLimits.of(items, "product_id", most)
    known = Knowledge(eligible, limits=limits)
    past, recipe = Past(world, NOW, Engine(1)), Recipe(factors=4)
    factors = rng.normal(size=(n_items, 4)).astype(np.float32)
    maker = ListMaker(past, known, Model(factors, recipe), seen)
    n = 12
    lists = maker.lists(np.arange(n_users), n)
    plain = ListMaker(past, Knowledge(eligible), Model(factors, recipe), seen).rank(np.arange(n_users), n_items)[0]
    for user in range(n_users):
        listed = [item for item in lists.ranked.item_idx[user].tolist() if item >= 0]
        products = [item // 3 for item in listed]
        assert len(set(products)) == len(products)
        open_to = [item for item in range(n_items) if eligible[item] and seen[user, item] == 0]
        assert len(listed) == min(n, len({item // 3 for item in open_to}))
        kept, late, taken_products = [], [], set()
        for item in plain.item_idx[user].tolist():
            if item >= 0 and item // 3 not in taken_products:
                taken_products.add(item // 3)
                few = most is None or sum(other // 3 % 5 == item // 3 % 5 for other in kept) < most
                (kept if few else late).append(item)
        if user < n_users - 2:
            assert listed == (kept + late)[:n]
        elif most:
            counts = [len(list(of)) for _, of in groupby(sorted(item // 3 % 5 for item in listed[: 5 * most]))]
            assert counts == [most] * 5
    few = maker.lists(np.array([3]), 5)
    assert few.ranked.item_idx[0].tolist() == lists.ranked.item_idx[3, :5].tolist()
    table = pa.table(
        {
            "user_id": [str(user) for user in range(n_users)],
            "item_ids": [[str(item) for item in row if item >= 0] for row in lists.ranked.item_idx.tolist()],
            "scores": [[score for score in row if score == score] for row in lists.ranked.scores.tolist()],
            "n_model": lists.n_model,
            "n_category": lists.n_category,
            "reasons": pa.nulls(n_users, pa.list_(pa.string())),
            "because": pa.nulls(n_users, pa.list_(pa.int32())),
        }
    )
    pairs = np.sort(np.array([user * n_items + item for user, item, _ in taken]))
    ids = (pa.array([str(user) for user in range(n_users)]), pa.array([str(item) for item in range(n_items)]))
    broken = Broken()
    check_lists(table, World(*ids, eligible, pairs, pairs, n, limits.product), broken)
    assert broken.counts == {}
    wrong = table.set_column(1, "item_ids", pa.array([["0", "1"], *table["item_ids"].to_pylist()[1:]]))
    wrong = wrong.set_column(2, "scores", pa.array([[1.0, 0.5], *wrong["scores"].to_pylist()[1:]]))
    check_lists(wrong, World(*ids, eligible, None, pairs, n, limits.product), broken)
    assert broken.counts["two_variants_of_a_product"] == 1


def test_short_lists_are_filled_from_beyond_the_first_candidates(monkeypatch):
    """The popular list begins with more variants of one product than are looked at in one go."""
    monkeypatch.setattr("recjobs.core.lists.group_limits.POOL", 4)
    limits = GroupLimits(np.array([0] * 30 + [1, 2]))
    lists = limits.filled(np.full((2, 3), -1, np.int32), np.arange(32), sets([0], [31], n_items=32))
    assert lists.tolist() == [[1, 30, 31], [0, 30, -1]]

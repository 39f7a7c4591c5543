"""Factors of new items, predicted from words and categories."""

import numpy as np
import pyarrow as pa
import pytest

from recjobs.core.lists.similar import similar
from recjobs.core.model import attributes
from recjobs.core.model.attributes import completed, features, held_down
from tests.unit.hostile import HOSTILE

RED, BLUE = (3.0, 0.0, 0.2), (0.0, 3.0, 0.2)
"""What the model knows of red and of blue things; with a third factor that tells nothing."""


def predict(rows, blend=0.0):
    """completed() of (factors or None, title[, categories]) rows."""
    factors = np.array([(0, 0, 0) if factors is None else factors for factors, *_ in rows], np.float32).reshape(-1, 3)
    titles = pa.array([title for _, title, *_ in rows], pa.string())
    categories = pa.array([rest[0] if rest else [] for _, _, *rest in rows], pa.list_(pa.string()))
    return completed(factors, titles, categories, blend)


def shop(*new):
    return [(RED, "Red cup"), (BLUE, "Blue cup"), (RED, "Red jug"), (BLUE, "Blue jug"), (RED, "red bowl")] + [
        (None, *item) for item in new
    ]


def cosine(row, other):
    return row @ np.array(other) / np.linalg.norm(row) / np.linalg.norm(other)


def test_a_planted_linear_relation_is_recovered():
    rng = np.random.default_rng(1)
    of_word = rng.normal(size=(30, 6))
    words = [rng.choice(30, 3, replace=False) for _ in range(400)]
    truth = np.array([of_word[chosen].sum(axis=0) for chosen in words]).astype(np.float32)
    rows = truth.copy()
    rows[350:] = 0
    titles = pa.array([" ".join(f"w{word}" for word in chosen) for chosen in words])
    found = completed(rows, titles, pa.array([[]] * 400, pa.list_(pa.string())))
    assert np.flatnonzero(found.predicted).tolist() == list(range(350, 400))
    assert np.array_equal(found.item_factors[:350], rows[:350])
    lengths = np.linalg.norm(truth, axis=1) * np.linalg.norm(found.item_factors, axis=1)
    assert ((truth * found.item_factors).sum(axis=1) / lengths).min() > 0.97
    assert 0.9 < found.trust < 1


def test_a_new_item_is_like_those_with_its_words_and_categories():
    rows = [(f, t, [t.split()[0] + " things"]) for f, t in shop()]
    found = predict([*rows, (None, "RED teapot", []), (None, None, ["Blue things"])])
    assert found.predicted.tolist() == [False] * 5 + [True] * 2
    assert cosine(found.item_factors[5], RED) > 0.9
    assert cosine(found.item_factors[6], BLUE) > 0.9


def test_a_category_is_not_the_word_of_its_name():
    found = predict([*shop(), (None, None, ["red"])])
    assert not found.predicted.any()


@pytest.mark.parametrize("title", [None, "", " - ", "Teapot", "bowl"])
def test_an_item_that_nothing_is_known_of_stays_unknown(title):
    found = predict(shop((title,), ("blue",)))
    assert found.predicted.tolist() == [False] * 6 + [True]
    assert not found.item_factors[5].any()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(None, "Red cup"), (None, "Red jug")],
        [(RED, "Red cup"), (None, "Red jug")],
        [(RED, "Red cup"), (BLUE, "Blue jug"), (None, "Red jug")],
        [(RED, None), (RED, ""), (None, None)],
        [(RED, "Red cup"), (RED, "Red cup")],
    ],
    ids=["no item", "none known", "one known", "no word twice", "no words", "none new"],
)
def test_where_there_is_nothing_to_learn_from_nothing_is_predicted(rows):
    found = predict(rows)
    assert not found.predicted.any()
    assert len(found.item_factors) == len(rows)


def test_hostile_titles_are_titles():
    titles = [
        *HOSTILE,
        "x" * 100_000,
        "word " * 50_000,
        "\u0301\u0301",
        "ß" * 3000,
        "日本 茶碗",
        "\U0001f642 \U0001f642",
    ]
    rows = [(RED, title, [title]) for title in titles] + [(BLUE, title, [title]) for title in titles]
    found = predict([*rows, *((None, title, [title]) for title in titles)])
    assert np.isfinite(found.item_factors).all()
    assert found.predicted[-len(titles) :].all()


def test_words_are_the_same_in_any_case_and_in_composed_or_decomposed_letters():
    known, none = np.array([True, True, False]), pa.array([[]] * 3, pa.list_(pa.string()))
    found = features(pa.array(["CAF\u00c9 red", "cafe\u0301!", "(caf\u00e9)"]), none, known)
    assert found.shape == (3, 1)
    np.testing.assert_allclose(found.toarray(), 1)


def test_of_too_many_words_the_most_frequent_count(monkeypatch):
    monkeypatch.setattr(attributes, "MAX_FEATURES", 2)
    titles = pa.array(["a b c", "a b c", "a b", "a d"])
    found = features(titles, pa.array([[]] * 4, pa.list_(pa.string())), np.ones(4, bool)).toarray()
    assert (found > 0).tolist() == [[True, True]] * 3 + [[True, False]]
    assert found[0, 1] > found[0, 0]  # the rarer word says more


def test_predictions_are_as_long_as_what_is_known_and_longer_where_neighbours_count_too():
    rng = np.random.default_rng(2)
    rows = [(rng.normal(0, 1, 3) + factors, title) for _ in range(40) for factors, title in shop()]
    plain, blended = (predict([*rows, *((None, title) for _, title in shop())], blend) for blend in (0.0, 0.5))
    known, new = (np.sqrt((part**2).sum(axis=1).mean()) for part in np.split(plain.item_factors, [len(rows)]))
    assert new == pytest.approx(known, rel=0.01)
    assert 0.5 < plain.trust < 0.95
    np.testing.assert_allclose(blended.item_factors[-5:], 2 * plain.item_factors[-5:], rtol=1e-6)


def test_however_many_new_items_there_are_they_take_no_more_than_their_share_of_the_places():
    found = predict(shop(*[("red",)] * 50))
    users = np.tile(np.array([[1, 0, 0], [1, 0.5, 0]], np.float32), (10, 1))
    eligible = np.ones(55, bool)
    assert np.linalg.norm(found.item_factors[5:], axis=1).min() > 3.1  # longer than any red thing, or nothing is seen
    held = held_down(found, users, 3, None, eligible, 0.2)
    scores = users @ held.T
    first = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    assert (first >= 5).mean() <= 0.2
    assert np.array_equal(held[:5], found.item_factors[:5])
    assert held_down(found, users, 3, None, eligible, 1.0) is found.item_factors


def test_a_predicted_item_is_not_the_first_of_similar_items_for_lying_in_their_middle():
    rows = [((3, 1, 0), "red cup"), ((3, 0, 1), "red jug"), ((3, 1.4, 0.2), "red bowl"), ((3, -1, -1), "red pot")]
    found = predict([*rows, (BLUE, "Blue cup"), (BLUE, "Blue jug"), (None, "red")])
    lists = similar(found.item_factors, 6, np.ones(7, bool), 1, found.trusted()).item_idx
    assert 6 not in lists[:4, 0]
    assert set(lists[6][:4]) == {0, 1, 2, 3}
    naive = similar(found.item_factors, 6, np.ones(7, bool), 1).item_idx
    assert (naive[[1, 3], 0] == 6).any()

"""What each model would have served: the right questions, no answer from the future, a fallback for the unknown."""

from dataclasses import replace

import numpy as np
import pytest

from recjobs.core.evaluation import exam as evaluation
from recjobs.core.evaluation.exam import answer, exam, measure, measure_views
from recjobs.core.lists.choice import ListChoice
from recjobs.core.lists.maker import Knowledge, ListMaker, Model, Past
from recjobs.core.model.engine import Engine
from recjobs.core.recipe import Recipe
from recjobs.core.rows import interactions as rows_module
from tests.unit.worlds import NOW, interactions

SIZE = {"n_users": 5, "n_items": 6}
TRAIN = interactions([(0, 0, 9), (0, 1, 9), (1, 1, 9), (2, 1, 9), (2, 2, 9)], **SIZE)
HOLDOUT = interactions([(0, 1, 1), (0, 3, 1), (0, 3, 1), (1, 1, 1), (4, 0, 1)], **SIZE)
# Two tastes: items 0 1 2 and items 3 4 5.
ITEMS = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]], np.float32)
RECIPE = Recipe(factors=2, alpha=20, regularization=0.1)


MODEL = Model(ITEMS, RECIPE)
KNOWN = Knowledge(np.ones(6, bool))


def maker(model, questions, window="popularity_30d"):
    return ListMaker(Past(TRAIN, NOW, Engine()), KNOWN, model, questions.kept_out, ListChoice(window))


def lists_of(model, questions, n, window="popularity_30d"):
    """The lists, and the share of users whom the model gave nothing."""
    lists = maker(model, questions, window).lists(questions.users, n)
    return lists.ranked.item_idx, float((lists.n_model == 0).mean())


def taken(questions):
    return [sorted(questions.holdout[row].indices.tolist()) for row in range(questions.holdout.shape[0])]


def test_discovery_asks_only_for_what_was_not_seen():
    questions = exam(TRAIN, HOLDOUT, "discovery", 1)
    assert questions.users.tolist() == [0, 4]
    assert taken(questions) == [[3], [0]]
    assert questions.kept_out[questions.users].toarray()[0].tolist() == [1, 1, 0, 0, 0, 0]
    assert questions.holdout.shape == (2, 6)


@pytest.mark.parametrize("view", ["discovery", "repeats", "after_days"])
def test_an_exam_does_not_depend_on_blocks_nor_on_who_has_a_past(monkeypatch, view):
    rng = np.random.default_rng(3)
    past = sorted({(2 * int(u), int(i), int(d)) for u, i, d in rng.integers((0, 0, 2), (20, 8, 90), (150, 3))})
    after = [(int(u), int(i), 1) for u, i in rng.integers((0, 0), (45, 8), (120, 2))]
    train, holdout = (interactions(rows, n_users=45, n_items=8) for rows in (past, after))
    whole = exam(train, holdout, view, 1, now=NOW, after_days=30.0)
    old = {"discovery": 90, "repeats": 0, "after_days": 30}[view]
    kept = {(user, item) for user, item, days in past if days <= old}
    left = {user: {item for one, item, _ in after if one == user and (one, item) not in kept} for user in range(45)}
    assert dict(zip(whole.users.tolist(), map(set, taken(whole)), strict=True)) == {u: i for u, i in left.items() if i}
    monkeypatch.setattr(rows_module, "BLOCK", 3)
    blocks = exam(train, holdout, view, 1, now=NOW, after_days=30.0)
    assert (blocks.users.tolist(), taken(blocks)) == (whole.users.tolist(), taken(whole))
    if view != "repeats":
        assert (blocks.kept_out != whole.kept_out).nnz == 0


def test_repeats_asks_for_everything_and_filters_nothing():
    questions = exam(TRAIN, HOLDOUT, "repeats", 1)
    assert questions.users.tolist() == [0, 1, 4]
    assert taken(questions) == [[1, 3], [1], [0]]
    assert questions.kept_out is None


def test_too_many_users_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_USERS", 10)
    many = interactions([(user, 0, 1) for user in range(100)])
    nothing = interactions([], n_users=100, n_items=1)
    first, again, other = (exam(nothing, many, "discovery", seed).users.tolist() for seed in (1, 1, 2))
    assert first == again == sorted(set(first))
    assert len(first) == 10
    assert first != other


def test_a_known_user_gets_the_models_items_and_an_unknown_one_the_popular_list():
    questions = exam(TRAIN, HOLDOUT, "discovery", 1)
    lists, fallback = lists_of(MODEL, questions, 3)
    assert lists[0, 0] == 2
    assert set(lists[0]) <= {2, 3, 4, 5}
    assert lists[1].tolist() == [1, 0, 2]
    assert fallback == 0.5


def test_popularity_is_that_of_the_train_part():
    # everybody takes item 5 later; nobody did before
    later = interactions([(user, 5, 1) for user in range(5)], **SIZE)
    questions = exam(TRAIN, later, "repeats", 1)
    lists, fallback = lists_of(None, questions, 6, "popularity_all")
    assert lists.tolist() == [[1, 0, 2, 3, 4, 5]] * 5
    assert fallback == 1.0


def test_vectors_are_folded_in_from_the_train_part():
    questions = exam(TRAIN, HOLDOUT, "discovery", 1)
    same, _ = lists_of(MODEL, questions, 4)
    # user 0 moves over to the other taste, in the holdout only: what is served must not change
    moved = interactions([(0, 3, 1), (0, 4, 1), (0, 5, 1), (4, 0, 1)], **SIZE)
    questions_moved = exam(TRAIN, moved, "discovery", 1)
    assert lists_of(MODEL, questions_moved, 4)[0].tolist() == same.tolist()


def test_nobody_to_ask_gives_no_lists():
    questions = exam(TRAIN, interactions([], **SIZE), "discovery", 1)
    for model in (MODEL, None):
        given = answer("m", maker(model, questions), questions)
        assert given.lists.shape == (0, evaluation.K)
        assert given.per_user["ndcg"].size == 0


def rows_of(view):
    questions = exam(TRAIN, HOLDOUT, view, 1)
    answers = [
        answer("candidate", maker(MODEL, questions), questions),
        answer("popularity_all", maker(None, questions, "popularity_all"), questions),
    ]
    activity = np.bincount(TRAIN.user_idx, minlength=5)[questions.users]
    segments = ListChoice.from_activity(activity).groups(activity)
    return measure(answers, view, TRAIN, segments, seed=1), answers


@pytest.mark.parametrize("view", evaluation.VIEWS)
def test_every_metric_of_every_model_is_reported_with_its_interval(view):
    rows, answers = rows_of(view)
    found = {(r["model"], r["segment"], r["metric"]): r for r in rows}
    assert len(found) == len(rows)
    assert {r["view"] for r in rows} == {view}
    for given in answers:
        for metric in ("ndcg", "recall", "map", "hit"):
            row = found[given.name, "all", f"{metric}_at_20"]
            assert row["value"] == pytest.approx(given.per_user[metric].mean())
            assert row["low"] <= row["value"] <= row["high"]
        assert {(given.name, "all", m) for m in ("coverage", "gini", "novelty", "fallback_share")} <= set(found)


def test_a_segment_is_measured_on_its_own_users():
    rows, [candidate, _] = rows_of("discovery")
    unknown = next(r for r in rows if (r["model"], r["segment"]) == ("candidate", "unknown"))
    assert unknown["value"] == pytest.approx(candidate.per_user["ndcg"][1])


def test_views_are_measured_together_as_each_alone_whether_or_not_they_have_as_many_users():
    of_views = {}
    for view in ("discovery", "repeats"):
        questions = exam(TRAIN, HOLDOUT, view, 1)
        asked = {view: questions, f"{view}, one user": questions.rows(np.arange(1))}
        for name, some in asked.items():
            everybody = np.ones(len(some.users), bool)
            of_views[name] = (
                [answer("candidate", maker(MODEL, some), some)],
                {"light": everybody, "heavy": ~everybody},
            )
    sizes = [len(answers[0].lists) for answers, _ in of_views.values()]
    assert len(set(sizes)) == 3
    together = measure_views(of_views, TRAIN, seed=1)
    for view, (answers, segments) in of_views.items():
        assert together[view] == measure(answers, view, TRAIN, segments, seed=1)


def test_an_empty_exam_reports_no_metric_of_users():
    questions = exam(TRAIN, interactions([], **SIZE), "discovery", 1)
    given = answer("candidate", maker(MODEL, questions), questions)
    rows = measure([given], "discovery", TRAIN, ListChoice().groups(np.zeros(0)), seed=1)
    assert {r["metric"] for r in rows} == {"coverage", "gini", "novelty", "fallback_share"}


def test_what_was_given_back_is_no_answer_and_is_not_shown_again():
    def night(*rows):
        made = interactions(rows, n_users=1, n_items=5, kinds=("buy", "return"))
        return replace(made, negative=("return",))

    train = night((0, 0, 9, 1.0, 0), (0, 0, 8, 1.0, 1), (0, 1, 9, 1.0, 0))
    holdout = night((0, 2, 5, 1.0, 0), (0, 3, 5, 1.0, 0), (0, 3, 4, 1.0, 1), (0, 4, 4, 1.0, 1))
    found = exam(train, holdout, "repeats", 1)
    assert found.holdout.toarray().astype(bool).tolist() == [[0, 0, 1, 0, 0]]
    assert found.kept_out[found.users].toarray().astype(bool).tolist() == [[1, 0, 0, 0, 0]]

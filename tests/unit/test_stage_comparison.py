"""A search's best recipe with and without a second stage."""

from dataclasses import replace
from functools import partial

import pytest

from recjobs.core.model import ranker
from recjobs.core.model.engine import Engine
from recjobs.core.search import second_stage
from recjobs.core.search.folds import folds
from recjobs.core.search.stage_comparison import compare_stages
from tests.unit.test_rerank import CUT, RECIPE, TRAIN, WINDOW

FIRST_STAGE = replace(RECIPE, rerank=False)
compared = partial(compare_stages, view="discovery", holdout_days=WINDOW, seed=7)


@pytest.fixture(scope="module", autouse=True)
def _few_trees():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranker, "TREES", 30)
        yield


def past():
    return folds(TRAIN, CUT, WINDOW, "discovery", 7)[:1]


def test_in_a_shop_of_novelties_the_second_stage_is_better_beyond_doubt_and_sees_nothing_from_the_cut_on(monkeypatch):
    ends = []
    honest = second_stage.train_ranker

    def noted(train, end, *arguments, **options):
        ends.append((int(train.occurred_at.max()), end))
        return honest(train, end, *arguments, **options)

    monkeypatch.setattr("recjobs.core.search.stage_comparison.train_ranker", noted)
    result = compared(FIRST_STAGE, past(), Engine())
    assert result.is_better
    assert result.with_it > 1.2 * result.without > 0
    assert result.users == past()[0].questions.users.size
    assert [end for _, end in ends] == [past()[0].now]
    assert all(newest < end for newest, end in ends)


def test_worse_lists_are_seen_even_if_the_ranker_was_kept(monkeypatch):
    """A ranker trained honestly, whose scores are turned round when lists are made."""
    honest = ranker.Ranker.scores
    kept = second_stage.train_ranker

    def sabotaged(*arguments, **options):
        trained = kept(*arguments, **options)
        monkeypatch.setattr(ranker.Ranker, "scores", lambda self, rows: -honest(self, rows))
        return trained

    monkeypatch.setattr("recjobs.core.search.stage_comparison.train_ranker", sabotaged)
    result = compared(FIRST_STAGE, past(), Engine())
    assert result.low < 0
    assert not result.is_better


def test_too_little_to_learn_from_is_no_reason_to_fail():
    young = TRAIN.where(TRAIN.occurred_at >= CUT - 2 * (CUT - past()[0].now))
    result = compared(FIRST_STAGE, folds(young, CUT, WINDOW, "discovery", 7)[:1], Engine())
    assert not result.is_better
    assert result.why_not
    assert compared(FIRST_STAGE, [], Engine()).why_not == "there is no fold"

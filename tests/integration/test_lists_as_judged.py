"""What is judged is what is served: the evaluation's lists and the night's are the same, item for item."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from scipy.sparse import csr_matrix

from recjobs.adapters import sample_shop
from recjobs.catalog.files import load_catalog
from recjobs.config import ROOT, load_settings
from recjobs.core.evaluation.as_served import contest
from recjobs.core.evaluation.exam import Exam, K, exam
from recjobs.core.evaluation.side_by_side import lists_of
from recjobs.core.lists import ladder
from recjobs.core.lists.maker import ListMaker, Model, Past
from recjobs.core.lists.seen import kept_out_of
from recjobs.core.model.neighbours import as_table
from recjobs.core.model.stored import StoredModel
from recjobs.core.rows.instants import microseconds
from recjobs.night.handovers import Handovers
from recjobs.night.lists import NightLists
from recjobs.night.night import Night
from recjobs.night.runner import begin_night
from recjobs.steps import evaluate, extract, gate, score, split, train, validate

SHARED = load_settings().data
NEW = pd.DataFrame({"item_id": ["new-1", "new-2"], "title": ["Oak chair", None], "categories": ["Garden", "Kitchen"]})


def sample(folder: Path) -> dict[str, Any]:
    """The sample shop with new items, segments and preferred categories."""
    items = pa.Table.from_batches([*sample_shop.read("sample:items")]).to_pandas()
    users = pa.Table.from_batches([*sample_shop.read("sample:interactions")]).to_pandas()["user_id"].unique()
    categories = sorted({name for names in items["categories"] for name in str(names).split("|")})
    new = NEW.assign(categories=categories[:2], title=[items["title"].iloc[0], None])
    pd.concat([items, new]).to_csv(folder / "items.csv", index=False)
    people = pd.DataFrame({"id": [*users, *(f"stranger {n}" for n in range(9))]})
    people["group"] = [("trade", "home", None)[n % 3] for n in range(len(people))]
    people["likes"] = [categories[n % len(categories)] if n % 4 else None for n in range(len(people))]
    people.to_csv(folder / "people.csv", index=False)
    tree: dict[str, Any] = yaml.safe_load((ROOT / "catalogs" / "sample.yaml").read_text())
    tree["items"] |= {"path": str(folder / "items.csv")}
    tree["users"] = {
        "path": str(folder / "people.csv"),
        "columns": {"user_id": "id", "segment": "group", "prefers": "likes"},
    }
    return tree


@pytest.fixture
def finished(tmp_path: Path) -> Iterator[Callable[..., Night]]:
    """Makes a night with lists of tonight's candidate, without a database."""
    own = {f"RECJOBS_{name}": str(tmp_path) for name in ("STATE", "ARTIFACTS", "CATALOGS")}

    def make(tree: dict[str, Any]) -> Night:
        (tmp_path / "shop.yaml").write_text(yaml.safe_dump(tree))
        catalog = load_catalog("shop")
        night = Night.open(catalog, begin_night(catalog, publish=False)["batch_id"])
        for step in (extract, validate, split, train, evaluate, gate):
            step.run(night)
        with night.writing("refit") as files:
            factors = night.candidate().factors
            files.save_arrays("model.npz", **StoredModel(factors, night.ids("users"), night.ids("items")).to_arrays())
            chosen = {
                "verdict": "promoted",
                "reason": "",
                "source": "refit",
                "model_version": "1",
                "champion_version": "1",
            }
            files.save_json("model.json", chosen)
        score.run(night)
        return night

    with mock.patch.dict(os.environ, own | {"RECJOBS_DATA": str(SHARED), "RECJOBS_THREADS": "2"}):
        yield make


def served(night: Night) -> dict[str, list[str]]:
    """user_id -> the first K items of the finished list."""
    table = pa.concat_tables([chunk.read(["user_id", "item_ids"]) for chunk in night.list_chunks()])
    return {user: items[:K] for user, items in zip(*(table[c].to_pylist() for c in table.column_names), strict=True)}


def judged(night: Night, users: np.ndarray) -> dict[str, list[str]]:
    """The same for some users, as the evaluation asks: all at once, about what the night knows."""
    lists = NightLists(night)
    maker, n_items = lists.maker, len(lists.item_ids)
    catalog, past = night.catalog, lists.past
    kept_out = kept_out_of(past.rows, catalog.view, past.now, catalog.after_days)
    questions = Exam(users, kept_out, csr_matrix((users.size, n_items), dtype=np.float32))
    assert maker.model is not None
    choices = {"candidate": maker.choice}
    answers = contest(past, maker.known, questions, {"candidate": maker.model}, {}, 7, choices).answers
    ids, names = lists.item_ids.to_pylist(), lists.user_ids.take(pa.array(users)).to_pylist()
    return {
        n: [ids[i] for i in row if i >= 0] for n, row in zip(names, answers["candidate"].lists.tolist(), strict=True)
    }


@pytest.mark.parametrize("seen", ["exclude", "allow", {"after_days": 30}], ids=str)
def test_every_user_of_the_sample_is_judged_by_the_list_that_is_served(finished, tmp_path, seen):
    # Nobody in the sample buys anything twice: with enough users to ask, `allow` would be served popular lists.
    night = finished(sample(tmp_path) | {"seen": seen} | ({"holdout_days": 0.5} if seen == "allow" else {}))
    lists = served(night)
    n_users = len(lists)
    assert judged(night, np.arange(n_users)) == lists
    sources = pa.concat_tables([c.read(["source", "n_model", "n_category"]) for c in night.list_chunks()]).to_pandas()
    assert {"als", "popular"} <= set(sources["source"])
    assert (sources["n_category"] > 0).any()
    assert any("new-1" in items for items in lists.values())
    alone = np.random.default_rng(1).choice(n_users, 40, replace=False)
    for user in alone:
        assert list(judged(night, np.array([user])).values()) == [lists[NightLists(night).user_ids[int(user)].as_py()]]


def test_of_a_real_shop_two_thousand_users_are_too(finished):
    tree = yaml.safe_load((ROOT / "catalogs" / "online_retail.yaml").read_text())
    if not (SHARED / tree["sources"][0]["path"]).exists():
        pytest.skip("the transactions of online_retail are not at hand; README.md says where they are from")
    night = finished(tree | {"model": {"factors": 32, "alpha": 5, "regularization": 20, "iterations": 4, "blend": 0.3}})
    lists = served(night)
    users = np.sort(np.random.default_rng(2).choice(len(lists), 2000, replace=False))
    found = judged(night, users)
    assert len(found) == 2000
    assert found == {user: lists[user] for user in found}


def test_a_list_that_is_filled_otherwise_is_seen(finished, tmp_path, monkeypatch):
    night = finished(sample(tmp_path))
    lists = served(night)
    monkeypatch.setattr(ladder.PopularList, "before", lambda self, other: other)  # a segment's list is the one of all
    assert judged(night, np.arange(len(lists))) != lists


def test_the_refit_compares_its_lists_with_those_that_the_evaluation_has_made(finished, tmp_path):
    night = finished(sample(tmp_path))
    train, recipe, candidate = night.train(), night.catalog.recipe, night.candidate()
    questions = exam(train, night.holdout(), "repeats", night.request.seed)
    past = Past(train, microseconds(night.cutoff().at), night.engine)
    model = Model(candidate.factors.item_factors, recipe)
    made_anew = ListMaker(past, night.known_at_cutoff(train), model, questions.kept_out).lists(questions.users, K)
    kept = night.unfiltered_lists()
    assert kept is not None
    found = lists_of(kept, questions.users, K)
    np.testing.assert_array_equal(found, made_anew.ranked.item_idx)
    assert lists_of(kept, questions.users[1:], K) is None, "of other users"
    assert lists_of(kept, questions.users, K + 1) is None


def test_lists_are_made_with_the_neighbours_that_the_refit_has_kept(finished, tmp_path, monkeypatch):
    model = {"factors": 8, "alpha": 5, "regularization": 5, "iterations": 3, "blend": 0.4}
    night = finished(sample(tmp_path) | {"model": model})
    users = np.arange(300)
    own = NightLists(night)
    made, kept = own.of(users, K).ranked, as_table(own.past.similarity(night.catalog.recipe))
    in_reverse = kept.take(np.arange(kept.num_rows)[::-1].copy())
    for table, is_same in ((kept, True), (in_reverse, False), (kept.slice(1), True)):
        monkeypatch.setattr(Handovers, "neighbours", lambda night, table=table: table)
        ranked = NightLists(night).of(users, K).ranked
        assert np.array_equal(ranked.item_idx, made.item_idx) == is_same
        assert np.array_equal(ranked.scores, made.scores) == is_same

"""A first night without a model: users get the best simple list of the evaluation, item neighbours among them."""

import os
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.night.night import Night
from recjobs.night.runner import begin_night
from recjobs.reports.night import night_page
from recjobs.steps import evaluate, extract, gate, inspect, score, split, train, validate

GROUPS, ITEMS, USERS, WEEKS = 6, 24, 240, 12


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A shop of six tastes, in which nobody takes anything twice; its candidate has one factor and is refused."""
    folder, rng = tmp_path_factory.mktemp("tastes"), np.random.default_rng(2)
    first = pd.Timestamp("2024-03-01")
    rows = [
        (f"u{user}", f"i{user % GROUPS}-{item}", first + pd.Timedelta(days=7 * week, hours=int(rng.integers(9, 18))))
        for user in range(USERS)
        for week, item in enumerate(rng.choice(ITEMS, WEEKS, replace=False))
    ]
    pd.DataFrame(rows, columns=["user", "item", "at"]).to_csv(folder / "orders.csv", index=False)
    tree = {
        "sources": [{"path": "orders.csv", "columns": {"user_id": "user", "item_id": "item", "occurred_at": "at"}}],
        "holdout_days": 14,
        "top_n": {"stored": 20, "served": 10},
        "model": {"factors": 1, "alpha": 0.01, "regularization": 5, "iterations": 1},
    }
    (folder / "tastes.yaml").write_text(yaml.safe_dump(tree))
    own = {f"RECJOBS_{name}": str(folder) for name in ("STATE", "ARTIFACTS", "CATALOGS", "DATA")}
    with mock.patch.dict(os.environ, own | {"RECJOBS_THREADS": "1"}):
        catalog = load_catalog("tastes")
        night = Night.open(catalog, begin_night(catalog, publish=False)["batch_id"])
        for step in (extract, validate, split, train, evaluate, gate):
            step.run(night)
        chosen = {"verdict": "refused", "reason": "", "source": "none", "model_version": None, "champion_version": None}
        with night.writing("refit") as files:
            files.save_json("model.json", chosen)
        score.run(night)
        inspect.run(night)
        yield night


def test_users_get_item_neighbours_where_those_are_the_best_simple_list(night):
    verdict = night.verdict()
    assert not verdict.promoted
    assert set(verdict.list_choice("none").instead.values()) == {"neighbours"}
    assert verdict.list_choice("candidate").instead.get("heavy") != "neighbours", "a model's users have no such list"
    lists = pa.concat_tables([c.read(["user_id", "item_ids", "source"]) for c in night.list_chunks()]).to_pylist()
    assert {row["source"] for row in lists} == {"neighbours"}
    of_own_taste = [
        item.startswith(f"i{int(row['user_id'][1:]) % GROUPS}-") for row in lists for item in row["item_ids"][:10]
    ]
    assert np.mean(of_own_taste) > 0.95


def test_the_report_says_which_lists_users_get(night):
    page = night_page(night)
    assert "the lists of users who took something are by <i>item neighbours</i>" in page
    assert "recjobs tune --catalog tastes" in page


def test_lists_of_neighbours_pass_inspection_and_leave_similar_items_empty(night):
    assert night.inspection().broken == {}
    assert night.inspection().outside == []
    assert not any(night.scored("similar").read()["item_ids"].to_pylist())


def test_the_evaluation_judged_the_very_lists_that_are_served(night):
    rows = {
        row["model"]: row["value"]
        for row in night.evaluation().metrics
        if (row["view"], row["segment"], row["metric"]) == ("discovery", "all", "ndcg_at_20")
    }
    assert rows["neighbours"] > 2 * max(rows["popularity_30d"], rows["popularity_all"])

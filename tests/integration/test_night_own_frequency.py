"""A night of a shop of weekly staples, whose ALS is worse than each user's own items: judged, served and inspected."""

import os
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.core.model.stored import StoredModel
from recjobs.night.night import Night
from recjobs.night.runner import begin_night
from recjobs.reports import comparison
from recjobs.reports.night import NAMES
from recjobs.steps import evaluate, extract, gate, inspect, score, split, train, validate

USERS, ITEMS, WEEKS = 360, 80, 14
FEW = 40
"""Users of a shop so small that no half of them is large enough to judge a list."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with the orders, and each user's four staples."""
    folder, rng = tmp_path_factory.mktemp("groceries"), np.random.default_rng(4)
    staples = {f"u{user}": [f"i{item}" for item in rng.choice(ITEMS, 4, replace=False)] for user in range(USERS)}
    first = pd.Timestamp("2024-03-01")
    rows = [
        (user, item, first + pd.Timedelta(days=7 * week, hours=int(rng.integers(9, 18))))
        for number, (user, own) in enumerate(staples.items())
        for week in range(number % 9, WEEKS)
        for item in [*own, f"i{rng.integers(ITEMS)}"]
    ]
    orders = pd.DataFrame(rows, columns=["user", "item", "at"])
    orders.to_csv(folder / "orders.csv", index=False)
    orders[orders["user"].isin([*staples][:FEW])].to_csv(folder / "few.csv", index=False)
    return folder, staples


def night_of(folder: Path, state: Path, *, model: dict[str, float], source: str, orders: str = "orders.csv") -> Night:
    tree = {
        "sources": [{"path": orders, "columns": {"user_id": "user", "item_id": "item", "occurred_at": "at"}}],
        "seen": "allow",
        "holdout_days": 14,
        "top_n": {"stored": 30, "served": 20},
        "model": {"factors": 8, "alpha": 5, "regularization": 5, "iterations": 5} | model,
    }
    (state / "groceries.yaml").write_text(yaml.safe_dump(tree))
    catalog = load_catalog("groceries")
    night = Night.open(catalog, begin_night(catalog, publish=False)["batch_id"])
    for step in (extract, validate, split, train, evaluate, gate):
        step.run(night)
    version = None if source == "none" else "1"
    with night.writing("refit") as files:
        if version:
            factors = night.candidate().factors
            files.save_arrays("model.npz", **StoredModel(factors, night.ids("users"), night.ids("items")).to_arrays())
        chosen = {"verdict": "promoted", "reason": "", "source": source}
        files.save_json("model.json", chosen | {"model_version": version, "champion_version": version})
    score.run(night)
    inspect.run(night)
    return night


@pytest.fixture
def make(shop, tmp_path):
    own = {f"RECJOBS_{name}": str(tmp_path) for name in ("STATE", "ARTIFACTS", "CATALOGS")}
    with mock.patch.dict(os.environ, own | {"RECJOBS_DATA": str(shop[0]), "RECJOBS_THREADS": "1"}):
        yield lambda **asked: night_of(shop[0], tmp_path, **asked)


def staples_first(night: Night, staples) -> float:
    lists = pa.concat_tables([chunk.read(["user_id", "item_ids"]) for chunk in night.list_chunks()]).to_pylist()
    return float(np.mean([len({*row["item_ids"][:4]} & {*staples[row["user_id"]]}) / 4 for row in lists]))


def sources(night: Night) -> set[str]:
    return set(pa.concat_tables([c.read(["source"]) for c in night.list_chunks()])["source"].to_pylist())


def test_who_is_better_off_with_their_own_items_is_served_them(shop, make):
    night = make(model={}, source="refit")
    rows = {row["model"]: row for row in night.evaluation().metrics if row["segment"] == "all" and
            (row["view"], row["metric"]) == ("repeats", "ndcg_at_20")}  # fmt: skip
    assert rows["own_frequency"]["value"] > 2 * rows["popularity_30d"]["value"]
    assert rows["candidate"]["value"] > 0.98 * rows["own_frequency"]["value"], "as served"
    assert "own_frequency" not in {row["model"] for row in night.evaluation().metrics if row["view"] == "discovery"}
    verdict = night.verdict()
    assert verdict.list_choice("candidate").instead == dict.fromkeys(("light", "medium", "heavy"), "own_frequency")
    assert staples_first(night, shop[1]) > 0.9
    history = night.scored("history").read(["user_id", "again_ids"]).to_pylist()
    needed = [len({*row["again_ids"][:4]} & {*shop[1][row["user_id"]]}) / 4 for row in history]
    assert np.mean(needed) > 0.95, "items to take again"
    assert "again" in sources(night)
    assert "own_frequency" in comparison.tables(night.evaluation().metrics)["repeats"]["Accuracy"]
    assert NAMES["own_frequency"] == "own items, by frequency"


def test_without_a_model_users_get_their_own_items_and_not_the_popular_list(shop, make):
    night = make(model={}, source="none")
    assert sources(night) == {"again"}
    assert staples_first(night, shop[1]) > 0.9


def test_a_small_shop_without_a_model_gets_its_own_items_too(shop, make):
    night = make(model={}, source="none", orders="few.csv")
    assert len(night.users()) == FEW
    assert sources(night) == {"again"}
    assert staples_first(night, shop[1]) > 0.9


def test_with_own_items_in_its_score_the_model_is_promoted_and_says_why(shop, make):
    night = make(model={"own_frequency": 0.6}, source="refit")
    verdict = night.verdict()
    assert verdict.promoted, verdict.reason
    checks = {check.name: check for check in verdict.checks}
    assert checks["own_frequency"].sentence.startswith("not much worse than own frequency beyond doubt")
    assert sources(night) <= {"als", "again"}
    assert staples_first(night, shop[1]) > 0.9
    lists = pa.concat_tables([c.read(["source", "item_ids", "reasons", "because"]) for c in night.list_chunks()])
    explained = [row for row in lists.to_pylist() if row["source"] == "als"]
    assert len(explained) > USERS / 2
    itself = [row["reasons"][(row["because"][0] & 1023) - 1] == row["item_ids"][0] for row in explained]
    assert np.mean(itself) > 0.95

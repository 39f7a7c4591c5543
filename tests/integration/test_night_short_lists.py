"""A night with `top_n.min_confidence`: lists hold what users of such scores took, and may be short."""

import os
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.errors import ListsRefused
from recjobs.night.night import Night
from recjobs.night.runner import begin_night
from recjobs.reports.night import night_page
from recjobs.steps import evaluate, extract, gate, inspect, score, split, train, validate

GROUPS, ITEMS, USERS, WEEKS = 6, 24, 360, 12


@pytest.fixture(scope="module")
def make_night(tmp_path_factory):
    """A shop of six tastes of 24 items, of which a user has taken ten and takes two more in the holdout. Its candidate
    is refused, so lists of 60 are by item neighbours."""
    folder, rng = tmp_path_factory.mktemp("tastes"), np.random.default_rng(2)
    first = pd.Timestamp("2024-03-01")
    rows = [
        (f"u{user}", f"i{user % GROUPS}-{item}", first + pd.Timedelta(days=7 * week, hours=int(rng.integers(9, 18))))
        for user in range(USERS)
        for week, item in enumerate(rng.choice(ITEMS, WEEKS, replace=False))
    ]
    pd.DataFrame(rows, columns=["user", "item", "at"]).to_csv(folder / "orders.csv", index=False)

    def make(name: str, **top_n: float) -> Night:
        tree = {
            "sources": [{"path": "orders.csv", "columns": {"user_id": "user", "item_id": "item", "occurred_at": "at"}}],
            "holdout_days": 14,
            "top_n": {"stored": 60, "served": 20} | top_n,
            "model": {"factors": 1, "alpha": 0.01, "regularization": 5, "iterations": 1},
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(tree))
        catalog = load_catalog(name)
        night = Night.open(catalog, begin_night(catalog, publish=False)["batch_id"])
        for step in (extract, validate, split, train, evaluate, gate):
            step.run(night)
        chosen = {"verdict": "refused", "reason": "", "source": "none", "model_version": None, "champion_version": None}
        with night.writing("refit") as files:
            files.save_json("model.json", chosen)
        score.run(night)
        return night

    own = {f"RECJOBS_{name}": str(folder) for name in ("STATE", "ARTIFACTS", "CATALOGS", "DATA")}
    with mock.patch.dict(os.environ, own | {"RECJOBS_THREADS": "1"}):
        yield make


def listed(night: Night) -> list[dict[str, object]]:
    return pa.concat_tables([chunk.read() for chunk in night.list_chunks()]).to_pylist()


def test_lists_hold_what_users_of_such_scores_took_and_pass_inspection(make_night):
    """Of the 14 items of the own taste that a user has not taken two are taken: a seventh, and of others none."""
    full, short = make_night("full"), make_night("short", min_confidence=0.05)
    for night in (full, short):
        inspect.run(night)
        assert night.inspection().broken == {}
    whole, cut = listed(full), listed(short)
    assert {len(row["item_ids"]) for row in whole} == {60}
    own = [
        [item for item in row["item_ids"] if item.startswith(f"i{int(row['user_id'][1:]) % GROUPS}-")] for row in cut
    ]
    assert np.mean([len(some) == len(row["item_ids"]) for some, row in zip(own, cut, strict=True)]) > 0.95
    assert np.mean([len(some) for some in own]) > 9, "all that is left of the own taste, nearly"
    for row, before in zip(cut, whole, strict=True):
        n = len(row["item_ids"])
        assert (row["item_ids"], row["scores"]) == (before["item_ids"][:n], before["scores"][:n])
        assert (row["source"], row["n_model"]) == (("neighbours", n) if n else ("popular", 0))
    page = night_page(short)
    assert "<code>top_n.min_confidence</code> leaves " in page
    assert "min_confidence" not in night_page(full)
    (row,) = (row for row in short.prices() if row["setting"] == "top_n.min_confidence")
    assert row["listed"] < 1


def test_a_night_whose_lists_would_all_be_empty_is_refused_and_says_why(make_night):
    night = make_night("none", min_confidence=0.99)
    assert not any(row["item_ids"] for row in listed(night))
    with pytest.raises(ListsRefused, match=r"lists break no_confident_item \(such as u0"):
        inspect.run(night)

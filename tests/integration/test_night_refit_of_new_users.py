"""A shop that grew five times within the holdout: the refit is compared for the users whom the candidate knows."""

import os
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import yaml

from recjobs.catalog.files import load_catalog
from recjobs.core.lists.maker import Past
from recjobs.night.night import Night
from recjobs.night.runner import begin_night
from recjobs.steps import evaluate, extract, refit, split, train, validate

TASTES, ITEMS, KNOWN, NEW = 10, 30, 40, 200


@pytest.fixture
def night(tmp_path: Path) -> Night:
    rng, rows = np.random.default_rng(6), []
    for user in range(KNOWN + NEW):
        days = rng.uniform(32, 200, 14) if user < KNOWN else []
        later = rng.uniform(1, 29, 10 if user >= KNOWN else 2)
        for ago in [*days, *later]:
            item = user % TASTES * ITEMS + int(ITEMS * rng.random() ** 2)
            rows.append((f"u{user}", f"i{item}", pd.Timestamp("2024-06-01") - pd.Timedelta(days=ago)))
    pd.DataFrame(rows, columns=["user", "item", "at"]).to_csv(tmp_path / "orders.csv", index=False)
    tree = {
        "sources": [{"path": "orders.csv", "columns": {"user_id": "user", "item_id": "item", "occurred_at": "at"}}],
        "model": {"factors": 10, "alpha": 10, "regularization": 2, "iterations": 15, "blend": 0.0},
        "gate": {"min_overlap_after_refit": 0.4},
    }
    (tmp_path / "growing.yaml").write_text(yaml.safe_dump(tree))
    own = {f"RECJOBS_{name}": str(tmp_path) for name in ("STATE", "ARTIFACTS", "CATALOGS", "DATA")}
    with mock.patch.dict(os.environ, own | {"RECJOBS_THREADS": "1"}):
        catalog = load_catalog("growing")
        night = Night.open(catalog, begin_night(catalog, publish=False)["batch_id"])
        for step in (extract, validate, split, train, evaluate):
            step.run(night)
        yield night


def test_users_whom_the_candidate_does_not_know_do_not_make_the_refit_another_model(night: Night) -> None:
    known = np.bincount(night.train().user_idx, minlength=KNOWN + NEW) > 0
    assert (known.sum(), (~known).sum()) == (KNOWN, NEW)
    past = Past(night.interactions(), night.now, night.engine)
    _, defect = refit._refit(night, past, night.candidate().factors)
    assert defect is None

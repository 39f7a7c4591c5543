"""Explicit ratings: weights by steps, low ones left out and counted, what is no rating set aside as it was written."""

import pyarrow.parquet as pq
import pytest

from tests.worlds import COLUMNS, MakeWorld

RATINGS = ["5", "4.5", "3.0", "2.9", "-1", "", "good", "nan", "inf", "1e1"]


@pytest.mark.parametrize("numeric", [False, True])
def test_a_rating_becomes_a_weight_or_is_accounted_for(make_world: MakeWorld, numeric: bool) -> None:
    world = make_world()
    shown = [r for r in RATINGS if not numeric or r not in ("", "good")]
    lines = [f"u{n},i{n},2025-03-01T00:00:{n:02}Z,{rating}" for n, rating in enumerate(shown)]
    (world.data / "ratings.csv").write_text("\n".join(["user,item,at,quantity", *lines]))
    path = "ratings.csv"
    if numeric:
        import pandas as pd

        pd.read_csv(world.data / path).to_parquet(world.data / "ratings.parquet")
        path = "ratings.parquet"
    source = {"path": path, "columns": COLUMNS, "rating_to_weight": {3: 1, 5: 2.5}}
    world.write_catalog({"sources": [source], "limits": {"max_rejected_share": 1}})
    batch_id = world.recjobs("begin", "--json").json["batch_id"]
    world.recjobs("extract", "--batch-id", batch_id)
    counts = world.recjobs("validate", "--batch-id", batch_id, "--json").json
    bad = [r for r in shown if r in ("", "good", "nan", "inf")]
    assert (counts["accepted"], counts["excluded"], counts["quarantined"]) == (4, 2, len(bad))
    accepted = pq.read_table(world.step(batch_id, "validate", "interactions.parquet"))
    assert accepted["weight"].to_pylist() == [2.5, 1.0, 1.0, 2.5]
    rejected = pq.read_table(world.step(batch_id, "validate", "rejected.parquet")).to_pylist()
    assert {row["reason"] for row in rejected} == {"bad_weight"}
    if not numeric:
        assert [row["weight"] for row in rejected] == bad
    assert '"rating_too_low"' in world.step(batch_id, "validate", "findings.json").read_text()

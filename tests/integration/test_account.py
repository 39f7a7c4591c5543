"""The account of rows through the real steps, on files drawn by chance, against plain Python that reads the same."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recjobs.catalog.files import load_catalog
from recjobs.core.rows.interactions import Interactions
from recjobs.night.night import Night
from recjobs.steps import begin, extract, validate

IDS = ["a", "A", "007", "7", "NA", "null", " ", "\\N", "caf\u00e9", "cafe\u0301", "", None, "x" * 257, "ü" * 128]
TIMES = ["2025-01-01T10:00:00Z", "2025-01-02", "2025-01-04T23:59:59Z", "2025-01-05", "2025-02-01", "soon", "", None,
         "1970-01-01", "2999-12-31", "2025-01-02T01:00:00+03:00"]  # fmt: skip
RATINGS = ["1", "2", "3.5", "4", "5", "0", "-1", "", None, "nan", "inf", "many"]
KINDS = ["buy", "return", "view", "test", "", None]
ROW = st.tuples(*map(st.sampled_from, (IDS, IDS, TIMES, RATINGS, KINDS)))
FILES = st.lists(st.lists(ROW, min_size=1, max_size=25), min_size=1, max_size=3)
AS_OF = datetime(2025, 1, 5, tzinfo=UTC)
MEANT = {
    "2025-01-01T10:00:00Z": datetime(2025, 1, 1, 10, tzinfo=UTC),
    "2025-01-02": datetime(2025, 1, 2, tzinfo=UTC),
    "2025-01-04T23:59:59Z": datetime(2025, 1, 4, 23, 59, 59, tzinfo=UTC),
    "2025-01-05": AS_OF,
    "2025-02-01": datetime(2025, 2, 1, tzinfo=UTC),
    "2025-01-02T01:00:00+03:00": datetime(2025, 1, 1, 22, tzinfo=UTC),
}


def what_becomes_of(user: Any, item: Any, at: Any, rating: Any, kind: Any) -> tuple[str, Any]:
    """(the reason or "accepted", the interaction) of one row, as docs/data.md has it."""
    if kind == "test":
        return "tests", None
    for name, value in (("user", user), ("item", item)):
        if not value:
            return f"empty_{name}_id", None
        if len(value.encode()) > 256:
            return f"{name}_id_too_long", None
    if at not in MEANT:
        return {"1970-01-01": "time_without_sense", "2999-12-31": "time_in_future"}.get(at, "bad_time"), None
    if rating in ("", None, "nan", "inf", "many"):
        return "bad_weight", None
    if kind not in ("buy", "return", "view"):
        return "unknown_kind", None
    if MEANT[at] >= AS_OF:
        return "after_as_of", None
    if float(rating) < 2:
        return "rating_too_low", None
    return "accepted", (user, item, MEANT[at], 3.0 if float(rating) >= 4 else 1.0, kind)


@contextmanager
def a_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        own = {f"RECJOBS_{key}": name for key in ("STATE", "ARTIFACTS", "CATALOGS", "DATA")}
        with mock.patch.dict(os.environ, own):
            yield Path(name)


def write(folder: Path, files: list[list[tuple[Any, ...]]], as_csv: bool) -> None:
    names = ["user", "item", "at", "rating", "kind"]
    for number, rows in enumerate(files):
        frame = pd.DataFrame(rows, columns=names, dtype=object)
        if as_csv:
            frame.to_csv(folder / f"part-{number}.csv", index=False, na_rep="")
        else:
            table = pa.table({name: pa.array(frame[name].tolist(), pa.string()) for name in names})
            pq.write_table(table, folder / f"part-{number}.parquet")
    source = {
        "path": f"part-*.{'csv' if as_csv else 'parquet'}",
        "where": {"tests": {"column": "kind", "equals": "test"}},
        "columns": {"user_id": "user", "item_id": "item", "occurred_at": "at", "weight": "rating", "kind": "kind"},
        "rating_to_weight": {2: 1, 4: 3},
    }
    limits = {"max_rejected_share": 1}
    tree = {"sources": [source], "kinds": {"buy": 5, "view": 1, "return": -5}, "limits": limits}
    (folder / "shop.yaml").write_text(yaml.safe_dump(tree))


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(FILES, st.booleans())
def test_every_row_of_a_file_is_accounted_for_and_the_right_ones_are_accepted(
    files: list[list[tuple[Any, ...]]], as_csv: bool
) -> None:
    rows = [what_becomes_of(*row) for file in files for row in file]
    expected = {interaction for reason, interaction in rows if reason == "accepted"}
    if not expected:
        return  # refused: see the corpus
    with a_folder() as folder:
        write(folder, files, as_csv)
        catalog = load_catalog("shop")
        batch_id = str(begin.run(catalog, as_of=AS_OF.isoformat(), publish=False)["batch_id"])
        night = Night.open(catalog, batch_id)
        extract.run(night)
        counts = validate.run(night)
        left = folder / "shop" / batch_id / "validate"
        findings = json.loads((left / "findings.json").read_text())["findings"]
        accepted = Interactions.from_table(pq.read_table(left / "interactions.parquet"))
        users = pq.read_table(left / "users.parquet")["user_id"].to_pylist()
        items = pq.read_table(left / "items.parquet")["item_id"].to_pylist()
        rejected = pq.read_table(left / "rejected.parquet")

    assert counts["read"] == len(rows)
    assert counts["read"] == counts["excluded"] + counts["accepted"] + counts["merged"] + counts["quarantined"]
    reasons = [reason for reason, _ in rows]
    assert {f["reason"]: f["n_rows"] for f in findings if f["action"] in ("excluded", "quarantined")} == {
        reason: reasons.count(reason) for reason in set(reasons) - {"accepted"}
    }
    assert counts["merged"] == reasons.count("accepted") - len(expected)
    assert rejected.num_rows == counts["quarantined"]
    found = {
        (users[u], items[i], datetime.fromtimestamp(t / 1e6, UTC), w, accepted.kinds[k])
        for u, i, t, w, k in zip(
            accepted.user_idx,
            accepted.item_idx,
            accepted.occurred_at.tolist(),
            accepted.weight.tolist(),
            accepted.kind,
            strict=True,
        )
    }
    assert found == expected
    assert len(accepted) == len(expected)

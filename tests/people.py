"""A night of a few people, with the files and lists that its steps leave, made without running them."""

import json
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa
from markupsafe import escape

from recjobs.adapters.artifact_store import ArtifactStore
from recjobs.adapters.postgres import QUERIES
from recjobs.core.evaluation.side_by_side import whole_lists
from recjobs.core.lists.checksum import list_digests, total
from recjobs.core.model.als import Factors
from recjobs.core.model.stored import StoredModel
from recjobs.core.rows import users as core_users
from recjobs.core.rows.interactions import Interactions
from recjobs.night.handovers import INPUTS, Handovers
from recjobs.steps.validate import REJECTED
from tests.batches import stage
from tests.worlds import DAY_0, World

Rows = Sequence[tuple[str, str]]
ITEMS = ["i1", "i2", "i3"]
PAGE = (
    '<html><details class="user" open>\n<summary><b>{0}</b> <small>took 1</small></summary><p>Thing</p></details>\n'
    '<details class="user">\n<summary><b>somebody else</b></summary></details>\n'
    "<td>1 users, such as {0}</td></html>"
)
_COUNTS = ("read", "excluded", "merged", "quarantined", "accepted", "carried", "users", "items")


def interactions_of(rows: Rows, user_ids: list[str]) -> Interactions:
    """One a day, in the order of validate."""
    known = sorted(rows)
    day = 86_400_000_000
    return Interactions(
        np.array([user_ids.index(user) for user, _ in known], np.int32),
        np.array([ITEMS.index(item) for _, item in known], np.int32),
        np.arange(len(known)) * day + int(DAY_0.timestamp() * 1e6),
        np.ones(len(known), np.float32),
        np.full(len(known), -1, np.int16),
        len(user_ids),
        len(ITEMS),
    )


def lists_of(user_ids: list[str]) -> pa.Table:
    """The same list for everybody."""
    n = len(user_ids)
    return pa.table(
        {
            "user_id": user_ids,
            "item_ids": [ITEMS] * n,
            "scores": pa.array([[3.0, 2.0, 1.0]] * n, pa.list_(pa.float32())),
            "source": ["als"] * n,
            "n_model": pa.array([3] * n, pa.int16()),
            "n_category": pa.array([0] * n, pa.int16()),
        }
    )


def night_of(world: World, day: int, rows: Rows, named: str, champion: dict[str, str] | None = None) -> str:
    """Write a night's files and publish its batch, with a model of its own in charge; returns the batch id.

    named: the user whom its report, findings and quarantined rows name.
    """
    batch_id = stage(world, day)
    user_ids = sorted({user for user, _ in rows})
    past, lists = interactions_of(rows, user_ids), lists_of(user_ids)
    checksum = total([list_digests(lists)])
    night = Handovers(ArtifactStore(str(world.artifacts), world.name).night(batch_id))
    factors = np.arange(2 * len(user_ids), dtype=np.float32).reshape(-1, 2) + day
    model = StoredModel(Factors(factors, np.ones((3, 2), np.float32)), user_ids, ITEMS).to_arrays()
    live = world.rows("select batch_id, checksum from batches where is_live")
    with night.writing("begin") as files:
        files.save_json("request.json", {"batch_id": batch_id, "champion": champion, "live_batch": (live or [None])[0]})
    with night.writing("extract") as files:
        raw = {"user_id": [user for user, _ in rows], "item_id": [item for _, item in rows], "row": range(len(rows))}
        files.save_table("source-000.parquet", pa.table({name: list(column) for name, column in raw.items()}))
        files.save_json("extract.json", {"sources": [{"files": ["rows.csv"], "read": len(rows), "excluded": {}}]})
    with night.writing("validate") as files:
        files.save_table("interactions.parquet", past.to_table())
        files.save_table("users.parquet", core_users.table(pa.array(user_ids), None))
        files.save_table("items.parquet", pa.table({"item_id": ITEMS}))
        bad = [
            {"source": "rows.csv", "row": n, "reason": "bad_time", "user_id": user, "item_id": "i1"}
            for n, user in enumerate((named, f'"{named}"', "somebody else"))
        ]
        files.save_table("rejected.parquet", pa.Table.from_pylist(bad, REJECTED))
        counts = {"read": len(rows) + 3, "excluded": 0, "quarantined": 3, "merged": 0, "accepted": len(rows)}
        counts |= {"carried": 0, "users": len(user_ids), "items": 3}
        finding = {"reason": "bot", "action": "excluded", "column_name": "", "n_rows": 1}
        files.save_json(
            "findings.json", {"counts": counts, "findings": [finding | {"example": f"1 users, such as {named}"}]}
        )
    with night.writing("split") as files:
        files.save_table("train.parquet", past.where(past.item_idx < 2).to_table())
        files.save_table("holdout.parquet", past.where(past.item_idx == 2).to_table())
    with night.writing("train") as files:
        files.save_arrays("candidate.npz", **model)
        files.save_arrays("champion_recipe.npz", user_factors=factors, item_factors=np.ones((3, 2), np.float32))
    with night.writing("evaluate") as files:
        idx = pa.array(range(len(user_ids)), pa.int32())
        files.save_table("lists.parquet", pa.table({"user_idx": idx, "candidate": [[0, 1]] * len(user_ids)}))
        whole = whole_lists(np.arange(len(user_ids)), np.tile([0, 1], (len(user_ids), 1)))
        files.save_table("unfiltered.parquet", whole)
    with night.writing("gate") as files:
        files.save_json("verdict.json", {"verdict": "promoted"})
    with night.writing("refit", resume_key=night.key_of(*INPUTS["refit"])) as files:
        files.save_arrays("model.npz", **model)
        files.checkpoint()
        sha256 = files.hashes["model.npz"]
    with night.writing("score", resume_key=night.key_of(*INPUTS["score"])) as files:
        files.save_table("top_n-00000.parquet", lists)
        files.checkpoint()
        files.save_table("history.parquet", pa.table({"user_id": user_ids, "item_ids": [["i1"]] * len(user_ids)}))
    with night.writing("inspect") as files:
        inspection = {"checksum": checksum, "users": len(user_ids), "filled": len(user_ids)}
        files.save_json("inspection.json", inspection | {"examples": {"user_twice": ["somebody else", named]}})
    with night.writing("publish") as files:
        files.save_json("published.json", {"batch_id": batch_id, "model_version": None, "checksum": checksum})
    with night.writing("report") as files:
        files.save_text("report.html", PAGE.format(escape(named)))

    _load(world, batch_id, lists, named, user_ids)
    world.rows(
        "select register_model_version(%s, %s, %s, %s, now(), '{}')",
        batch_id, batch_id, f"{world.artifacts}/model.npz", sha256, role="recjobs_publisher",
    )  # fmt: skip
    in_charge = world.value("select model_version from champion", role="recjobs_publisher")
    world.rows(
        "update batch_records set checksum = %s, n_users = %s, n_interactions = %s, model_version = %s,"
        " champion_version = %s where batch_id = %s",
        checksum, len(user_ids), len(rows), batch_id, batch_id, batch_id, role="admin",
    )  # fmt: skip
    given = (batch_id, in_charge)
    world.rows("select attach_batch(%s, %s, false)", *given, role="recjobs_publisher")
    world.rows("select publish_batch(%s, %s, false, 'a test')", *given, role="recjobs_publisher")
    return batch_id


def _load(world: World, batch_id: str, lists: pa.Table, named: str, user_ids: list[str]) -> None:
    part = {kind: world.value("select partition_name(%s, %s)", kind, batch_id, role="recjobs_loader")
            for kind in ("top_n", "history_lists")}  # fmt: skip
    for row in lists.to_pylist():
        world.rows(
            f"insert into {part['top_n']} values (%s, %s, %s, %s, %s, 3, 0)",
            batch_id, row["user_id"], row["item_ids"], row["scores"], row["source"], role="recjobs_loader",
        )  # fmt: skip
        world.rows(
            f"insert into {part['history_lists']} values (%s, %s, '{{i1}}', '{{2025-03-01}}')",
            batch_id, row["user_id"], role="recjobs_loader",
        )  # fmt: skip
    world.rows("select seal_batch(%s)", batch_id, role="recjobs_loader")
    as_of = (DAY_0 + timedelta(days=1)).isoformat()
    account = {"batch_id": batch_id, "as_of": as_of, "input_hash": "h", "state": "refused"}
    account |= dict.fromkeys([f"n_{name}" for name in _COUNTS], 0)
    findings = [{"reason": "bot", "action": "excluded", "column_name": "", "n_rows": 1,
                 "example": f"1 users, such as {named}"}]  # fmt: skip
    bad = [{"source": "rows.csv", "row": n, "reason": "bad_time", "user_id": user}
           for n, user in enumerate((named, f'"{named}"', "somebody else"))]  # fmt: skip
    world.rows(
        "select record_input(%s, %s, '[]', %s)", *map(json.dumps, (account, findings, bad)), role="recjobs_publisher"
    )
    world.rows("select record_report(%s, %s)", batch_id, PAGE.format(escape(named)), role="recjobs_publisher")
    for step, state in (("inspect", "running"), ("inspect", "refused")):
        world.rows("select note_step(%s, %s, %s)", batch_id, step, state, role="recjobs_publisher")
    why = f"1 lists break user_twice (such as somebody else, {named})"
    world.rows("select note_reason(%s, 'inspect', %s)", batch_id, why, role="recjobs_publisher")


def checksum_in_sql(world: World, batch_id: str) -> str:
    """The checksum of a batch's lists as Postgres has them."""
    part = world.value("select partition_name('top_n', %s)", batch_id, role="admin")
    text = QUERIES["list_checksum"].read_text().replace("{partition}", part)
    return str(world.rows(text, role="admin")[0]["checksum"])

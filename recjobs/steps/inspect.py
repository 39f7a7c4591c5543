"""Check the finished lists, not the model, before anything reaches Postgres."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.catalog import Catalog
from recjobs.core.checksum import list_digests, total
from recjobs.core.contract import Broken, World, check_lists, first_items
from recjobs.errors import ListsRefused
from recjobs.night import Night


def run(catalog: Catalog, batch_id: str) -> dict[str, Any]:
    """Write inspection.json with the lists' checksum. Raises ListsRefused, naming check, value, band and ten users,
    unless the night was forced."""
    night = Night.open(catalog, batch_id)
    items = night.artifacts.load_table("validate", "items.parquet")
    pairs = night.artifacts.load_table("validate", "interactions.parquet", ["user_idx", "item_idx"])
    user_ids = night.artifacts.load_table("validate", "users.parquet")["user_id"].combine_chunks()
    seen = np.sort(pairs["user_idx"].to_numpy().astype(np.int64) * items.num_rows + pairs["item_idx"].to_numpy())
    seen = seen[np.diff(seen, prepend=-1) != 0]
    world = World(
        user_ids,
        items["item_id"].combine_chunks(),
        items["available"].to_numpy(),
        seen if night.catalog.seen == "exclude" else None,
        night.catalog.top_n.stored,
    )
    broken, listed, firsts, digests = Broken(), [], [], []
    shown = np.zeros(items.num_rows, bool)
    for name in sorted(night.artifacts.manifest("score")):
        if name.startswith("top_n-"):
            chunk = night.artifacts.load_table("score", name)
            listed.append(check_lists(chunk, world, broken))
            firsts.append(first_items(chunk))
            found = pc.index_in(chunk["item_ids"].combine_chunks().flatten(), world.item_ids)
            shown[pc.drop_null(found).to_numpy(zero_copy_only=False)] = True
            digests.append(list_digests(chunk))
    users = np.concatenate(listed) if listed else np.zeros(0, np.int64)
    counted = np.bincount(users[users >= 0], minlength=len(user_ids))
    broken.note("user_twice", user_ids, counted > 1)
    broken.note("user_without_list", user_ids, counted == 0)

    values = _values(counted, shown, world.eligible, firsts)
    bands = night.catalog.inspect
    outside = {
        "users_covered": values["users_covered"] < bands.min_users_covered,
        "coverage": values["coverage"] < bands.min_coverage,
        "top_item_share": values["top_item_share"] > bands.max_top_item_share,
    }
    found = {check for check, wrong in outside.items() if wrong} | set(broken.counts)
    result = {
        "checksum": total(digests),
        "users": int((counted > 0).sum()),
        "values": values,
        "bands": bands.model_dump(),
        "broken": broken.counts,
        "examples": broken.users,
        "outside": sorted(check for check, wrong in outside.items() if wrong),
        "forced": night.request.force,
    }
    if found and night.request.force is None:
        raise ListsRefused(_message(night, broken, outside, values))
    with night.artifacts.writing("inspect") as files:
        files.save_json("inspection.json", result)
    return {"users": result["users"], "checksum": result["checksum"], **{k: round(v, 4) for k, v in values.items()}}


def _values(counted: np.ndarray, shown: np.ndarray, eligible: np.ndarray, firsts: list[pa.Array]) -> dict[str, float]:
    tops = pc.value_counts(pa.chunked_array(firsts)).field("counts").to_numpy() if firsts else np.zeros(0)
    return {
        "users_covered": float((counted > 0).mean()) if counted.size else 0.0,
        "coverage": float(shown[eligible].mean()) if eligible.any() else 0.0,
        "top_item_share": float(tops.max() / tops.sum()) if tops.size else 0.0,
    }


def _message(night: Night, broken: Broken, outside: dict[str, bool], values: dict[str, float]) -> str:
    lines = [f"{n} lists break {check} (users {', '.join(broken.users[check])})" for check, n in broken.counts.items()]
    bands = night.catalog.inspect.model_dump()
    for check in (name for name, wrong in outside.items() if wrong):
        band = next(f"inspect.{key} is {value:g}" for key, value in bands.items() if key.endswith(check))
        lines.append(f"{check} is {values[check]:.4f}, {band}")
    why = "; ".join(lines)
    return f"the lists of {night.batch_id} are not fit to publish: {why}. `--force REASON` publishes them all the same"

"""Keep what is sound, quarantine what is not, and account for every row that was read."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recjobs.catalog import Catalog
from recjobs.core import items as core_items
from recjobs.core.splitting import microseconds
from recjobs.core.validation import REASONS, as_ids, check
from recjobs.errors import DataRefused
from recjobs.inputs import Source
from recjobs.night import Night

REJECTED = pa.schema(
    {
        "source": pa.string(),
        "row": pa.int64(),
        "reason": pa.string(),
        **dict.fromkeys(("user_id", "item_id", "occurred_at", "weight", "kind"), pa.string()),
    }
)
_RAW = ("user_id", "item_id", "occurred_at", "weight", "kind")


def run(catalog: Catalog, batch_id: str) -> dict[str, int]:
    """Write interactions (numbers), users and items (ids and attributes, in order of id), rejected rows and findings.

    read = excluded + accepted + merged + quarantined, exactly. Raises DataRefused when nothing usable is left or more
    than the catalog's share of rows is bad.
    """
    night = Night.open(catalog, batch_id)
    extracted = night.artifacts.load_json("extract", "extract.json")
    excluded: dict[str, int] = {}
    quarantined = np.zeros(len(REASONS), np.int64)
    examples: dict[str, str] = {}
    columns = core_items.Collected()
    with night.artifacts.writing("validate") as files:
        with files.writer("rejected.parquet", REJECTED) as rejected:
            for index, source in enumerate(night.catalog.sources):
                described = extracted["sources"][index]
                for rule, n in described["excluded"].items():
                    excluded[rule] = excluded.get(rule, 0) + n
                parquet = night.artifacts.open_table("extract", f"source-{index:03d}.parquet")
                for batch in parquet.iter_batches(1 << 20):
                    bad = _take(batch, source, night, columns, described["files"], excluded)
                    if bad.num_rows:
                        rejected.write_table(bad)
                        for reason in pc.unique(bad["reason"]).to_pylist():
                            first = bad.filter(pc.equal(bad["reason"], reason)).slice(0, 1).to_pylist()[0]
                            examples.setdefault(reason, f"{first['source']} row {first['row']}")
                            quarantined[list(REASONS).index(reason)] += pc.sum(pc.equal(bad["reason"], reason)).as_py()
        interactions, user_ids, item_ids, merged = columns.finish()
        n_read = sum(s["read"] for s in extracted["sources"])
        counts = {
            "read": n_read,
            "excluded": sum(excluded.values()),
            "quarantined": int(quarantined.sum()),
            "merged": merged,
            "accepted": len(interactions),
            "users": len(user_ids),
            "items": len(item_ids),
        }
        findings = _findings(excluded, quarantined, merged, examples)
        _must_be_usable(night, counts, findings)
        attributes = (
            core_items.of_file(night.artifacts.load_table("extract", "items.parquet"))
            if night.catalog.items and night.catalog.items.is_given
            else columns.attributes()
        )
        files.save_table("interactions.parquet", interactions.to_table())
        files.save_table("users.parquet", pa.table({"user_id": user_ids}))
        files.save_table("items.parquet", core_items.table(item_ids, attributes))
        files.save_json("findings.json", {"counts": counts, "findings": findings})
    return counts


def _take(
    batch: pa.RecordBatch,
    source: Source,
    night: Night,
    columns: core_items.Collected,
    names: list[str],
    excluded: dict[str, int],
) -> pa.Table:
    """Hand the sound rows of a batch on and return the others."""
    raw = {name: batch.column(name) for name in batch.schema.names}
    ids = {name: as_ids(raw[name], getattr(source.columns, name)) for name in ("user_id", "item_id")}
    now = microseconds(night.request.began_at)
    checked = check(raw | ids, source.time.unit, source.time.timezone, now, night.catalog.kinds)
    late = (checked.reason < 0) & (checked.occurred_at >= microseconds(night.request.as_of))
    excluded["after_as_of"] = excluded.get("after_as_of", 0) + int(late.sum())
    sound = (checked.reason < 0) & ~late
    columns.add(checked, sound, raw)

    bad = pa.array(checked.reason >= 0)
    files = pa.DictionaryArray.from_arrays(raw["file"].filter(bad).cast(pa.int32()), pa.array(names))
    reasons = pa.DictionaryArray.from_arrays(
        pa.array(checked.reason[checked.reason >= 0].astype(np.int32)), list(REASONS)
    )
    shown = {
        name: _as_text(raw[name].filter(bad)) if name in raw else pa.nulls(len(files), pa.string()) for name in _RAW
    }
    columns_of_bad = {
        "source": files.cast(pa.string()),
        "row": raw["row"].filter(bad),
        "reason": reasons.cast(pa.string()),
    } | shown
    return pa.table(columns_of_bad, schema=REJECTED)


def _as_text(values: pa.Array) -> pa.Array:
    return values.cast(pa.string())


def _findings(
    excluded: dict[str, int], quarantined: np.ndarray, merged: int, examples: dict[str, str]
) -> list[dict[str, Any]]:
    rows = [{"reason": rule, "action": "excluded", "n_rows": n, "example": None} for rule, n in excluded.items() if n]
    if merged:
        rows.append({"reason": "duplicate", "action": "merged", "n_rows": merged, "example": None})
    for code, n in zip(REASONS, quarantined.tolist(), strict=True):
        if n:
            rows.append({"reason": code, "action": "quarantined", "n_rows": n, "example": examples[code]})
    return [{**row, "column_name": _column_of(str(row["reason"]))} for row in rows]


def _column_of(reason: str) -> str:
    return next(
        (name for name in ("user_id", "item_id", "weight", "kind") if name in reason),
        "occurred_at" if "time" in reason else "",
    )


def _must_be_usable(night: Night, counts: dict[str, int], findings: list[dict[str, Any]]) -> None:
    offered = counts["read"] - counts["excluded"]
    worst = "; ".join(
        f"{f['n_rows']} rows {f['reason']}, such as {f['example']}" for f in findings if f["action"] == "quarantined"
    )
    limits = night.catalog.limits
    if counts["accepted"] < limits.min_interactions:
        raise DataRefused(
            f"catalog {night.catalog.name}: {counts['accepted']} usable interactions of {counts['read']} rows read "
            f"({counts['excluded']} excluded by rule, {counts['quarantined']} quarantined"
            f"{': ' + worst if worst else ''}); at least {limits.min_interactions} are needed. "
            "Mend the source, or `columns`, `time` and `where` in the catalog"
        )
    if offered and counts["quarantined"] / offered > limits.max_rejected_share:
        raise DataRefused(
            f"catalog {night.catalog.name}: {counts['quarantined'] / offered:.1%} of the rows are bad, "
            f"limits.max_rejected_share allows {limits.max_rejected_share:.1%}: {worst}"
        )

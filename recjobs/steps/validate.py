"""Validate the extracted rows: accept, quarantine, and account for every row."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from recjobs.adapters.step_files import StepFiles
from recjobs.catalog.sources import Source, named
from recjobs.core.ahead import mapped_ahead
from recjobs.core.rows import items as core_items
from recjobs.core.rows import users as core_users
from recjobs.core.rows.accounting import Tally
from recjobs.core.rows.drift import FeatureDrift, profile
from recjobs.core.rows.findings import Finding, overridden, raise_blocking
from recjobs.core.rows.gathering import BotLimits, Gathered, RowCollector
from recjobs.core.rows.instants import NO_TIME, instant, microseconds
from recjobs.core.rows.interactions import Interactions
from recjobs.core.rows.people import ErasedPeople, bare
from recjobs.core.rows.reason_codes import QUARANTINE
from recjobs.core.rows.validation import Checked, as_ids, check, encoded_ids, is_among, weights_of_ratings
from recjobs.night import input_limits, strange_input
from recjobs.night.erasures import erased_people
from recjobs.night.night import Night, database

_RAW = ("user_id", "item_id", "occurred_at", "weight", "kind")
REJECTED = pa.schema(
    {"source": pa.string(), "row": pa.int64(), "reason": pa.string(), **dict.fromkeys(_RAW, pa.string())}
)


def run(night: Night) -> dict[str, int | float]:
    """Write interactions, users and items (with attributes, ordered by id), rejected rows and findings.

    read = excluded + accepted + merged + quarantined. Raises DataRefused or InputLate by the catalog's limits, once
    the findings are written and recorded.
    """
    with night.writing("validate") as files, ThreadPoolExecutor(1) as writer:
        tally, stated, items = Tally(), core_items.ItemCollector(), night.catalog.items
        known = night.described_rows("items") if items and items.has_location else None
        gathered = _gather(night, files, tally, stated, known)
        whole, attributes = gathered, None
        if known is not None:
            attributes = _carried_over(night, core_items.of_file(known))
            if items and items.new == "predict":
                whole = gathered.with_items(core_items.untried(gathered.item_ids, attributes, items.separator))
            if items and items.unknown == "train_only":
                known_ids = as_ids(known["item_id"].combine_chunks(), "item_id")
                attributes = core_items.of_known(attributes, gathered.item_ids, known_ids)
        writing = writer.submit(files.save_table, "interactions.parquet", whole.interactions.to_table())
        if gathered.bots:
            tally.exclude("bot", gathered.set_aside, f"{len(gathered.bots)} users, such as {gathered.bots[0]}")
        if attributes is None:
            attributes = _carried_over(night, stated.attributes())
        counts = _counts(night, tally, whole)
        of_places, fits = strange_input.of_places(night, gathered)
        of_accounts, accounts = strange_input.accounts(night)
        places = {what: one.to_json() for what, one in accounts.items()}
        moved, of_drift = _drift(night, files, gathered)
        findings = overridden(
            [
                *tally.findings(gathered.merged),
                *input_limits.of_the_night(night, counts, gathered.interactions, tally),
                *strange_input.of_ids(night, gathered),
                *of_places,
                *of_accounts,
                *strange_input.of_attributes(night, attributes),
                *of_drift,
            ],
            night.request.force if counts["accepted"] + counts["carried"] else None,
        )
        shown = [f.to_json() for f in findings]
        files.save_json("findings.json", {"counts": counts, "findings": shown, "fit": fits, "places": places})
        users = _users_of_file(night) if night.catalog.users else None
        separator = night.catalog.users.separator if night.catalog.users else "|"
        files.save_table("users.parquet", core_users.table(whole.user_ids, users, separator))
        separator, tree = (items.separator, items.tree) if items else ("|", None)
        files.save_table("items.parquet", core_items.table(whole.item_ids, attributes, separator, tree))
        if night.request.publish:
            _record(night, counts, findings, tally, gathered.interactions, moved, places)
        writing.result()
        raise_blocking(night.catalog.name, findings)
    return counts | {f"drift_{one.feature}": round(one.value, 4) for one in moved}


def _gather(
    night: Night, files: StepFiles, tally: Tally, stated: core_items.ItemCollector, known: pa.Table | None
) -> Gathered:
    collected = RowCollector()
    if base := night.base():
        user_ids, item_ids = base.users()["user_id"], base.items(["item_id"])["item_id"]
        collected.carry(base.interactions(), user_ids.combine_chunks(), item_ids.combine_chunks())
    items = night.catalog.items
    known_items = None
    if known is not None and items and items.unknown in ("quarantine", "refuse"):
        known_items = as_ids(known["item_id"].combine_chunks(), "item_id")
    extracted, erased = night.extracted_sources(), erased_people(night.catalog)
    with files.writer("rejected.parquet", REJECTED) as rejected:
        for index, source in enumerate(night.catalog.sources):
            described = extracted[index]
            for rule, n in described["excluded"].items():
                tally.exclude(rule, n)
            parquet, rows = night.source_rows(index), RowCollector() if source.repeats == "sum" else collected
            checked = partial(_check, source=source, night=night, known_items=known_items)
            batches = parquet.iter_batches(1 << 20)
            with named(source, described["files"]):
                for each in mapped_ahead(checked, batches):
                    bad = _take(each, night, tally, rows, stated, described["files"])
                    bad = _without_erased(bad, erased, tally)
                    if bad.num_rows:
                        rejected.write_table(bad)
                        tally.quarantine(bad)
                if rows is not collected:
                    tally.summed += collected.add_summed(rows)
    if night.catalog.users:
        collected.know_users(_users_of_file(night)["user_id"].combine_chunks())
    gathered = collected.finish(BotLimits(**night.catalog.limits.bots.model_dump()))
    negative = tuple(sorted(kind for kind, weight in night.catalog.kinds.items() if weight < 0))
    return replace(gathered, interactions=replace(gathered.interactions, negative=negative))


@dataclass(frozen=True)
class _Batch:
    """A batch's columns as they were, its ids as text, what `check` says of its rows, and a mask of those whose rating
    is too low."""

    raw: dict[str, pa.Array]
    columns: dict[str, pa.Array]
    rows: Checked
    too_low: np.ndarray


def _check(batch: pa.RecordBatch, source: Source, night: Night, known_items: pa.Array | None) -> _Batch:
    """Check a batch; several are at once."""
    raw = {name: batch.column(name) for name in batch.schema.names}
    columns = raw | {name: encoded_ids(raw[name], getattr(source.columns, name)) for name in ("user_id", "item_id")}
    too_low = np.zeros(batch.num_rows, bool)
    if source.rating_to_weight:
        columns["weight"], too_low = weights_of_ratings(raw["weight"], source.rating_to_weight)
    if not source.has_times:
        columns["occurred_at"] = pa.repeat(pa.scalar(NO_TIME, pa.timestamp("us", "UTC")), batch.num_rows)
    now, time = microseconds(night.request.began_at), source.time
    rows = check(columns, time.unit, time.timezone, now, night.catalog.kinds, known_items, time.format)
    return _Batch(raw, columns, rows, too_low)


def _users_of_file(night: Night) -> pa.Table:
    return core_users.sound(night.described_rows("users"))


def _take(
    of: _Batch,
    night: Night,
    tally: Tally,
    collected: RowCollector,
    stated: core_items.ItemCollector,
    names: list[str],
) -> pa.Table:
    """Collect the valid rows of a batch and return the others."""
    raw, columns, checked, too_low = of.raw, of.columns, of.rows, of.too_low
    sound = checked.reason < 0
    late = sound & (checked.occurred_at >= microseconds(night.request.as_of))
    too_low = too_low & sound & ~late
    tally.exclude("after_as_of", int(late.sum()))
    tally.exclude("rating_too_low", int(too_low.sum()))
    sound &= ~late & ~too_low
    if night.catalog.limits.nobody:
        nobody = sound & is_among(columns["user_id"], night.catalog.limits.nobody)
        tally.exclude("nobody", int(nobody.sum()))
        sound &= ~nobody
    collected.add(checked, sound)
    stated.add(checked, sound, raw)

    bad = pa.array(checked.reason >= 0)
    files = pa.DictionaryArray.from_arrays(raw["file"].filter(bad).cast(pa.int32()), pa.array(names))
    reasons = pa.DictionaryArray.from_arrays(
        pa.array(checked.reason[checked.reason >= 0].astype(np.int32)), list(QUARANTINE)
    )
    rejected = {"source": files.cast(pa.string()), "row": raw["row"].filter(bad), "reason": reasons.cast(pa.string())}
    for name in _RAW:
        rejected[name] = raw[name].filter(bad).cast(pa.string()) if name in raw else pa.nulls(len(files), pa.string())
    return pa.table(rejected, schema=REJECTED)


def _without_erased(bad: pa.Table, erased: ErasedPeople, tally: Tally) -> pa.Table:
    """Leave out quarantined rows of people who were erased, whose id `extract` did not know for quotes or blanks."""
    if not (erased and bad.num_rows):
        return bad
    mask = erased.mask(bare(bad["user_id"].combine_chunks()))
    if mask.any():
        tally.exclude("erased", int(mask.sum()))
    return bad.filter(pa.array(~mask))


def _counts(night: Night, tally: Tally, gathered: Gathered) -> dict[str, int]:
    return {
        "read": sum(source["read"] for source in night.extracted_sources()),
        "excluded": sum(tally.excluded.values()),
        "quarantined": sum(tally.quarantined.values()),
        "merged": gathered.merged + tally.summed,
        "accepted": len(gathered.interactions) - gathered.carried,
        "carried": gathered.carried,
        "users": len(gathered.user_ids),
        "items": len(gathered.item_ids),
    }


def _drift(night: Night, files: StepFiles, gathered: Gathered) -> tuple[list[FeatureDrift], list[Finding]]:
    """Write the profile of tonight's newest rows and its drift since the last accepted night."""
    until, days = microseconds(night.request.as_of), night.catalog.limits.drift.window_days
    now = profile(gathered.interactions, gathered.user_ids, gathered.item_ids, until, days)
    files.save_json("profile.json", now.to_json())
    files.save_table("profile_items.parquet", now.items)
    before = input_limits.earlier_profile(night)
    moved = input_limits.drift(night, before, now) if before else []
    compared = night.request.history[0].batch_id if moved else None
    files.save_json("drift.json", {"compared_with": compared, "features": [one.to_json() for one in moved]})
    return moved, input_limits.of_drift(night, moved)


def _carried_over(night: Night, attributes: Any) -> Any:
    base = night.base()
    return core_items.carried_over(attributes, base.items()) if base else attributes


def _record(
    night: Night,
    counts: dict[str, int],
    findings: list[Finding],
    tally: Tally,
    interactions: Interactions,
    moved: list[FeatureDrift],
    places: dict[str, Any],
) -> None:
    states = {f.action for f in findings}
    state = "refused" if "refused" in states else "skipped" if "skipped" in states else "accepted"
    stopped = [f.reason for f in findings if f.action in ("refused", "skipped")]
    times = interactions.occurred_at if night.catalog.has_times else np.zeros(0, np.int64)
    with database(night.catalog, "publisher").connect() as session:
        session.call(
            "record_input",
            input={
                "batch_id": night.batch_id,
                "as_of": night.request.as_of,
                "input_hash": night.request.input["hash"],
                "state": state,
                "reason": ", ".join(stopped) or None,
                "files": night.request.input["files"],
                "places": places,
                "oldest": instant(times.min()) if times.size else None,
                "newest": instant(times.max()) if times.size else None,
                **{f"n_{name}": n for name, n in counts.items()},
            },
            broken_rules=[_without_nul(f.to_json()) for f in findings],
            drifts=[
                {
                    "feature": one.feature,
                    "value": one.value,
                    "threshold": getattr(night.catalog.limits.drift, one.feature),
                    "compared_with": night.request.history[0].batch_id,
                }
                for one in moved
            ],
            quarantined=[_without_nul(row) for rows in tally.shown for row in rows.to_pylist()],
        )


def _without_nul(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.replace("\0", "\u2400") if isinstance(value, str) else value for key, value in row.items()}

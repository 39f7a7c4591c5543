"""Validate the extracted rows: accept, quarantine, and account for every row."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import pyarrow as pa

from recjobs.adapters.step_files import StepFiles
from recjobs.catalog.sources import named
from recjobs.core.rows import items as core_items
from recjobs.core.rows import users as core_users
from recjobs.core.rows.accepted_rows import AcceptedRows, BotLimits
from recjobs.core.rows.accounting import Tally
from recjobs.core.rows.drift import FeatureDrift, profile
from recjobs.core.rows.findings import Finding, overridden, raise_blocking
from recjobs.core.rows.instants import instant, microseconds
from recjobs.core.rows.validation import as_ids
from recjobs.night import input_limits, strange_input
from recjobs.night.checked_rows import REJECTED, CheckedRows, RowChecks
from recjobs.night.erasures import erased_people
from recjobs.night.gathering import EarlierRows, Gathering, GatheringHere, RangeGathering, ranges_of
from recjobs.night.night import Night, database
from recjobs.night.spark_rows import GatheringOnSpark
from recjobs.night.stored import verified_table


def run(night: Night) -> dict[str, int | float]:
    """Write interactions, users and items (with attributes, ordered by id), rejected rows and findings.

    read = excluded + accepted + merged + quarantined. Raises DataRefused or InputLate by the catalog's limits, once
    the findings are written and recorded.
    """
    with night.writing("validate") as files, ThreadPoolExecutor(1) as writer, ExitStack() as left:
        items = night.catalog.items
        known = night.described_rows("items") if items and items.has_location else None
        checked, gathered = _gather(night, files, known, left)
        tally, whole, attributes = checked.tally, gathered, None
        if known is not None:
            attributes = _carried_over(night, core_items.of_file(known))
            if items and items.new == "predict":
                whole = gathered.with_items(core_items.untried(gathered.item_ids, attributes, items.separator))
            if items and items.unknown == "train_only":
                known_ids = as_ids(known["item_id"].combine_chunks(), "item_id")
                attributes = core_items.of_known(attributes, gathered.item_ids, known_ids)
        writing = writer.submit(_save, files, whole)
        if gathered.bots:
            tally.exclude("bot", gathered.set_aside, f"{len(gathered.bots)} users, such as {gathered.bots[0]}")
        if attributes is None:
            attributes = _carried_over(night, checked.stated.attributes())
        counts, span = _counts(night, tally, whole), _span(night, gathered)
        of_places, fits = strange_input.of_places(night, gathered)
        of_accounts, accounts = strange_input.accounts(night)
        places = {what: one.to_json() for what, one in accounts.items()}
        moved, of_drift = _drift(night, files, gathered)
        findings = overridden(
            [
                *tally.findings(gathered.merged, gathered.summed),
                *input_limits.of_the_night(night, counts, span, tally),
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
            _record(night, counts, findings, tally, span, moved, places)
        writing.result()
        raise_blocking(night.catalog.name, findings)
    return counts | {f"drift_{one.feature}": round(one.value, 4) for one in moved}


def _gather(
    night: Night, files: StepFiles, known: pa.Table | None, left: ExitStack
) -> tuple[CheckedRows, AcceptedRows]:
    """Check and gather all rows; the accepted ones are read anew whenever they are asked for, until `left` ends."""
    catalog, extracted, erased = night.catalog, night.extracted_sources(), erased_people(night.catalog)
    known_items, checked = None, CheckedRows()
    if known is not None and catalog.items and catalog.items.unknown in ("quarantine", "refuse"):
        known_items = as_ids(known["item_id"].combine_chunks(), "item_id")
    sources = [verified_table(night, "extract", f"source-{n:03d}.parquet") for n in range(len(catalog.sources))]
    ranges = ranges_of(night, sources, [described["files"] for described in extracted])
    gathering: Gathering = GatheringHere(sources, len(ranges))
    if catalog.engine == "spark":
        gathering = left.enter_context(GatheringOnSpark(night, sources, len(ranges)))
    with files.even_writer("rejected.parquet", REJECTED) as rejected:
        for index, (source, described) in enumerate(zip(catalog.sources, extracted, strict=True)):
            for rule, n in described["excluded"].items():
                checked.tally.exclude(rule, n)
            checks = RowChecks.of(night, source, described["files"], known_items, erased, ranges)
            with named(source, described["files"]):
                for batch in gathering.checked(index, checks):
                    checked.add(batch)
                    for bad in batch.rejected:
                        rejected.write(bad)
    users: Sequence[pa.Array | None] = [None] * len(ranges)
    if catalog.users:
        users = ranges.split_ids(_users_of_file(night)["user_id"].combine_chunks())
    limits = BotLimits(**catalog.limits.bots.model_dump())
    sums = tuple(source.repeats == "sum" for source in catalog.sources)
    by = RangeGathering(sums, EarlierRows.of(night, ranges), limits.min_interactions)
    negative = tuple(sorted(kind for kind, weight in catalog.kinds.items() if weight < 0))
    return checked, AcceptedRows.of(gathering.ranges(by, users), limits, negative)


def _users_of_file(night: Night) -> pa.Table:
    return core_users.sound(night.described_rows("users"))


def _counts(night: Night, tally: Tally, gathered: AcceptedRows) -> dict[str, int]:
    return {
        "read": sum(source["read"] for source in night.extracted_sources()),
        "excluded": sum(tally.excluded.values()),
        "quarantined": sum(tally.quarantined.values()),
        "merged": gathered.merged + gathered.summed,
        "accepted": len(gathered.interactions) - gathered.carried,
        "carried": gathered.carried,
        "users": len(gathered.user_ids),
        "items": len(gathered.item_ids),
    }


def _span(night: Night, gathered: AcceptedRows) -> tuple[datetime, datetime] | None:
    """The instants of the oldest and the newest row; None without rows, or without times."""
    if not (night.catalog.has_times and len(gathered.interactions)):
        return None
    ends = [(rows.occurred_at.min(), rows.occurred_at.max()) for rows in gathered.interactions.blocks()]
    return instant(min(first for first, _ in ends)), instant(max(last for _, last in ends))


def _save(files: StepFiles, accepted: AcceptedRows) -> None:
    rows = accepted.interactions
    with files.even_writer("interactions.parquet", rows.empty.to_table().schema) as writer:
        for part in rows.read():
            writer.write(part.to_table())


def _drift(night: Night, files: StepFiles, gathered: AcceptedRows) -> tuple[list[FeatureDrift], list[Finding]]:
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
    span: tuple[datetime, datetime] | None,
    moved: list[FeatureDrift],
    places: dict[str, Any],
) -> None:
    states = {f.action for f in findings}
    state = "refused" if "refused" in states else "skipped" if "skipped" in states else "accepted"
    stopped = [f.reason for f in findings if f.action in ("refused", "skipped")]
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
                "oldest": span[0] if span else None,
                "newest": span[1] if span else None,
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

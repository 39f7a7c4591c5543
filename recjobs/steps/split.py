"""Split tonight's interactions at one instant: train before it, holdout from it on. Without times, at random."""

from collections.abc import Callable
from functools import partial

from recjobs.core.evaluation.split import RandomSplit, choose_cutoff, random_cutoff, split_at
from recjobs.core.rows.interactions import Interactions
from recjobs.night.night import Night
from recjobs.night.stored import stored_rows


def run(night: Night) -> dict[str, int | str]:
    """Write train, holdout, and the instant between them with the rule that chose it. Some rows at a time are in
    memory."""
    rows, request, catalog = stored_rows(night, "validate", "interactions.parquet"), night.request, night.catalog
    split: Callable[[Interactions], tuple[Interactions, Interactions]]
    if catalog.has_times:
        before = request.champion.data_cutoff if request.champion else None
        cutoff = choose_cutoff(rows, request.as_of, before, catalog.holdout_days, catalog.min_holdout_users)
        split = partial(split_at, cutoff=cutoff.at)
    else:
        cutoff = random_cutoff()
        split = RandomSplit.of(night.ids("users"), night.ids("items"), request.seed).split

    lengths, schema = [0, 0], rows.empty.to_table().schema
    with night.writing("split") as files:
        with files.writer("train.parquet", schema) as train, files.writer("holdout.parquet", schema) as holdout:
            for part in rows.parts():
                for side, (writer, own) in enumerate(zip((train, holdout), split(part), strict=True)):
                    writer.write_table(own.to_table())
                    lengths[side] += len(own)
        files.save_json("cutoff.json", {"at": cutoff.at.isoformat(), "rule": cutoff.rule, "why": cutoff.why})
    return {"train": lengths[0], "holdout": lengths[1], "cutoff": cutoff.at.isoformat()}

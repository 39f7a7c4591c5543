"""Split tonight's interactions at one instant: train before it, holdout from it on. Without times, at random."""

from recjobs.core.evaluation.split import choose_cutoff, random_cutoff, split_at, split_at_random
from recjobs.night.night import Night


def run(night: Night) -> dict[str, int | str]:
    """Write train, holdout, and the instant between them with the rule that chose it."""
    interactions, request, catalog = night.interactions(), night.request, night.catalog
    if catalog.has_times:
        before = request.champion.data_cutoff if request.champion else None
        cutoff = choose_cutoff(interactions, request.as_of, before, catalog.holdout_days, catalog.min_holdout_users)
        train, holdout = split_at(interactions, cutoff.at)
    else:
        cutoff = random_cutoff()
        train, holdout = split_at_random(interactions, night.ids("users"), night.ids("items"), request.seed)

    with night.writing("split") as files:
        files.save_table("train.parquet", train.to_table())
        files.save_table("holdout.parquet", holdout.to_table())
        files.save_json("cutoff.json", {"at": cutoff.at.isoformat(), "rule": cutoff.rule, "why": cutoff.why})
    return {"train": len(train), "holdout": len(holdout), "cutoff": cutoff.at.isoformat()}

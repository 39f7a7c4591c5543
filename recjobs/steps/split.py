"""Split tonight's interactions at one instant: train before it, holdout from it on."""

from recjobs.core.evaluation.split import choose_cutoff, split_at
from recjobs.night.night import Night


def run(night: Night) -> dict[str, int | str]:
    """Write train, holdout, and the instant between them with the rule that chose it."""
    interactions, request, catalog = night.interactions(), night.request, night.catalog
    before = request.champion.data_cutoff if request.champion else None
    cutoff = choose_cutoff(interactions, request.as_of, before, catalog.holdout_days, catalog.min_holdout_users)
    train, holdout = split_at(interactions, cutoff.at)

    with night.writing("split") as files:
        files.save_table("train.parquet", train.to_table())
        files.save_table("holdout.parquet", holdout.to_table())
        files.save_json("cutoff.json", {"at": cutoff.at.isoformat(), "rule": cutoff.rule, "why": cutoff.why})
    return {"train": len(train), "holdout": len(holdout), "cutoff": cutoff.at.isoformat()}

"""Turn a night's interactions into finished recommendation lists in Postgres.

The night, in order (one module of `recjobs.steps` each):

    begin      write request.json: what this night was asked to do, and the champion it is held against
    extract    read the catalog's sources as they are
    validate   keep what is sound, quarantine what is not, account for every row
    split      cut at one instant: before it we train, from it on we measure
    train      fit tonight's candidate on the train part
    evaluate   ask candidate, champion and popularity about the same unseen interactions
    gate       decide which recipe is in charge: a Verdict
    refit      promoted: fit on everything and check once more; refused: keep the champion
    score      finish every user's list, similar items, popular lists
    inspect    check the finished lists by rules that share no code with score
    publish    load a new batch, then move the pointer and the champion in one transaction
    report     one page about the night
"""

NIGHT = ("extract", "validate", "split", "train", "evaluate", "gate", "refit", "score", "inspect", "publish", "report")
"""The eleven steps after `begin`, in order."""

LISTS = ("refit", "score", "inspect", "publish")
"""The steps that make lists and publish them: left out where nothing is to be published."""

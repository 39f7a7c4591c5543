"""Turn a night's interactions into finished recommendation lists in Postgres.

A night is `begin`, which writes its request, then the steps of `STEPS`, each a module of `recjobs.steps`.
"""

STEPS = {
    "extract": "Read the catalog's sources as they are.",
    "validate": "Accept valid rows, quarantine the others, account for every row.",
    "split": "Cut at one instant: train before it, holdout from it on.",
    "train": "Fit tonight's candidate on the train part.",
    "evaluate": "Measure candidate, champion and baselines on the holdout.",
    "gate": "Decide which recipe is in charge: a verdict.",
    "refit": "Fit the promoted recipe on everything, or keep the champion.",
    "score": "Make every user's list, the similar items and the popular lists.",
    "inspect": "Check the finished lists by rules that share no code with `score`.",
    "publish": "Load the batch and move the pointer to it.",
    "report": "Write the page about the night.",
}
"""The eleven steps after `begin`, in order."""

NIGHT = tuple(STEPS)

LISTS = ("refit", "score", "inspect", "publish")
"""The steps that make and publish lists; they are skipped if nothing is to be published."""

"""The verbs of a night: all of it, its beginning, and each of its steps."""

import json

import click

from recjobs.catalog.files import load_catalog
from recjobs.cli.options import catalog_option, json_option, overrides_of, set_option, show

_STEP_HELP = {
    "extract": "Read the catalog's sources as they are.",
    "validate": "Keep what is sound, quarantine what is not, account for every row.",
    "split": "Cut at one instant: train before it, holdout from it on.",
    "train": "Fit tonight's candidate on the train part.",
    "gate": "Decide which recipe is in charge.",
    "refit": "Fit the promoted recipe on everything, or keep the champion.",
    "score": "Finish every user's list, similar items and popular lists.",
    "inspect": "Check the finished lists before they reach Postgres.",
    "publish": "Load the batch and move the pointer to it.",
    "report": "Write the page about the night.",
}


@click.command(epilog="Example: recjobs night --catalog online_retail --as-of 2011-11-09 --set factors=32 --json")
@catalog_option
@click.option(
    "--as-of", metavar="D", help="See only what is earlier: an instant, or a date counted with its whole day (UTC)."
)
@set_option
@click.option(
    "--no-publish", is_flag=True, help="End after the gate, hold the candidate against no champion, write the report."
)
@click.option("--force", metavar="REASON", help="Publish in spite of a refusal; the reason goes into the publish log.")
@json_option
def night(
    catalog_name: str, as_of: str | None, settings: tuple[str, ...], no_publish: bool, force: str | None, as_json: bool
) -> None:
    """Run a whole night, or go on with one that was killed."""
    from recjobs.cli.progress import run_night

    catalog = load_catalog(catalog_name)
    result = run_night(catalog, as_of=as_of, overrides=overrides_of(settings), force=force, publish=not no_publish)
    if as_json:
        click.echo(json.dumps(result, default=str))


def _step_command(name: str) -> click.Command:
    @click.command(
        name, help=_STEP_HELP[name], epilog=f"Example: recjobs {name} --catalog sample --batch-id 20260630T200001Z-1"
    )
    @catalog_option
    @click.option(
        "--batch-id", required=True, metavar="B", help="The batch that `recjobs begin` or `recjobs night` named."
    )
    @json_option
    def command(catalog_name: str, batch_id: str, as_json: bool) -> None:
        from recjobs.night.runner import run_step

        show(run_step(name, load_catalog(catalog_name), batch_id), as_json)

    return command


@click.command(epilog="Example: recjobs begin --catalog sample --json")
@catalog_option
@click.option("--as-of", metavar="D", help="See only what is earlier.")
@set_option
@click.option("--force", metavar="REASON", help="Publish in spite of a refusal.")
@json_option
def begin(catalog_name: str, as_of: str | None, settings: tuple[str, ...], force: str | None, as_json: bool) -> None:
    """Begin a night: name its batch and pin what it was asked."""
    from recjobs.night.runner import begin_night

    catalog = load_catalog(catalog_name)
    show(begin_night(catalog, as_of=as_of, overrides=overrides_of(settings), force=force, publish=True), as_json)


STEPS = [_step_command(name) for name in _STEP_HELP]
"""A command for each step but `evaluate`, which has more to it."""

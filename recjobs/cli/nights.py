"""The verbs that run a night: the whole of it, its beginning, and each step."""

import json

import click

from recjobs import STEPS
from recjobs.cli.options import (
    as_of_option,
    catalog_option,
    json_option,
    known_catalog,
    overrides_of,
    set_option,
    show,
)


@click.command(epilog="Example: recjobs night --catalog online_retail --as-of 2011-11-09 --set factors=32 --json")
@catalog_option
@as_of_option
@set_option
@click.option("--no-publish", is_flag=True, help="Stop after the gate and the report; compare with no champion.")
@click.option(
    "--force",
    metavar="REASON",
    help="Publish despite a refusal, of a date too far ahead, or without what is lost; stored in the publish log.",
)
@json_option
def night(
    catalog_name: str, as_of: str | None, settings: tuple[str, ...], no_publish: bool, force: str | None, as_json: bool
) -> None:
    """Run a whole night, or resume one that was killed."""
    from recjobs.cli.progress import run_night
    from recjobs.night.runner import catalog_of_night

    catalog = catalog_of_night(catalog_name)
    result = run_night(catalog, as_of=as_of, overrides=overrides_of(settings), force=force, publish=not no_publish)
    if as_json:
        click.echo(json.dumps(result, default=str))


def _step_command(name: str) -> click.Command:
    example = f"Example: recjobs {name} --catalog sample --batch-id 20260630T200001Z-1"

    @click.command(name, help=STEPS[name], epilog=example)
    @catalog_option
    @click.option("--batch-id", required=True, metavar="B", help="The batch, as `recjobs begin` printed it.")
    @json_option
    def command(catalog_name: str, batch_id: str, as_json: bool) -> None:
        from recjobs.night.runner import run_step

        show(run_step(name, known_catalog(catalog_name), batch_id), as_json)

    return command


@click.command(epilog="Example: recjobs begin --catalog sample --json")
@catalog_option
@as_of_option
@set_option
@click.option("--force", metavar="REASON", help="Publish despite a refusal.")
@json_option
def begin(catalog_name: str, as_of: str | None, settings: tuple[str, ...], force: str | None, as_json: bool) -> None:
    """Begin a night: name its batch and pin its request."""
    from recjobs.night.runner import begin_night, catalog_of_night

    catalog = catalog_of_night(catalog_name)
    show(begin_night(catalog, as_of=as_of, overrides=overrides_of(settings), force=force, publish=True), as_json)


@click.command(epilog="Example: recjobs plan --catalog online_retail --set factors=128")
@catalog_option
@as_of_option
@set_option
@json_option
def plan(catalog_name: str, as_of: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Estimate rows, memory, disk and minutes of a night before it begins.

    By the catalog's last nights; before its first, by measured rates and the speed of this machine. Where the night
    does not fit, the exit code is the one that it would have: 78 too large for this machine, 75 too little free now.
    """
    from recjobs.cli.tables import of_plan
    from recjobs.night.runner import catalog_of_night
    from recjobs.operations import plan as operation

    catalog = catalog_of_night(catalog_name)
    result, missing = operation.run(catalog, as_of=as_of, overrides=overrides_of(settings))
    click.echo(json.dumps(result) if as_json else "\n".join(of_plan(result)))
    if missing:
        raise missing


STEP_COMMANDS = [_step_command(name) for name in STEPS if name != "evaluate"]
"""A command for each step except `evaluate`, which has options of its own."""

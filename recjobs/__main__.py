"""The `recjobs` command: a whole night, any step of it, or an operator's verb, without Airflow.

Exit codes: 0 done (a refused candidate too: a verdict is a result), 64 usage, 65 data, model or lists refused,
70 our defect, 75 try later, 78 bad configuration.
"""

import errno
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from recjobs import cli_access, cli_data, cli_gate, cli_lists, cli_model, cli_rule, cli_trace
from recjobs.cli_options import catalog_option, json_option, overrides_of, set_option, show, show_tree
from recjobs.config import load_catalog
from recjobs.errors import RecjobsError, TryLater

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room, or no more of it for us
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


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: recjobs night --catalog sample",
)
@click.version_option(package_name="recjobs", prog_name="recjobs")
def cli() -> None:
    """Turn a night's interactions into finished recommendation lists in Postgres."""


@cli.command(epilog="Example: recjobs night --catalog online_retail --as-of 2011-11-09 --set factors=32 --json")
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
    from recjobs.progress import run_night

    catalog = load_catalog(catalog_name)
    result = run_night(catalog, as_of=as_of, overrides=overrides_of(settings), force=force, publish=not no_publish)
    if as_json:
        click.echo(json.dumps(result, default=str))


def _add_step(name: str) -> None:
    @cli.command(
        name, help=_STEP_HELP[name], epilog=f"Example: recjobs {name} --catalog sample --batch-id 20260630T200001Z-1"
    )
    @catalog_option
    @click.option(
        "--batch-id", required=True, metavar="B", help="The batch that `recjobs begin` or `recjobs night` named."
    )
    @json_option
    def command(catalog_name: str, batch_id: str, as_json: bool) -> None:
        from recjobs.steps import run_step

        show(run_step(name, load_catalog(catalog_name), batch_id), as_json)


for step in _STEP_HELP:
    _add_step(step)


@cli.command(epilog="Example: recjobs begin --catalog sample --json")
@catalog_option
@click.option("--as-of", metavar="D", help="See only what is earlier.")
@set_option
@click.option("--force", metavar="REASON", help="Publish in spite of a refusal.")
@json_option
def begin(catalog_name: str, as_of: str | None, settings: tuple[str, ...], force: str | None, as_json: bool) -> None:
    """Begin a night: name its batch and pin what it was asked."""
    from recjobs.steps import begin_night

    catalog = load_catalog(catalog_name)
    show(begin_night(catalog, as_of=as_of, overrides=overrides_of(settings), force=force, publish=True), as_json)


@cli.command("roll-back", epilog='Example: recjobs roll-back --catalog online_retail --reason "prices were wrong"')
@catalog_option
@click.option("--batch-id", metavar="B", help="The batch to return to; without it the one before the live one.")
@click.option("--reason", metavar="R", help="Why; it goes into the publish log.")
@json_option
def roll_back(catalog_name: str, batch_id: str | None, reason: str | None, as_json: bool) -> None:
    """Make an earlier batch live again, within milliseconds."""
    from recjobs.steps import roll_back as step

    catalog = load_catalog(catalog_name)
    moved = step.move(catalog, batch_id, reason)
    show(moved, as_json)  # everybody is served the other batch from now on; what follows takes MLflow seconds
    sys.stdout.flush()
    step.follow(catalog, moved)


@cli.command(
    epilog='Example: recjobs promote --catalog online_retail --model-version 3 --reason "asked by merchandising"'
)
@catalog_option
@click.option("--model-version", required=True, metavar="V", help="A version in MLflow's registry.")
@click.option("--reason", required=True, metavar="R", help="Why; it goes into the publish log.")
@json_option
def promote(catalog_name: str, model_version: str, reason: str, as_json: bool) -> None:
    """Put a model version in charge by hand."""
    from recjobs.steps import promote as step

    show(step.run(load_catalog(catalog_name), model_version, reason), as_json)


@cli.command(epilog="Example: recjobs prune --catalog online_retail")
@catalog_option
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def prune(catalog_name: str, dry_run: bool, as_json: bool) -> None:
    """Let go of old batches' lists, artifacts and records; the latest five published batches stay whole."""
    from recjobs.steps import prune_catalog

    show_tree(prune_catalog(load_catalog(catalog_name), dry_run=dry_run), as_json)


@cli.command(epilog="Example: recjobs migrate")
@json_option
def migrate(as_json: bool) -> None:
    """Create roles and bring every catalog's schema up to date."""
    from recjobs.steps import migrate as step

    show(step.run(), as_json)


@cli.command("init", epilog="Example: recjobs init data/purchases.csv.gz")
@click.argument("file")
@json_option
def init(file: str, as_json: bool) -> None:
    """Draft a catalog file from a data FILE."""
    from recjobs.steps import init as step

    show(step.run(file), as_json)


for _command in (
    cli_access.api_key,
    cli_access.operator,
    cli_gate.approve,
    cli_lists.export,
    cli_model.evaluate,
    cli_model.compare,
    cli_model.tune,
    cli_data.reasons,
    cli_data.rejected,
    cli_data.data,
    cli_trace.trace,
    cli_rule.rule,
):
    cli.add_command(_command)


@cli.command(epilog="Example: recjobs schema")
@json_option
def schema(as_json: bool) -> None:
    """Print the JSON Schema of a catalog file, for editors."""
    from recjobs.catalog import json_schema

    click.echo(json.dumps(json_schema(), indent=None if as_json else 1))


@cli.command(epilog="Example: recjobs status --json")
@json_option
def status(as_json: bool) -> None:
    """Say what runs where, and what is live."""
    from recjobs.steps import status as step

    result = step.run()
    if as_json:
        click.echo(json.dumps(result, default=str))
        return
    for name, entry in result["platform"].items():
        state = f"pid {entry['pid']}" if entry["running"] else "not running"
        click.echo(f"{name:15} {state:15} {entry.get('url') or entry.get('port') or ''}")
    if not result["platform"]:
        click.echo("the local platform is not running: `make up` starts it")
    for name, entry in result["catalogs"].items():
        live = entry["live"]
        what = (
            f"live {live['batch_id']}, {live['n_users']} users, model {live['model_version'] or 'none'}"
            if live
            else entry.get("error", "nothing published yet")
        )
        if found := entry.get("challenger"):
            what += f"; challenger {found['study_id']} {found['state']}"
        click.echo(f"{name:15} {what}")


def main() -> None:
    """Run the command line; every failure is one message on stderr and one exit code."""
    sys.exit(_exit_code(lambda: cli(standalone_mode=False)))


def _exit_code(command: Callable[[], Any]) -> int:
    try:
        command()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 64
    except click.UsageError as error:
        error.show()
        return 64
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("recjobs: interrupted; the same command goes on where this one stopped", err=True)
        return 130
    except RecjobsError as error:
        click.echo(f"recjobs: {error}", err=True)
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            click.echo(f"recjobs: a disk is full ({error}); make room and run the same command again", err=True)
            return TryLater.exit_code
        at = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({at.filename}:{at.lineno})"
        click.echo(f"recjobs: a defect of ours: {said}. Please report this line", err=True)
        return 70
    return 0


if __name__ == "__main__":
    main()

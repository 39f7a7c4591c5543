"""The verbs that change what is served, and those that show it."""

import getpass
import json
import sys
from datetime import UTC, datetime
from typing import Any

import click

from recjobs.cli.options import catalog_option, json_option, known_catalog, load_catalog, show, show_tree


@click.command("roll-back", epilog='Example: recjobs roll-back --catalog online_retail --reason "prices were wrong"')
@catalog_option
@click.option("--batch-id", metavar="B", help="The batch to return to; without it the one that was live before.")
@click.option("--reason", metavar="R", help="Why; it goes into the publish log.")
@json_option
def roll_back(catalog_name: str, batch_id: str | None, reason: str | None, as_json: bool) -> None:
    """Make an earlier batch live again, within milliseconds."""
    from recjobs.night.night import let_alias_follow
    from recjobs.operations import roll_back as step

    catalog = known_catalog(catalog_name)
    moved = step.move(catalog, batch_id, reason)
    show(moved, as_json)  # the other batch is live by now; MLflow takes seconds more
    sys.stdout.flush()
    let_alias_follow(catalog)


@click.command(
    epilog='Example: recjobs promote --catalog online_retail --model-version 3 --reason "asked by merchandising"'
)
@catalog_option
@click.option(
    "--model-version", required=True, metavar="V", help="As in the view `batches`; MLflow's tag `model_version`."
)
@click.option("--reason", required=True, metavar="R", help="Why; it goes into the publish log.")
@json_option
def promote(catalog_name: str, model_version: str, reason: str, as_json: bool) -> None:
    """Put a model version in charge by hand."""
    from recjobs.operations import promote as step

    show(step.run(known_catalog(catalog_name), model_version, reason), as_json)


@click.command(
    epilog='Example: recjobs approve --catalog online_retail --batch-id 20111209T125001Z-1 --reason "saw the lists"'
)
@catalog_option
@click.option("--batch-id", required=True, metavar="B", help="The night whose verdict is inconclusive.")
@click.option("--reason", required=True, metavar="R", help="Why; it is stored with the verdict.")
@click.option("--refuse", is_flag=True, help="Keep the champion instead.")
@click.option("--by", default=getpass.getuser, show_default="you", metavar="WHO", help="Who answers.")
@json_option
def approve(catalog_name: str, batch_id: str, reason: str, refuse: bool, by: str, as_json: bool) -> None:
    """Approve a candidate whose verdict is inconclusive.

    The next `recjobs night` continues with the answer.
    """
    from recjobs.operations import approve as step

    show(step.run(known_catalog(catalog_name), batch_id, approved=not refuse, by=by, reason=reason), as_json)


@click.command(epilog="Example: recjobs prune --catalog online_retail")
@catalog_option
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@json_option
def prune(catalog_name: str, dry_run: bool, as_json: bool) -> None:
    """Remove old batches' lists, artifacts and records. The latest five published batches are kept."""
    from recjobs.operations import prune as operation

    show_tree(operation.run(load_catalog(catalog_name), dry_run), as_json)


@click.command("clean-airflow", epilog="Example: recjobs clean-airflow --dry-run")
@click.option("--dry-run", is_flag=True, help="Only count what would be removed.")
@json_option
def clean_airflow(dry_run: bool, as_json: bool) -> None:
    """Remove Airflow's old log files, and old runs from its database."""
    from recjobs.operations import clean_airflow as operation

    show(operation.run(dry_run), as_json)


@click.command(epilog="Example: recjobs migrate")
@json_option
def migrate(as_json: bool) -> None:
    """Create roles and bring every catalog's schema up to date."""
    from recjobs.operations import migrate as step

    show(step.run(), as_json)


@click.command("init", epilog="Example: recjobs init data/ratings.csv data/movies.csv --name films")
@click.argument("files", nargs=-1, required=True)
@click.option("--name", metavar="C", help="Name of the catalog; default: that of the file with the interactions.")
@json_option
def init(files: tuple[str, ...], name: str | None, as_json: bool) -> None:
    """Draft a catalog file from data FILES.

    Says what each file is (interactions, items, users), by names and values, and shows five rows as they are read.
    """
    from recjobs.operations import init as step

    result = step.run(*files, name=name)
    if as_json:
        show(result, as_json)
        return
    notes = result.pop("notes")
    show(result, as_json)
    click.echo("\n".join([*notes, *_first_rows(result["catalog"], step.is_complete(tuple(result.values())))]))


def _first_rows(catalog: str, is_complete: bool) -> list[str]:
    """Return lines with some rows of a drafted catalog as they are understood, and what to run next."""
    from recjobs.cli.options import load_catalog
    from recjobs.cli.tables import of_rows
    from recjobs.errors import RecjobsError
    from recjobs.operations import check

    after = [f"next: recjobs check --catalog {catalog}, then recjobs night --catalog {catalog}"]
    if not is_complete:
        return [f"fill in the lines with '?', then: recjobs check --catalog {catalog}"]
    try:
        checked = check.run(load_catalog(catalog))
    except RecjobsError as error:
        return [f"a night would stop: {error}", *after]
    stops = [f"a night would stop: {checked.error}"] if checked.error else []
    return [*of_rows(checked.result["rows"]), *stops, *after]


@click.command(epilog="Example: recjobs schema")
@json_option
def schema(as_json: bool) -> None:
    """Print the JSON Schema of a catalog file, for editors."""
    from recjobs.catalog.file import json_schema

    click.echo(json.dumps(json_schema(), indent=None if as_json else 1))


@click.command(epilog="Example: recjobs status --json")
@json_option
def status(as_json: bool) -> None:
    """Show which processes run, what each catalog serves, and how old what is kept is."""
    from recjobs.operations import status as step

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
        what = entry.get("error", "nothing published yet")
        if live := entry["live"]:
            what = f"live {live['batch_id']}, {live['n_users']} users, model {live['model_version'] or 'none'}"
            if not live["model_version"]:
                what += f" (popular lists; `recjobs tune --catalog {name}` searches for a model)"
        if challenger := entry.get("challenger"):
            what += f"; challenger {challenger['study_id']} {challenger['state']}"
        if fresh := entry.get("freshness"):
            what += f"; published {fresh['age_hours']:.1f} hours ago"
        click.echo(f"{name:15} {what}")
        if fresh and fresh["too_old"]:
            click.secho(f"{name:15} too old: serve.max_age_hours allows {fresh['max_age_hours']:g} hours", fg="red")
        if stopped := entry.get("stopped"):
            night = f"night {stopped['batch_id']}" if stopped["batch_id"] else "the latest night"
            why = " ".join((stopped["reason"] or "no reason is recorded").split())
            at = f"{stopped['at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            click.secho(f"{name:15} {night} stopped at {stopped['step']} ({stopped['state']}, {at}): {why}", fg="red")
        if "file" in entry:
            click.secho(f"{name:15} {' '.join(entry['file'].split())}", fg="red")
    _show_retention(result["retention"])


def _show_retention(rows: list[dict[str, Any]]) -> None:
    """Print how old the oldest is of what grows; red what is a week older than its setting allows."""
    now = datetime.now(UTC)
    for row in [row for row in rows if row["oldest"]]:
        age = (now - row["oldest"]).days
        kept = f"kept {row['days']} days, {row['setting']}" if row["days"] else row["setting"]
        is_late = row["days"] is not None and age > row["days"] + 7
        click.secho(f"{row['what']:20} oldest {age} days ({kept})", fg="red" if is_late else None)


@click.command(epilog="Example: recjobs export --catalog online_retail --to lists.csv.gz --n 10")
@catalog_option
@click.option("--to", required=True, metavar="FILE", help="The file to write: .parquet, .csv or .csv.gz.")
@click.option("--n", type=click.IntRange(min=1), metavar="N", help="The first N items of each list; else all served.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@json_option
def export(catalog_name: str, to: str, n: int | None, overwrite: bool, as_json: bool) -> None:
    """Write the live lists, with titles, to a file."""
    from recjobs.operations import export as step

    show(step.run(load_catalog(catalog_name), to, n, overwrite), as_json)


@click.command(epilog="Example: recjobs trace --catalog sample --user C00001 --item G0001")
@catalog_option
@click.option("--user", "user_id", required=True, metavar="U", help="The user; an unknown one gets the popular list.")
@click.option("--item", "item_id", required=True, metavar="I", help="The item.")
@json_option
def trace(catalog_name: str, user_id: str, item_id: str, as_json: bool) -> None:
    """Explain why an item is in a user's list, or why not."""
    from recjobs.operations import trace as step

    result = step.run(known_catalog(catalog_name), user_id, item_id)
    click.echo(json.dumps(result, default=str) if as_json else result["text"])

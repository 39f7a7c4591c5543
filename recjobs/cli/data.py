"""The verbs about data: what was read, what was rejected, and why."""

import json

import click

from recjobs.cli.options import (
    as_of_option,
    catalog_option,
    json_option,
    known_catalog,
    load_catalog,
    overrides_of,
    set_option,
    show_tree,
)
from recjobs.cli.tables import of_check


@click.command(epilog="Example: recjobs check --catalog online_retail")
@catalog_option
@as_of_option
@set_option
@click.option("--all", "whole", is_flag=True, help="Read all rows, not a sample of a million of each source.")
@json_option
def check(catalog_name: str, as_of: str | None, settings: tuple[str, ...], whole: bool, as_json: bool) -> None:
    """Show what a night would do with its input, without a night.

    Reads, validates and accounts; writes neither to Postgres nor to the artifacts. The exit code is a night's: 65 where
    it would refuse its input.
    """
    from recjobs.operations import check as operation

    checked = operation.run(load_catalog(catalog_name), as_of=as_of, overrides=overrides_of(settings), whole=whole)
    click.echo(json.dumps(checked.result) if as_json else "\n".join(of_check(checked.result)))
    if checked.error:
        raise checked.error


@click.command(epilog="Example: recjobs rejected --catalog online_retail --reason bad_time --limit 5")
@catalog_option
@click.option("--batch-id", metavar="B", help="The night; default: the one validated last.")
@click.option("--reason", metavar="R", help="Only rows with this reason code; `recjobs reasons` explains them.")
@click.option("--limit", default=20, show_default=True, metavar="N", help="How many rows to show.")
@json_option
def rejected(catalog_name: str, batch_id: str | None, reason: str | None, limit: int, as_json: bool) -> None:
    """Show the rows that a night quarantined."""
    from recjobs.operations import rejected as step

    result = step.run(known_catalog(catalog_name), batch_id, reason, limit)
    if as_json:
        click.echo(json.dumps(result))
        return
    if result["later"]:
        click.echo(
            f"night {result['later']} began later and has not validated its input: see `recjobs status`", err=True
        )
    counts = ", ".join(f"{n} {code}" for code, n in result["counts"].items())
    click.echo(f"{result['batch_id']}: {counts or 'no row was quarantined'}")
    for row in result["rows"]:
        raw = "  ".join(f"{key}={value!r}" for key, value in row.items() if key not in ("source", "row", "reason"))
        click.echo(f"{row['source']} row {row['row']}: {row['reason']}  {raw}")


@click.group(epilog="Example: recjobs data list --catalog online_retail")
def data() -> None:
    """Show the inputs of past nights, and what changed between two."""


@data.command("list", epilog="Example: recjobs data list --catalog online_retail")
@catalog_option
@json_option
def data_list(catalog_name: str, as_json: bool) -> None:
    """List the nights with their input, newest first."""
    from recjobs.operations import lineage as step

    nights = step.list_inputs(known_catalog(catalog_name))
    if as_json:
        click.echo(json.dumps({"nights": nights}))
        return
    for night in nights:
        counts = f"{night['accepted']:>12,} accepted {night['users']:>9,} users {night['items']:>9,} items"
        click.echo(
            f"{night['batch_id']:22} {night['input_hash'][:12]} {night['state']:9}{counts}  {night['reason'] or ''}"
        )
    if not nights:
        click.echo(f"no night of {catalog_name} was validated yet")


@data.command("show", epilog="Example: recjobs data show --catalog online_retail 20111209T125001Z-1")
@catalog_option
@click.argument("batch_id", required=False)
@json_option
def data_show(catalog_name: str, batch_id: str | None, as_json: bool) -> None:
    """Show one night's input: files, counts, columns; default: the last one."""
    from recjobs.operations import lineage as step

    show_tree(step.describe(known_catalog(catalog_name), batch_id), as_json)


@data.command("diff", epilog="Example: recjobs data diff --catalog sample 20260629T200001Z-1 20260630T200001Z-1")
@catalog_option
@click.argument("before")
@click.argument("after")
@json_option
def data_diff(catalog_name: str, before: str, after: str, as_json: bool) -> None:
    """Show what changed in the accepted interactions, users and items between two nights."""
    from recjobs.operations import lineage as step

    show_tree(step.diff(known_catalog(catalog_name), before, after), as_json)


@click.command(epilog="Example: recjobs reasons")
@json_option
def reasons(as_json: bool) -> None:
    """Explain the reason codes: what each means, what happens, how to fix it."""
    from dataclasses import asdict

    from recjobs.core.rows.reason_codes import REASONS, as_markdown

    click.echo(json.dumps([asdict(reason) for reason in REASONS.values()]) if as_json else as_markdown())

"""The verbs about one person: what is held about them, and to forget it."""

import json
from typing import IO

import click

from recjobs.cli.options import catalog_option, json_option, known_catalog, show
from recjobs.errors import Misuse, RecjobsError

user_option = click.option("--user-id", required=True, metavar="U", help="The person's user id, byte for byte.")


@click.command("export-user", epilog="Example: recjobs export-user --catalog online_retail --user-id 17850")
@catalog_option
@user_option
@click.option("--to", metavar="FILE", help="Write to this new file, which only you may read, instead of stdout.")
@json_option
def export_user(catalog_name: str, user_id: str, to: str | None, as_json: bool) -> None:
    """Write all that is held about one person, as JSON.

    Lists, history, interactions and raw rows of the nights that are kept, quarantined rows, factors of the models.
    """
    from recjobs.operations import export_user as step

    result = step.run(known_catalog(catalog_name), user_id)
    if to is not None:
        step.write(result, to)
        show({"file": to}, as_json)
    else:
        click.echo(step.as_text(result, None if as_json else 1))
    if step.is_empty(result):
        click.echo(f"catalog {catalog_name} holds nothing about this user id", err=True)


@click.command("erase-user", epilog="Example: recjobs erase-user --catalog online_retail --user-id 17850")
@click.option("--catalog", "catalog_name", metavar="C", help="Name of a file in catalogs/.")
@click.option("--all-catalogs", is_flag=True, help="From every catalog of the database instead.")
@click.option("--user-id", metavar="U", help="The person's user id, byte for byte.")
@click.option("--dry-run", is_flag=True, help="Only show what is held, in counts.")
@click.option("--ignore-running", is_flag=True, help="A step that is noted as running was killed: do not wait for it.")
@click.option(
    "--check", "receipt", type=click.File(encoding="utf-8"), metavar="RECEIPT", help="Check a receipt instead."
)
@json_option
def erase_user(
    catalog_name: str | None,
    all_catalogs: bool,
    user_id: str | None,
    dry_run: bool,
    ignore_running: bool,
    receipt: IO[str] | None,
    as_json: bool,
) -> None:
    """Erase one person from tables, files and the nights to come.

    Prints a receipt, which names nobody: keep it. Interrupted, the same command goes on.
    """
    from recjobs.operations import erase_user as step

    if receipt is not None:
        if user_id is not None or catalog_name is not None or all_catalogs:
            raise Misuse("--check RECEIPT stands alone: the receipt says which catalog it is of")
        click.echo(json.dumps({"receipts": step.check(receipt.read())}, indent=None if as_json else 1))
        return
    if user_id is None or (catalog_name is not None) == all_catalogs:
        raise Misuse("say --user-id U with --catalog C or --all-catalogs, or --check RECEIPT")
    names = [catalog_name] if catalog_name is not None else step.all_catalogs()
    results, failed = [], None
    for name in names:
        try:
            results.append(step.run(known_catalog(name), user_id, dry_run=dry_run, ignore_running=ignore_running))
        except RecjobsError as error:  # the receipts of the others are printed all the same
            failed = failed or error
    if failed and not results:
        raise failed
    result = {"receipts": results} if all_catalogs else results[0]
    click.echo(json.dumps(result, indent=None if as_json else 1))
    for each in results:
        if not any(each["held"].values()):
            future = "" if dry_run else "; nights leave it out from now on"
            click.echo(f"catalog {each['catalog']} held nothing about this user id{future}", err=True)
        for why in each.get("unread", []):
            click.echo(f"catalog {each['catalog']}: NOT erased: {why}", err=True)
    if dry_run:
        click.echo("nothing was erased", err=True)
    if failed:
        raise failed

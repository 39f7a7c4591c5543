"""The verb about one person: what is held about them."""

import click

from recjobs.cli.options import catalog_option, json_option, known_catalog, show

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

"""`recjobs trace`: why an item is in a list, or why not."""

import json

import click

from recjobs.catalog.files import load_catalog
from recjobs.cli.options import catalog_option, json_option


@click.command(epilog="Example: recjobs trace --catalog sample --user C00001 --item G0001")
@catalog_option
@click.option("--user", "user_id", required=True, metavar="U", help="Whose list; a stranger has the popular one.")
@click.option("--item", "item_id", required=True, metavar="I", help="Which item.")
@json_option
def trace(catalog_name: str, user_id: str, item_id: str, as_json: bool) -> None:
    """Say why an item is in a user's list, or why not."""
    from recjobs.operations import trace as step

    result = step.run(load_catalog(catalog_name), user_id, item_id)
    click.echo(json.dumps(result, default=str) if as_json else result["text"])

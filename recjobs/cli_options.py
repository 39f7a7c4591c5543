"""What the verbs of the command line have in common: their options, and how a result is printed."""

import json
from typing import Any

import click

catalog_option = click.option(
    "--catalog", "catalog_name", required=True, metavar="C", help="Name of a file in catalogs/."
)
json_option = click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")


def show_tree(result: dict[str, Any], as_json: bool) -> None:
    """Print a result that has parts, as YAML or JSON."""
    import yaml

    click.echo(json.dumps(result) if as_json else yaml.safe_dump(result, sort_keys=False, allow_unicode=True).rstrip())


def show(result: dict[str, Any], as_json: bool) -> None:
    """Print a result of plain values, in one line or as JSON."""
    if as_json:
        click.echo(json.dumps(result, default=str))
    else:
        click.echo("  ".join(f"{key}={value}" for key, value in result.items()))

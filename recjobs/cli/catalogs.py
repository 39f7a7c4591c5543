"""The verbs about catalogs as a whole."""

import click

from recjobs.cli.options import json_option, show_tree


@click.group(epilog="Example: recjobs catalog remove old_shop")
def catalog() -> None:
    """Remove catalogs."""


@catalog.command(epilog="Example: recjobs catalog remove old_shop --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Remove it; without this only show what would be removed.")
@click.option("--ignore-running", is_flag=True, help="A step that is noted as running was killed: do not wait for it.")
@json_option
def remove(name: str, yes: bool, ignore_running: bool, as_json: bool) -> None:
    """Remove the catalog NAME: its schema, its artifacts, and what MLflow has of it.

    Its file in catalogs/ must be gone. There is no way back but a back-up.
    """
    from recjobs.operations import remove_catalog as step

    result = step.run(name, dry_run=not yes, ignore_running=ignore_running)
    show_tree(result, as_json)
    if not yes:
        click.echo("nothing was removed: --yes removes it", err=True)
    elif result["mlflow_left"]:
        click.echo("MLflow has marked its runs as deleted: run `mlflow gc` where its server runs", err=True)

"""The verb that takes the live lists out of the database."""

import click

from recjobs.catalog.files import load_catalog
from recjobs.cli.options import catalog_option, json_option, show


@click.command(epilog="Example: recjobs export --catalog online_retail --to lists.csv.gz --n 10")
@catalog_option
@click.option("--to", required=True, metavar="FILE", help="The file to write: .parquet, .csv or .csv.gz.")
@click.option("--n", type=click.IntRange(min=1), metavar="N", help="The first N items of each list; else all served.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
@json_option
def export(catalog_name: str, to: str, n: int | None, overwrite: bool, as_json: bool) -> None:
    """Write the live lists with titles into a file, for mail tools."""
    from recjobs.operations import export as step

    show(step.run(load_catalog(catalog_name), to, n, overwrite), as_json)

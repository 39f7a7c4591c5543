"""The verb about a verdict: a person's answer where the gate cannot tell."""

import getpass

import click

from recjobs.catalog.files import load_catalog
from recjobs.cli.options import catalog_option, json_option, show


@click.command(
    epilog='Example: recjobs approve --catalog online_retail --batch-id 20111209T125001Z-1 --reason "saw the lists"'
)
@catalog_option
@click.option("--batch-id", required=True, metavar="B", help="The night whose verdict is inconclusive.")
@click.option("--reason", required=True, metavar="R", help="Why; it is kept with the verdict.")
@click.option("--refuse", is_flag=True, help="Keep the champion instead.")
@click.option("--by", default=getpass.getuser, show_default="you", metavar="WHO", help="Who answers.")
@json_option
def approve(catalog_name: str, batch_id: str, reason: str, refuse: bool, by: str, as_json: bool) -> None:
    """Put a candidate in charge that the gate cannot tell from the champion.

    The same night, run again, goes on with the answer.
    """
    from recjobs.operations import approve as step

    show(step.run(load_catalog(catalog_name), batch_id, approved=not refuse, by=by, reason=reason), as_json)

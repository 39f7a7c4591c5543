"""The verb that shows who did what."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from recjobs.cli.options import json_option


@click.command(epilog="Example: recjobs audit --catalog online_retail --since 2027-01-01")
@click.option("--catalog", metavar="C", help="Only about this catalog, which may be gone.")
@click.option("--user-id", metavar="U", help="Only who looked at what this user of the catalog bought.")
@click.option("--person", metavar="WHO", help="Only by this person.")
@click.option("--action", metavar="A", help="Only this action, such as roll_back, add_rule, sign_in, read_history.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only since then (UTC).")
@click.option("--n", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="At most so many.")
@json_option
def audit(since: datetime | None, as_json: bool, **options: Any) -> None:
    """Show who did what, the newest first.

    Rules, publishing, rolling back, promoting, approving, signing in, exporting and erasing a person, and whose history
    was looked at.
    """
    from recjobs.operations import audit as operation

    entries = operation.run(since=since and since.replace(tzinfo=UTC), **options)
    if as_json:
        click.echo(json.dumps({"entries": entries}, default=str))
        return
    for entry in entries:
        where = " ".join(filter(None, (entry["catalog"], entry["about"])))
        details = "  ".join(f"{key}={value}" for key, value in sorted(entry["details"].items()))
        at = f"{entry['at'].astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        click.echo(f"{at}  {entry['person']} ({entry['login']})  {entry['action']}  {where}  {details}".rstrip())

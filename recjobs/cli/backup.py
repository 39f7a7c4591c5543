"""The verbs for a loss: back up, and restore."""

import click

from recjobs.cli.options import json_option, show


@click.command("back-up", epilog="Example: recjobs back-up --to /var/backups/recjobs --keep 14")
@click.option(
    "--to", "place", required=True, metavar="PLACE", help="A folder, or s3://bucket/folder, for all back-ups."
)
@click.option(
    "--keep", type=click.IntRange(min=1), metavar="N", help="Remove those before the newest N; else all stay."
)
@json_option
def back_up(place: str, keep: int | None, as_json: bool) -> None:
    """Back up every catalog, its artifacts, MLflow and Airflow."""
    from recjobs.operations import back_up as operation

    show(operation.run(place, keep), as_json)


@click.command(epilog="Example: recjobs restore --from /var/backups/recjobs")
@click.option(
    "--from", "place", required=True, metavar="PLACE", help="One back-up, or where they are: then the newest."
)
@click.option("--force", metavar="REASON", help="Overwrite what has changed since the back-up.")
@json_option
def restore(place: str, force: str | None, as_json: bool) -> None:
    """Restore a back-up, also onto an empty machine."""
    from recjobs.operations import restore as operation

    show(operation.run(place, force), as_json)

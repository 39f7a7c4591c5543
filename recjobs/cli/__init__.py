"""The command line: a file for each group of verbs."""

import click

from recjobs.cli import access, audit, backup, catalogs, data, models, nights, people, rules, serving


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: recjobs night --catalog sample",
)
@click.version_option(package_name="recjobs", prog_name="recjobs")
def cli() -> None:
    """Turn a night's interactions into finished recommendation lists in Postgres."""


for _command in (
    nights.night, nights.plan, nights.begin, *nights.STEP_COMMANDS, models.evaluate,
    serving.roll_back, serving.promote, serving.approve, serving.prune, serving.status, serving.migrate,
    serving.clean_airflow,
    data.check, data.rejected, data.reasons, data.data, serving.init, serving.schema,
    serving.export, serving.trace, rules.rule,
    models.compare, models.tune,
    backup.back_up, backup.restore, people.export_user, people.erase_user,
    access.api_key, access.operator, catalogs.catalog, audit.audit,
):  # fmt: skip
    cli.add_command(_command)

"""What a command works out on its way, done once in the process that the tests' commands are forked from.

Imported by that process alone (`tests/commands.py`). Were a name of it gone with a later version of its library, the
commands would take the longer way again, and no test would fail.
"""

import sqlite3

import sqlalchemy.engine
import sqlalchemy.event
from mlflow.utils.requirements_utils import _init_packages_to_modules_map

from recjobs.catalog.scalars import timezones
from recjobs.reports.page import TEMPLATES

timezones()
for _name in TEMPLATES.list_templates(["jinja"]):
    TEMPLATES.get_template(_name)
_init_packages_to_modules_map()  # which package each module is of: for a warning of MLflow's that nobody sees


@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "connect")
def _do_not_wait_for_the_disk(connection: object, _: object) -> None:
    """What is written to MLflow's file is lost if the machine loses its power, and only then."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("pragma synchronous = off")

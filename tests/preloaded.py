"""What a command works out on its way, done once in the process that the tests' commands are forked from.

Imported by that process alone (`tests/commands.py`). Were a name of it gone with a later version of its library, the
commands would take the longer way again, and no test would fail.
"""

from mlflow.utils.requirements_utils import _init_packages_to_modules_map

from recjobs.catalog.scalars import timezones
from recjobs.reports.page import TEMPLATES

timezones()
for _name in TEMPLATES.list_templates(["jinja"]):
    TEMPLATES.get_template(_name)
_init_packages_to_modules_map()  # which package each module is of: for a warning of MLflow's that nobody sees

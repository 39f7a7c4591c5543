"""Options that several verbs have, and how results are printed.

Help is printed from this package alone: what a verb needs it imports when it runs (docs/decisions/0051).
"""

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from recjobs.errors import Misuse, RecjobsError

if TYPE_CHECKING:
    from recjobs.catalog.file import Catalog
    from recjobs.catalog.names import CatalogName


def _names_beginning_with(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The catalogs that a shell offers; none where the settings cannot be read."""
    from recjobs.catalog.files import catalog_names

    with suppress(RecjobsError):
        return [name for name in catalog_names() if name.startswith(incomplete)]
    return []


catalog_option = click.option(
    "--catalog",
    "catalog_name",
    required=True,
    metavar="C",
    help="Name of a file in catalogs/.",
    shell_complete=_names_beginning_with,
)
as_of_option = click.option(
    "--as-of", metavar="D", help="Use only what is earlier: an instant, or a date, of which the whole day (UTC) counts."
)
json_option = click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")

set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another value for a key of the catalog, such as factors=32 or recency.half_life_days=7.",
)


def known_catalog(name: str) -> "CatalogName":
    """Return the catalog of `--catalog` for what needs no catalog file. Raises Misuse for an unknown one."""
    from recjobs.night import catalogs

    return catalogs.known_catalog(name)


def load_catalog(name: str) -> "Catalog":
    """Return the catalog of `--catalog`, read from its file. Raises Misuse for an unknown one."""
    from recjobs.catalog import files

    return files.load_catalog(name)


def overrides_of(settings: tuple[str, ...]) -> dict[str, Any]:
    """Return the keys and values of `--set KEY=VALUE`, values parsed as YAML. Raises Misuse."""
    import yaml

    pairs = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key:
            raise Misuse(f"--set {setting}: say KEY=VALUE, such as --set factors=32")
        try:
            pairs[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise Misuse(f"--set {setting}: {value!r} is no YAML value") from None
    return pairs


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


class Duration(click.ParamType[float]):
    """A time such as 90s, 15m or 2h, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; fail with what is allowed."""
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)", value.strip())
        if not match or not float(match[1]):
            self.fail(f"{value!r} is no time above 0: write 90s, 15m or 2h", param, ctx)
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
